import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded import binaries, state
from app.embedded.account import Account
from app.embedded.binaries import Binaries
from app.embedded.errors import BinariesMissing, DataFromOtherVersion, DataNotOurs, ServerDidNotStart
from app.embedded.servers import EmbeddedServers, embedded_servers

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")
DEBIAN_REDIS = Path("/usr/bin/redis-server")
WITHIN_S = 30.0

# Says where its servers are, then stays until it is killed or its standard input ends.
HOLDER = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from app.embedded.servers import embedded_servers

try:
    with embedded_servers(Path(sys.argv[1]), durable=False) as servers:
        print(json.dumps(asdict(servers)), flush=True)
        sys.stdin.read()
except KeyboardInterrupt:
    sys.exit(130)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@contextmanager
def holder(data_dir: Path, python: str = sys.executable, **options: Any) -> Generator[subprocess.Popen[str]]:
    """A process that holds the servers of a data directory."""
    process = subprocess.Popen(
        [python, "-c", HOLDER, data_dir],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    with process:  # closes its input at the end, and waits
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def servers_of(process: subprocess.Popen[str]) -> EmbeddedServers:
    assert process.stdout is not None
    return EmbeddedServers(**json.loads(process.stdout.readline()))


def state_of(data_dir: Path) -> state.State:
    found = state.read(data_dir / "state.json")
    assert found is not None
    return found


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.01)


def expect_nothing_left(data_dir: Path, run: state.State) -> None:
    eventually(lambda: not any(map(state.command_line, run.pids)), "the servers are gone")
    eventually(lambda: is_free(data_dir), "the guardian is gone")
    expect_ended(run)


def expect_ended(run: state.State) -> None:
    assert not any(map(state.command_line, run.pids))
    assert not Path(run.run_dir).exists()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def users_of(run: state.State) -> set[int]:
    """Who runs the servers."""
    return {Path(f"/proc/{pid}").stat().st_uid for pid in run.pids}


def is_free(data_dir: Path) -> bool:
    lock = state.try_lock(data_dir / "lock")
    if lock is not None:
        os.close(lock)
    return lock is not None


async def ask(servers: EmbeddedServers, *statements: str) -> Any:
    """Run statements, each in a transaction of its own; the last one's first value."""
    engine = create_async_engine(servers.database_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        *before, last = statements
        for statement in before:
            await connection.execute(text(statement))
        return await connection.scalar(text(last))


async def ping(servers: EmbeddedServers) -> bool:
    # redis-py types neither of the two calls fully.
    client: Any = redis.from_url(servers.redis_url)  # pyright: ignore[reportUnknownMemberType]
    async with client:
        return bool(await client.ping())


async def test_both_answer_and_are_gone_afterwards(tmp_path: Path):
    with embedded_servers(tmp_path, durable=False, max_connections=60) as servers:
        run = state_of(tmp_path)
        assert servers.owned
        assert await ping(servers)
        assert await ask(servers, "select current_database()") == "gonggu"
        assert await ask(servers, "show max_connections") == "60"
        assert await ask(servers, "show listen_addresses") == ""
        assert await ask(servers, "show fsync") == "off"
    expect_nothing_left(tmp_path, run)


async def test_only_the_owner_can_reach_the_sockets(tmp_path: Path):
    with embedded_servers(tmp_path, durable=False):
        assert mode_of(Path(state_of(tmp_path).run_dir)) == 0o700


async def test_trigrams_of_korean_are_found_whatever_the_locale_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LC_ALL", "C")
    with embedded_servers(tmp_path, durable=False) as servers:
        found = await ask(servers, "create extension pg_trgm", "select cardinality(show_trgm('참기름'))")
        assert found == 4


async def test_a_second_start_finds_the_data_of_the_first(tmp_path: Path):
    with embedded_servers(tmp_path) as servers:
        await ask(servers, "create table kept (word text)", "insert into kept values ('yes') returning word")
    with embedded_servers(tmp_path) as servers:
        assert await ask(servers, "select word from kept") == "yes"
        assert await ask(servers, "show fsync") == "on"


async def test_the_environment_steers_neither_servers_nor_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in {
        "PGPORT": "1",
        "PGDATA": "/nowhere",
        "PGHOST": "/nowhere",
        "PGUSER": "nobody",
    }.items():
        monkeypatch.setenv(name, value)
    with embedded_servers(tmp_path, durable=False) as servers:
        assert await ask(servers, "select current_user") == "postgres"


async def test_who_comes_second_attaches_and_stops_nothing(tmp_path: Path):
    with embedded_servers(tmp_path, durable=False) as ours:
        with holder(tmp_path) as process:
            theirs = servers_of(process)
            assert not theirs.owned
            assert theirs.database_url == ours.database_url
        assert process.returncode == 0
        with embedded_servers(tmp_path, database="another one") as another:
            assert await ask(another, "select current_database()") == "another one"
        assert await ping(ours)
        assert await ask(ours, "select current_database()") == "gonggu"


async def test_of_those_who_start_at_once_one_owns_the_servers(tmp_path: Path):
    with ExitStack() as stack:
        processes = [stack.enter_context(holder(tmp_path)) for _ in range(4)]
        servers = [servers_of(process) for process in processes]
        assert sorted(one.owned for one in servers) == [False, False, False, True]
        assert len({one.database_url for one in servers}) == 1
        # The owner has to be the last, or the others would find themselves alone.
        for process, one in zip(processes, servers, strict=True):
            if not one.owned:
                process.communicate(timeout=WITHIN_S)


async def test_when_the_owner_is_killed_nothing_is_left(tmp_path: Path):
    with holder(tmp_path) as process:
        servers_of(process)
        run = state_of(tmp_path)
        process.kill()
    expect_nothing_left(tmp_path, run)


async def test_ctrl_c_in_the_terminal_leaves_nothing(tmp_path: Path):
    with holder(tmp_path) as process:
        servers_of(process)
        run = state_of(tmp_path)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(WITHIN_S) == 130
        # Already now: an orderly end waits for the servers.
        expect_ended(run)
        assert is_free(tmp_path)


async def test_when_one_server_dies_so_does_the_other(tmp_path: Path):
    with holder(tmp_path) as process:
        servers_of(process)
        run = state_of(tmp_path)
        os.kill(run.pids[1], signal.SIGKILL)
        expect_nothing_left(tmp_path, run)


async def test_what_a_killed_guardian_leaves_is_ended_by_the_next_start(tmp_path: Path):
    with holder(tmp_path) as process:
        servers_of(process)
        run = state_of(tmp_path)
        os.kill(parent_of(run.pids[0]), signal.SIGKILL)
        eventually(lambda: is_free(tmp_path), "the guardian is gone")
        with embedded_servers(tmp_path) as servers:
            assert servers.owned
            assert await ping(servers)
            expect_ended(run)


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


async def test_the_pid_file_of_a_dead_server_is_no_obstacle_when_its_number_is_taken(tmp_path: Path):
    with embedded_servers(tmp_path, durable=False):
        left_over = (tmp_path / "postgresql" / "postmaster.pid").read_text().splitlines()
    left_over[0] = str(os.getpid())
    (tmp_path / "postgresql" / "postmaster.pid").write_text("\n".join(left_over))
    with embedded_servers(tmp_path, durable=False) as servers:
        assert await ask(servers, "select 1") == 1


async def test_a_state_file_of_dead_servers_is_not_believed(tmp_path: Path):
    gone = tmp_path / "gonggu-gone"
    gone.mkdir()
    # The number of a process that isn't ours, which the clean-up has to leave alone.
    state.State(str(gone), (os.getpid(),), ready=True).write(tmp_path / "state.json")
    with embedded_servers(tmp_path, durable=False) as servers:
        assert servers.owned
        assert await ping(servers)
    assert not gone.exists()


async def test_an_interrupted_first_start_is_begun_anew(tmp_path: Path):
    (tmp_path / "initdb-abc" / "base").mkdir(parents=True)
    with embedded_servers(tmp_path, durable=False) as servers:
        assert await ask(servers, "select 1") == 1
    assert not (tmp_path / "initdb-abc").exists()


async def test_data_of_another_version_are_refused_with_advice(tmp_path: Path):
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "PG_VERSION").write_text("9\n")
    with pytest.raises(DataFromOtherVersion, match=r"written by PostgreSQL 9, and ours is \d+.*dump"):
        embedded_servers(tmp_path).__enter__()
    assert is_free(tmp_path)
    assert not (tmp_path / "state.json").exists()


async def test_a_directory_of_something_else_is_refused(tmp_path: Path):
    (tmp_path / "postgresql").mkdir()
    with pytest.raises(DataNotOurs, match="isn't a data directory"):
        embedded_servers(tmp_path).__enter__()


async def test_what_a_failing_server_said_is_in_the_error(tmp_path: Path):
    with pytest.raises(
        ServerDidNotStart, match=r"PostgreSQL ended with code 1.*DATABASE_URL(?s:.*)max_connections"
    ):
        embedded_servers(tmp_path, durable=False, max_connections=0).__enter__()
    assert is_free(tmp_path)
    assert not (tmp_path / "state.json").exists()


def test_missing_programs_are_named_with_what_to_do(tmp_path: Path):
    with pytest.raises(BinariesMissing, match=r"There is no postgres in .*gonggu setup.*DATABASE_URL"):
        binaries.find(pg_bin_dir=tmp_path)
    with pytest.raises(BinariesMissing, match="There is no valkey in"):
        binaries.find(valkey_server=tmp_path / "valkey")


@pytest.mark.skipif(
    not (DEBIAN_POSTGRES.exists() and DEBIAN_REDIS.exists()),
    reason="needs Debian's PostgreSQL 15 and Redis; the gate installs them",
)
async def test_servers_of_the_system_take_the_place_of_the_wheels(tmp_path: Path):
    programs = binaries.find(DEBIAN_POSTGRES, DEBIAN_REDIS)
    with embedded_servers(tmp_path, programs, durable=False) as servers:
        assert await ask(servers, "show server_version_num") >= "150000"
        assert await ping(servers)


@as_root
async def test_root_starts_them_where_only_root_can_walk_and_opens_nothing(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    # The programs too lie behind the door, as they do in the .venv of a project in /root.
    found = binaries.find()
    site = closed / "site-packages"
    package = found.pg_bin_dir.parents[1]
    shutil.copytree(package, site / package.name)
    if found.pg_libs is not None:
        shutil.copytree(found.pg_libs, site / found.pg_libs.name)
    valkey = Path(shutil.copy2(found.valkey_server, site))
    behind = Binaries(
        site / found.pg_bin_dir.relative_to(package.parent),
        valkey,
        found.pg_libs and site / found.pg_libs.name,
    )
    data_dir = closed / "project" / ".gonggu"
    nobody = pwd.getpwnam("nobody").pw_uid
    for _ in range(2):
        with embedded_servers(data_dir, behind, durable=False) as servers:
            run = state_of(data_dir)
            assert await ask(servers, "select 1") == 1
            assert await ping(servers)
            assert users_of(run) == {nobody}
        expect_nothing_left(data_dir, run)
    assert mode_of(closed) == 0o700
    assert (data_dir / "postgresql").stat().st_uid == nobody


@as_root
async def test_a_normal_user_needs_nothing_but_an_empty_home():
    nobody = pwd.getpwnam("nobody")
    python, packages = python_for(Account(nobody.pw_uid, nobody.pw_gid))
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        data_dir = Path(home) / "project" / ".gonggu"
        environment = {"HOME": home, "PYTHONPATH": packages}
        account: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with holder(data_dir, python, env=environment, **account) as process:
            servers = servers_of(process)
            assert await ask(servers, "select 1") == 1
            run = state_of(data_dir)
            process.kill()
        expect_nothing_left(data_dir, run)
        # Root takes over what belongs to a user, and leaves it to the user.
        with embedded_servers(data_dir, durable=False) as servers:
            assert await ask(servers, "select 1") == 1
        assert (data_dir / "postgresql").stat().st_uid == nobody.pw_uid


def python_for(account: Account) -> tuple[str, str]:
    """A Python of our version that the account can run, and the path of our packages."""
    packages = sysconfig.get_path("platlib")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (sys.executable, f"/usr/bin/{version}"):
        if (
            Path(python).exists()
            and account.may_walk_to(Path(python))
            and account.may_walk_to(Path(packages))
        ):
            return python, packages
    pytest.skip(f"the account {account.uid} can't reach any {version}, or the packages")
