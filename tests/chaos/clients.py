"""All clients, in a process of their own: reads a `Plan` and then commands, a line each, from standard input.

`stop` ends the writers; `await` with heads as JSON waits until everybody has everything; `say` writes a last
message to each chat; `report` tells everything and ends the process. Each is answered by a line.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import uvloop
from pydantic import TypeAdapter

from subscriptions.tasks import end
from tests.chaos.followers import Follower
from tests.chaos.plan import Plan, Report, Status
from tests.chaos.writers import Writer

STATUS_EVERY_S = 0.25
SAID_WITHIN_S = 20.0
MOST_BYTES = 2**26
"""Of the line that holds the plan."""


class Clients:
    """Everybody, and what they are told to do."""

    def __init__(self, plan: Plan, http: httpx.AsyncClient) -> None:
        self.report = Report()
        self._stop = asyncio.Event()
        self._followers = [
            Follower(each, plan.ports, f"{plan.seed} follower {place}", self.report)
            for place, each in enumerate(plan.followers)
        ]
        self._writers = [
            Writer(each, plan.ports, plan.messages_per_s, f"{plan.seed} writer {place}", http, self.report)
            for place, each in enumerate(plan.writers)
        ]
        self._writing: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def busy(self) -> AsyncGenerator[None, None]:
        """Let everybody do what they do while the body runs."""
        tasks = [asyncio.create_task(each.follow()) for each in self._followers]
        tasks += [asyncio.create_task(self._tell_status())]
        self._writing = [asyncio.create_task(each.write(self._stop)) for each in self._writers]
        try:
            yield
        finally:
            await end([*tasks, *self._writing])

    async def obey(self, line: bytes) -> bool:
        """Do what a line says and answer; false when that was the last."""
        command, _, rest = line.strip().partition(b" ")
        match command:
            case b"stop":
                self._stop.set()
                await asyncio.wait(self._writing)
                _say({"kind": "stopped"})
            case b"await":
                _say({"kind": "awaited", "behind": await self._behind(**orjson.loads(rest))})
            case b"say":
                unless_said = asyncio.Event()
                asyncio.get_running_loop().call_later(SAID_WITHIN_S, unless_said.set)
                await asyncio.gather(*(each.say("끝이에요", unless_said) for each in self._writers))
                _say({"kind": "said"})
            case _:
                self.report.followed = [each.followed for each in self._followers]
                _say({"kind": "report", "report": self.report})
                return False
        return True

    async def _behind(self, heads: Mapping[str, int], within_s: float) -> list[str]:
        """Wait until everybody has everything; who has not in time."""
        until = time.monotonic() + within_s
        while behind := [each for each in self._followers if each.cursor < heads[each.followed.plan.channel]]:
            if time.monotonic() >= until:
                break
            await asyncio.sleep(0.05)
        return [
            f"{each.followed.plan.habit} client of {each.followed.plan.channel} at {each.cursor} of "
            f"{heads[each.followed.plan.channel]}, {'following' if each.is_following else 'away'}"
            for each in behind
        ]

    async def _tell_status(self) -> None:
        while True:
            report = self.report
            following = sum(each.is_following for each in self._followers)
            deliveries = len(report.steady) + len(report.silent) + len(report.others)
            status = Status(following, deliveries, len(report.breaks), len(report.sent))
            _say({"kind": "status", "status": status})
            await asyncio.sleep(STATUS_EVERY_S)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


async def main() -> None:
    """Read the plan, let everybody begin, and do as told."""
    reader = asyncio.StreamReader(limit=MOST_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    plan = TypeAdapter(Plan).validate_json(await reader.readline())
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as http:
        clients = Clients(plan, http)
        async with clients.busy():
            while (line := await reader.readline()) and await clients.obey(line):
                pass


if __name__ == "__main__":
    uvloop.run(main())
