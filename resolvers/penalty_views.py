"""What a reader sees of penalties and objections, and which penalties count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlmodel import col

from models.base import table_of
from models.penalties import Decision, Objection, Penalty, check_few
from resolvers.transaction import Transaction


@dataclass(slots=True)
class PenaltyView:
    """A penalty. Who may see it is for the reader to look at."""

    id: UUID
    party_id: UUID
    user_id: UUID
    given_by_id: UUID
    reason: str
    given_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by_id: UUID | None
    revoke_reason: str | None


@dataclass(slots=True)
class ObjectionView:
    """What a person says against a penalty, and what became of it."""

    id: UUID
    penalty_id: UUID
    text: str
    made_at: datetime
    decided_at: datetime | None
    decided_by_id: UUID | None
    decision: Decision | None
    reason: str | None


_PENALTY = [table_of(Penalty).c[field.name] for field in fields(PenaltyView)]
_OBJECTION = [table_of(Objection).c[field.name] for field in fields(ObjectionView)]


def select_penalties() -> Select[Any]:
    """Penalties; read with `penalty_of`."""
    return select(*_PENALTY)


def select_objections() -> Select[Any]:
    """Objections; read with `objection_of`."""
    return select(*_OBJECTION)


def penalty_of(row: Sequence[Any]) -> PenaltyView:
    """Read a row of `select_penalties`."""
    return PenaltyView(*row)


def objection_of(row: Sequence[Any]) -> ObjectionView:
    """Read a row of `select_objections`."""
    return ObjectionView(*row)


async def ends_of(tx: Transaction, user_ids: Iterable[UUID]) -> dict[UUID, list[datetime]]:
    """When each person's penalties end that count now, the earliest first; by one statement."""
    ends: dict[UUID, list[datetime]] = {user_id: [] for user_id in user_ids}
    statement = (
        select(col(Penalty.user_id), col(Penalty.expires_at))
        .where(
            col(Penalty.user_id).in_(ends),
            col(Penalty.revoked_at).is_(None),
            col(Penalty.expires_at) > tx.now,
        )
        .order_by(col(Penalty.user_id), col(Penalty.expires_at))
    )
    for user_id, end in await tx.session.execute(statement):
        ends[user_id].append(end)
    return ends


async def check_few_penalties(tx: Transaction, user_id: UUID) -> None:
    """See that a person may join a party or open one. Asks the database, never what is remembered of it.

    Raises:
        TooManyPenalties
    """
    check_few((await ends_of(tx, [user_id]))[user_id])
