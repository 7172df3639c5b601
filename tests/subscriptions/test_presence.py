import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.cache import make_redis
from subscriptions import channels
from subscriptions.broadcaster import RedisBackend, backend_for
from subscriptions.envelope import Envelope
from subscriptions.hub import Hub
from subscriptions.link import Pace
from subscriptions.listener import HubClosed
from subscriptions.presence import Presence, PresenceState, PresenceUnknown, Tempo
from tests.subscriptions.redis_server import WITHIN_S, RedisServer, until

ANNA, BORA = UUID(int=1), UUID(int=2)
SOON = Tempo(beat_s=0.2, present_s=0.6, typing_s=0.5, read_again_s=0.1)
LONG = Tempo(beat_s=60, present_s=180, typing_s=60)


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def process(
    url: str, pace: Pace | None = None, tempo: Tempo = LONG, ahead_s: float = 0
) -> AsyncGenerator[Presence, None]:
    """One server process; its clock may be wrong."""
    backend = backend_for(url) if pace is None else RedisBackend(url, pace=pace)
    redis = make_redis(url)
    try:
        async with (
            Hub(backend) as hub,
            Presence(redis, hub, lambda: now() + timedelta(seconds=ahead_s), tempo=tempo) as presence,
        ):
            yield presence
    finally:
        await redis.aclose()


class Watcher:
    """Reads the changes of a chat, and keeps them."""

    def __init__(self, presence: Presence, party_id: UUID) -> None:
        self.states: list[PresenceState] = []
        self.task = asyncio.create_task(self._watch(presence, party_id))

    async def _watch(self, presence: Presence, party_id: UUID) -> None:
        async with aclosing(presence.changes(party_id)) as changes:
            async for state in changes:
                self.states.append(state)

    @property
    def last(self) -> PresenceState | None:
        return self.states[-1] if self.states else None

    async def until(self, present: tuple[UUID, ...] = (), typing: tuple[UUID, ...] = ()) -> None:
        await until(lambda: self.last == PresenceState(present, typing))

    async def __aenter__(self) -> "Watcher":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait((self.task,))


async def until_true(is_true: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(WITHIN_S):
        while not await is_true():  # noqa: ASYNC110 - what is asked has no event
            await asyncio.sleep(0.01)


async def until_state(presence: Presence, party_id: UUID, expected: PresenceState) -> None:
    async def is_so() -> bool:
        return await presence.state(party_id) == expected

    await until_true(is_so)


async def calls(server: RedisServer, command: str) -> int:
    """How often Redis was given a command."""
    statistics = await server.command("INFO", "commandstats")
    return statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"]


async def test_somebody_is_present_from_entering_to_leaving(redis_url: str):
    party = uuid4()
    async with process(redis_url) as presence:
        async with presence.entered(party, BORA), presence.entered(party, ANNA):
            await presence.set_typing(party, BORA, True)
            assert await presence.state(party) == PresenceState((ANNA, BORA), (BORA,))
            assert await presence.present(party) == {ANNA, BORA}
            assert await presence.present(uuid4()) == set()
            await presence.set_typing(party, BORA, False)
            assert await presence.state(party) == PresenceState((ANNA, BORA))
        await until_state(presence, party, PresenceState())


async def test_two_devices_of_a_person_do_not_end_each_other(redis_url: str):
    party = uuid4()
    async with process(redis_url) as here, process(redis_url) as there, AsyncExitStack() as telephone:
        await telephone.enter_async_context(here.entered(party, ANNA))
        async with here.entered(party, ANNA), there.entered(party, ANNA):
            assert await here.state(party) == PresenceState((ANNA,))
        # What is written after they have left has its turn after that.
        async with here.entered(party, BORA), there.entered(party, BORA):
            assert await there.state(party) == PresenceState((ANNA, BORA))
        await telephone.aclose()
        await until_state(there, party, PresenceState())


async def test_everybody_sees_who_comes_types_and_goes_in_any_process(redis_url: str):
    party = uuid4()
    async with (
        process(redis_url) as here,
        process(redis_url) as there,
        Watcher(here, party) as one,
        Watcher(there, party) as other,
    ):
        await one.until()
        await other.until()
        async with here.entered(party, ANNA):
            await other.until((ANNA,))
            await there.set_typing(party, BORA, True)
            await one.until((ANNA,), (BORA,))
            await there.set_typing(party, BORA, False)
            await one.until((ANNA,))
        await one.until()
        await other.until()
        for watcher in (one, other):
            assert all(a != b for a, b in zip(watcher.states, watcher.states[1:], strict=False))


async def test_typing_ends_by_itself_without_any_event(redis_url: str):
    party = uuid4()
    async with process(redis_url, tempo=SOON) as presence, Watcher(presence, party) as watcher:
        await presence.set_typing(party, ANNA, True)
        await watcher.until((), (ANNA,))
        await watcher.until()


async def test_presence_lasts_as_long_as_its_process_and_then_a_little(server: RedisServer):
    party = uuid4()
    async with (
        AsyncExitStack() as telephone,
        process(server.url, tempo=SOON) as here,
        Watcher(here, party) as watcher,
    ):
        async with process(server.url, tempo=SOON) as there:
            await telephone.enter_async_context(there.entered(party, ANNA))
            await watcher.until((ANNA,))

            # Written again and again, it outlives its expiry.
            async def was_written_for_long() -> bool:
                return await calls(server, "zadd") > 2 + SOON.present_s / SOON.beat_s / 0.8

            await until_true(was_written_for_long)
            assert watcher.states == [PresenceState(), PresenceState((ANNA,))]
        # That process is gone, and has not said so.
        await watcher.until()
        assert len(watcher.states) == 3


async def test_redis_forgets_a_chat_that_nobody_is_in(server: RedisServer):
    party = uuid4()
    async with process(server.url, tempo=SOON) as presence, presence.entered(party, ANNA):
        await presence.set_typing(party, ANNA, True)
        assert await server.command("DBSIZE") == 2

    async def is_empty() -> bool:
        return await server.command("DBSIZE") == 0

    await until_true(is_empty)


async def test_what_has_ended_is_trimmed(server: RedisServer):
    party = uuid4()
    async with process(server.url, tempo=SOON) as presence:
        for number in range(20):
            await presence.set_typing(party, UUID(int=number), True)
        key = (await server.command("KEYS", "*typing*"))[0].decode()

        async def only_one_is_left() -> bool:
            await presence.set_typing(party, ANNA, True)
            return await server.command("ZCARD", key) == 1

        await until_true(only_one_is_left)


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
async def test_a_clock_that_is_wrong_harms_nobody(redis_url: str, ahead_s: float):
    party = uuid4()
    async with (
        process(redis_url, tempo=SOON, ahead_s=ahead_s) as wrong,
        process(redis_url, tempo=SOON) as right,
        Watcher(wrong, party) as one,
        Watcher(right, party) as other,
    ):
        async with wrong.entered(party, ANNA), right.entered(party, BORA):
            for watcher in (one, other):
                await watcher.until((ANNA, BORA))
            await wrong.set_typing(party, ANNA, True)
            typing = PresenceState((ANNA, BORA), (ANNA,))
            await until(lambda: typing in one.states and typing in other.states)
            for watcher in (one, other):
                await watcher.until((ANNA, BORA))
        for watcher in (one, other):
            await watcher.until()


async def test_a_thousand_readers_cost_as_many_reads_as_one(server: RedisServer):
    party = uuid4()
    async with process(server.url) as presence, AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(Watcher(presence, party)) for _ in range(1000)]
        for watcher in watchers:
            await watcher.until()
        before = await calls(server, "zrange")
        async with presence.entered(party, ANNA):
            for watcher in watchers:
                await watcher.until((ANNA,))
        for watcher in watchers:
            await watcher.until()
            assert watcher.states == [PresenceState(), PresenceState((ANNA,)), PresenceState()]
        assert await calls(server, "zrange") - before <= 2 * 2  # two sets for each of two changes


async def test_a_burst_of_changes_is_read_together(redis_url: str):
    party = uuid4()
    people = [UUID(int=number) for number in range(1, 301)]
    async with process(redis_url) as presence, Watcher(presence, party) as watcher, AsyncExitStack() as stack:
        await watcher.until()
        await asyncio.gather(*(stack.enter_async_context(presence.entered(party, each)) for each in people))
        await watcher.until(tuple(people))
        assert len(watcher.states) < 20
        await stack.aclose()
        await watcher.until()


async def test_after_a_restart_of_redis_everybody_is_back_at_once(server: RedisServer, pace: Pace):
    party = uuid4()
    async with (
        process(server.url, pace) as presence,
        process(server.url, pace) as other,
        Watcher(other, party) as watcher,
        presence.entered(party, ANNA),
        other.entered(party, BORA),
    ):
        await watcher.until((ANNA, BORA))
        server.kill()
        await until(lambda: not other._hub.is_up and not presence._hub.is_up)  # pyright: ignore[reportPrivateUsage]
        assert await presence.present(party) == set()
        with pytest.raises(PresenceUnknown):
            await presence.state(party)
        assert watcher.last == PresenceState((ANNA, BORA))  # as it was, as far as we know
        await server.start()
        await until_state(presence, party, PresenceState((ANNA, BORA)))
        await watcher.until((ANNA, BORA))


async def test_a_frozen_redis_holds_up_nobody_for_long(
    server: RedisServer, pace: Pace, caplog: pytest.LogCaptureFixture
):
    party = uuid4()
    tempo = Tempo(answer_within_s=0.2, read_again_s=0.1)
    async with (
        process(server.url, pace, tempo) as presence,
        Watcher(presence, party) as watcher,
        presence.entered(party, BORA),
    ):
        await watcher.until((BORA,))
        with caplog.at_level(logging.CRITICAL, "subscriptions"):
            server.freeze()
            async with asyncio.timeout(3), presence.entered(party, ANNA):
                assert await presence.present(party) == set()
                await presence.set_typing(party, ANNA, True)
            await until(lambda: not presence._hub.is_up)  # pyright: ignore[reportPrivateUsage]
            server.thaw()
            await until(lambda: presence._hub.is_up)  # pyright: ignore[reportPrivateUsage]
        # Answers that nobody waited for don't answer later questions.
        async with presence.entered(party, ANNA):
            await until_state(presence, party, PresenceState((ANNA, BORA)))
            await watcher.until((ANNA, BORA))


async def test_the_end_of_the_hub_ends_the_readers(redis_url: str):
    redis = make_redis(redis_url)
    async with Hub(backend_for("memory://")) as hub:
        async with Presence(redis, hub, now) as presence:
            one = Watcher(presence, uuid4())
            await one.until()
        with pytest.raises(HubClosed):
            await one.task
        with pytest.raises(HubClosed):
            await anext(presence.changes(uuid4()))
    async with Hub(backend_for("memory://")) as hub, Presence(redis, hub, now) as presence:
        other = Watcher(presence, uuid4())
        await other.until()
        await hub.__aexit__()
        with pytest.raises(HubClosed):
            await other.task
    await redis.aclose()


async def test_who_stops_reading_leaves_nothing_behind(redis_url: str):
    async with process(redis_url) as presence:
        for _ in range(3):
            async with Watcher(presence, ANNA) as one, Watcher(presence, ANNA) as other:
                await one.until()
                await other.until()
        assert not presence._sources  # pyright: ignore[reportPrivateUsage]


async def test_an_event_that_changes_nothing_is_not_told(redis_url: str):
    party = uuid4()
    async with process(redis_url) as presence, Watcher(presence, party) as watcher:
        await watcher.until()
        for _ in range(5):
            presence._hub.publish(Envelope("presence", channels.presence(party)))  # pyright: ignore[reportPrivateUsage]
        async with presence.entered(party, ANNA):
            await watcher.until((ANNA,))
        assert watcher.states[:2] == [PresenceState(), PresenceState((ANNA,))]
