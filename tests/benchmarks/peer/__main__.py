"""Runs the peer: `python -m tests.benchmarks.peer --port 4000 --redis-url redis://127.0.0.1:6379`.

It becomes Node, so the process that a benchmark started is the one that it measures. Needs Node.js 20 or
newer and, the first time, the package registry.
"""

import os
from typing import Annotated

import typer

from tests.benchmarks.peer import FOLDER, find, install


def main(
    port: Annotated[int, typer.Option(help="The port to listen on.")],
    redis_url: Annotated[str, typer.Option(help="Where its emitter publishes.")],
) -> None:
    """Serve until SIGTERM."""
    install()
    node = find("node")
    arguments = [node, str(FOLDER / "server.mjs"), "--port", str(port), "--redis-url", redis_url]
    # GraphQL.js checks more, and more slowly, outside production.
    os.execve(node, arguments, {**os.environ, "NODE_ENV": "production"})  # noqa: S606 - there is no shell


if __name__ == "__main__":
    typer.run(main)
