"""The process of the clients, as the runner speaks to it."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from pydantic import TypeAdapter

from app.settings import ROOT
from subscriptions.tasks import end
from tests.chaos.plan import Plan, Report, Status

MOST_BYTES = 2**30
"""Of the line that holds the report."""

STOP_WITHIN_S = 10.0


class ClientsEnded(Exception):
    """The process of the clients has ended before its time."""


class Crowd:
    """Everybody outside. Answers to commands come in the order of the commands."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.status = Status(0, 0, 0, 0)
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def until(self, is_so: Callable[[Status], bool], within_s: float) -> None:
        """Wait until the clients are as wanted.

        Raises:
            TimeoutError, ClientsEnded
        """
        async with asyncio.timeout(within_s):
            while not is_so(self.status):
                if self._process.returncode is not None:
                    raise ClientsEnded
                await asyncio.sleep(0.05)

    async def stop_writing(self, within_s: float) -> None:
        """Let nobody write any more."""
        await self._ask(b"stop", within_s)

    async def behind(self, heads: Mapping[str, int], within_s: float) -> list[str]:
        """Wait until everybody has everything; who has not by then."""
        wanted = orjson.dumps({"heads": heads, "within_s": within_s})
        return (await self._ask(b"await " + wanted, within_s + 10))["behind"]

    async def say_last_words(self, within_s: float) -> None:
        """One last message in each chat."""
        await self._ask(b"say", within_s)

    async def report(self, within_s: float) -> Report:
        """Everything that has happened; the process ends."""
        return TypeAdapter(Report).validate_python((await self._ask(b"report", within_s))["report"])

    async def listen(self) -> None:
        """Take what the process says."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer: dict[str, Any] = orjson.loads(line)
            if answer["kind"] == "status":
                self.status = Status(**answer["status"])
            else:
                self._answers.put_nowait(answer)
        self._answers.put_nowait({"kind": "end"})

    async def _ask(self, line: bytes, within_s: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        async with asyncio.timeout(within_s):
            answer = await self._answers.get()
        if answer["kind"] == "end":
            raise ClientsEnded
        return answer


@asynccontextmanager
async def crowd(plan: Plan) -> AsyncGenerator[Crowd, None]:
    """Let everybody come; they leave at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.clients"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MOST_BYTES,
    )
    assert process.stdin is not None
    people = Crowd(process)
    listening = asyncio.create_task(people.listen(), name="listens to the clients")
    try:
        process.stdin.write(orjson.dumps(plan) + b"\n")
        yield people
    finally:
        process.stdin.close()
        await end([listening])
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.communicate()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
