import gc
import tracemalloc
from collections.abc import AsyncGenerator
from typing import cast

from strawberry.types import ExecutionResult

from tests.app.transport.toy import ToyContext, make_schema


async def test_a_subscription_holds_no_memory_per_event():
    query = "subscription { items(count: 2000) { name parts { name parts { name } } } }"
    results = cast(
        AsyncGenerator[ExecutionResult, None],
        await make_schema().subscribe(query, context_value=ToyContext()),
    )
    tracemalloc.start()
    try:
        held: list[int] = []
        number = 0
        async for result in results:
            assert not result.errors
            number += 1
            if number % 500 == 0:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert number == 2000
    # Unmended it is 2 KB an event of this small selection: 3 MB.
    assert held[-1] - held[0] < 200_000
