"""All of the public data, on one address, with every trap that is known and every fault that is wanted."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import uvicorn

from app.serve import listening_socket, url_of
from tests.simulators import faults, files, grids, tables
from tests.simulators.faults import Fault
from tests.simulators.gateway import data_go_kr
from tests.simulators.tables import Table
from tests.simulators.wire import Answer, as_html, as_json

KEY = "a/secret+key=="
"""Has what must be encoded in a path and in a query."""

LONGEST_HANG_S = 60


@dataclass
class Simulator:
    """An ASGI application. What it has and how it behaves may be changed while it runs."""

    rows: int = 2_590
    keys: set[str] = field(default_factory=lambda: {KEY})
    latency_s: float = 0
    #: Calls a day, of all services together; None for any number.
    daily_limit: int | None = None
    plan: faults.Plan = faults.none
    #: MAFRA may tell of a bad key in XML though JSON was asked for.
    bad_keys_in_xml: bool = False
    #: Of nothing, MAFRA says INFO-200, or INFO-000 and a total of zero.
    says_no_data: bool = False
    #: Food safety has no service from 9 to 19 h.
    is_closed: bool = False
    is_expired: bool = False
    #: data.go.kr: what the service says, and whether in an element `response`.
    service_code: str = "00"
    is_wrapped: bool = True
    #: What was asked, newest last, and how often.
    calls: deque[str] = field(default_factory=lambda: deque[str](maxlen=10_000), init=False)
    counts: Counter[str] = field(default_factory=Counter[str], init=False)
    at_once: int = field(default=0, init=False)
    most_at_once: int = field(default=0, init=False)
    url: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.mafra = {
            grids.STANDARD: Table(self.rows, tables.standard_item),
            grids.CURRENT: Table(self.rows, tables.current_item),
            grids.ORIGINAL: Table(self.rows, tables.original_item),
        }
        self.seoul = {
            grids.STORES: Table(self.rows, tables.store_in_seoul),
            grids.PRICES: Table(self.rows, tables.surveyed_price),
        }
        self.food_safety = {grids.RECALLS: Table(0, tables.surveyed_goods)}
        self.survey = {
            "getStoreInfoSvc.do": Table(min(self.rows, 630), tables.surveyed_store),
            "getProductInfoSvc.do": Table(min(self.rows, 604), tables.surveyed_goods),
        }
        self.large_stores = Table(self.rows, tables.store)
        self.traditional_markets = min(self.rows, 1_393)

    @property
    def is_spent(self) -> bool:
        """Whether today's calls are used up."""
        return self.daily_limit is not None and self.counts.total() > self.daily_limit

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one call."""
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        call = f"{path}?{query}" if query else path
        self.calls.append(call)
        self.counts[call] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            fault = self.plan(call)
            await asyncio.sleep(LONGEST_HANG_S if fault is Fault.HANG else self.latency_s)
            if fault is Fault.DROP:
                _transport(receive).abort()
            else:
                await _send(self._answer(path, query, fault), fault, receive, send)
        finally:
            self.at_once -= 1

    def _answer(self, path: str, query: str, fault: Fault | None) -> Answer:
        if fault is Fault.TOO_MANY:
            return as_json({"message": "API rate limit exceeded"}, 429)
        if fault is Fault.SERVER_ERROR:
            return as_json({"error": "Internal Server Error"}, 500)
        if fault is Fault.PROXY_PAGE:
            return as_html("<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>", 502)
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] == "openapi":
            return grids.mafra(self, parts[1:], fault)
        if parts[0] == "api":
            return grids.food_safety(self, parts[1:], fault)
        if parts[0] == "files":
            return self._file(parts[-1])
        if len(parts) > 1 and parts[1] in {"json", "xml"}:
            return grids.seoul(self, parts, fault)
        return data_go_kr(self, path, dict(parse_qsl(query)), fault)

    def _file(self, name: str) -> Answer:
        if name == "large-stores.csv":
            table = self.seoul[grids.STORES]
            body = files.large_stores(table.between(1, table.count))
        elif name == "traditional-markets.csv":
            body = files.traditional_markets(self.traditional_markets)
        else:
            return as_html("<html><body>404 Not Found</body></html>", 404)
        return Answer(body, content_type="text/csv;charset=EUC-KR")


async def _send(answer: Answer, fault: Fault | None, receive: Any, send: Any) -> None:
    body = answer.body[: len(answer.body) // 2] if fault is Fault.HALF else answer.body
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if fault is Fault.CUT:
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        _transport(receive).close()
    else:
        await send({"type": "http.response.body", "body": body})


def _transport(receive: Any) -> asyncio.Transport:
    """The connection: uvicorn gives a method of the object that has it."""
    return receive.__self__.transport


class _QuietServer(uvicorn.Server):
    """Leaves the signals to those who run it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(simulator: Simulator, port: int = 0) -> AsyncGenerator[str, None]:
    """The simulator on a port of this machine, any free one for 0; its URL. It ends with the context."""
    config = uvicorn.Config(
        simulator,  # pyright: ignore[reportArgumentType] - ASGI's messages, which uvicorn types one by one
        loop="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = _QuietServer(config)
    with listening_socket("127.0.0.1", port) as listener:
        listener.listen()
        serving = asyncio.create_task(server.serve([listener]))
        try:
            # The socket listens already: who connects before the server is up waits for it.
            simulator.url = url_of(listener)
            yield simulator.url
        finally:
            server.should_exit = True
            async with asyncio.timeout(10):
                await serving
