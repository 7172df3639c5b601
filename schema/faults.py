"""What a program did wrong, and what the server could not do: the top-level `errors`, always with a code.

What a person did wrong is elsewhere: `schema.errors` has the refusals, members of the mutations' unions.
"""

import asyncio
import logging
from typing import Any

from graphql import GraphQLError

from models.errors import DomainError, InvalidInput, Language
from resolvers.pages import MalformedCursor
from resolvers.transaction import Unavailable
from subscriptions.feed import ReadFailed
from subscriptions.listener import MustResume

log = logging.getLogger("gonggu.graphql")


class ProgramError(Exception):
    """A program's mistake: its code goes to `extensions.code`, its text says what to do."""

    code = "BAD_REQUEST"


class BadInput(ProgramError):
    """An argument that no person typed is malformed: an id, a cursor, a page size."""

    code = "BAD_USER_INPUT"


class Unauthenticated(ProgramError):
    """The field needs somebody who is signed in."""

    code = "UNAUTHENTICATED"


class Forbidden(ProgramError):
    """The viewer's role does not reach this field."""

    code = "FORBIDDEN"


def format_error(error: GraphQLError, language: Language = "ko") -> dict[str, Any]:
    """What the client gets to see of an error: always a code, never the inside of the server."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    formatted: dict[str, Any] = dict(error.formatted)
    code, message, more = _told(error, cause, language)
    formatted["message"] = message
    formatted["extensions"] = {**(error.extensions or {}), **more, "code": code}
    return formatted


def _told(
    error: GraphQLError, cause: BaseException | None, language: Language
) -> tuple[str, str, dict[str, Any]]:
    if error.extensions and "code" in error.extensions:
        return str(error.extensions["code"]), error.message, {}  # coded on purpose where it was made
    match cause:
        case None if error.path is None:
            return "BAD_USER_INPUT", error.message, {}  # a variable does not fit its type
        case None:
            return _internal(error, error)  # graphql-core complains about what a resolver answered
        case ProgramError():
            return cause.code, str(cause), {}
        case MalformedCursor():
            return "BAD_USER_INPUT", str(cause), {}
        case InvalidInput():
            return "BAD_USER_INPUT", cause.message(language), {"field": cause.field}
        case DomainError():
            return cause.code(), cause.message(language), {}
        case asyncio.TimeoutError():
            return "OPERATION_TIMEOUT", "The operation took too long and was stopped. Ask for less.", {}
        case MustResume():
            return (
                "RESUME",
                "The stream was interrupted. Go on after the last number.",
                {},
            )
        case ReadFailed():
            log.error("Readers of a stream could not read: %s", cause)
            return "SERVICE_UNAVAILABLE", "The service is busy. Try again in a moment.", {}
        case Unavailable():
            log.error("The database did not answer: %s", cause)
            return "SERVICE_UNAVAILABLE", str(cause), {}
        case _:
            return _internal(error, cause)


def _internal(error: GraphQLError, cause: BaseException) -> tuple[str, str, dict[str, Any]]:
    log.error("An operation failed at %s", error.path, exc_info=cause)
    return "INTERNAL_SERVER_ERROR", "Something went wrong on our side. It has been noted.", {}
