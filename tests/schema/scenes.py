"""Where parties refuse: the stage for tests of refusals, and how each mutation comes to each of its own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import strawberry
from sqlalchemy import text

from models.base import new_id
from schema import ids
from tests.api import PASSWORD, Api, Client
from tests.factories import make_item, make_market


@dataclass
class Scene:
    """A leader, a neighbour, and the means to bring a party to where it refuses."""

    api: Api
    leader: Client
    neighbour: Client

    async def draft(self) -> dict[str, Any]:
        """What is well-formed about a party of two for ten units."""
        async with self.api.parts.transactions.write() as tx:
            market, item = await make_market(tx), await make_item(tx)
        starts = self.api.clock.now + timedelta(days=1)
        return {
            "marketId": ids.encode("Market", market.id),
            "itemId": ids.encode("Item", item.id),
            "itemCount": 10,
            "itemUnit": "개",
            "capacity": 2,
            "startsAt": starts.isoformat(),
            "endsAt": (starts + timedelta(hours=1)).isoformat(),
        }

    async def party(self, **changes: Any) -> str:
        """The id of the leader's new party, of two for ten units."""
        draft = await self.draft()
        made = await self.leader.do("createParty", "... on Party { id }", **draft | changes)
        return made["id"]

    async def request(self, party: str, quantity: int = 1, person: Client | None = None) -> str:
        """The id of a request to join."""
        person = person or await self.api.neighbour()
        made = await person.do("joinParty", "... on Membership { id }", partyId=party, quantity=quantity)
        return made["id"]

    async def full(self) -> str:
        """A party whose two places are taken."""
        party = await self.party()
        await self.leader.do("acceptMember", membershipId=await self.request(party))
        return party

    async def close(self, party: str) -> None:
        """Let the time for joining pass."""
        async with self.api.parts.transactions.write() as tx:
            past = {"past": tx.now - timedelta(hours=1), "id": ids.decode("Party", strawberry.ID(party))}
            await tx.session.execute(text("UPDATE parties SET join_by = :past WHERE id = :id"), past)

    async def tried_too_often(self) -> Client:
        """The leader, after ten wrong passwords."""
        for _ in range(10):
            await self.leader.do("signIn", email=self.leader.email, password="something else")
        return self.leader

    async def begin(self, party: str) -> None:
        """Let the party start."""
        async with self.api.parts.transactions.write() as tx:
            past = {"past": tx.now - timedelta(minutes=1), "id": ids.decode("Party", strawberry.ID(party))}
            await tx.session.execute(
                text(
                    "UPDATE parties SET join_by = :past, starts_at = :past,"
                    " ends_at = CAST(:past AS timestamptz) + interval '1 hour' WHERE id = :id"
                ),
                past,
            )

    async def canceled(self) -> str:
        """A party that does not take place."""
        party = await self.party()
        await self.leader.do("cancelParty", partyId=party)
        return party

    async def place(self, party: str) -> str:
        """The id of the neighbour's place in the leader's party."""
        request = await self.request(party, person=self.neighbour)
        await self.leader.do("acceptMember", membershipId=request)
        return request

    async def leaders_place(self, party: str) -> str:
        """The id of the leader's own place."""
        query = "query($id: ID!) { party(id: $id) { members { id } } }"
        return (await self.leader.ask(query, id=party))["members"][0]["id"]


Attempt = tuple[Client, dict[str, Any]]
CASES: dict[tuple[str, str], Callable[[Scene], Awaitable[Attempt]]] = {}


def case(mutation: str, refusal: str) -> Callable[..., Callable[[Scene], Awaitable[Attempt]]]:
    """How a mutation comes to its refusal."""

    def keep(attempt: Callable[[Scene], Awaitable[Attempt]]) -> Callable[[Scene], Awaitable[Attempt]]:
        CASES[mutation, refusal] = attempt
        return attempt

    return keep


def nothing(kind: ids.Kind) -> str:
    """The id of what does not exist."""
    return ids.encode(kind, new_id())


ACCOUNT = {
    "password": PASSWORD,
    "address": "서울 마포구 포은로8길 14",
    "point": {"latitude": 37.5562, "longitude": 126.9056},
}
