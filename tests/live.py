"""Subscriptions as a client has them: graphql-transport-ws, each on a socket of its own."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

WITHIN_S = 15.0


class Events:
    """What comes of one subscription, until it ends or its socket does."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def next(self) -> Any:
        """What the one field of the next event holds."""
        message = await self._received()
        assert message["type"] == "next", message
        return only(message["payload"])

    async def some(self, count: int) -> list[Any]:
        """The next events."""
        return [await self.next() for _ in range(count)]

    async def rest(self) -> list[Any]:
        """Every event until the server says that there are no more."""
        rest: list[Any] = []
        while (message := await self._received())["type"] == "next":
            rest.append(only(message["payload"]))
        assert message["type"] == "complete", message
        return rest

    async def refusal(self) -> str:
        """The code of the error that comes instead of an event."""
        message = await self._received()
        assert message["type"] == "error", message
        (error,) = message["payload"]
        return error["extensions"]["code"]

    async def closed(self) -> int:
        """The code that the server closes the socket with; what comes before is dropped."""
        with suppress(ConnectionClosed):
            while True:
                await self._received()
        assert self._socket.close_code is not None
        return self._socket.close_code

    async def comes(self, within_s: float) -> bool:
        """Whether another event comes in that time. It is lost: ask only to be repeated."""
        try:
            async with asyncio.timeout(within_s):
                await self._received()
        except TimeoutError:
            return False
        return True

    async def _received(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                message: dict[str, Any] = json.loads(await self._socket.recv())
                if message["type"] != "ping":
                    return message
                await self._socket.send('{"type":"pong"}')


def only(payload: dict[str, Any]) -> Any:
    """What the one field of an answer without errors holds."""
    assert "errors" not in payload, payload
    (value,) = payload["data"].values()
    return value


@asynccontextmanager
async def opened(
    url: str, params: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> AsyncGenerator[ClientConnection, None]:
    """A socket that has been acknowledged."""
    protocols = [Subprotocol("graphql-transport-ws")]
    async with connect(url, subprotocols=protocols, additional_headers=headers, proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": params}))
        async with asyncio.timeout(WITHIN_S):
            assert json.loads(await socket.recv())["type"] == "connection_ack"
        yield socket


@asynccontextmanager
async def subscribed(
    url: str, params: Mapping[str, str], query: str, variables: Mapping[str, Any]
) -> AsyncGenerator[Events, None]:
    """A subscription that has been asked for."""
    async with opened(url, params) as socket:
        payload = {"query": query, "variables": variables}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        yield Events(socket)
