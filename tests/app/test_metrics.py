"""`/metrics` as Prometheus reads it."""

import asyncio

import httpx
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api import WITHIN_S, Api, running_api
from tests.conftest import MovableClock, transactions_on
from tests.factories import make_party


async def metrics(api: Api) -> dict[str, float]:
    """Every sample by its name, and by its label where it has one."""
    response: httpx.Response = await api.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        ".".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def until_metric(api: Api, name: str, least: float) -> dict[str, float]:
    """Ask until one of them is so much."""
    async with asyncio.timeout(WITHIN_S):
        while (seen := await metrics(api)).get(name, 0) < least:
            pass
    return seen


async def test_a_quiet_server_tells_that_nothing_waits(fresh_url: str, redis_url: str):
    async with running_api(fresh_url, redis_url) as api:
        seen = await metrics(api)
        assert seen["gonggu_outbox_rows"] == seen["gonggu_outbox_lag_seconds"] == 0
        assert seen["gonggu_outbox_relayed_total"] == 0
        assert seen["gonggu_live_is_up"] == 1
        assert seen["gonggu_connections"] == 0
        assert seen["gonggu_live_publish_waiting"] == 0


async def test_an_open_subscription_is_counted_while_it_lasts(fresh_url: str, redis_url: str):
    async with running_api(fresh_url, redis_url) as api:
        person = await api.neighbour()
        before = await metrics(api)
        async with person.subscribed("subscription { notifications { number } }"):
            seen = await until_metric(api, "gonggu_live_listeners", before["gonggu_live_listeners"] + 1)
            assert seen["gonggu_connections"] == 1
            assert seen["gonggu_live_channels"] == before["gonggu_live_channels"] + 1
        async with asyncio.timeout(WITHIN_S):
            while (await metrics(api))["gonggu_connections"]:
                pass


async def test_what_others_left_is_counted_when_it_is_relayed(
    fresh_url: str, redis_url: str, fresh_engine: AsyncEngine, clock: MovableClock
):
    async with running_api(fresh_url, redis_url) as api:
        # Somebody who dies between commit and publish.
        async with transactions_on(fresh_engine, clock).write() as tx:
            await make_party(tx)
        seen = await until_metric(api, "gonggu_outbox_relayed_total", 2)
        assert seen["gonggu_live_events_total.published"] >= 2


async def test_a_relay_that_does_not_take_shows_what_waits_and_for_how_long(
    fresh_url: str, redis_url: str, fresh_engine: AsyncEngine, clock: MovableClock
):
    async with running_api(fresh_url, redis_url, jobs="external") as api:
        async with transactions_on(fresh_engine, clock).write() as tx:
            await make_party(tx)
            await tx.finish()
            await tx.session.execute(text("UPDATE outbox SET created_at = now() - interval '1 minute'"))
        seen = await until_metric(api, "gonggu_outbox_lag_seconds", 60)
        assert seen["gonggu_outbox_rows"] >= 2
        assert seen["gonggu_outbox_relayed_total"] == 0
