"""The files of one PostgreSQL: made once, and checked before every start."""

import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from app.embedded import account as accounts
from app.embedded import state
from app.embedded.account import Account
from app.embedded.binaries import Binaries
from app.embedded.errors import DataFromOtherVersion, DataNotOurs, ServerDidNotStart

_INITDB_WITHIN_S = 60.0
_UNFINISHED = "initdb-"

# Nothing of the caller's environment reaches the servers: PGDATA, PGPORT, LANG and others would steer them.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def prepare(pgdata: Path, binaries: Binaries, account: Account | None, cwd: Path, *, durable: bool) -> None:
    """Make the files when there are none, and clear what a crash left behind.

    The caller holds the lock of the data directory. ``cwd`` is any directory that the account can enter.

    Raises:
        DataFromOtherVersion, DataNotOurs, ServerDidNotStart
    """
    for unfinished in pgdata.parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if not pgdata.exists():
        _initdb(pgdata, binaries, account, cwd, durable=durable)
        return
    _check_version(pgdata, binaries)
    _forget_stale_pid(pgdata)
    if account is not None and pgdata.stat().st_uid != account.uid:
        accounts.give(pgdata, account)


def _initdb(pgdata: Path, binaries: Binaries, account: Account | None, cwd: Path, *, durable: bool) -> None:
    """Make the files beside their place and move them there, so that they exist whole or not at all."""
    fresh = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=pgdata.parent))
    accounts.give(fresh, account)
    with accounts.address(fresh, account) as (name, descriptors):
        # The locale is named because the caller's may be C, where trigram search silently finds no Korean.
        command = [
            str(binaries.pg_bin_dir / "initdb"), f"--pgdata={name}", "--username=postgres",
            "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=reject",
            "--no-instructions", *([] if durable else ["--no-sync"]),
        ]  # fmt: skip
        made = subprocess.run(  # noqa: S603 — a program we located ourselves
            command,
            user=account and account.uid,
            group=account and account.gid,
            extra_groups=[] if account else None,
            pass_fds=descriptors,
            cwd=cwd,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INITDB_WITHIN_S,
            check=False,
        )
    if made.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise ServerDidNotStart("PostgreSQL's initdb could not make its files.", made.stdout[-2000:].strip())
    fresh.rename(pgdata)


def _check_version(pgdata: Path, binaries: Binaries) -> None:
    try:
        written_by = (pgdata / "PG_VERSION").read_text().strip()
    except OSError as error:
        reason = "it isn't a data directory of PostgreSQL. Remove it to start afresh."
        raise DataNotOurs(pgdata, reason) from error
    ours = binaries.pg_major()
    if written_by != ours:
        raise DataFromOtherVersion(pgdata, written_by, ours)


def _forget_stale_pid(pgdata: Path) -> None:
    """Remove the pid file of a dead server.

    PostgreSQL does so itself unless another process has the number by now; then it refuses to start.
    """
    pid_file = pgdata / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text().splitlines()[0])
        if str(pgdata) in state.command_line(pid):
            raise DataNotOurs(pgdata, f"process {pid} serves it. Stop that one first.")
    pid_file.unlink(missing_ok=True)
