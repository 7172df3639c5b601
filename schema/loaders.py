"""Batches of look-ups for what a list did not bring along.

Made anew for each operation: a socket lives for hours, and nothing may be remembered from one of its
operations to the next.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from models.party_events import PartyEvent
from resolvers import chat, history, items, markets, memberships, notifications, parties, users
from resolvers.chat_views import ChatView, MessageView
from resolvers.notification_views import NotificationView
from resolvers.transaction import Transaction, Transactions
from resolvers.views import ItemView, MarketView, MembershipView, PartyView, UserView

KeyT = TypeVar("KeyT")
FoundT = TypeVar("FoundT")


class Loaders:
    """One operation's batches. A viewer of None has no bookmarks and no memberships.

    Who asks is looked up when it matters: what never asks is the same for everybody.
    """

    def __init__(self, transactions: Transactions, viewer_id: Callable[[], UUID | None]) -> None:
        self._transactions = transactions
        self._viewer_id = viewer_id
        self.user: DataLoader[UUID, UserView | None] = self._loader(users.users_by_id)
        self.item: DataLoader[UUID, ItemView | None] = self._loader(items.items_by_id)
        self.market: DataLoader[UUID, MarketView | None] = self._loader(markets.markets_by_id)
        self.party: DataLoader[UUID, PartyView | None] = self._loader(parties.parties_by_id)
        self.membership: DataLoader[UUID, MembershipView | None] = self._loader(memberships.memberships_by_id)
        self.members: DataLoader[UUID, list[MembershipView] | None] = self._loader(memberships.members_of)
        self.history: DataLoader[UUID, list[PartyEvent] | None] = self._loader(history.history_of)
        self.chat: DataLoader[UUID, ChatView | None] = self._loader(chat.chats_by_party)
        self.readers: DataLoader[UUID, dict[UUID, int] | None] = self._loader(chat.readers_of)
        self.message: DataLoader[UUID, MessageView | None] = self._loader(chat.messages_by_id)
        self.notification: DataLoader[UUID, NotificationView | None] = self._loader(self._notifications)
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
        viewer_id = self._viewer_id()
        return await memberships.latest_memberships(tx, viewer_id, ids) if viewer_id else {}

    async def _notifications(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, NotificationView]:
        viewer_id = self._viewer_id()
        return await notifications.own_notifications(tx, viewer_id, ids) if viewer_id else {}

    async def _bookmarked_items(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, bool]:
        viewer_id = self._viewer_id()
        marked = await items.bookmarked_among(tx, viewer_id, ids) if viewer_id else set[UUID]()
        return dict.fromkeys(marked, True)

    async def _bookmarked_markets(self, tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, bool]:
        viewer_id = self._viewer_id()
        marked = await markets.bookmarked_among(tx, viewer_id, ids) if viewer_id else set[UUID]()
        return dict.fromkeys(marked, True)
