"""Content negotiation, as far as GraphQL over HTTP needs it."""

from collections.abc import Iterator, Sequence
from email.message import Message

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed;subscriptionSpec=1.0"
"""Without the parameter, as urql sends it, it would be another protocol."""

STREAMS = (EVENT_STREAM, MULTIPART)
"""For clients that name them: who accepts ``*/*`` waits for the end of a response before reading it."""


def parse(header: str) -> tuple[str, dict[str, str]]:
    """The media type and its parameters, both in lower case; ``"", {}`` for nonsense."""
    message = Message()
    try:
        message["content-type"] = header
        parameters = message.get_params(failobj=[])
    except ValueError:  # line breaks, which a server in front should have refused
        return "", {}
    if not parameters:
        return "", {}
    (kind, _), *rest = parameters
    return kind.strip().lower(), {name.lower(): value.strip().lower() for name, value in rest}


def is_utf8(parameters: dict[str, str]) -> bool:
    """True when no charset is named, or this one."""
    return parameters.get("charset", "utf-8") in ("utf-8", "utf8")


def choose(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that the client likes best: highest q, then the order of its header.

    Offers that one range matches equally (``*/*``, or no header at all) go in our order.
    None when nothing is acceptable.
    """
    ranges = list(_ranges(accept if accept and accept.strip() else "*/*"))
    best: tuple[float, int, int] | None = None
    chosen: str | None = None
    for rank, offer in enumerate(offers):
        match = _match(offer, ranges)
        if match is None:
            continue
        quality, position = match
        if quality > 0 and (best is None or (-quality, position, rank) < best):
            best, chosen = (-quality, position, rank), offer
    return chosen


def _ranges(accept: str) -> Iterator[tuple[str, float, int]]:
    for position, part in enumerate(accept.split(",")):
        kind, parameters = parse(part)
        if "/" not in kind or not is_utf8(parameters):
            continue
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            continue
        if 0 <= quality <= 1:
            is_subscriptions = kind == "multipart/mixed" and parameters.get("subscriptionspec") == "1.0"
            yield MULTIPART if is_subscriptions else kind, quality, position


def _match(offer: str, ranges: list[tuple[str, float, int]]) -> tuple[float, int] | None:
    """Quality and position of the most specific range that holds the offer."""
    family = offer.partition("/")[0]
    for pattern in (offer,) if offer in STREAMS else (offer, f"{family}/*", "*/*"):
        for kind, quality, position in ranges:
            if kind == pattern:
                return quality, position
    return None
