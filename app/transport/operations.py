"""Execution through strawberry, with one kind of answer for every transport."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import orjson
import strawberry
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from app.transport.context import FormatError, OperationContext
from app.transport.errors import Code, coded, with_code
from app.transport.requests import GraphQLRequest

log = logging.getLogger(__name__)

SINGLE_RESULT = (OperationType.QUERY, OperationType.MUTATION)


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL response before its errors are formatted."""

    data: dict[str, Any] | None
    errors: list[GraphQLError]
    extensions: dict[str, Any] | None
    was_executed: bool
    """False for request errors, whose response must have no ``data``."""

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

    def formatted_errors(self, format_error: FormatError, context: OperationContext | None) -> list[Any]:
        """The errors as they leave."""
        return [format_error(error, context) for error in self.errors]

    def encode(self, format_error: FormatError, context: OperationContext | None) -> bytes:
        """The response as JSON; errors first, where a person reads them."""
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
        return _unknown_operation(error.original_error.operation_name)
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


async def execute(
    schema: strawberry.Schema,
    request: GraphQLRequest,
    context: OperationContext,
    allowed: Collection[OperationType] = SINGLE_RESULT,
) -> Answer:
    """Run a query or a mutation. Never raises for what a client did wrong."""
    try:
        result = await schema.execute(
            request.query,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
            allowed_operation_types=allowed,
        )
    except CannotGetOperationTypeError as error:
        return Answer.refused(_unknown_operation(error.operation_name))
    except InvalidOperationTypeError as error:
        kind = error.operation_type.value
        return Answer.refused(
            coded(
                Code.OPERATION_NOT_SUPPORTED,
                f"A {kind} can't be answered here: open a WebSocket on this path with the subprotocol "
                "graphql-transport-ws.",
            )
        )
    # Behind the life cycle only graphql-core is left, which refuses variables.
    return Answer.of(result, may_be_ours=isinstance(result, PreExecutionError))


def timed_out(within_s: float) -> Answer:
    """The answer for an operation that was cancelled."""
    message = f"The operation took longer than {within_s:g} s and was cancelled: ask for less at once."
    return Answer.refused(coded(Code.OPERATION_TIMEOUT, message))


async def subscribe(
    schema: strawberry.Schema, request: GraphQLRequest, context: OperationContext
) -> AsyncGenerator[Answer, None]:
    """Answers as they come. Close it by name; that closes the source of the events."""
    results = cast(
        AsyncGenerator[ExecutionResult, None],
        await schema.subscribe(
            request.query,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
        ),
    )
    async with aclosing(results):
        async for result in results:
            # Here it is the other way round: strawberry marks what graphql-core refused.
            yield Answer.of(result, may_be_ours=not isinstance(result, PreExecutionError))


async def execute_within(
    schema: strawberry.Schema, request: GraphQLRequest, context: OperationContext, within_s: float
) -> Answer:
    """``execute``, cancelled with all its resolvers when it takes too long."""
    try:
        async with asyncio.timeout(within_s):
            return await execute(schema, request, context)
    except TimeoutError:
        return timed_out(within_s)


def _unknown_operation(name: str | None) -> GraphQLError:
    what = "The document has no operation." if name is None else f"Unknown operation named {name!r}."
    return coded(Code.OPERATION_RESOLUTION_FAILURE, what)
