"""An operation that takes too long is stopped, and so is what it asked the database."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from schema import ids
from tests.api import WITHIN_S, running_api
from tests.conftest import MovableClock, transactions_on
from tests.factories import make_party

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_a_mutation_that_waits_too_long_is_refused_and_its_statement_ends(
    fresh_url: str, redis_url: str, fresh_engine: AsyncEngine, clock: MovableClock
):
    async with transactions_on(fresh_engine, clock).write() as tx:
        party = await make_party(tx)
    async with running_api(fresh_url, redis_url, execution_s=0.5) as api, fresh_engine.begin() as holder:
        person = await api.neighbour()
        await holder.execute(text("SELECT 1 FROM parties FOR UPDATE"))
        error = await person.fails(
            "mutation($id: ID!) { joinParty(input: {partyId: $id}) { __typename } }",
            id=ids.encode("Party", party.id),
        )
        assert error["code"] == "OPERATION_TIMEOUT"
        async with asyncio.timeout(WITHIN_S):
            while await holder.scalar(text(WAITING)):  # noqa: ASYNC110 - PostgreSQL sets no event
                await asyncio.sleep(0.01)
    async with transactions_on(fresh_engine, clock).read() as tx:
        assert await tx.session.scalar(text("SELECT count(*) FROM memberships")) == 1
