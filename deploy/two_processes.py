"""Two servers behind HAProxy, and a worker: what production runs, on this machine."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.embedded.errors import EmbeddedServersError
from app.serve import listening_socket
from app.servers import NotReady, check_servers, running_servers
from app.settings import ROOT, MissingSetting, Settings
from deploy.programs import HOST, Program, Proxy, until_ready

CONFIGURATION = ROOT / "deploy" / "haproxy.cfg"
MAX_CONNECTIONS = "4000"
DONE = "done"
RESTART_WITHIN_S = 600.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)


@app.callback(invoke_without_command=True)
def run_command(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=1, max=65533, help="HAProxy's port; the servers have the next two.")
    ] = 8000,
) -> None:
    """Run two servers with JOBS=external, a worker, and HAProxy in front, until Ctrl-C.

    DATABASE_URL and REDIS_URL name the two servers that they stand on; else the embedded ones are started.
    All other settings hold as well.
    """
    if context.invoked_subcommand is None:
        with running_servers(Settings()) as settings:
            check_servers(settings, migrate_first=True)
            asyncio.run(_run(settings, port))


@app.command("rolling-restart")
def rolling_restart_command() -> None:
    """Restart the servers that run from this folder one after the other, with the code as it is now."""
    raise SystemExit(asyncio.run(_ask_for_restart(_control(Settings()))))


class Site:
    """Everything that runs, and how it is restarted."""

    def __init__(self, settings: Settings, port: int, folder: Path, ended: Callable[[str], None]) -> None:
        self._environment = {
            "DATABASE_URL": settings.database_url or "",
            "REDIS_URL": settings.redis_url or "",
            "SECRET_KEY": settings.signing_key(),
            "JOBS": "external",
            "GONGGU_TRUSTED_PROXIES": HOST,
        }
        self._ended = ended
        self._restarting: asyncio.Task[None] | None = None
        self.ports = {"one": port + 1, "two": port + 2}
        self._servers = {
            name: self._python(f"server {name}", "serve", "--host", HOST, "--port", str(own))
            for name, own in self.ports.items()
        }
        self._worker = self._python("the worker", "work")
        self._proxy = Proxy(folder / "haproxy.sock")
        self._haproxy = self._program(
            "haproxy",
            *("haproxy", "-db", "-f", str(CONFIGURATION)),
            environment={
                "GONGGU_UNPRIVILEGED": "yes",
                "GONGGU_MAXCONN": MAX_CONNECTIONS,
                "GONGGU_FRONT": f"{HOST}:{port}",
                "GONGGU_HAPROXY_SOCKET": str(folder / "haproxy.sock"),
                **{f"GONGGU_{name.upper()}": f"{HOST}:{own}" for name, own in self.ports.items()},
            },
            log=folder / "haproxy.log",
        )

    async def start(self) -> None:
        """Start everything; servers are ready when it returns.

        Raises:
            NotReady
        """
        for program in (*self._servers.values(), self._worker):
            await program.start()
        for port in self.ports.values():
            await until_ready(port)
        await self._haproxy.start()
        for name in self.ports:
            await self._proxy.until_up(name)

    async def stop(self) -> None:
        """Stop the servers gently, then the rest."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait({self._restarting})
        programs = (*self._servers.values(), self._worker)
        await asyncio.gather(*(program.stop() for program in programs))
        await self._haproxy.stop()

    async def restart(self, tell: Callable[[str], None]) -> None:
        """Bring the tables up to date, then restart one after the other.

        Raises:
            NotReady
        """
        if self._restarting is not None and not self._restarting.done():
            raise NotReady("A restart is under way already.")
        self._restarting = asyncio.create_task(self._restart(tell))
        await self._restarting

    async def _restart(self, tell: Callable[[str], None]) -> None:
        await self._python("the migration", "migrate").run()
        for name, server in self._servers.items():
            tell(f"server {name}: sending it nobody new, and letting its clients go")
            await self._proxy.drain(name)
            await server.stop()
            await server.start()
            await until_ready(self.ports[name])
            await self._proxy.fill(name)
            await self._proxy.until_up(name)
            tell(f"server {name}: ready again")
        await self._worker.stop()
        await self._worker.start()
        tell("the worker: started again")

    def _python(self, name: str, *arguments: str) -> Program:
        command = (sys.executable, "-m", "app", *arguments)
        return self._program(name, *command, environment=self._environment)

    def _program(
        self, name: str, *command: str, environment: Mapping[str, str], log: Path | None = None
    ) -> Program:
        return Program(name, *command, environment=environment, ended=self._ended, log=log)


async def _run(settings: Settings, port: int) -> None:
    if shutil.which("haproxy") is None:
        raise NotReady("There is no haproxy. On Debian: apt-get install haproxy")
    for own in (port, port + 1, port + 2):
        with closing(listening_socket(HOST, own)):
            pass
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(why: str) -> None:
        if not over.done():
            over.set_result(why)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, "")
    control = _control(settings)
    control.parent.mkdir(parents=True, exist_ok=True)
    site = Site(settings, port, control.parent, end)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.stop)
        starting = asyncio.create_task(site.start())
        await asyncio.wait({starting, over}, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            starting.cancel()
            await asyncio.wait({starting})
        else:
            await starting
            await stack.enter_async_context(await asyncio.start_unix_server(_orders(site), control))
            one, two = site.ports.values()
            place = f"http://{HOST}:{port}/graphiql"
            out.print(f"Open {place}: HAProxy, before servers on {one} and {two}. Ctrl-C stops all.")
        why = await over
    if why:
        raise NotReady(f"Stopped everything, because {why}.")


def _orders(site: Site) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Restart whenever somebody connects, and tell how it goes; the last line is `done` if it went well."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def tell(line: str) -> None:
            writer.write(f"{line}\n".encode())

        try:
            await site.restart(tell)
            tell(DONE)
        except NotReady as problem:
            tell(str(problem))
        finally:
            writer.close()

    return serve


def _control(settings: Settings) -> Path:
    return settings.data_dir / "two-processes" / "control.sock"


async def _ask_for_restart(control: Path) -> int:
    try:
        reader, writer = await asyncio.open_unix_connection(control)
    except OSError:
        raise NotReady("Nothing runs in this folder: start deploy/two-processes first.") from None
    last = ""
    with closing(writer):
        async with asyncio.timeout(RESTART_WITHIN_S):
            async for line in reader:
                last = line.decode().rstrip()
                out.print(last)
    return 0 if last == DONE else 1


def main() -> None:
    """Run a command; what a person can mend is told in one line."""
    try:
        app(prog_name="deploy/two-processes")
    except (NotReady, MissingSetting, EmbeddedServersError) as problem:
        err.print(f"[red]gonggu:[/red] {problem}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
