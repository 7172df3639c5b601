"""Batches of look-ups for what a list did not bring along.

Made anew for each operation: a socket lives for hours, and nothing may be remembered from one of its
operations to the next.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from models.party_events import PartyEvent
from resolvers import history, items, markets, memberships, parties, users
from resolvers.transaction import Transaction, Transactions
from resolvers.views import ItemView, MarketView, MembershipView, PartyView, UserView

KeyT = TypeVar("KeyT")
FoundT = TypeVar("FoundT")


class Loaders:
    """One operation's batches. A viewer of None has no bookmarks and no memberships."""

    def __init__(self, transactions: Transactions, viewer_id: UUID | None) -> None:
        self._transactions = transactions
        self._viewer_id = viewer_id
        self.user: DataLoader[UUID, UserView | None] = self._loader(users.users_by_id)
        self.item: DataLoader[UUID, ItemView | None] = self._loader(items.items_by_id)
        self.market: DataLoader[UUID, MarketView | None] = self._loader(markets.markets_by_id)
        self.party: DataLoader[UUID, PartyView | None] = self._loader(parties.parties_by_id)
        self.membership: DataLoader[UUID, MembershipView | None] = self._loader(memberships.memberships_by_id)
        self.members: DataLoader[UUID, list[MembershipView] | None] = self._loader(memberships.members_of)
        self.history: DataLoader[UUID, list[PartyEvent] | None] = self._loader(history.history_of)
        self.viewer_membership: DataLoader[UUID, MembershipView | None] = self._loader(self._memberships)
        self.item_is_bookmarked: DataLoader[UUID, bool | None] = self._loader(self._bookmarked_items)
        self.market_is_bookmarked: DataLoader[UUID, bool | None] = self._loader(self._bookmarked_markets)

    def _loader(
        self, find: Callable[[Transaction, Iterable[KeyT]], Awaitable[dict[KeyT, FoundT]]]
    ) -> DataLoader[KeyT, FoundT | None]:
        async def load(keys: list[KeyT]) -> list[FoundT | None]:
            async with self._transactions.read() as tx:
                found = await find(tx, keys)
            return [found.get(key) for key in keys]

        return DataLoader(load, max_batch_size=1_000)

    async def _memberships(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, MembershipView]:
        return await memberships.latest_memberships(tx, self._viewer_id, ids) if self._viewer_id else {}

    async def _bookmarked_items(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, bool]:
        marked = await items.bookmarked_among(tx, self._viewer_id, ids) if self._viewer_id else set[UUID]()
        return dict.fromkeys(marked, True)

    async def _bookmarked_markets(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, bool]:
        marked = await markets.bookmarked_among(tx, self._viewer_id, ids) if self._viewer_id else set[UUID]()
        return dict.fromkeys(marked, True)
