"""`python -m app …`: everything that an operator does."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console

from app import importing
from app.asgi import make_parts, transactions_on
from app.database import make_engine
from app.demo import load_demo, show_demo
from app.embedded.errors import EmbeddedServersError
from app.jobs_cli import jobs
from app.logs import configure_logs
from app.serve import listening_socket, serve, url_of
from app.servers import NotReady, check_servers, running_servers
from app.settings import ROOT, MissingSetting, Settings
from app.worker import work
from importers.runs import ImportFailed
from models.errors import DomainError, WrongCredentials
from models.users import Role
from resolvers.users import grant_role
from schema.root import make_schema

ResultT = TypeVar("ResultT")

app = typer.Typer(
    help="Gonggu (공구): the backend for neighbourhood group buying.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(jobs, name="jobs")
out, err = Console(), Console(stderr=True)

Host = Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The port to listen on.", show_default="8000, or PORT")
]

SCHEMA_FILE = ROOT / "schema" / "schema.graphql"


class Source(StrEnum):
    """What can be imported."""

    ITEMS = "items"
    MARKETS = "markets"


@app.command("serve")
def serve_command(host: Host = None, port: Port = None) -> None:
    """Serve the GraphQL API until Ctrl-C or SIGTERM."""
    _serve(_settings(host=host, port=port), demo=False)


@app.command()
def demo(host: Host = None, port: Port = None) -> None:
    """Serve the API with neighbours, markets, items and parties of Seoul to try it with."""
    _serve(_settings(host=host, port=port), demo=True)


@app.command("work")
def work_command() -> None:
    """Run background work alone, for servers that run with JOBS=external."""
    settings = _settings()
    configure_logs(settings)
    with _servers(settings) as settings:
        _run(_work(settings))


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database's tables up to this version. Running it again changes nothing."""
    with _servers(_settings(), migrate_first=True):
        out.print("The database is up to date.")


@app.command("import")
def import_command(
    source: Annotated[Source, typer.Argument(help="What to import.")],
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A CSV to read instead of the one that comes along."),
    ] = None,
) -> None:
    """Fill the catalogue. Running it again changes only what the source has changed."""
    with _servers(_settings()) as settings:
        rejected = _run(importing.run(settings, source.value, file, out))
    raise typer.Exit(1 if rejected else 0)


@app.command("schema")
def schema_command(
    write: Annotated[
        bool, typer.Option("--write", help="Write schema/schema.graphql instead of printing.")
    ] = False,
) -> None:
    """Print the GraphQL schema."""
    text = schema_text()
    if write:
        SCHEMA_FILE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


@app.command("grant-admin")
def grant_admin(email: Annotated[str, typer.Argument(help="The account's e-mail address.")]) -> None:
    """Make somebody an administrator."""
    _set_role(email, Role.ADMIN)


@app.command("revoke-admin")
def revoke_admin(email: Annotated[str, typer.Argument(help="The account's e-mail address.")]) -> None:
    """Make an administrator a plain user again."""
    _set_role(email, Role.USER)


def schema_text() -> str:
    """The schema as it is committed."""
    return make_schema().as_str() + "\n"


def main() -> None:
    """Run a command; what a person can mend is told in one line."""
    # A service manager's stop ends us as Ctrl-C does, so that embedded servers are stopped too.
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except (NotReady, MissingSetting, EmbeddedServersError, ImportFailed, DomainError) as problem:
        err.print(f"[red]gonggu:[/red] {problem}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _stop(number: int, frame: FrameType | None) -> None:
    # What a shell makes of the signal: 128 and its number.
    raise SystemExit(128 + number)


def _serve(settings: Settings, *, demo: bool) -> None:
    configure_logs(settings)
    listener = listening_socket(settings.host, settings.port)
    with listener, _servers(settings, migrate_first=demo) as settings:
        if demo:
            _run(_load_demo(settings))

        def ready() -> None:
            url = url_of(listener)
            out.print(
                f"Gonggu listens on [bold]{url}/graphql[/bold]; explore it at [bold]{url}/graphiql[/bold]"
            )
            if demo:
                show_demo(out, url)

        _run(serve(settings, listener, ready))


def _set_role(email: str, role: Role) -> None:
    async def change(settings: Settings) -> str:
        engine = make_engine(settings.database_url or "")
        try:
            async with transactions_on(engine).write() as tx:
                return (await grant_role(tx, email, role)).nickname
        except WrongCredentials:
            raise NotReady(f"Nobody has signed up as {email}.") from None
        finally:
            await engine.dispose()

    with _servers(_settings()) as settings:
        nickname = _run(change(settings))
    out.print(f"{nickname} ({email}) is {'an administrator' if role is Role.ADMIN else 'a plain user'} now.")


async def _work(settings: Settings) -> None:
    # Whatever the servers are told: it is this process that works.
    parts = make_parts(settings.model_copy(update={"jobs": "internal"}))
    try:
        async with parts.events.running():
            await work(parts.transactions)
    finally:
        await parts.close()


def _settings(**given: Any) -> Settings:
    try:
        return Settings().model_copy(
            update={name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as problem:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problem.errors())
        raise NotReady(f"The settings are wrong: {wrong}") from None


@contextmanager
def _servers(settings: Settings, *, migrate_first: bool = False) -> Generator[Settings, None, None]:
    """Servers that answer, with tables in them: an embedded database brings itself up to date."""
    is_embedded = settings.database_url is None
    with running_servers(settings) as settings:
        check_servers(settings, migrate_first=migrate_first or is_embedded)
        yield settings


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _load_demo(settings: Settings) -> None:
    engine = make_engine(settings.database_url or "")
    try:
        await load_demo(transactions_on(engine))
    finally:
        await engine.dispose()
