"""Parties whose members talk: the stage for tests of chats, notifications and what is live."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import strawberry

from schema import ids
from tests.api import Api, Client
from tests.live import Events
from tests.schema.test_story import JOINED, open_party

MESSAGES = (
    "subscription($id: ID!, $after: Int) { chatMessages(partyId: $id, after: $after) "
    "{ number kind text sender { nickname } } }"
)
PRESENCE = (
    "subscription($id: ID!) { chatPresence(partyId: $id) { typing { nickname } present { nickname } } }"
)
NOTIFICATIONS = "subscription($after: Int) { notifications(after: $after) { number kind text } }"


@dataclass(frozen=True)
class Talk:
    """A party of four with a leader and one member, whose chat is open. Its first message says so."""

    api: Api
    leader: Client
    member: Client
    party: str

    @property
    def key(self) -> UUID:
        """The party's."""
        return ids.decode("Party", strawberry.ID(self.party))

    async def say(self, person: Client, text: str, **more: Any) -> int:
        """The number of a new message."""
        fields = "... on ChatMessage { number }"
        return (await person.do("sendChatMessage", fields, partyId=self.party, text=text, **more))["number"]

    async def join(self, person: Client) -> str:
        """The id of the place that somebody takes."""
        return (await person.do("joinParty", JOINED, partyId=self.party))["id"]

    async def chat(self, person: Client, fields: str, **variables: Any) -> Any:
        """What somebody sees of the chat."""
        declared = "".join(
            f", ${name}: {'Int' if isinstance(value, int) else 'String'}" for name, value in variables.items()
        )
        query = f"query($id: ID!{declared}) {{ party(id: $id) {{ chat {{ {fields} }} }} }}"
        return (await person.ask(query, id=self.party, **variables))["chat"]


async def talk(api: Api, **changes: Any) -> Talk:
    """A new one, with people of its own."""
    leader, member = await api.neighbour(), await api.neighbour()
    party = await open_party(api, leader, **{"approval": "AUTO", "capacity": 4} | changes)
    talk = Talk(api, leader, member, party)
    await talk.join(member)
    assert (await leader.do("openChat", partyId=party))["__typename"] == "Chat"
    return talk


async def nickname(person: Client) -> str:
    """What others call the person."""
    return (await person.ask("{ viewer { user { nickname } } }"))["user"]["nickname"]


async def again_until_heard(act: Callable[[], Awaitable[object]], events: Events) -> None:
    """Act until the subscriber hears of it: nobody else says from when on a live stream is live."""
    for _ in range(50):
        await act()
        if await events.comes(within_s=0.3):
            return
    raise AssertionError("nothing is heard")
