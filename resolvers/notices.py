"""Notifications being written: numbered for each receiver, in the transaction of their cause."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from models.base import new_id
from models.notifications import NotificationKind, SubjectKind
from resolvers.sql import run
from resolvers.transaction import Transaction
from subscriptions import channels
from subscriptions.envelope import Envelope

KIND = "notification"
"""The kind of envelope. It brings no data along: who listens reads, together with whoever else was told."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What several people are told: one notification for each of them."""

    kind: NotificationKind
    party_id: UUID
    subject_kind: SubjectKind
    subject_id: UUID
    actor_id: UUID | None
    detail: dict[str, Any]


@dataclass
class Notices:
    """What a transaction tells people, written in one statement at its end.

    All receivers are locked at once and in the order of their ids, so that two transactions that tell the
    same people never wait for each other in a circle.
    """

    _given: list[tuple[UUID, Notice]] = field(default_factory=list[tuple[UUID, Notice]])

    def tell(self, receivers: Collection[UUID], notice: Notice) -> None:
        """Tell each of them, but never the one who acted."""
        self._given.extend((each, notice) for each in receivers if each != notice.actor_id)

    async def write(self, tx: Transaction) -> None:
        """Number and write them. Who doesn't want to be told of a kind is not, nor is who has withdrawn."""
        if not self._given:
            return
        columns = zip(
            *(
                (
                    new_id(),
                    receiver_id,
                    notice.kind.value,
                    notice.party_id,
                    notice.subject_kind.value,
                    notice.subject_id,
                    notice.actor_id,
                    json.dumps(notice.detail, ensure_ascii=False),
                )
                for receiver_id, notice in self._given
            ),
            strict=True,
        )
        connection, prefix = await tx.session.connection(), channels.notifications("")
        rows = await run(connection, _WRITE, tx.now, prefix, *(list(column) for column in columns))
        if len(rows) <= MOST_RUNG:
            for id, receiver_id, number in rows:
                channel = channels.notifications(receiver_id)
                tx.ring_stored(Envelope(KIND, channel, number, id=id.hex))


MOST_RUNG = 100
"""More receivers than this are left to the relay, which publishes them in batches."""

_WRITE = """
    WITH given AS (
        SELECT * FROM unnest(
            $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::uuid[], $9::uuid[], $10::jsonb[]
        ) WITH ORDINALITY AS g(
            id, receiver_id, kind, party_id, subject_kind, subject_id, actor_id, detail, place
        )
    ),
    living AS (
        -- The person first, the mailbox after, as who withdraws locks them.
        SELECT given.* FROM given JOIN users AS person ON person.id = receiver_id
        WHERE withdrawn_at IS NULL
        FOR KEY SHARE OF person
    ),
    wanted AS (
        SELECT living.*,
            row_number() OVER (PARTITION BY receiver_id ORDER BY place) AS step,
            count(*) OVER (PARTITION BY receiver_id) AS steps
        FROM living
        LEFT JOIN notification_preferences AS wish
            ON wish.user_id = living.receiver_id AND wish.kind = living.kind
        WHERE wish.in_app IS NOT FALSE
    ),
    raised AS (
        INSERT INTO mailboxes AS mailbox (user_id, last_number)
        SELECT receiver_id, steps FROM wanted WHERE step = 1 ORDER BY receiver_id
        ON CONFLICT (user_id) DO UPDATE SET last_number = mailbox.last_number + EXCLUDED.last_number
        RETURNING user_id, last_number
    ),
    numbered AS (
        -- Each row of the one has its row of the other. A full join is never made by nested loops, which the
        -- planner would choose for the one row that it expects, and which take seconds for thousands.
        SELECT wanted.*, raised.last_number - steps + step AS number
        FROM wanted FULL JOIN raised ON raised.user_id = wanted.receiver_id
    ),
    written AS (
        INSERT INTO notifications (
            id, receiver_id, number, kind, party_id, subject_kind, subject_id, actor_id, detail, created_at
        )
        SELECT id, receiver_id, number, kind, party_id, subject_kind, subject_id, actor_id, detail, $1
        FROM numbered
    ),
    rung AS (
        INSERT INTO outbox (id, channel, kind, number)
        SELECT id, $2 || receiver_id, 'notification', number FROM numbered WHERE step = steps
        RETURNING id
    )
    SELECT id, receiver_id, number FROM numbered WHERE step = steps
"""
