"""Processes of the application that are started again whenever they have ended, as a service manager does."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from app.settings import ROOT
from subscriptions.tasks import end

START_WITHIN_S = 60.0
STOP_WITHIN_S = 20.0
PAUSE_S = 0.2
EXPECTED_ENDS = (-signal.SIGKILL, 0, 1, 143)
"""Killed, could not start while the database did not answer, stopped by SIGTERM."""


class DidNotStart(Exception):
    """A server does not listen."""


class Kept:
    """One process, what it logs, and how each of its lives has ended."""

    def __init__(
        self, name: str, *arguments: str, environment: Mapping[str, str], log: Path, port: int = 0
    ) -> None:
        """A `port` is what it is to listen on, if it is to listen."""
        self.name = name
        self.port = port
        self.log = log
        #: Exit codes, negative for signals.
        self.ends: list[int] = []
        self._arguments = arguments
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Kept", None]:
        """Keep it running while the body runs."""
        keeping = asyncio.create_task(self._keep(), name=f"keeps {self.name}")
        try:
            yield self
        finally:
            process = self._process
            await end([keeping])
            if process is not None and process.returncode is None:
                await self._stop(process)

    async def listening(self) -> None:
        """Wait until it listens on its port.

        Raises:
            DidNotStart
        """
        try:
            async with asyncio.timeout(START_WITHIN_S):
                while True:
                    with suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DidNotStart(f"{self.name} does not listen.") from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _keep(self) -> None:
        while True:
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "app", *self._arguments),
                    cwd=ROOT,
                    env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **self._environment},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.ends.append(await self._process.wait())
            await asyncio.sleep(PAUSE_S)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                self.ends.append(await process.wait())
        except TimeoutError:
            process.kill()
            self.ends.append(await process.wait())
