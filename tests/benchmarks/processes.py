"""Processes that are measured: started, watched in /proc (Linux only), and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
START_WITHIN_S = 30
STOP_WITHIN_S = 30


class DidNotStart(Exception):
    """A server ended or did not listen in time; the text says what it wrote."""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server(
    *arguments: str, port: int, environment: Mapping[str, str] | None = None
) -> Generator[int, None, None]:
    """Run a module of ours that listens on a port; its process id.

    Raises:
        DidNotStart
    """
    with TemporaryFile() as said:  # a pipe that nobody reads would stop whoever complains much
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ.get("PATH", os.defpath), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            _wait_until_it_listens(process, port, said)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used, in its own code and in the kernel."""
    user, kernel = _stat(pid)[11:13]
    return (int(user) + int(kernel)) / TICKS_A_SECOND


def family_cpu_s(parent: int) -> float:
    """The same for a process and its children, those that have ended included."""
    ended_user, ended_kernel = _stat(parent)[13:15]
    ended = (int(ended_user) + int(ended_kernel)) / TICKS_A_SECOND
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return ended + cpu_s(parent) + sum(_cpu_s_or_none(int(child)) for child in children)


def parent_of(pid: int) -> int | None:
    """The parent of a process; None when it is not on this machine."""
    try:
        return int(_stat(pid)[1])
    except FileNotFoundError:
        return None


def _cpu_s_or_none(pid: int) -> float:
    try:
        return cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it ended just now


def _stat(pid: int) -> list[str]:
    # The second field is the program's name in parentheses; whatever it holds, it ends at the last one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    process.kill()
    process.wait()
    said.seek(0)
    raise DidNotStart(f"Nothing listens on port {port}:\n{said.read().decode(errors='replace')}")
