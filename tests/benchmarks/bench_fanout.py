"""What it costs to tell a thousand subscribers: `python -m tests.benchmarks.bench_fanout`.

The endpoint is measured beside two bare WebSockets that send the same bytes (see `fanout_servers`), each in
a process of its own with the same options of uvicorn, in turn; the subscribers are in another process.
"""

import statistics
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.fanout_servers import QUERY, Kind
from tests.benchmarks.processes import ROOT, cpu_s, free_port, server

READY_WITHIN_S = 90
console = Console()


@dataclass(frozen=True)
class Run:
    """One server telling all of its subscribers."""

    cpu_us: float
    """Of the server, in all its code and in the kernel, per delivery."""

    p50_ms: float
    p99_ms: float
    bytes_each: float


def measure(kind: Kind, connections: int, messages: int, per_s: int) -> Run:
    """Start a server and its subscribers, publish, and take the difference."""
    port = free_port()
    with server("tests.benchmarks.fanout_servers", "--kind", kind, "--port", str(port), port=port) as pid:
        client = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.benchmarks.fanout_client"),
                *("--port", str(port), "--query", QUERY),
                *("--connections", str(connections), "--messages", str(messages)),
                *("--within-s", str(messages / per_s + READY_WITHIN_S)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        try:
            assert client.stdout is not None
            if client.stdout.readline() != b"ready\n":
                raise RuntimeError("The subscribers did not get ready; what they say is above.")
            before = cpu_s(pid)
            _publish(port, connections, messages, per_s)
            told, _ = client.communicate(timeout=READY_WITHIN_S)
            used = cpu_s(pid) - before
        finally:
            client.kill()
            client.wait()
    received = orjson.loads(told)
    deliveries = received["messages"]
    return Run(
        used / deliveries * 1e6, received["p50_ms"], received["p99_ms"], received["bytes"] / deliveries
    )


def _publish(port: int, connections: int, messages: int, per_s: int) -> None:
    url = f"http://127.0.0.1:{port}/publish?subscribers={connections}&messages={messages}&per_s={per_s}"
    request = urllib.request.Request(url, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=messages / per_s + READY_WITHIN_S) as answer:
        answer.read()


def main(
    connections: Annotated[int, typer.Option(min=1)] = 1000,
    messages: Annotated[int, typer.Option(min=1)] = 100,
    per_s: Annotated[int, typer.Option(min=1)] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each kind, taken in turn.")] = 3,
) -> None:
    """Print what a delivery costs, and deliveries per CPU second as ratios to the bare sockets."""
    runs: dict[Kind, list[Run]] = {kind: [] for kind in Kind}
    for _ in range(rounds):
        for kind in Kind:
            runs[kind].append(measure(kind, connections, messages, per_s))
    median = {
        kind: Run(*(statistics.median(values) for values in zip(*map(_values, taken), strict=True)))
        for kind, taken in runs.items()
    }
    title = f"{connections:,} subscribers, {per_s} messages a second, medians of {rounds}"
    table = Table("server", "CPU µs", "× queues", "× loop", "p50 ms", "p99 ms", "bytes", title=title)
    for kind, run in median.items():
        table.add_row(
            kind.value,
            f"{run.cpu_us:.1f}",
            f"{median[Kind.QUEUES].cpu_us / run.cpu_us:.2f}",
            f"{median[Kind.LOOP].cpu_us / run.cpu_us:.2f}",
            f"{run.p50_ms:.1f}",
            f"{run.p99_ms:.1f}",
            f"{run.bytes_each:.1f}",
        )
    console.print(table)


def _values(run: Run) -> tuple[float, float, float, float]:
    return run.cpu_us, run.p50_ms, run.p99_ms, run.bytes_each


if __name__ == "__main__":
    typer.run(main)
