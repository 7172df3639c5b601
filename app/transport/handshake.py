"""Who may open a socket, decided before it is accepted."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope, Send

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed_origin(headers: Headers, allowed_origins: Collection[str]) -> bool:
    """Browsers send Origin, and no preflight guards a socket; other clients send none and are let in."""
    origin = headers.get("origin")
    if origin is None:
        return True
    if origin.lower().rstrip("/") in {allowed.lower().rstrip("/") for allowed in allowed_origins}:
        return True
    try:
        page = urlsplit(origin)
        own = urlsplit("//" + headers.get("host", ""))
        default = DEFAULT_PORTS.get(page.scheme)
        # Behind a proxy that ends TLS we don't know our own scheme: take the page's for the default port.
        return page.hostname is not None and (page.hostname, page.port or default) == (
            own.hostname,
            own.port or default,
        )
    except ValueError:  # a port that is no number
        return False


async def refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    """Answer the handshake with an HTTP status and a sentence."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # which servers answer with 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reason.encode()})
