"""The people, their parties and chats, made by the real verbs; and what the database says of them."""

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.asgi import transactions_on
from models.users import Session, User
from resolvers.chat import open_chat, send_message
from resolvers.memberships import join_party
from resolvers.tokens import TokenIssuer
from resolvers.transaction import Transaction, Transactions
from schema import ids
from subscriptions import channels
from tests.chaos.plan import SILENTLY, FollowerPlan, Habit, Plan, Sent, WriterPlan
from tests.factories import make_item, make_market, make_party, make_user

SECRET = "a secret of tests, 32 characters or more"
LIFETIME = timedelta(hours=12)
LARGEST_PARTY = 50
HABITS = (
    *(Habit.STEADY,) * 4,
    *(Habit.RESTLESS, Habit.NOTIFIED) * 2,
    Habit.SLOW,
    Habit.CHANGEABLE,
)
"""Of ten clients."""


@dataclass(frozen=True)
class Member:
    """Somebody in a chat, with a token for the run."""

    user_id: UUID
    token: str


@dataclass(frozen=True)
class Room:
    """A party with an open chat."""

    party_id: UUID
    members: list[Member]

    @property
    def channel(self) -> str:
        """Where its messages come."""
        return channels.chat(self.party_id)

    @property
    def public_id(self) -> str:
        """The party's id in the API."""
        return str(ids.encode("Party", self.party_id))


@dataclass(frozen=True)
class Stored:
    """What the database holds: of each channel the rows in order; of each key how often and as what."""

    rows: Mapping[str, list[tuple[int, UUID]]]
    keys: Mapping[str, list[tuple[int, UUID]]]
    heads: Mapping[str, int]


class World:
    """The rows behind a run. It writes to the database itself and tells nobody: that is left to the relay."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.rooms: list[Room] = []
        self._engine = engine
        self._transactions: Transactions = transactions_on(engine)
        self._issuer = TokenIssuer(SECRET, LIFETIME)

    async def build(self, clients: int, chats: int) -> None:
        """Make parties with open chats, and people enough."""
        members = min(LARGEST_PARTY, -(-clients // chats))
        async with self._transactions.write() as tx:
            market, item = await make_market(tx), await make_item(tx)
        for _ in range(chats):
            async with self._transactions.write() as tx:
                people = [await make_user(tx) for _ in range(max(2, members))]
                party = await make_party(
                    tx, people[0], market, item, capacity=LARGEST_PARTY, item_count=2 * LARGEST_PARTY
                )
                for person in people[1:]:
                    await join_party(tx, person.id, party.id)
                await open_chat(tx, people[0].id, party.id)
                self.rooms.append(Room(party.id, [self._sign_in(tx, each) for each in people]))

    def plan(self, seed: int, ports: list[int], clients: int, messages_per_s: float) -> Plan:
        """Who follows what: everybody has a habit, and begins with everything or with what they have seen."""
        followers: list[FollowerPlan] = []
        habits = itertools.cycle(HABITS)
        chance = random.Random(f"{seed} plan")
        for number in range(clients):
            room = self.rooms[number % len(self.rooms)]
            member = room.members[number // len(self.rooms) % len(room.members)]
            habit = next(habits) if number // len(self.rooms) else Habit.STEADY
            channel = channels.notifications(member.user_id) if habit is Habit.NOTIFIED else room.channel
            after = chance.choice((0, 1)) if habit is not Habit.NOTIFIED else 0
            followers.append(FollowerPlan(member.token, channel, room.public_id, habit, after))
        writers = [
            WriterPlan(room.channel, room.public_id, [each.token for each in room.members])
            for room in self.rooms
        ]
        return Plan(seed, ports, messages_per_s, followers, writers)

    async def write_silently(self, room: Room, times: int, letters: int = 1) -> list[Sent]:
        """Commit messages and die before anybody is told: nothing is published here."""
        sent = [Sent(room.channel, str(uuid4())) for _ in range(times)]
        said = SILENTLY + "이" * letters
        async with self._transactions.write() as tx:
            for each in sent:
                message = await send_message(tx, room.members[0].user_id, room.party_id, said, each.key)
                each.acknowledged.append((message.number, str(ids.encode("ChatMessage", message.id))))
        return sent

    async def end_backends(self) -> int:
        """Have PostgreSQL end every connection to the database but this one."""
        async with self._engine.connect() as connection:
            ended = await connection.scalar(text(_END_BACKENDS))
        await self._engine.dispose()  # some of them were ours
        return int(ended or 0)

    def channels(self) -> dict[str, int]:
        """Every channel that can be followed, with the number before its first row."""
        people = (member for room in self.rooms for member in room.members)
        own = {channels.notifications(member.user_id): 0 for member in people}
        return own | {room.channel: 0 for room in self.rooms}

    async def waiting(self) -> int:
        """How many rows are in the outbox."""
        async with self._engine.connect() as connection:
            return int(await connection.scalar(text("SELECT count(*) FROM outbox")) or 0)

    async def stored(self) -> Stored:
        """Everything that anybody could have followed."""
        rows: dict[str, list[tuple[int, UUID]]] = {}
        keys: dict[str, list[tuple[int, UUID]]] = {}
        async with self._engine.connect() as connection:
            for channel, number, id, key in await connection.execute(text(_ROWS)):
                rows.setdefault(channel, []).append((number, id))
                if key is not None:
                    keys.setdefault(key, []).append((number, id))
            heads = {channel: number for channel, number in await connection.execute(text(_HEADS))}  # noqa: C416 - of rows
        return Stored(rows, keys, heads)

    def _sign_in(self, tx: Transaction, person: User) -> Member:
        session = Session(
            user_id=person.id, created_at=tx.now, last_used_at=tx.now, expires_at=tx.now + LIFETIME
        )
        tx.session.add(session)
        tokens = self._issuer.issue(person.id, session.id, session.generation, tx.now)
        return Member(person.id, tokens.access_token)


_END_BACKENDS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

_ROWS = """
    SELECT 'chat:' || party_id, number, id, client_key FROM chat_messages
    UNION ALL SELECT 'notifications:' || receiver_id, number, id, NULL FROM notifications
    ORDER BY 1, 2
"""

_HEADS = """
    SELECT 'chat:' || party_id, last_number FROM chats
    UNION ALL SELECT 'notifications:' || user_id, last_number FROM mailboxes
"""
