import asyncio
import logging
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.cache import make_redis
from app.embedded import binaries
from resolvers import attempts as module
from resolvers.attempts import Attempts
from tests.attempts import HERE, MANGO, NOW, fail, succeed

ANSWER_WITHIN_S = 10.0


@dataclass
class PrivateRedis:
    """A server of the test's own, to be stopped, frozen and started anew."""

    program: Path
    socket: Path
    running: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it listens when it runs."""
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start it, empty."""
        command = [
            self.program,
            "--port",
            "0",
            "--unixsocket",
            self.socket,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.running = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.socket.parent)

    def stop(self) -> None:
        """Stop it as kill -9 does."""
        if self.running is not None:
            self.running.kill()
            self.running.wait(ANSWER_WITHIN_S)
            self.running = None

    def send(self, sign: signal.Signals) -> None:
        """Freeze it or let it go on."""
        assert self.running is not None
        self.running.send_signal(sign)


@pytest.fixture
def private(tmp_path_factory: pytest.TempPathFactory) -> Generator[PrivateRedis, None, None]:
    # A socket's path is 107 bytes long at most.
    server = PrivateRedis(binaries.find().valkey_server, tmp_path_factory.mktemp("r") / "s")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(private: PrivateRedis) -> AsyncGenerator[Redis, None]:
    client = make_redis(private.url)
    await answers(client)
    yield client
    await client.aclose()


async def answers(client: Redis) -> None:
    """Wait until the server is there."""
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while True:
        try:
            await client.ping()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves **kwargs untyped
        except (RedisError, OSError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        else:
            return


async def stored(client: Redis) -> list[bytes]:
    """The keys of everything that the server holds."""
    keys: Any = await client.keys()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves **kwargs untyped
    return keys


def rest(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let Redis alone for so long after it did not answer."""
    monkeypatch.setattr(module, "REST_S", seconds)


def is_told(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """How often the log has spoken of Redis."""
    return lambda: sum("Redis did not count" in record.message for record in caplog.records)


async def test_nothing_personal_stands_in_redis_and_nothing_stays(client: Redis):
    attempts = Attempts(client, "a secret", window=timedelta(milliseconds=200))
    await fail(attempts)
    keys = await stored(client)
    assert len(keys) == 2
    assert not any(personal in key for key in keys for personal in (b"mango", b"example", b"192"))
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while await stored(client):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_without_redis_a_process_counts_for_itself_and_says_so(
    private: PrivateRedis, client: Redis, caplog: pytest.LogCaptureFixture
):
    attempts = Attempts(client, "a secret")
    private.stop()
    with caplog.at_level(logging.WARNING, module.__name__):
        await succeed(attempts)
        results = await asyncio.gather(*(fail(attempts, address=f"192.0.2.{n}") for n in range(50)))
        assert results.count(0) == 10
        assert max(results) == 60
        assert await fail(attempts, now=NOW + timedelta(seconds=60)) == 0
        await succeed(attempts, "other@example.com")
        assert is_told(caplog)() == 1
    assert MANGO not in caplog.text


async def test_a_redis_that_was_started_anew_counts_again(
    private: PrivateRedis, client: Redis, monkeypatch: pytest.MonkeyPatch
):
    rest(monkeypatch, 0)
    attempts = Attempts(client, "a secret")
    for _ in range(10):
        await fail(attempts)
    assert await fail(attempts) == 60
    private.stop()
    assert await fail(attempts) == 0
    private.start()
    await answers(client)
    for _ in range(10):
        assert await fail(attempts) == 0
    assert await fail(attempts) == 60
    assert len(await stored(client)) == 2


async def test_a_redis_that_hangs_is_waited_for_a_quarter_of_a_second_and_then_left_alone(
    private: PrivateRedis, client: Redis
):
    attempts = Attempts(client, "a secret")
    private.send(signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert await fail(attempts) == 0
        assert 0.2 < time.monotonic() - started < 1
        started = time.monotonic()
        for _ in range(9):
            assert await fail(attempts) == 0
        assert await fail(attempts) == 60
        assert time.monotonic() - started < 0.2
    finally:
        private.send(signal.SIGCONT)


async def test_answers_that_come_too_late_are_nobody_elses(
    private: PrivateRedis, client: Redis, monkeypatch: pytest.MonkeyPatch
):
    rest(monkeypatch, 0)
    attempts = Attempts(client, "a secret")
    private.send(signal.SIGSTOP)
    try:
        await asyncio.gather(*(fail(attempts, f"p{n}@example.com", f"192.0.2.{n}") for n in range(5)))
    finally:
        private.send(signal.SIGCONT)
    await answers(client)
    values = await asyncio.gather(*(client.eval("return ARGV[1]", 0, f"{each}") for each in range(50)))
    assert values == [f"{each}".encode() for each in range(50)]
    for _ in range(10):
        assert await fail(attempts) == 0
    assert await fail(attempts) == 60


async def test_a_redis_that_is_lost_while_a_password_is_looked_at_stops_nobody(
    private: PrivateRedis, client: Redis
):
    attempts = Attempts(client, "a secret")
    async with attempts.attempt(MANGO, HERE, NOW):
        private.stop()


async def test_a_process_remembers_so_many_accounts_and_no_more(
    private: PrivateRedis, client: Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MOST_REMEMBERED", 20)
    attempts = Attempts(client, "a secret")
    private.stop()
    for number in range(100):
        await fail(attempts, f"person{number}@example.com", address=None)
    memory = attempts._memory._counted  # pyright: ignore[reportPrivateUsage]
    assert len(memory) == 20
