"""`python -m app …` as an operator runs it: a process of its own, its output and its exit code."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli import app, schema_text
from app.database import make_engine
from app.settings import ROOT
from tests.databases import cloned

WITHIN_S = 60.0
NOBODY = "postgresql://user:secret@127.0.0.1:1/none"
KEY = "a secret of tests, 32 characters or more"

COMMANDS = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """What the process sees: the way to Python, and the settings given."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    own = {"GONGGU_DATA_DIR": str(folder / "data"), "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    return kept | own | variables


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command until it ends, in an empty folder."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def fails(folder: Path, *arguments: str, **variables: str) -> str:
    """The one line that a command says before it ends with 1."""
    ended = run(folder, *arguments, **variables)
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("gonggu: ")
    return line


@pytest.fixture
def servers(fresh_url: str, redis_url: str) -> dict[str, str]:
    """The settings of a server that has everything it needs."""
    return {"DATABASE_URL": fresh_url, "REDIS_URL": redis_url, "SECRET_KEY": KEY}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert command in shown.output
    assert "--help" in shown.output


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_what_listens_can_be_told_where(command: str):
    plain = re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(app, [command, "--help"]).output)
    assert "--host" in plain
    assert "--port" in plain


def test_the_commands_are_listed(tmp_path: Path):
    shown = run(tmp_path, "--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in COMMANDS)


def test_the_schema_is_printed():
    assert CliRunner().invoke(app, ["schema"]).output == schema_text()


def test_a_command_that_there_is_not_is_a_usage_error():
    assert CliRunner().invoke(app, ["swerve"]).exit_code == 2


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path, redis_url: str):
    line = fails(tmp_path, "serve", DATABASE_URL=NOBODY, REDIS_URL=redis_url, SECRET_KEY=KEY, PORT="0")
    assert "PostgreSQL at postgresql+asyncpg://user:***@127.0.0.1:1/none can't be used" in line
    assert line.endswith("Start it, or set DATABASE_URL.")


def test_a_port_that_is_taken_is_told(tmp_path: Path, servers: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = fails(tmp_path, "serve", "--port", str(port), **servers)
    assert f"Port {port} on 127.0.0.1 can't be used" in line
    assert "Choose another one: --port" in line


def test_a_missing_secret_key_is_told_by_its_name(tmp_path: Path, servers: dict[str, str]):
    del servers["SECRET_KEY"]
    assert "SECRET_KEY is not set" in fails(tmp_path, "serve", "--port", "0", **servers)


def test_a_setting_that_is_wrong_is_told_by_its_name(tmp_path: Path):
    assert "PORT: Input should be a valid integer" in fails(tmp_path, "serve", PORT="http")


async def test_a_database_without_tables_is_not_served_until_it_is_migrated(
    tmp_path: Path, server_url: str, redis_url: str
):
    async with cloned(server_url, template=None) as url:
        settings = {"DATABASE_URL": url, "REDIS_URL": redis_url, "SECRET_KEY": KEY}
        line = fails(tmp_path, "serve", "--port", "0", **settings)
        assert "lacks migrations (0001" in line
        assert line.endswith("Run: python -m app migrate")
        ended = run(tmp_path, "migrate", **settings)
        assert (ended.returncode, ended.stdout) == (0, "The database is up to date.\n"), ended


def test_importing_twice_changes_nothing(tmp_path: Path, servers: dict[str, str]):
    first, second = (run(tmp_path, "import", "markets", **servers) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    fetched, created, *_ = counts(first.stdout)
    assert fetched == created > 100
    assert counts(second.stdout) == [fetched, 0, 0, fetched, 0]


def test_a_line_that_is_rejected_is_shown_and_makes_the_import_fail(tmp_path: Path, servers: dict[str, str]):
    file = tmp_path / "items.csv"
    file.write_text("source,code,category,name,unit\na,1,쌀,찹쌀,\nbroken\n", encoding="utf-8")
    ended = run(tmp_path, "import", "items", "--file", str(file), **servers)
    assert ended.returncode == 1
    assert counts(ended.stdout) == [2, 1, 0, 0, 1]
    assert "line 3: " in ended.stdout


def counts(output: str) -> list[int]:
    """Fetched, created, updated, unchanged and rejected, as the last table shows them."""
    rows = re.findall(r"^[│|]((?:\s*[\d,]+\s*[│|]){5})$", output, re.MULTILINE)
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", rows[-1])]


async def test_an_administrator_is_made_by_e_mail_address(
    tmp_path: Path, fresh_url: str, servers: dict[str, str]
):
    engine = make_engine(fresh_url)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO users (id, email, password_hash, nickname, role, home_address, home_region,"
                " home_latitude, home_longitude, created_at) VALUES (gen_random_uuid(), 'Mango@example.com',"
                " 'none', '망고', 'USER', '서울', '서울', 37.5, 127, now())"
            )
        )

    async def role() -> str:
        async with engine.connect() as connection:
            return await connection.scalar(text("SELECT role FROM users"))

    granted = run(tmp_path, "grant-admin", "mango@EXAMPLE.com", **servers)
    assert (granted.returncode, await role()) == (0, "ADMIN"), granted
    assert "망고" in granted.stdout
    line = fails(tmp_path, "revoke-admin", "nobody@example.com", **servers)
    assert line == "gonggu: Nobody has signed up as nobody@example.com."
    await engine.dispose()


@contextmanager
def served(folder: Path, **variables: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=folder,
        env=environment(folder, PORT="0", GONGGU_DRAIN_S="0", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"(http://127\.0\.0\.1:\d+)/graphql", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()


def test_a_server_says_where_it_listens_and_ends_by_sigterm(tmp_path: Path, servers: dict[str, str]):
    with served(tmp_path, **servers) as (process, address):
        assert httpx.get(f"{address}/livez", trust_env=False).text == "alive\n"
        assert httpx.get(f"{address}/readyz", trust_env=False).status_code == 200
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN_S) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 15


def test_a_server_starts_without_redis_and_is_not_ready_until_it_is_back(
    tmp_path: Path, servers: dict[str, str]
):
    settings = servers | {"REDIS_URL": "redis://:secret@127.0.0.1:1/0"}
    with served(tmp_path, **settings) as (process, address):
        ready = httpx.get(f"{address}/readyz", trust_env=False, timeout=WITHIN_S)
        answer = httpx.post(f"{address}/graphql", json={"query": "{ serverTime }"}, trust_env=False)
        process.kill()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (ready.status_code, ready.json()["database"]) == (503, "ok")
    assert "serverTime" in answer.json()["data"]
    assert "Redis at redis://127.0.0.1:1/0 can't be used" in said
    assert "secret" not in said
