"""Execution through strawberry, with one kind of answer for every transport."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Hashable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import orjson
import strawberry
from graphql import GraphQLError
from graphql.execution import Executor
from graphql.execution.async_iterables import aclosing
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from app.transport.answers import Answer, internal, unknown_operation
from app.transport.context import OperationContext, StreamEvent
from app.transport.documents import Documents, documents_in
from app.transport.errors import Code, coded
from app.transport.executor import build, execute_event, open_source
from app.transport.requests import GraphQLRequest

__all__ = ["Answer", "execute", "execute_within", "internal", "subscribe", "timed_out"]

SINGLE_RESULT = (OperationType.QUERY, OperationType.MUTATION)


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
        return Answer.refused(unknown_operation(error.operation_name))
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
    """Answers as they come. Close it by name; that closes the source of the events.

    The life cycle of strawberry's extensions, run once: what they would add to every event is left out. Of
    many subscribers who ask the same of the same event, one executes it.
    """
    life = _Life(schema, request, context)
    async with life.runner.operation():
        begun = await life.begin()
        if isinstance(begun, Answer):
            yield begun
            return
        executor, source = begun
        events = _Events(executor, life.documents, request, context)
        try:
            async with aclosing(aiter(source)) as stream:
                async for event in stream:
                    answer = events.find(event) or await events.execute(event)
                    if answer.errors:
                        life.report(answer.errors)
                    yield answer
        except Exception as error:  # of the source
            yield life.failed(error)


class _Life:
    """What strawberry does around a subscription, without what it does around every event."""

    def __init__(self, schema: strawberry.Schema, request: GraphQLRequest, context: OperationContext) -> None:
        self._schema = schema
        self._extensions = schema.get_extensions()
        self._execution = ExecutionContext(
            query=request.query,
            schema=schema,
            allowed_operations=(OperationType.SUBSCRIPTION,),
            context=context,
            variables=request.variables,
            provided_operation_name=request.operation_name,
            operation_extensions=request.extensions,
        )
        for extension in self._extensions:
            extension.execution_context = self._execution
        self.runner = schema.create_extensions_runner(self._execution, self._extensions)
        self.documents = documents_in(self._extensions)

    async def begin(self) -> Answer | tuple[Executor[Any], AsyncIterable[Any]]:
        """Refuse the request, or open the source of its events."""
        if errors := await self._find_errors():
            return self._refused(errors)
        try:
            async with self.runner.executing():
                middleware = self._schema._get_middleware_manager(self._extensions)  # pyright: ignore[reportPrivateUsage]
                executor = build(self._schema, self._execution, middleware)
                if isinstance(executor, list):
                    return self._refused(executor)
                source = await open_source(executor)
        except Exception as error:
            return self.failed(error)
        return self._refused(source) if isinstance(source, list) else (executor, source)

    def failed(self, error: Exception) -> Answer:
        """The answer for what a hook or a source raised."""
        told = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
        self.report([told])
        return Answer.of(ExecutionResult(None, [told]), may_be_ours=True)

    def report(self, errors: list[GraphQLError]) -> None:
        """Tell strawberry, which logs them unless the schema does otherwise."""
        self._schema.process_errors(errors, self._execution)

    async def _find_errors(self) -> list[GraphQLError] | None:
        # The extension of the documents fills in document and errors.
        async with self.runner.parsing():
            pass
        if self._execution.pre_execution_errors:
            return self._execution.pre_execution_errors
        try:
            kind = self._execution.operation_type
        except RuntimeError:
            return [unknown_operation(self._execution.operation_name)]
        if kind is not OperationType.SUBSCRIPTION:
            return [coded(Code.OPERATION_NOT_SUPPORTED, f"A {kind.value} is no subscription.")]
        async with self.runner.validation():
            pass
        return self._execution.pre_execution_errors

    def _refused(self, errors: list[GraphQLError]) -> Answer:
        self.report(errors)
        # Strawberry's mark for what never came to an event; graphql-core refuses variables without a code.
        return Answer.of(PreExecutionError(None, errors), may_be_ours=False)


class _Events:
    """Answers the events of one subscription: from others who ask the same, or by executing."""

    __slots__ = ("_context", "_executor", "_kind", "_question", "_shared", "_tells_more")

    def __init__(
        self,
        executor: Executor[Any],
        documents: Documents,
        request: GraphQLRequest,
        context: OperationContext,
    ) -> None:
        self._executor = executor
        self._context = context
        self._shared = documents.answers
        self._question = self._shared.question(_key_of(documents, request, context))
        self._kind: type | None = None
        self._tells_more = False

    def find(self, event: object) -> Answer | None:
        """What it came to for somebody else."""
        if type(event) is not self._kind:  # looking at a protocol takes longer than all the rest
            self._kind, self._tells_more = type(event), isinstance(event, StreamEvent)
        if not self._tells_more:
            return None
        return self._shared.find(self._question, cast(StreamEvent, event).shared_as)

    async def execute(self, event: object) -> Answer:
        """Find out, for others too if it may be."""
        told = cast(StreamEvent, event) if self._tells_more else None
        if told is None or told.shared_as is None:
            return await self._execute(event, told.resume_point if told else None)
        execute = partial(self._execute, event, told.resume_point, is_for_many=True)
        return await self._shared.get(self._question, told.shared_as, execute)

    async def _execute(self, event: object, resume_point: int | None, *, is_for_many: bool = False) -> Answer:
        context = self._context.for_event()  # of its own, so that it sees what is true now
        result = await execute_event(self._executor, event, context)
        answer = Answer.of(ExecutionResult(result.data, result.errors), may_be_ours=True)
        answer = replace(answer, resume_point=resume_point)
        is_for_many = is_for_many and not answer.errors and not context.looked_at_viewer
        return answer.for_many() if is_for_many else answer


def _key_of(documents: Documents, request: GraphQLRequest, context: OperationContext) -> Hashable:
    """What an answer may depend on, beside the event and the viewer."""
    names = documents.variables_below_root(request.query, request.operation_name)
    given = request.variables or {}
    variables = {name: given[name] for name in names if name in given}
    return (
        request.query,
        request.operation_name,
        orjson.dumps((variables, request.extensions), option=orjson.OPT_SORT_KEYS),
        context.audience,
    )


async def execute_within(
    schema: strawberry.Schema, request: GraphQLRequest, context: OperationContext, within_s: float
) -> Answer:
    """``execute``, cancelled with all its resolvers when it takes too long."""
    try:
        async with asyncio.timeout(within_s):
            return await execute(schema, request, context)
    except TimeoutError:
        return timed_out(within_s)
