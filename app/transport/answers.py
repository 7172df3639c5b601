"""One kind of answer for every transport."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import orjson
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from app.transport.context import FormatError, OperationContext
from app.transport.errors import Code, coded, with_code

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL response before its errors are formatted."""

    data: dict[str, Any] | None
    errors: list[GraphQLError]
    extensions: dict[str, Any] | None
    was_executed: bool
    """False for request errors, whose response must have no ``data``."""

    resume_point: int | None = None
    """Of an event in a stream: the number to go on after."""

    payload: bytes | None = None
    """Encoded already, because it is the same for many; then ``data`` isn't kept."""

    @classmethod
    def refused(cls, error: GraphQLError) -> "Answer":
        """A request error."""
        return cls(None, [error], None, was_executed=False)

    @classmethod
    def of(cls, result: ExecutionResult, *, may_be_ours: bool) -> "Answer":
        """Tell request errors from field errors: a null at the root has an error with a path.

        Args:
            result: From strawberry.
            may_be_ours: Whether a request error can have been raised by our own code (an extension, a
                source of events), so that one with a foreign cause is for ``format_error`` to judge.
        """
        errors = result.errors or []
        was_executed = not isinstance(result, PreExecutionError) and (
            result.data is not None or any(error.path is not None for error in errors)
        )
        if not was_executed:
            errors = [_with_stage(error, may_be_ours) for error in errors]
        return cls(result.data, errors, result.extensions or None, was_executed)

    @property
    def code(self) -> object:
        """Of the first error; None when it has none, which means that it is internal."""
        return (self.errors[0].extensions or {}).get("code") if self.errors else None

    def for_many(self) -> "Answer":
        """The same answer, encoded. It must have no errors, which are formatted for each by himself."""
        try:
            return replace(self, data=None, payload=orjson.dumps({"data": self.data}))
        except orjson.JSONEncodeError:
            return self  # and `encode` will say so

    def formatted_errors(self, format_error: FormatError, context: OperationContext | None) -> list[Any]:
        """The errors as they leave."""
        return [format_error(error, context) for error in self.errors]

    def encode(self, format_error: FormatError, context: OperationContext | None) -> bytes:
        """The response as JSON; errors first, where a person reads them."""
        if self.payload is not None:
            return self.payload
        body: dict[str, Any] = {}
        if self.errors:
            body["errors"] = self.formatted_errors(format_error, context)
        if self.was_executed:
            body["data"] = self.data
        if self.extensions:
            body["extensions"] = self.extensions
        try:
            return orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            log.exception("a result can't be encoded as JSON")
            return Answer.refused(internal(error)).encode(format_error, context)


def _with_stage(error: GraphQLError, may_be_ours: bool) -> GraphQLError:
    """Code what strawberry and graphql-core refuse before they execute; validation did it by itself."""
    if isinstance(error, GraphQLSyntaxError):
        return with_code(error, Code.GRAPHQL_PARSE_FAILED)
    if isinstance(error.original_error, CannotGetOperationTypeError):
        return unknown_operation(error.original_error.operation_name)
    has_foreign_cause = not isinstance(error.original_error, GraphQLError | None)
    if error.path is not None or (may_be_ours and has_foreign_cause):
        return error
    return with_code(error, Code.BAD_USER_INPUT)


def internal(cause: Exception) -> GraphQLError:
    """An error of ours, whose cause ``format_error`` must keep to itself."""
    return GraphQLError(
        "Something went wrong on our side; try again later.",
        original_error=cause,
        extensions={"code": Code.INTERNAL_SERVER_ERROR.value},
    )


def unknown_operation(name: str | None) -> GraphQLError:
    """There is no such operation in the document."""
    what = "The document has no operation." if name is None else f"Unknown operation named {name!r}."
    return coded(Code.OPERATION_RESOLUTION_FAILURE, what)
