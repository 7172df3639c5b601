"""Programs that run beside each other: started, waited for, stopped."""

import asyncio
import csv
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx

from app.servers import NotReady
from app.settings import ROOT

HOST = "127.0.0.1"
READY_WITHIN_S = 30.0
STOP_WITHIN_S = 60.0
RUN_WITHIN_S = 300.0
ANSWER_WITHIN_S = 5.0
LOOK_EVERY_S = 0.1


class Program:
    """A program that is there until it is stopped. Ctrl-C on the terminal doesn't reach it."""

    def __init__(
        self,
        name: str,
        *command: str,
        environment: Mapping[str, str],
        ended: Callable[[str], None],
        log: Path | None = None,
    ) -> None:
        """`ended` is told why when it ends by itself; `log` takes what it prints, which else nobody sees."""
        self.name = name
        self._command = command
        self._environment = {**os.environ, **environment}
        self._ended = ended
        self._log = log
        self._is_wanted = False
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it; it is not ready yet."""
        self._is_wanted = True
        self._process = await self._begin()
        self._watch = asyncio.create_task(self._until_it_ends(self._process))

    async def run(self) -> None:
        """Start it and wait for its good end.

        Raises:
            NotReady
        """
        process = await self._begin()
        try:
            async with asyncio.timeout(RUN_WITHIN_S):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
        if code != 0:
            raise NotReady(f"{self.name} has ended with code {code}.")

    async def stop(self) -> None:
        """Ask it to end, and wait until it has; in the end without asking."""
        self._is_wanted = False
        process, watch = self._process, self._watch
        if process is None or watch is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await asyncio.wait({watch})

    async def _begin(self) -> asyncio.subprocess.Process:
        with (self._log or Path(os.devnull)).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                start_new_session=True,
            )

    async def _until_it_ends(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._is_wanted:
            self._ended(f"{self.name} has ended with code {code}")


async def until_ready(port: int) -> None:
    """Wait until the server on this port can serve.

    Raises:
        NotReady
    """

    async def is_ready() -> bool:
        try:
            return (await http.get(f"http://{HOST}:{port}/readyz")).is_success
        except httpx.TransportError:
            return False

    async with httpx.AsyncClient(trust_env=False) as http:
        await _until(is_ready, f"The server on port {port} is not ready")


async def _until(holds: Callable[[], Awaitable[bool]], complaint: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not await holds():
        if time.monotonic() > deadline:
            raise NotReady(f"{complaint} after {READY_WITHIN_S:g} s.")
        await asyncio.sleep(LOOK_EVERY_S)


class Proxy:
    """HAProxy, as its administrator speaks to it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def drain(self, server: str) -> None:
        """Send the server nobody new."""
        await self._order(f"set server gonggu/{server} state drain")

    async def fill(self, server: str) -> None:
        """Send the server clients again."""
        await self._order(f"set server gonggu/{server} state ready")

    async def until_up(self, server: str) -> None:
        """Wait until the proxy has seen that the server is ready.

        Raises:
            NotReady
        """

        async def is_up() -> bool:
            try:
                table = await self._order("show stat gonggu 4 -1")
            except OSError:
                return False  # it has just been started
            rows = csv.DictReader(table.removeprefix("# ").splitlines())
            return any(row["svname"] == server and row["status"] == "UP" for row in rows)

        await _until(is_up, f"HAProxy does not find server {server} ready")

    async def _order(self, command: str) -> str:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(self._socket)
            try:
                writer.write(f"{command}\n".encode())
                return (await reader.read()).decode()
            finally:
                writer.close()
