"""What the transports refuse by themselves, before or instead of execution."""

from collections.abc import Mapping
from enum import StrEnum

from graphql import GraphQLError


class Code(StrEnum):
    """``extensions.code`` of every error that is born in a transport.

    The names are Apollo Server's where it has one.
    """

    BAD_REQUEST = "BAD_REQUEST"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    DOCUMENT_TOO_LONG = "DOCUMENT_TOO_LONG"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    OPERATION_NOT_SUPPORTED = "OPERATION_NOT_SUPPORTED"
    OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"
    OPERATION_TIMEOUT = "OPERATION_TIMEOUT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    TOO_DEEP = "TOO_DEEP"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    TOO_MANY_SUBSCRIPTIONS = "TOO_MANY_SUBSCRIPTIONS"
    TOO_MANY_TOKENS = "TOO_MANY_TOKENS"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"


def coded(code: Code, message: str) -> GraphQLError:
    """An error with its code in place, which ``format_error`` only has to pass on."""
    return GraphQLError(message, extensions={"code": code.value})


def with_code(error: GraphQLError, code: Code) -> GraphQLError:
    """The same error, with this code unless it has one already."""
    if error.extensions is None or "code" not in error.extensions:
        error.extensions = {**(error.extensions or {}), "code": code.value}
    return error


class Malformed(ValueError):
    """What arrived is no GraphQL request; the text says why and is safe to send."""


class HttpRefusal(Exception):
    """An HTTP request that never reaches GraphQL."""

    def __init__(
        self, status: int, code: Code | str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = GraphQLError(message, extensions={"code": str(code)})
        self.headers = dict(headers or {})


class ProtocolViolation(Exception):
    """A WebSocket message that the protocol answers by closing the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
