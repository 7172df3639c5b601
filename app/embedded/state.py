"""What runs on a data directory: a lock that says whether, and a file that says where.

Whoever holds the lock has the pair, and it is the guardian's until the last server is gone. The kernel
frees it whatever way the holder dies, so a file without a lock is a leftover.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

RUN_PREFIX = "gonggu-"
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
_ORPHANS_END_WITHIN_S = 10.0
_LONGEST_SOCKET_DIR = 80  # sun_path holds 104 bytes on macOS, 108 on Linux, our names included


@dataclass(frozen=True)
class State:
    """The file ``state.json`` of a data directory."""

    run_dir: str
    """Of one run: the sockets and, for root, linked programs. Random, owner-only, removed at the end."""
    pids: tuple[int, ...] = ()
    ready: bool = False

    def write(self, path: Path) -> None:
        """Replace the file at once, so that a reader never sees half of it."""
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)


def read(path: Path) -> State | None:
    """What the file says; None when there is none or somebody damaged it."""
    try:
        fields = json.loads(path.read_text())
        return State(
            str(fields["run_dir"]), tuple(int(pid) for pid in fields["pids"]), fields["ready"] is True
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def try_lock(path: Path) -> int | None:
    """The descriptor of the lock; None while somebody else has it. Closing every copy frees it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def make_run_dir() -> Path:
    """A new owner-only directory whose path is short enough for a socket."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _LONGEST_SOCKET_DIR - len(RUN_PREFIX) - 9:
        parent = "/tmp"  # noqa: S108 — mkdtemp makes the name random and the directory ours
    return Path(tempfile.mkdtemp(prefix=RUN_PREFIX, dir=parent))


def clean_up_after(state: State) -> None:
    """End what a run without a guardian left behind. The caller holds the lock."""
    run_dir = Path(state.run_dir)
    if not run_dir.name.startswith(RUN_PREFIX):
        return
    # A number may belong to another process by now; ours name their run on the command line.
    orphans = [pid for pid in state.pids if state.run_dir in command_line(pid)]
    for sign in (signal.SIGINT, signal.SIGKILL):
        for pid in orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + _ORPHANS_END_WITHIN_S
        while orphans and time.monotonic() < deadline:
            time.sleep(0.01)
            orphans = [pid for pid in orphans if state.run_dir in command_line(pid)]
    shutil.rmtree(run_dir, ignore_errors=True)


def command_line(pid: int) -> str:
    """How a process was started, as one line; empty when it is gone or a zombie."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    asked = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=5,
        check=False,
    )
    return asked.stdout.strip()
