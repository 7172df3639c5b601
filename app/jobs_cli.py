"""`python -m app jobs …`: what is waiting, running, failed or dead, and a hand on each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.asgi import transactions_on
from app.database import make_engine
from app.servers import NotReady, check_servers, running_servers
from app.settings import Settings
from resolvers.job_list import (
    JobLine,
    JobNotFound,
    JobState,
    cancel_job,
    list_jobs,
    retry_dead_jobs,
    retry_job,
)
from resolvers.transaction import Transaction

ResultT = TypeVar("ResultT")

SEOUL = ZoneInfo("Asia/Seoul")
STYLES = {JobState.RUNNING: "cyan", JobState.FAILED: "yellow", JobState.DEAD: "red"}

jobs = typer.Typer(help="Look at jobs, retry them, cancel them.", no_args_is_help=True)
out = Console()

JobId = Annotated[int, typer.Argument(metavar="ID", help="The number in the list.")]


@jobs.command("list")
def list_command(
    state: Annotated[JobState | None, typer.Option(help="Only jobs that stand there.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most lines to show.")] = 50,
) -> None:
    """Show jobs by their time, earliest first. Times are Seoul's."""
    lines = _with_transaction(lambda tx: list_jobs(tx, state, limit))
    if not lines:
        out.print(f"No job is {state}." if state else "There are no jobs.")
        return
    out.print(_table(lines))
    if len(lines) == limit:
        out.print(f"The first {limit}; see more with --limit.")


@jobs.command("retry")
def retry_command(
    job_id: Annotated[int | None, typer.Argument(metavar="ID", help="The number in the list.")] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="Every job that is dead.")] = False,
) -> None:
    """Have a failed or dead job tried now, as if for the first time."""
    if (job_id is None) is not all_dead:
        raise typer.BadParameter("give a job's ID, or --all-dead")
    if job_id is None:
        count = _with_transaction(retry_dead_jobs)
        out.print(f"{count} dead {'job is' if count == 1 else 'jobs are'} tried again.")
    else:
        _with_transaction(lambda tx: retry_job(tx, job_id))
        out.print(f"Job {job_id} is tried again.")


@jobs.command("cancel")
def cancel_command(job_id: JobId) -> None:
    """Take a job away for good. One that is running can't commit its effect any more."""
    _with_transaction(lambda tx: cancel_job(tx, job_id))
    out.print(f"Job {job_id} is canceled.")


def _table(lines: list[JobLine]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("ID", justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Due", no_wrap=True)
    table.add_column("Tried", justify="right", no_wrap=True)
    table.add_column("Job", no_wrap=True)
    table.add_column("Key", overflow="fold")
    table.add_column("Last error", overflow="fold")
    for line in lines:
        table.add_row(
            str(line.id),
            f"[{STYLES[line.state]}]{line.state}[/]" if line.state in STYLES else line.state,
            f"{line.due.astimezone(SEOUL):%Y-%m-%d %H:%M:%S}",
            str(line.attempts),
            *(Text(value) for value in (line.name, line.key, (line.error or "").partition("\n")[0])),
        )
    return table


def _with_transaction(action: Callable[[Transaction], Awaitable[ResultT]]) -> ResultT:
    """Do it in one transaction on the database that the settings name.

    Raises:
        NotReady
    """

    async def run(url: str) -> ResultT:
        engine = make_engine(url)
        try:
            async with transactions_on(engine).write() as tx:
                return await action(tx)
        finally:
            await engine.dispose()

    settings = Settings()
    is_embedded = settings.database_url is None
    with running_servers(settings) as running:
        check_servers(running, migrate_first=is_embedded)
        try:
            return asyncio.run(run(running.database_url or ""))
        except JobNotFound as problem:
            raise NotReady(str(problem)) from None
