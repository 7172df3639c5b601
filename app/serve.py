"""Runs the HTTP server, from the socket it listens on to the last one it closes."""

import asyncio
import gc
import logging
import socket
from collections.abc import Awaitable, Callable

import uvicorn

from app.asgi import make_app, make_parts
from app.servers import NotReady
from app.settings import Settings
from app.transport.limits import TransportLimits
from app.transport.server import uvicorn_options
from app.worker import work

log = logging.getLogger("gonggu.serve")


def listening_socket(host: str, port: int) -> socket.socket:
    """Take the port before anything else is started.

    Raises:
        NotReady
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as problem:
        raise NotReady(
            f"Port {port} on {host} can't be used: {problem.strerror}. Choose another one: --port {port + 1}"
        ) from problem
    listener.listen(4096)
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    host, port = listener.getsockname()[:2]
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - compared, not bound


class Server(uvicorn.Server):
    """uvicorn's server that says when it listens, and lets sockets go gently when it stops."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], drain: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain = drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain before uvicorn closes every socket at the same moment."""
        log.info("The server stops: open sockets and streams are let go")
        await self._drain()
        await super().shutdown(sockets)
        log.info("The server has stopped")


async def serve(settings: Settings, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal says to stop; then drain, close everything, and return."""
    parts = make_parts(settings)
    application = make_app(parts)
    config = uvicorn.Config(
        application.asgi,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=10,
        **uvicorn_options(TransportLimits(max_message_bytes=settings.max_message_bytes)),
    )
    _calm_the_collector()
    try:
        async with parts.events.running():
            background = (
                asyncio.create_task(work(parts.transactions)) if settings.jobs == "internal" else None
            )
            try:
                await Server(config, ready, application.drain).serve([listener])
            finally:
                if background is not None:
                    background.cancel()
                    await asyncio.wait([background], timeout=5)
    finally:
        await parts.close()


def _calm_the_collector() -> None:
    """Look for garbage less often, and never again at what the process is made of.

    Each look at ten thousand sockets is felt by all of them at once: it decided how late the latest are.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
