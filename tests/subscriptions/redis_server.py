"""A Redis of a test's own, to kill, freeze and lie about; and tools to look at it from outside."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.embedded import binaries

WITHIN_S = 15.0


async def until(is_true: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Look until it is so."""
    async with asyncio.timeout(within_s):
        while not is_true():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.005)


class RedisServer:
    """A process, on a socket in a directory of its own. It keeps nothing."""

    def __init__(self, directory: Path) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.url = f"unix://{directory}/redis.sock"
        self.tcp_url = f"redis://127.0.0.1:{self._port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        return self._directory / "redis.sock"

    async def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond
            [
                binaries.find().valkey_server,
                *(
                    "--bind",
                    "127.0.0.1",
                    "--port",
                    str(self._port),
                    "--unixsocket",
                    str(self.path),
                    "--dir",
                    str(self._directory),
                ),
                *("--save", "", "--appendonly", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        async with asyncio.timeout(WITHIN_S):
            while True:
                with suppress(RedisError, OSError):
                    await self.command("PING")
                    return
                await asyncio.sleep(0.01)

    def kill(self) -> None:
        """End it without a word to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections and say nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    async def command(self, *words: str) -> Any:
        async with Redis.from_url(self.url, socket_timeout=5, protocol=2) as client:  # pyright: ignore[reportUnknownMemberType]
            return cast(Any, await client.execute_command(*words))  # pyright: ignore[reportUnknownMemberType]

    async def subscribers(self, channel: str) -> int:
        """How many connections are subscribed to a channel of ours."""
        return int((await self.command("PUBSUB", "NUMSUB", f"gonggu:{channel}"))[1])

    async def subscriptions(self) -> int:
        """How many channels are subscribed to, the probes left out."""
        channels = cast(list[bytes], await self.command("PUBSUB", "CHANNELS", "gonggu:*"))
        return sum(not each.startswith(b"gonggu:probe:") for each in channels)

    async def kill_subscribers(self) -> None:
        """Close the connections over which messages come, as an administrator might."""
        await self.command("CLIENT", "KILL", "TYPE", "pubsub")


@asynccontextmanager
async def redis_server() -> AsyncGenerator[RedisServer, None]:
    # Not pytest's directory: its path is longer than a socket's may be.
    directory = Path(tempfile.mkdtemp(prefix="gonggu-redis-"))
    server = RedisServer(directory)
    try:
        await server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory)


class DeafProxy:
    """Stands before Redis. Made deaf, it answers everything and delivers no message."""

    def __init__(self, behind: Path) -> None:
        self.socket = behind.with_name("deaf.sock")
        self.url = f"unix://{self.socket}"
        self.is_deaf = False
        self._behind = behind
        self._tasks = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator["DeafProxy", None]:
        server = await asyncio.start_unix_server(self._connect, self.socket)
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._copy(reader, behind_writer))
                    tasks.create_task(self._copy(behind_reader, writer))
            finally:
                behind_writer.close()
        except* OSError:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while some := await reader.read(65536):
            if self.is_deaf and b"\r\nmessage\r\n" in some:
                continue
            writer.write(some)
            await writer.drain()
        raise ConnectionError("closed")
