"""Batches of look-ups for what a list did not bring along.

Made anew for each operation, and for each event of a stream: a socket lives for hours, and nothing may be
remembered from one to the next. A batch that nobody asks for is never made.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property, partial
from typing import Generic, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from resolvers import items, markets, memberships, notifications, parties, penalties, users
from resolvers.chat import chats_by_party, messages_by_id, readers_of
from resolvers.history import history_of
from resolvers.penalty_counts import PenaltyCounts
from resolvers.transaction import Transaction, Transactions

KeyT = TypeVar("KeyT")
FoundT = TypeVar("FoundT")

MOST_AT_ONCE = 1_000

Find = Callable[[Transaction, Iterable[KeyT]], Awaitable[dict[KeyT, FoundT]]]
FindOwn = Callable[[Transaction, UUID, Iterable[KeyT]], Awaitable[dict[KeyT, FoundT]]]
"""Finds what belongs to the viewer."""


class Batched(Generic[KeyT, FoundT]):
    """An attribute of `Loaders`: the batch, made when it is asked for first."""

    def __init__(self, find: Find[KeyT, FoundT]) -> None:
        self._find = find

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, loaders: "Loaders", owner: type) -> DataLoader[KeyT, FoundT | None]:
        loader = DataLoader(partial(self._load, loaders), max_batch_size=MOST_AT_ONCE)
        loaders.__dict__[self._name] = loader  # found there from now on
        return loader

    async def _load(self, loaders: "Loaders", keys: list[KeyT]) -> list[FoundT | None]:
        async with loaders.transactions.read() as tx:
            found = await self._found(tx, loaders, keys)
        return [found.get(key) for key in keys]

    async def _found(self, tx: Transaction, loaders: "Loaders", keys: list[KeyT]) -> dict[KeyT, FoundT]:
        return await self._find(tx, keys)


class OwnBatched(Batched[KeyT, FoundT]):
    """The same for what belongs to the viewer: nothing when nobody is signed in."""

    def __init__(self, find: FindOwn[KeyT, FoundT]) -> None:
        self._find_own = find

    async def _found(self, tx: Transaction, loaders: "Loaders", keys: list[KeyT]) -> dict[KeyT, FoundT]:
        viewer_id = loaders.viewer_id()
        return await self._find_own(tx, viewer_id, keys) if viewer_id else {}


async def _bookmarked_items(tx: Transaction, viewer_id: UUID, ids: Iterable[UUID]) -> dict[UUID, bool]:
    return dict.fromkeys(await items.bookmarked_among(tx, viewer_id, ids), True)


async def _bookmarked_markets(tx: Transaction, viewer_id: UUID, ids: Iterable[UUID]) -> dict[UUID, bool]:
    return dict.fromkeys(await markets.bookmarked_among(tx, viewer_id, ids), True)


class Loaders:
    """One operation's batches.

    Who asks is looked up when it matters: what never asks is the same for everybody.
    """

    def __init__(
        self, transactions: Transactions, counts: PenaltyCounts, viewer_id: Callable[[], UUID | None]
    ) -> None:
        self.transactions = transactions
        self.viewer_id = viewer_id
        self._counts = counts

    @cached_property
    def penalty_count(self) -> DataLoader[UUID, int]:
        """How many penalties people have that count: from Redis, mostly."""
        return DataLoader(self._penalty_counts, max_batch_size=MOST_AT_ONCE)

    async def _penalty_counts(self, user_ids: list[UUID]) -> list[int]:
        found = await self._counts.of(user_ids)
        return [found[user_id] for user_id in user_ids]

    user = Batched(users.users_by_id)
    item = Batched(items.items_by_id)
    market = Batched(markets.markets_by_id)
    party = Batched(parties.parties_by_id)
    membership = Batched(memberships.memberships_by_id)
    members = Batched(memberships.members_of)
    history = Batched(history_of)
    chat = Batched(chats_by_party)
    readers = Batched(readers_of)
    message = Batched(messages_by_id)
    notification = OwnBatched(notifications.own_notifications)
    penalty = Batched(penalties.penalties_by_id)
    penalties_of_party = Batched(penalties.penalties_of_parties)
    objection = Batched(penalties.objections_by_id)
    objection_to = Batched(penalties.objections_by_penalty)
    viewer_membership = OwnBatched(memberships.latest_memberships)
    item_is_bookmarked = OwnBatched(_bookmarked_items)
    market_is_bookmarked = OwnBatched(_bookmarked_markets)
