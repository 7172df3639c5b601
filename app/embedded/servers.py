"""A PostgreSQL and a Valkey for whoever has none: started here, stopped with us.

Several processes may ask for the servers of one data directory. The first starts them and is their owner; the
others attach. When the owner ends, in whatever way, the servers do too.
"""

import asyncio
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

import app
from app.embedded import account as accounts
from app.embedded import binaries as programs
from app.embedded import cluster, guardian, state
from app.embedded.binaries import Binaries
from app.embedded.errors import DataNotOurs, PlatformUnsupported, ServerDidNotStart
from app.embedded.guardian import Plan
from app.embedded.state import POSTGRES_SOCKET, VALKEY_SOCKET, State

START_WITHIN_S = 30.0
_ATTACH_WITHIN_S = 90.0  # somebody else's initdb and start
_QUERY_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.02
_ALREADY_THERE = ("42P04", "23505")  # duplicate_database; its unique index, when two are at it


@dataclass(frozen=True)
class EmbeddedServers:
    """Where the two servers are, and whether they end with us."""

    database_url: str
    """For SQLAlchemy with asyncpg."""
    redis_url: str
    owned: bool
    """False when another process started them; they end when that one does."""


@contextmanager
def embedded_servers(
    data_dir: Path,
    binaries: Binaries | None = None,
    *,
    durable: bool = True,
    database: str = "gonggu",
    max_connections: int = 200,
) -> Generator[EmbeddedServers]:
    """Run the servers of a data directory, or attach to those that run there already.

    Without ``durable`` the data survive the end of the program, but not that of the machine: for tests.
    What Valkey holds never survives. ``durable``, ``binaries`` and ``max_connections`` are for the one who
    starts the servers; who attaches takes what is there. Either gets the database it names.

    Blocks while the servers start (about 0.1 s; the first time, 0.8 s more) and while they stop (0.1 s).

    Raises:
        EmbeddedServersError
    """
    if sys.platform == "win32":
        raise PlatformUnsupported
    data_dir = data_dir.resolve()
    try:
        data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = _lock_or_attach(data_dir, database)
    except PermissionError as error:
        raise DataNotOurs(
            data_dir, "it belongs to another user. Start as that user, or remove it."
        ) from error
    if isinstance(found, State):
        yield _addresses(found.run_dir, database, owned=False)
        return
    with _started(data_dir, found, binaries, durable=durable, max_connections=max_connections) as run_dir:
        _create_database(run_dir, database)
        yield _addresses(run_dir, database, owned=True)


def _lock_or_attach(data_dir: Path, database: str) -> int | State:
    """The descriptor of the lock, which makes us the owner; or the pair of whoever holds it."""
    deadline = time.monotonic() + _ATTACH_WITHIN_S
    failure: Exception | None = None
    while time.monotonic() < deadline:
        lock = state.try_lock(data_dir / "lock")
        if lock is not None:
            return lock
        # Locked: somebody has a pair, or is about to have one, or is just taking it down.
        found = state.read(data_dir / "state.json")
        if found is not None and found.ready and _answers(found.run_dir):
            try:
                _create_database(found.run_dir, database)
            except (OSError, DBAPIError) as error:
                failure = error
            else:
                return found
        time.sleep(_LOOK_EVERY_S)
    raise ServerDidNotStart(
        f"Another process has held {data_dir} for {_ATTACH_WITHIN_S:.0f} s without servers that answer. "
        "Stop that one first."
    ) from failure


def _answers(run_dir: str) -> bool:
    for name in (POSTGRES_SOCKET, VALKEY_SOCKET):
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(Path(run_dir) / name))
            except PermissionError:
                raise
            except OSError:
                return False
    return True


@contextmanager
def _started(
    data_dir: Path, lock: int, binaries: Binaries | None, *, durable: bool, max_connections: int
) -> Generator[str]:
    """Run the pair under a guardian, which takes the lock over; yield the directory of its sockets."""
    state_file = data_dir / "state.json"
    try:
        binaries = binaries or programs.find()
        left_over = state.read(state_file)
        if left_over is not None:
            state.clean_up_after(left_over)
        run_dir = state.make_run_dir()
        try:
            State(str(run_dir)).write(state_file)
            process = _start_guardian(
                data_dir, run_dir, lock, binaries, durable=durable, max_connections=max_connections
            )
        except BaseException:
            state.clean_up_after(State(str(run_dir)))
            state_file.unlink(missing_ok=True)
            raise
    finally:
        os.close(lock)
    try:
        _wait_until_ready(process, data_dir)
        yield str(run_dir)
    finally:
        _end_guardian(process)


def _start_guardian(
    data_dir: Path, run_dir: Path, lock: int, binaries: Binaries, *, durable: bool, max_connections: int
) -> subprocess.Popen[bytes]:
    pgdata = data_dir / "postgresql"
    account = accounts.for_data(pgdata)
    accounts.give(run_dir, account)
    binaries = accounts.within_reach(binaries, account, run_dir / "programs")
    cluster.prepare(pgdata, binaries, account, run_dir, durable=durable)
    with accounts.address(pgdata, account) as (pgdata_address, descriptors):
        plan = Plan(
            postgres=_postgres_command(binaries, pgdata_address, run_dir, durable, max_connections),
            valkey=_valkey_command(binaries, run_dir),
            pgdata=str(pgdata),
            run_dir=str(run_dir),
            state_file=str(data_dir / "state.json"),
            log_dir=str(data_dir),
            start_within_s=START_WITHIN_S,
            environment=cluster.ENVIRONMENT,
            uid=account and account.uid,
            gid=account and account.gid,
            descriptors=list(descriptors),
        )
        with (data_dir / "guardian.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                # Without site-packages and environment: it starts in 30 ms and nothing can steer it.
                [sys.executable, "-E", "-s", "-S", "-B", "-m", guardian.__name__, plan.to_json()],
                cwd=Path(app.__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(lock, *descriptors),
                start_new_session=True,
            )


def _postgres_command(
    binaries: Binaries, pgdata: str, run_dir: Path, durable: bool, max_connections: int
) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(run_dir),
        "unix_socket_permissions": "0700",
        "port": "5432",  # part of the socket's name
        "max_connections": str(max_connections),
        "timezone": "UTC",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [str(binaries.pg_bin_dir / "postgres"), "-D", pgdata]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command


def _valkey_command(binaries: Binaries, run_dir: Path) -> list[str]:
    return [
        str(binaries.valkey_server),
        *("--port", "0"),
        *("--unixsocket", str(run_dir / VALKEY_SOCKET)),
        *("--unixsocketperm", "700"),
        *("--dir", str(run_dir)),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--client-output-buffer-limit", "pubsub", "64mb", "16mb", "30"),
    ]


def _wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path) -> None:
    """Read what the guardian says, which it says within START_WITHIN_S."""
    assert process.stdout is not None  # noqa: S101 — we asked for a pipe
    with process.stdout as said:
        if not select.select([said], [], [], START_WITHIN_S + 5)[0]:
            raise ServerDidNotStart("The process that starts the servers does not answer.")
        answer = said.read().decode(errors="replace")
    if answer == guardian.READY:
        return
    reason, _, tail = answer.partition("\n")
    if not reason:
        reason = "The process that starts the servers failed."
        tail = (data_dir / "guardian.log").read_text(errors="replace")[-2000:]
    raise ServerDidNotStart(reason, tail)


def _end_guardian(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, which stops the servers, and wait until they are gone."""
    assert process.stdin is not None  # noqa: S101 — we asked for a pipe
    process.stdin.close()
    try:
        process.wait(guardian.STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _addresses(run_dir: str, database: str, *, owned: bool) -> EmbeddedServers:
    # The port is spelled out, because drivers would take PGPORT from the environment.
    return EmbeddedServers(
        database_url=f"postgresql+asyncpg://postgres@/{quote(database)}?host={quote(run_dir)}&port=5432",
        redis_url=f"unix://{quote(run_dir)}/{VALKEY_SOCKET}?db=0",
        owned=owned,
    )


def _create_database(run_dir: str, database: str) -> None:
    """Make the database unless it is there.

    In a thread of its own, so that a caller whose thread runs an event loop may call us too.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="create-database") as thread:
        thread.submit(asyncio.run, _create_database_async(run_dir, database)).result()


async def _create_database_async(run_dir: str, database: str) -> None:
    # CREATE DATABASE refuses to run inside a transaction.
    engine = create_async_engine(
        _addresses(run_dir, "postgres", owned=False).database_url,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    is_there = text("select exists (select from pg_database where datname = :database)")
    create = text("create database " + engine.dialect.identifier_preparer.quote_identifier(database))
    async with asyncio.timeout(_QUERY_WITHIN_S), engine.connect() as connection:
        if await connection.scalar(is_there, {"database": database}):
            return
        try:
            await connection.execute(create)
        except DBAPIError as error:
            # Another process that attached at the same moment was faster.
            if getattr(error.orig, "sqlstate", None) not in _ALREADY_THERE:
                raise
