"""The process that owns the servers: it starts them, and stops them when the one who asked for them dies.

It runs as ``python -m app.embedded.guardian PLAN`` in a session of its own, where no Ctrl-C of the
terminal reaches it or the servers. Its standard input is a pipe whose other end its parent holds: end of file
means that the parent is gone, by whatever death. On standard output it says one line: ``ready``, or what
went wrong.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.embedded.state import VALKEY_SOCKET, State

READY = "ready"
STOP_WITHIN_S = 20.0
"""The sum of what PostgreSQL is given below, with some room."""

_LOOK_EVERY_S = 0.005
_TAIL_BYTES = 2000

Orders = tuple[tuple[signal.Signals, float], ...]
"""How to stop a server: one signal after the other, each with the seconds it is given."""

# Fast shutdown (clients are sent away, a checkpoint is written), then immediate, then none.
_POSTGRES_ORDERS: Orders = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 4.0), (signal.SIGKILL, 4.0))
_VALKEY_ORDERS: Orders = ((signal.SIGTERM, 4.0), (signal.SIGKILL, 4.0))


@dataclass(frozen=True)
class Plan:
    """All that the guardian is told. It travels as JSON, so it holds plain values only."""

    postgres: list[str]
    valkey: list[str]
    pgdata: str
    run_dir: str
    state_file: str
    log_dir: str
    start_within_s: float
    environment: dict[str, str]
    uid: int | None
    gid: int | None
    descriptors: list[int]
    """Inherited by PostgreSQL."""

    def to_json(self) -> str:
        """The inverse of ``Plan(**json.loads(text))``."""
        return json.dumps(asdict(self))


class _Stopped(Exception):
    """The parent is gone, or somebody asked the guardian to end."""


@dataclass(frozen=True)
class _Server:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    is_ready: Callable[[], bool]
    orders: Orders

    def tail(self) -> str:
        return self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()


class _Alarm:
    """Wakes the guardian when its parent dies, a server ends, or a signal asks it to stop."""

    def __init__(self) -> None:
        self._stop_asked = False
        self._wakened, waker = socket.socketpair()
        self._waker = waker
        self._wakened.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        # Handled rather than ignored: the servers would inherit the ignoring.
        for unheeded in (signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(unheeded, self._note)

    def _note(self, *_: object) -> None:
        """Nothing: the signal has done its work by waking us."""

    def _ask_to_stop(self, *_: object) -> None:
        self._stop_asked = True

    def wait(self, within_s: float | None) -> None:
        """Sleep until something happened.

        Raises:
            _Stopped
        """
        readable, _, _ = select.select([sys.stdin.fileno(), self._wakened], [], [], within_s)
        if self._wakened in readable:
            self._wakened.recv(4096)
        if self._stop_asked or sys.stdin.fileno() in readable:
            raise _Stopped


def main() -> None:
    """Run the servers of the plan until the parent dies, or one of them ends."""
    os.umask(0o077)  # logs may quote data
    plan = Plan(**json.loads(sys.argv[1]))
    alarm = _Alarm()
    state_file = Path(plan.state_file)
    servers: list[_Server] = []
    with ExitStack() as cleaning:
        cleaning.callback(_forget, plan)
        cleaning.callback(_stop, servers)
        try:
            servers.append(_start_postgres(plan))
            servers.append(_start_valkey(plan))
            state = State(plan.run_dir, tuple(server.process.pid for server in servers))
            state.write(state_file)
            # First out at the end: nobody shall attach to servers that are being stopped.
            cleaning.callback(state.write, state_file)
            failure = _wait_until_ready(servers, alarm, plan.start_within_s)
            if failure is None:
                replace(state, ready=True).write(state_file)
            _say(failure or READY)
            # One half is of no use to anybody: the pair ends together.
            while failure is None and all(server.process.poll() is None for server in servers):
                alarm.wait(None)
        except _Stopped:
            return


def _start_postgres(plan: Plan) -> _Server:
    status = Path(plan.pgdata) / "postmaster.pid"
    process, log = _start(plan, plan.postgres, "postgresql.log", plan.descriptors)

    def is_ready() -> bool:
        # What pg_ctl looks at: line 8 says "ready" once the process of line 1 takes connections.
        lines = status.read_text().split("\n")
        return int(lines[0]) == process.pid and lines[7].strip() == "ready"

    return _Server("PostgreSQL", process, log, is_ready, _POSTGRES_ORDERS)


def _start_valkey(plan: Plan) -> _Server:
    address = str(Path(plan.run_dir) / VALKEY_SOCKET)
    process, log = _start(plan, plan.valkey, "valkey.log", [])

    def is_ready() -> bool:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(1)
            connection.connect(address)
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"

    return _Server("Valkey", process, log, is_ready, _VALKEY_ORDERS)


def _start(
    plan: Plan, command: list[str], log_name: str, fds: list[int]
) -> tuple[subprocess.Popen[bytes], Path]:
    log = Path(plan.log_dir) / log_name
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 — the plan is our parent's
            command,
            user=plan.uid,
            group=plan.gid,
            extra_groups=None if plan.uid is None else [],
            pass_fds=fds,
            cwd=plan.run_dir,
            env=plan.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    return process, log


def _wait_until_ready(servers: list[_Server], alarm: _Alarm, within_s: float) -> str | None:
    """What kept a server from answering; None when both do."""
    deadline = time.monotonic() + within_s
    waiting = list(servers)
    while waiting:
        server = waiting[0]
        with suppress(OSError, ValueError, IndexError):
            if server.is_ready():
                waiting.pop(0)
                continue
        if server.process.poll() is not None:
            return f"{server.name} ended with code {server.process.returncode}.\n{server.tail()}"
        if time.monotonic() > deadline:
            return f"{server.name} did not answer within {within_s:.0f} s.\n{server.tail()}"
        alarm.wait(_LOOK_EVERY_S)
    return None


def _say(line: str) -> None:
    """Tell the parent, then close the pipe: it reads to the end. A dead parent is no news here."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), line.encode())
    os.close(sys.stdout.fileno())


def _stop(servers: list[_Server]) -> None:
    """Ask politely and all at once, then see each one off."""
    for server in servers:
        server.process.send_signal(server.orders[0][0])
    for server in servers:
        (_, patience_s), *harsher = server.orders
        if _ended(server, patience_s):
            continue
        for sign, patience_s in harsher:
            server.process.send_signal(sign)
            if _ended(server, patience_s):
                break


def _ended(server: _Server, within_s: float) -> bool:
    try:
        server.process.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _forget(plan: Plan) -> None:
    shutil.rmtree(plan.run_dir, ignore_errors=True)
    Path(plan.state_file).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
