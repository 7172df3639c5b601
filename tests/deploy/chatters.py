"""Members of chats as their devices are: connected, thrown out, back again, and talking all the time."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from tests.api import Client, document

HEAR = """subscription($partyId: ID!, $after: Int) {
  chatMessages(partyId: $partyId, after: $after) { number text }
}"""
SAY = document("sendChatMessage", "... on ChatMessage { number }")
ASK_AGAIN = {502, 503}
WITHIN_S = 15.0

Line: TypeAlias = tuple[int, str]
Hear: TypeAlias = Callable[[Client, str, int], AsyncGenerator[Line, None]]


@dataclass
class Chatter:
    """One member of one party."""

    person: Client
    party: str
    hear: Hear
    heard: list[Line] = field(default_factory=list[Line])
    losses: Counter[str] = field(default_factory=Counter[str])
    """What has ended a connection, and how often."""
    refusals: Counter[int] = field(default_factory=Counter[int])
    """Status codes after which a message was sent again."""

    async def listen(self) -> None:
        """Hear everything above what has been heard; come back whenever the connection is lost."""
        while True:
            after = self.heard[-1][0] if self.heard else 0
            try:
                async with aclosing(self.hear(self.person, self.party, after)) as lines:
                    async for line in lines:
                        self.heard.append(line)
            except Lost as lost:
                self.losses[str(lost)] += 1
            await asyncio.sleep(random.uniform(0.02, 0.3))

    async def talk(self, over: asyncio.Event) -> list[str]:
        """Say something a few times a second until it is over; all that was said."""
        said: list[str] = []
        for number in count(1):
            if over.is_set():
                break
            text = f"{self.person.email} {number}"
            await self._say(text)
            said.append(text)
            await asyncio.sleep(random.uniform(0.3, 0.9))
        return said

    async def _say(self, text: str) -> None:
        variables = {"input": {"partyId": self.party, "text": text, "clientKey": text}}
        while True:
            response = await self.person.http.post(
                "/graphql", json={"query": SAY, "variables": variables}, headers=_bearer(self.person)
            )
            if response.status_code not in ASK_AGAIN:
                break
            self.refusals[response.status_code] += 1
            await asyncio.sleep(random.uniform(0.05, 0.2))
        assert response.status_code == 200, response.text
        assert response.json()["data"]["sendChatMessage"]["__typename"] == "ChatMessage", response.text


class Lost(Exception):
    """The connection is gone, and not because the client left. The text says how."""


async def by_socket(person: Client, party: str, after: int) -> AsyncGenerator[Line, None]:
    """What comes over a WebSocket.

    Raises:
        Lost
    """
    try:
        async with socket_of(person) as socket:
            await subscribe(socket, party, after)
            while True:
                yield await next_line(socket)
    except ConnectionClosed as closed:
        raise Lost(f"closed {closed.rcvd.code if closed.rcvd else 1006}") from None
    except InvalidStatus as refused:
        raise Lost(f"refused {refused.response.status_code}") from None
    except (OSError, InvalidMessage, EOFError) as problem:
        raise Lost(type(problem).__name__) from None


@asynccontextmanager
async def socket_of(person: Client) -> AsyncGenerator[ClientConnection, None]:
    """A socket of somebody who has said who they are."""
    address = str(person.http.base_url).replace("http", "ws", 1).rstrip("/") + "/graphql"
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(
        address, subprotocols=[protocol], compression=None, ping_interval=None, open_timeout=WITHIN_S
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": _bearer(person)}))
        assert (await _message(socket))["type"] == "connection_ack"
        yield socket


async def subscribe(socket: ClientConnection, party: str, after: int) -> None:
    """Ask for the messages of a chat behind a number."""
    payload = {"query": HEAR, "variables": {"partyId": party, "after": after}}
    await socket.send(json.dumps({"id": "chat", "type": "subscribe", "payload": payload}))


async def next_line(socket: ClientConnection) -> Line:
    """The next message of the chat."""
    message = await _message(socket)
    assert message["type"] == "next", message
    return _line(message["payload"])


async def _message(socket: ClientConnection) -> dict[str, Any]:
    while True:
        async with asyncio.timeout(WITHIN_S):
            message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] != "ping":
            return message
        await socket.send('{"type":"pong"}')


async def by_stream(person: Client, party: str, after: int) -> AsyncGenerator[Line, None]:
    """What comes as Server-Sent Events.

    Raises:
        Lost
    """
    body = {"query": HEAR, "variables": {"partyId": party, "after": 0}}
    headers = {**_bearer(person), "accept": "text/event-stream", "last-event-id": str(after)}
    try:
        async with person.http.stream("POST", "/graphql", json=body, headers=headers) as response:
            if response.status_code in ASK_AGAIN:
                raise Lost(f"refused {response.status_code}")
            assert response.status_code == 200, await response.aread()
            async for line in response.aiter_lines():
                assert line != "event: complete", "a stream that is to come back to has no end"
                if line.startswith("data:"):
                    yield _line(json.loads(line.removeprefix("data:")))
    except httpx.TransportError as problem:
        raise Lost(type(problem).__name__) from None
    raise Lost("ended")


def _line(answer: dict[str, Any]) -> Line:
    message = answer["data"]["chatMessages"]
    return message["number"], message["text"]


def _bearer(person: Client) -> dict[str, str]:
    return {"authorization": f"Bearer {person.access_token}"}
