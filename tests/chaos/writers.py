"""Clients that write to a chat, and repeat what was not acknowledged with the same key."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx

from tests.chaos.plan import Report, Sent, WriterPlan

WITHIN_S = 5.0
IMPATIENT_WITHIN_S = 0.02
"""Some hang up before the answer can come."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
ODD = 0.05
"""The part of the messages that is sent twice at once, and the part whose writer is impatient."""

SEND = """mutation($input: SendChatMessageInput!) {
    sent: sendChatMessage(input: $input) { __typename ... on ChatMessage { id number } ... on Error { code } }
}"""


class Writer:
    """Writes to one chat, as several of its members and through all servers."""

    def __init__(
        self,
        plan: WriterPlan,
        ports: Sequence[int],
        per_s: float,
        seed: str,
        http: httpx.AsyncClient,
        report: Report,
    ) -> None:
        self._plan = plan
        self._ports = ports
        self._per_s = per_s
        self._random = random.Random(seed)
        self._http = http
        self._report = report

    async def write(self, stop: asyncio.Event) -> None:
        """Write at odd intervals until told to stop; what is not acknowledged by then is given up."""
        while not stop.is_set():
            await self.say(self._text(), stop)
            try:
                async with asyncio.timeout(self._random.expovariate(self._per_s)):
                    await stop.wait()
            except TimeoutError:
                continue

    async def say(self, text: str, stop: asyncio.Event) -> None:
        """Send one message until it is acknowledged, or until told to stop."""
        sent = Sent(self._plan.channel, str(uuid4()))
        self._report.sent.append(sent)
        token = self._random.choice(self._plan.tokens)
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            times = 2 if self._random.random() < ODD else 1
            await asyncio.gather(*(self._send(sent, token, text) for _ in range(times)))
            if sent.acknowledged:
                return
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1))
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _send(self, sent: Sent, token: str, text: str) -> None:
        within_s = IMPATIENT_WITHIN_S if self._random.random() < ODD else WITHIN_S
        given = {"partyId": self._plan.party_id, "text": text, "clientKey": sent.key}
        try:
            response = await self._http.post(
                f"http://127.0.0.1:{self._random.choice(self._ports)}/graphql",
                json={"query": SEND, "variables": {"input": given}},
                headers={"authorization": f"Bearer {token}"},
                timeout=within_s,
            )
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as problem:
            self._again(type(problem).__name__)
            return
        if answer.get("errors"):
            self._again(answer["errors"][0]["extensions"]["code"])
        elif answer["data"]["sent"]["__typename"] == "ChatMessage":
            message = answer["data"]["sent"]
            sent.acknowledged.append((message["number"], message["id"]))
        else:
            self._report.refused.append(answer["data"]["sent"]["code"])

    def _again(self, why: str) -> None:
        self._report.repeats.append((time.time(), why))

    def _text(self) -> str:
        long = self._random.random() < ODD
        return "안녕하세요 " * self._random.randint(100 if long else 1, 300 if long else 10)
