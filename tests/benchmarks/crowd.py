"""Many people on one server, each on a socket of their own: see `connections`."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.benchmarks.client_socket import ClientSocket, Failed, step

SOURCES = [f"127.0.0.{last}" for last in range(2, 10)]
"""One address has 28,000 ports, and a port rests for a minute after its use."""


@dataclass(frozen=True)
class Person:
    """Who connects, and the party whose chat they follow."""

    token: str
    party_id: str


@dataclass(frozen=True)
class Target:
    """A server, and what to say to it. Every step of a connection has `within_s`."""

    port: int
    path: str
    subscription: str
    mutation: str
    within_s: float


class Member:
    """A person on a socket, and what has come for them."""

    def __init__(self, socket: ClientSocket, target: Target, person: Person) -> None:
        self._socket = socket
        self._target = target
        self._person = person
        self._sent = 0
        self._said_at = 0.0
        self._is_answered = False
        self._listens_for = ""
        self._heard = 0

    def follow(self) -> None:
        """Subscribe to the chat."""
        self._socket.start("live", self._target.subscription, {"partyId": self._person.party_id})

    def listen_for(self, beginning: str) -> None:
        """Count from now on the messages that begin like this."""
        self._listens_for, self._heard = beginning, 0

    def say(self, text: str) -> None:
        """Send a message into the chat."""
        self._sent += 1
        self._is_answered = False
        said = {"partyId": self._person.party_id, "text": text, "clientKey": str(uuid4())}
        self._said_at = time.perf_counter()
        self._socket.start(f"send{self._sent}", self._target.mutation, {"input": said})

    async def take_answer(self) -> float:
        """Wait until what was said last is answered; seconds since it was said.

        Raises:
            Failed
        """
        async with step("mutation", self._target.within_s):
            while not self._is_answered:
                await self._take()
        return time.perf_counter() - self._said_at

    async def take_until_heard(self, count: int, within_s: float | None) -> float:
        """Wait until so many of the messages have come; seconds since something was said.

        Raises:
            Failed
        """
        async with step("subscription", within_s):
            while self._heard < count:
                await self._take()
        return time.perf_counter() - self._said_at

    async def stay(self) -> None:
        """Take whatever comes, for as long as this is not cancelled.

        Raises:
            Failed
        """
        async with step("staying", None):
            while True:
                await self._take()

    async def _take(self) -> None:
        message = await self._socket.receive()
        kind, is_live = message["type"], message.get("id") == "live"
        what = "subscription" if is_live else "mutation"
        if kind == "next":
            root = _root_of(what, message["payload"])
            if not is_live:
                self._is_answered = True
            elif root["text"].startswith(self._listens_for):
                self._heard += 1
        elif kind == "error":
            raise _failed(what, message["payload"])
        elif kind == "complete" and is_live:
            raise Failed("subscription: ended")


TakePart = Callable[[int, Member], Awaitable[None]]


def _root_of(what: str, payload: dict[str, Any]) -> dict[str, Any]:
    if payload.get("errors"):
        raise _failed(what, payload["errors"])
    root: dict[str, Any] = next(iter(payload["data"].values()))
    if "code" in root:  # a refusal among the members of a union
        raise Failed(f"{what}: {root['code']}")
    return root


def _failed(what: str, errors: list[dict[str, Any]]) -> Failed:
    code = errors[0].get("extensions", {}).get("code")
    return Failed(f"{what}: {code or errors[0]['message']}")


class Crowd:
    """People who come one after the other, and what went wrong for how many of them."""

    def __init__(self, target: Target, people: Sequence[Person], count: int, ramp_s: float = 0) -> None:
        self.target = target
        self.count = count
        self.errors: Counter[str] = Counter()
        self.acknowledged_s: list[float] = []
        """From before connecting."""
        self.inside = 0
        self._people = people
        self._ramp_s = ramp_s
        self._awaited = set(range(count))
        self._is_complete = asyncio.Event()

    @asynccontextmanager
    async def everybody(self, take_part: TakePart) -> AsyncGenerator[None, None]:
        """Let each come in, take part and stay; the block runs when nobody is awaited, then all leave."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._come(number, take_part)) for number in range(self.count)]
            try:
                await self._is_complete.wait()
                yield
            finally:
                for task in tasks:
                    task.cancel()

    @asynccontextmanager
    async def member(self, number: int) -> AsyncGenerator[Member, None]:
        """Connect and be acknowledged, at this one's turn.

        Raises:
            Failed
        """
        await asyncio.sleep(self._ramp_s * number / self.count)
        target, person = self.target, self._people[number % len(self._people)]
        began = time.perf_counter()
        async with step("connection", target.within_s):
            socket = await ClientSocket.connect(target.port, target.path, SOURCES[number % len(SOURCES)])
        try:
            async with step("acknowledgement", target.within_s):
                await socket.initialise(person.token)
            self.acknowledged_s.append(time.perf_counter() - began)
            self.inside += 1
            try:
                yield Member(socket, target, person)
            finally:
                self.inside -= 1
        finally:
            socket.close()

    def in_one_party(self) -> "Crowd":
        """The same with only those in the party of the first."""
        party_id = self._people[0].party_id
        people = [person for person in self._people if person.party_id == party_id]
        return Crowd(self.target, people, self.count, self._ramp_s)

    @contextmanager
    def counting(self) -> Generator[None]:
        """Count what fails in the block."""
        try:
            yield
        except Failed as failed:
            self.errors[failed.kind] += 1

    async def _come(self, number: int, take_part: TakePart) -> None:
        try:
            with self.counting():
                async with self.member(number) as member:
                    await take_part(number, member)
                    self._settle(number)
                    await member.stay()
        finally:
            self._settle(number)

    def _settle(self, number: int) -> None:
        self._awaited.discard(number)
        if not self._awaited:
            self._is_complete.set()
