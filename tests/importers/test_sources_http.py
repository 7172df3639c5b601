"""What any source does when the way to it is broken, and that its key stays where it belongs."""

import asyncio
import logging
import traceback
from typing import Any

import httpx
import pytest

from importers import source_http
from importers.envelopes import SourceError, UpstreamFailed
from importers.source_consumer_prices import ConsumerStores
from importers.source_http import Key, ask
from importers.source_large_stores import LargeStores, SeoulStores
from importers.source_mafra import StandardItems
from importers.sources import Source
from tests.simulators import faults
from tests.simulators.app import KEY, Simulator
from tests.simulators.asking import asking, fetched
from tests.simulators.faults import Fault

BROKEN = [
    Fault.DROP,
    Fault.CUT,
    Fault.HALF,
    Fault.TOO_MANY,
    Fault.SERVER_ERROR,
    Fault.PROXY_PAGE,
]
SOURCES = [StandardItems, SeoulStores, LargeStores, ConsumerStores]
SPELLINGS = (KEY, "a%2Fsecret%2Bkey%3D%3D", "a%2fsecret%2bkey%3d%3d", "secret")


class Echo(Simulator):
    """Repeats what it was asked in its error, as some gateways do."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one call."""
        asked = f"{KEY} {scope['raw_path'].decode()}?{scope['query_string'].decode()}"
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": asked.encode()})


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("kind", SOURCES)
async def test_a_broken_answer_is_worth_another_try(kind: Any, fault: Fault):
    simulator = Simulator(rows=10, plan=faults.once_each(fault))
    async with asking(simulator) as client:
        source: Source = kind(KEY, simulator.url)
        with pytest.raises(UpstreamFailed) as raised:
            await source.total(client)
        assert raised.value.is_retryable
        assert await source.total(client) == 10


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_source_that_never_answers_is_left_in_time(kind: Any):
    simulator = Simulator(plan=faults.always(Fault.HANG))
    async with asking(simulator) as client:
        async with asyncio.timeout(5):
            with pytest.raises(UpstreamFailed, match=r"No answer within 0\.2 s"):
                await kind(KEY, simulator.url, within_s=0.2).total(client)


async def test_a_source_that_is_not_there_has_failed():
    simulator = Simulator()
    async with asking(simulator) as client:
        url = simulator.url
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(UpstreamFailed, match="ConnectError"):
            await StandardItems(KEY, url).total(client)


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source_http, "MAX_BYTES", 10_000)
    simulator = Simulator()
    async with asking(simulator) as client:
        with pytest.raises(UpstreamFailed, match="longer than 10,000 bytes"):
            await StandardItems(KEY, simulator.url).fetch(client, 1, 1_000)


@pytest.mark.parametrize("key", [KEY, "a%2Fsecret%2Bkey%3D%3D", " a/secret+key==\n"])
@pytest.mark.parametrize("kind", SOURCES)
async def test_a_key_is_taken_encoded_or_not(kind: Any, key: str):
    simulator = Simulator(rows=10)
    async with asking(simulator) as client:
        assert await kind(key, simulator.url).total(client) == 10


def shown_by(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@pytest.mark.parametrize("fault", [None, *BROKEN])
@pytest.mark.parametrize("kind", SOURCES)
async def test_the_key_is_in_no_log_and_no_error(
    kind: Any, fault: Fault | None, caplog: pytest.LogCaptureFixture
):
    simulator = Simulator(rows=10, plan=faults.always(fault) if fault else faults.none)
    shown = ""
    with caplog.at_level(logging.DEBUG):
        async with asking(simulator) as client:
            source: Source = kind(KEY, simulator.url)
            try:
                shown += repr(await fetched(source, client))
            except SourceError as error:
                shown += shown_by(error)
    logged = [f"{record.getMessage()} {record.args!r}" for record in caplog.records if "http" in record.name]
    assert any("_KEY_" in line for line in logged) or fault in {Fault.DROP}
    for spelling in SPELLINGS:
        assert spelling not in shown
        assert not [line for line in logged if spelling in line]
    assert not [spelling for spelling in SPELLINGS if spelling in repr(source) + repr(vars(source))]


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_source_that_repeats_the_key_does_not_spread_it(kind: Any):
    simulator = Echo()
    async with asking(simulator) as client:
        with pytest.raises(SourceError) as raised:
            await kind(KEY, simulator.url).total(client)
    assert "…" in raised.value.words
    assert not [spelling for spelling in SPELLINGS if spelling in shown_by(raised.value)]


def test_a_key_hides_in_every_spelling():
    key = Key(KEY)
    assert key.hidden_in(f"<{KEY}> <a%2Fsecret%2Bkey%3D%3D> <a%2fsecret%2bkey%3d%3d>") == "<…> <…> <…>"
    assert KEY not in f"{key} {key!r}"
    assert Key("").hidden_in("as it is") == "as it is"


async def test_the_place_of_the_key_is_all_that_a_request_shows():
    simulator = Simulator()
    urls: list[str] = []

    async def note(request: httpx.Request) -> None:
        urls.append(str(request.url))

    async with asking(simulator) as client:
        client.event_hooks["request"] = [note]
        await ask(client, f"{simulator.url}/openapi/_KEY_/json", Key(KEY), within_s=5)
    assert urls == [f"{simulator.url}/openapi/_KEY_/json"]
    assert list(simulator.calls) == ["/openapi/a%2Fsecret%2Bkey%3D%3D/json"]
