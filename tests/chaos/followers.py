"""Clients that follow a channel, each with a habit, and always come back with their last number."""

import asyncio
import random
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from tests.benchmarks.client_socket import TEXT, ClientSocket, Failed, step
from tests.chaos.plan import SILENTLY, Followed, FollowerPlan, Habit, Report

WITHIN_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
CHANGES_AFTER_S = (2.0, 5.0)
"""Whoever does not stay does so for between so many seconds."""

NARROW_BYTES = 131_072
"""Two segments of the loopback device: with less, TCP itself would be the slow one."""

MESSAGES = """subscription($partyId: ID!, $after: Int) {
    row: chatMessages(partyId: $partyId, after: $after) { id number kind text at: sentAt }
}"""
NOTIFICATIONS = (
    "subscription($after: Int) { row: notifications(after: $after) { id number kind at: createdAt } }"
)
MARK_READ = "mutation($input: MarkChatReadInput!) { markChatRead(input: $input) { __typename } }"
HIGHEST = 2**31 - 1


class FollowerSocket(ClientSocket):
    """A socket that can do what impolite clients do."""

    def complete(self, id_: str) -> None:
        """Want no more of an operation."""
        self._write(TEXT, orjson.dumps({"id": id_, "type": "complete"}))

    def narrow(self) -> None:
        """Let the system keep little for who does not read."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)

    def drop(self) -> None:
        """Be gone without a word."""
        self._writer.transport.abort()


class Follower:
    """One client. Whatever befalls it, it remembers what it has, and comes back for what is behind that."""

    def __init__(self, plan: FollowerPlan, ports: Sequence[int], seed: str, report: Report) -> None:
        self.followed = Followed(plan)
        #: The last number it has.
        self.cursor = plan.after
        self.is_following = False
        self._plan = plan
        self._ports = ports
        self._random = random.Random(seed)
        self._report = report
        self._operation = ""
        self._operations = 0

    async def follow(self) -> None:
        """Follow until canceled."""
        failures = 0
        while True:
            before = self.cursor
            try:
                await self._visit()
                failures = 0
            except Failed as failed:
                self._report.breaks.append((time.time(), failed.kind))
                failures = 1 if self.cursor > before else failures + 1
            longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures)
            await asyncio.sleep(longest * self._random.uniform(0.5, 1))

    async def _visit(self) -> None:
        """Connect to some server, and stay for as long as it and the habit allow.

        Raises:
            Failed
        """
        async with step("connecting", WITHIN_S):
            socket = await FollowerSocket.connect(self._random.choice(self._ports), "/graphql", "127.0.0.1")
        assert isinstance(socket, FollowerSocket)
        try:
            if self._plan.habit is Habit.SLOW:
                socket.narrow()
            async with step("initialising", WITHIN_S):
                await socket.initialise(self._plan.token)
            self._subscribe(socket)
            self.is_following = True
            async with step("following", None):
                await self._read(socket)
        finally:
            self.is_following = False
            if self._random.random() < 0.5:
                socket.close()
            else:
                socket.drop()

    def _subscribe(self, socket: FollowerSocket) -> None:
        self._operations += 1
        self._operation = str(self._operations)
        if self._plan.habit is Habit.NOTIFIED:
            socket.start(self._operation, NOTIFICATIONS, {"after": self.cursor})
            self._mark_read(socket)
        else:
            socket.start(self._operation, MESSAGES, {"partyId": self._plan.party_id, "after": self.cursor})

    async def _read(self, socket: FollowerSocket) -> None:
        """Read, and do between two messages what the habit says. Returns when the client leaves by itself."""
        change_at = self._next_change()
        while True:
            self._take(socket, await socket.receive())
            if time.monotonic() < change_at:
                continue
            match self._plan.habit:
                case Habit.RESTLESS:
                    return
                case Habit.SLOW:
                    await asyncio.sleep(self._random.uniform(*CHANGES_AFTER_S))
                case Habit.CHANGEABLE:
                    socket.complete(self._operation)
                    self._subscribe(socket)
                case _:
                    pass
            change_at = self._next_change()

    def _next_change(self) -> float:
        return time.monotonic() + self._random.uniform(*CHANGES_AFTER_S)

    def _take(self, socket: FollowerSocket, message: dict[str, Any]) -> None:
        if message.get("id") != self._operation:
            return  # of an operation that it wants no more, or the answer to a mutation
        match message["type"]:
            case "next":
                payload = message["payload"]
                if payload.get("errors"):
                    raise Failed(f"following: {_codes(payload['errors'])}")
                self._add(payload["data"]["row"])
                if payload["data"]["row"]["kind"] == "CHAT_MESSAGE":
                    self._mark_read(socket)
            case "error":
                raise Failed(f"subscribing: {_codes(message['payload'])}")
            case kind:
                raise Failed(f"following: {kind}")

    def _add(self, row: dict[str, Any]) -> None:
        self.cursor = row["number"]
        self.followed.rows.append((row["number"], row["id"]))
        if self._plan.habit in (Habit.STEADY, Habit.NOTIFIED):
            is_silent = row.get("text", "").startswith(SILENTLY)
            times = self._report.silent if is_silent else self._report.steady
            times.append((datetime.fromisoformat(row["at"]).timestamp(), time.time()))
        else:
            self._report.others.append(time.time())

    def _mark_read(self, socket: FollowerSocket) -> None:
        self._operations += 1
        read = {"partyId": self._plan.party_id, "number": HIGHEST}
        socket.start(f"read {self._operations}", MARK_READ, {"input": read})


def _codes(errors: list[dict[str, Any]]) -> str:
    return ", ".join(sorted({each.get("extensions", {}).get("code", "without a code") for each in errors}))
