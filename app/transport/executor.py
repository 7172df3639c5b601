"""The executor of graphql-core with its leak mended, and the steps of a subscription by hand."""

from collections.abc import AsyncIterable
from typing import Any, cast

import graphql.execution
import strawberry
from graphql import GraphQLError
from graphql.execution import ExecutionResult, Executor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionContext

core: Any = graphql.execution  # whose types say too little


class EventExecutor(StrawberryGraphQLCoreExecutionContext):
    """Give it to ``strawberry.Schema(execution_context_class=…)``.

    graphql-core 3.3.2 memoises the collected subfields by the identity of a list that is new for every
    event of a subscription, in a dict that all its events share: nothing is ever found again and nothing
    is let go, about 7 KB per event until the subscription ends. Here each event has a dict of its own.
    """

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """A copy of this executor for one event."""
        executor = cast(Executor[Any], super().build_per_event_executor(payload))  # pyright: ignore[reportUnknownMemberType]
        executor._relevant_sub_fields = {}  # pyright: ignore[reportPrivateUsage]
        return executor


def build(
    schema: strawberry.Schema, execution: ExecutionContext, middleware: object
) -> Executor[Any] | list[GraphQLError]:
    """The executor of a valid operation, or what is wrong with its variables."""
    return cast(Any, schema).execution_context_class.build(
        schema._schema,  # pyright: ignore[reportPrivateUsage]
        execution.graphql_document,
        context_value=execution.context,
        raw_variable_values=execution.variables,
        operation_name=execution.operation_name,
        middleware=middleware,
        operation_extensions=execution.operation_extensions,
    )


async def open_source(executor: Executor[Any]) -> AsyncIterable[Any] | list[GraphQLError]:
    """Where the events of a subscription come from, or why they don't."""
    source: Any = core.create_source_event_stream(executor)
    if _is_awaitable(executor, source):
        source = await source
    return source.errors or [] if isinstance(source, ExecutionResult) else source


async def execute_event(executor: Executor[Any], event: object, context: object) -> ExecutionResult:
    """What one event comes to, with a context of its own."""
    own = cast(Any, executor).build_per_event_executor(event)
    own.context_value = context
    result: Any = core.execute_subscription_event(own)
    return await result if _is_awaitable(executor, result) else result


def _is_awaitable(executor: Any, value: object) -> bool:
    return executor.is_awaitable(value)
