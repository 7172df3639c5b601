"""What readers of live channels ask the database, for many of them at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from models.base import table_of
from models.parties import Party
from resolvers.chat_views import MessageView, message_of
from resolvers.notification_views import NotificationView, notification_of
from resolvers.sql import run
from resolvers.transaction import Transactions
from resolvers.views import PartyView, party_of, select_parties
from subscriptions import channels
from subscriptions.batches import Cursor
from subscriptions.feed import Page

ROWS = 100
"""Rows of one page, for each cursor."""


@dataclass(frozen=True, slots=True)
class PartyVersion:
    """A party as it is since a change."""

    #: Its version.
    number: int
    party: PartyView


@dataclass(frozen=True)
class LiveReads:
    """Reads for `subscriptions.batches` and for the hub: one query each, however many cursors."""

    transactions: Transactions

    async def messages(self, cursors: Sequence[Cursor]) -> Mapping[Cursor, Page[MessageView]]:
        """Messages of chats above their cursors."""
        pages = _Pages[MessageView](cursors, channels.chat(""))
        async with self.transactions.read() as tx:
            rows = await run(await tx.session.connection(), _MESSAGES, *pages.arguments, ROWS + 1)
        for place, head, *fields in rows:
            pages.add(place, head, message_of(fields) if fields[0] is not None else None)
        return pages.result()

    async def notifications(self, cursors: Sequence[Cursor]) -> Mapping[Cursor, Page[NotificationView]]:
        """Notifications of people above their cursors."""
        pages = _Pages[NotificationView](cursors, channels.notifications(""))
        async with self.transactions.read() as tx:
            rows = await run(await tx.session.connection(), _NOTIFICATIONS, *pages.arguments, ROWS + 1)
        for place, head, *fields in rows:
            pages.add(place, head, notification_of(fields) if fields[0] is not None else None)
        return pages.result()

    async def parties(self, cursors: Sequence[Cursor]) -> Mapping[Cursor, Page[PartyVersion]]:
        """Each party as it is now, where its version is above the cursor: what was in between is left out."""
        prefix = channels.party("")
        keys = {cursor: UUID(cursor.channel.removeprefix(prefix)) for cursor in cursors}
        party = table_of(Party)
        statement = select_parties().add_columns(party.c.version.label("version"))
        async with self.transactions.read() as tx:
            rows = await tx.session.execute(statement.where(party.c.id.in_(set(keys.values()))))
            found = {row[0]: PartyVersion(row.version, party_of(row)) for row in rows}
        return {cursor: _page_of(found.get(key), cursor.after) for cursor, key in keys.items()}

    async def heads(self, wanted: Sequence[str]) -> dict[str, int]:
        """The highest number of each channel that has numbers."""
        prefixes = (channels.chat(""), channels.notifications(""), channels.party(""))
        keys = [
            [channel.removeprefix(prefix) for channel in wanted if channel.startswith(prefix)]
            for prefix in prefixes
        ]
        async with self.transactions.read() as tx:
            rows: Sequence[Any] = await run(await tx.session.connection(), _HEADS, *prefixes, *keys)
        return {channel: number for channel, number in rows}  # noqa: C416 - of rows, which dict() does not know


RowT = TypeVar("RowT", bound=Any)


class _Pages(Generic[RowT]):
    """The pages of one query: filled row by row, each row with the place of its cursor."""

    def __init__(self, cursors: Sequence[Cursor], prefix: str) -> None:
        self._cursors = cursors
        self._rows: defaultdict[int, list[RowT]] = defaultdict(list)
        self._heads: dict[int, int] = {}
        self._keys = [UUID(cursor.channel.removeprefix(prefix)) for cursor in cursors]

    @property
    def arguments(self) -> tuple[list[UUID], list[int | None]]:
        """Keys and numbers, in the order of the cursors."""
        return self._keys, [cursor.after for cursor in self._cursors]

    def add(self, place: int, head: int | None, row: RowT | None) -> None:
        """Take a row; a cursor with nothing above it has one that is None."""
        self._heads[place] = head or 0
        if row is not None:
            self._rows[place].append(row)

    def result(self) -> dict[Cursor, Page[RowT]]:
        """A page for each cursor."""
        return {cursor: self._page(place) for place, cursor in enumerate(self._cursors, start=1)}

    def _page(self, place: int) -> Page[RowT]:
        rows = self._rows[place]
        if len(rows) > ROWS:
            return Page(rows[:ROWS], rows[ROWS - 1].number, has_more=True)
        return Page(rows, max(self._heads.get(place, 0), rows[-1].number if rows else 0))


def _page_of(found: PartyVersion | None, after: int | None) -> Page[PartyVersion]:
    if found is None:
        return Page([], 0)
    is_newer = after is not None and found.number > after
    return Page([found] if is_newer else [], found.number)


# A number of NULL is above nothing: only the head is wanted then.
_MESSAGES = """
    SELECT place, last_number, above.*
    FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS cursors(key, number, place)
    LEFT JOIN chats ON chats.party_id = key
    LEFT JOIN LATERAL (
        SELECT message.id, message.party_id, message.number, message.kind, notice, text, sent_at,
            users.id, nickname, created_at
        FROM chat_messages AS message LEFT JOIN users ON users.id = sender_id
        WHERE message.party_id = key AND message.number > cursors.number
        ORDER BY message.number LIMIT $3
    ) AS above ON true
    ORDER BY place, above.number
"""

_NOTIFICATIONS = """
    SELECT place, last_number, above.*
    FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS cursors(key, number, place)
    LEFT JOIN mailboxes ON user_id = key
    LEFT JOIN LATERAL (
        SELECT note.id, note.number, note.kind, note.party_id, subject_kind, subject_id, detail,
            note.created_at, read_at, nickname
        FROM notifications AS note LEFT JOIN users ON users.id = actor_id
        WHERE receiver_id = key AND note.number > cursors.number
        ORDER BY note.number LIMIT $3
    ) AS above ON true
    ORDER BY place, above.number
"""

_HEADS = """
    SELECT $1 || party_id, last_number FROM chats WHERE party_id = ANY ($4::uuid[])
    UNION ALL SELECT $2 || user_id, last_number FROM mailboxes WHERE user_id = ANY ($5::uuid[])
    UNION ALL SELECT $3 || id, version FROM parties WHERE id = ANY ($6::uuid[])
"""
