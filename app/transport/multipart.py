"""Subscriptions in parts, as Apollo's clients read them.

A client knows a part by the boundary behind it, so each part ends with one and the first comes at once.
"""

BOUNDARY = b"\r\n--graphql"


class Multipart:
    """A subscription as a response of many parts."""

    content_type = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    opening = BOUNDARY
    keep_alive = b"\r\ncontent-type: application/json\r\n\r\n{}" + BOUNDARY
    closing = b"--\r\n"

    def event(self, answer: bytes, resume_point: int | None) -> bytes:
        """One answer; the protocol has no place for its number."""
        return _part(b'{"payload":%b}' % answer)

    def ended(self, refusal: bytes) -> bytes:
        """Why the server ends it: errors beside a payload of null, after which clients may retry."""
        return _part(b'{"payload":null,' + refusal.removeprefix(b"{"))


def _part(body: bytes) -> bytes:
    return b"\r\ncontent-type: application/json\r\n\r\n%b%b" % (body, BOUNDARY)
