"""People who listen to chats and people who talk there, in a process of their own: see `bench_live`.

Reads one JSON object from standard input, a `Script`. Everybody who listens holds a socket; those who talk
send mutations by HTTP at an even rate, over a few connections that stay open. Each text begins with the
second of the machine's monotonic clock at which it was sent. Writes what was `Told` as JSON.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import orjson
import uvloop
from pydantic import TypeAdapter

from tests.benchmarks.crowd import Person
from tests.benchmarks.fanout_client import CONNECT_WITHIN_S, OPENING_AT_ONCE, Subscriber
from tests.benchmarks.processes import cpu_s

PATH = "/graphql"
TEXT = "안녕하세요, 오늘 저녁 7시에 시장 앞에서 만나요! " * 3 + "정문으로 오세요."
WARM_UP = "0 "
CONNECTIONS = 32
ANSWER_WITHIN_S = 30
HEARD_WITHIN_S = 60
LOOK_S = 0.2
SETTLE_S = 1.0
"""What belongs to a delivery and comes after it, such as emptying the outbox, is counted too."""


@dataclass(frozen=True)
class Script:
    """Who does what, and where."""

    talk_port: int
    listen_port: int
    pid: int
    """The process whose CPU is read: that of the listeners' server."""

    subscription: str
    mutation: str
    listeners: list[Person]
    talkers: list[Person]
    """One for each party."""

    messages: int
    per_s: float


@dataclass(frozen=True)
class Told:
    """What was said and heard."""

    messages: int
    deliveries: int
    seconds: float
    """From the first to the last that was sent."""

    cpu_s: float
    p50_ms: float
    p99_ms: float
    bytes_each: float


class Audience:
    """Everybody who listens, and what they have heard."""

    def __init__(self) -> None:
        self.waited_s: list[float] = []
        self.bytes = 0
        self.warmed_up: set[int] = set()
        self._sockets: list[Subscriber] = []

    async def come(self, script: Script) -> None:
        """Connect and subscribe, some at once."""
        loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(OPENING_AT_ONCE)

        async def open_one(number: int, person: Person) -> None:
            authorization = {"authorization": f"Bearer {person.token}"}
            init = orjson.dumps({"type": "connection_init", "payload": authorization})
            wanted = {"query": script.subscription, "variables": {"partyId": person.party_id}}

            def make() -> Subscriber:
                return Subscriber(PATH, orjson.dumps(wanted), lambda text: self._hear(number, text), init)

            async with gate:
                _, socket = await loop.create_connection(make, "127.0.0.1", script.listen_port)
                self._sockets.append(socket)
                await socket.is_subscribed

        async with asyncio.timeout(CONNECT_WITHIN_S), asyncio.TaskGroup() as group:
            for number, person in enumerate(script.listeners):
                group.create_task(open_one(number, person))

    def leave(self) -> None:
        """Close all sockets."""
        for socket in self._sockets:
            socket.transport.abort()

    def _hear(self, number: int, text: bytes) -> None:
        now = time.monotonic()
        start = text.index(b'"text":"') + 8
        sent = float(text[start : text.index(b" ", start)])
        if not sent:
            self.warmed_up.add(number)
            return
        self.waited_s.append(now - sent)
        self.bytes += len(text)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Stage:
    """Connections by which people talk: each waits for its answer before it is used again."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._free = asyncio.Queue[Connection | None]()
        for _ in range(CONNECTIONS):
            self._free.put_nowait(None)

    def leave(self) -> None:
        """Close those that are open."""
        while not self._free.empty():
            if (connection := self._free.get_nowait()) is not None:
                connection[1].close()

    async def _connection(self) -> Connection:
        """One that nobody uses; servers close those that have not been used for a while."""
        connection = await self._free.get()
        if connection is None or connection[0].at_eof():
            return await asyncio.open_connection("127.0.0.1", self._script.talk_port)
        return connection

    async def say(self, person: Person, text: str | None = None) -> None:
        """Send a message and wait for its answer; without `text`, the time and some words.

        Raises:
            ValueError: For an answer that has no number.
        """
        reader, writer = await self._connection()
        said = {"partyId": person.party_id, "clientKey": uuid4().hex}
        said["text"] = text or f"{time.monotonic():.6f} {TEXT}"
        body = orjson.dumps({"query": self._script.mutation, "variables": {"input": said}})
        writer.write(_head(person.token, body) + body)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
            answer = await reader.readexactly(size)
        if b'"number":' not in answer:
            raise ValueError(f"{head[:200]!r} {answer[:500]!r}")
        self._free.put_nowait((reader, writer))


def _head(token: str, body: bytes) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\nauthorization: Bearer {token}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()


async def play(script: Script) -> Told:
    """Let everybody come, talk until all have heard something, then measure.

    Raises:
        TimeoutError: Somebody has not heard everything.
    """
    audience, stage = Audience(), Stage(script)
    try:
        await audience.come(script)
        await _warm_up(script, audience, stage)
        return await _measure(script, audience, stage)
    finally:
        stage.leave()
        audience.leave()


async def _warm_up(script: Script, audience: Audience, stage: Stage) -> None:
    """Talk everywhere once, then wherever somebody has heard nothing: nothing else says who listens yet."""
    parties = [talker.party_id for talker in script.talkers]
    async with asyncio.timeout(HEARD_WITHIN_S):
        while parties:
            talkers = [talker for talker in script.talkers if talker.party_id in set(parties)]
            async with asyncio.TaskGroup() as group:
                for talker in talkers:
                    group.create_task(stage.say(talker, WARM_UP + TEXT))
            await asyncio.sleep(LOOK_S)
            deaf = set(range(len(script.listeners))) - audience.warmed_up
            parties = [script.listeners[number].party_id for number in deaf]
    await asyncio.sleep(SETTLE_S)


async def _measure(script: Script, audience: Audience, stage: Stage) -> Told:
    loop, per_message = asyncio.get_running_loop(), len(script.listeners) // len(script.talkers)
    talkers = Random(1).choices(script.talkers, k=script.messages)
    before, began = cpu_s(script.pid), loop.time()
    async with asyncio.TaskGroup() as group:
        for number, talker in enumerate(talkers):
            await asyncio.sleep(began + number / script.per_s - loop.time())
            group.create_task(stage.say(talker))
    seconds = loop.time() - began
    async with asyncio.timeout(HEARD_WITHIN_S):
        while len(audience.waited_s) < script.messages * per_message:  # noqa: ASYNC110 - it must not disturb
            await asyncio.sleep(LOOK_S)
    await asyncio.sleep(SETTLE_S)
    used = cpu_s(script.pid) - before
    p50_ms, p99_ms = _spread_ms(audience.waited_s)
    heard = len(audience.waited_s)
    return Told(script.messages, heard, seconds, used, p50_ms, p99_ms, audience.bytes / max(heard, 1))


def _spread_ms(waited_s: Sequence[float]) -> tuple[float, float]:
    waited = sorted(waited_s) or [0.0]
    return 1000 * waited[len(waited) // 2], 1000 * waited[int(len(waited) * 0.99)]


def main() -> None:
    """Play the script on standard input."""
    script = TypeAdapter(Script).validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(play(script))))


if __name__ == "__main__":
    main()
