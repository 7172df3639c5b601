"""All that production runs, started as `deploy/two-processes` starts it."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.asgi import make_parts
from app.settings import ROOT, Settings
from tests.api import Api
from tests.conftest import MovableClock
from tests.databases import cloned

COMMAND = str(ROOT / "deploy" / "two-processes")
SECRET = "a secret of tests, 32 characters or more"
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0


@dataclass
class Site:
    """HAProxy before two servers, and what stands behind them."""

    api: Api
    port: int
    environment: dict[str, str]

    async def connections(self) -> list[int]:
        """How many sockets and streams each server has open."""
        async with httpx.AsyncClient(trust_env=False) as http:
            texts = [(await http.get(f"http://127.0.0.1:{self.port + n}/metrics")).text for n in (1, 2)]
        lines = [line for text in texts for line in text.splitlines()]
        return [int(float(line.split()[1])) for line in lines if line.startswith("gonggu_connections ")]


@pytest.fixture(scope="session")
def haproxy() -> str:
    """The program."""
    path = shutil.which("haproxy")
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("there is no haproxy: on Debian, apt-get install haproxy")
    return path


@pytest.fixture(scope="module")
async def site(haproxy: str, server_url: str, redis_url: str) -> AsyncGenerator[Site, None]:
    """For all tests of a module: starting it takes some seconds."""
    async with cloned(server_url) as url:
        port = free_ports()
        # Short, because it will hold sockets.
        with tempfile.TemporaryDirectory(prefix="gonggu-") as folder:
            environment = {
                "PATH": os.environ["PATH"],
                "DATABASE_URL": url,
                "REDIS_URL": redis_url,
                "SECRET_KEY": SECRET,
                "GONGGU_DATA_DIR": folder,
                "GONGGU_DRAIN_S": "1",
                "GONGGU_LOG_LEVEL": "warning",
            }
            async with running(port, environment, Path(folder)), api_behind(port, environment) as api:
                yield Site(api, port, environment)


def free_ports() -> int:
    """The first of three ports in a row that nobody listens on at the moment."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                for other in (port + 1, port + 2):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", other))
            except (OSError, OverflowError):
                continue
            return port


@asynccontextmanager
async def running(port: int, environment: dict[str, str], folder: Path) -> AsyncGenerator[None, None]:
    """Start everything, and stop it as Ctrl-C does."""
    errors = folder / "errors"
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "--port", str(port)),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_WITHIN_S):
            line = (await process.stdout.readline()).decode()
        assert line.startswith(f"Open http://127.0.0.1:{port}/graphiql"), errors.read_text()
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.communicate()
    assert process.returncode == 0, errors.read_text()


@asynccontextmanager
async def api_behind(port: int, environment: dict[str, str]) -> AsyncGenerator[Api, None]:
    """The API as clients meet it, and parts of our own on the same database to prepare it with."""
    settings = Settings(
        database_url=environment["DATABASE_URL"],
        redis_url=environment["REDIS_URL"],
        secret_key=SECRET,
    )
    clock = MovableClock()
    clock.now = datetime.now(UTC)
    parts = make_parts(settings, clock)
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=15, trust_env=False) as http:
            yield Api(http, parts, clock)
    finally:
        await parts.close()
