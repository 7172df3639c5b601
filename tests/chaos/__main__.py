"""Everything breaks and nobody misses anything: `python -m tests.chaos --help`."""

import asyncio
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.database import make_engine, migrate
from app.embedded.servers import embedded_servers
from tests.chaos.report import show
from tests.chaos.run import Outcome, Say, Scale, run
from tests.databases import cloned


def main(
    seed: Annotated[int, typer.Option(help="The same seed gives the same faults in the same order.")] = 1,
    seconds: Annotated[float, typer.Option(min=5, help="How long things break; once each in 45 s.")] = 45,
    clients: Annotated[int, typer.Option(min=1, help="Clients of graphql-transport-ws.")] = 300,
    chats: Annotated[int, typer.Option(min=1, help="Parties that talk.")] = 12,
    per_s: Annotated[float, typer.Option(min=0.01, help="Messages a second in each chat.")] = 1.0,
) -> None:
    """Two servers, a worker, a Redis and a database; break each of them and see that nobody misses anything.

    TEST_DATABASE_URL names a PostgreSQL; without, an embedded one is started. Ends with 1 if anything is
    lost, doubled or out of order.
    """
    console = Console()
    with _database_server() as url, console.status("starts") as status:
        outcome = asyncio.run(_run(url, Scale(seed, seconds, clients, chats, per_s), status.update))
    show(outcome, console)
    raise typer.Exit(1 if outcome.problems else 0)


@contextmanager
def _database_server() -> Generator[str, None, None]:
    if (url := os.environ.get("TEST_DATABASE_URL")) is not None:
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-chaos-") as folder,
        embedded_servers(Path(folder) / "data", durable=False) as pair,
    ):
        yield pair.database_url


async def _run(server_url: str, scale: Scale, say: Say) -> Outcome:
    async with cloned(server_url, template=None) as url:
        engine = make_engine(url)
        await migrate(engine)
        await engine.dispose()
        return await run(url, scale, say)


if __name__ == "__main__":
    typer.run(main)
