"""Attendance and penalties: who came, what it costs not to come, and what can be said against it."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from models.base import table_of
from models.errors import AlreadyObjected, AlreadyPenalized, InvalidInput, NotFound
from models.memberships import Attendance, MemberRole, Membership, MembershipStatus
from models.party_events import PartyEventKind
from models.penalties import Decision, Objection, Penalty, penalty_for
from resolvers.history import record
from resolvers.locks import lock_party
from resolvers.pages import Page, PageOf, paged
from resolvers.parties import parties_by_id
from resolvers.penalty_counts import PenaltyCounts
from resolvers.penalty_events import AttendanceCorrected, MemberPenalized, PenaltyRevoked, PenaltyUpheld
from resolvers.penalty_views import (
    ObjectionView,
    PenaltyView,
    objection_of,
    penalty_of,
    select_objections,
    select_penalties,
)
from resolvers.transaction import Transaction
from resolvers.views import PartyView


async def correct_attendance(
    tx: Transaction, viewer_id: UUID, party_id: UUID, came: Mapping[UUID, bool]
) -> PartyView:
    """Record anew whether members came, as the party's leader, for a day after it was done.

    `came` has the members to correct, by their users' ids. The leader was there.

    Raises:
        NotFound, NotPartyLeader, PartyNotDone, AttendanceFixed, InvalidInput, AlreadyPenalized
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    party.check_correctable(tx.now)
    members = await _members(tx, party_id)
    if not came or not came.keys() <= members.keys():
        raise InvalidInput(
            "attendance",
            "Name accepted members, not the leader.",
            "파티장이 아닌 파티원의 출석만 고칠 수 있어요.",
        )
    penalized = {each.user_id: each for each in await _penalties_of_party(tx, party_id)}
    for user_id, attended in came.items():
        attendance = Attendance.ATTENDED if attended else Attendance.NO_SHOW
        if members[user_id].attendance is attendance:
            continue
        if attended and user_id in penalized and penalized[user_id].revoked_at is None:
            raise AlreadyPenalized(penalized[user_id].id)
        members[user_id].attendance = attendance
        record(tx, party_id, PartyEventKind.ATTENDANCE_CORRECTED, viewer_id, user=user_id, attended=attended)
        await tx.publish(AttendanceCorrected(party_id, viewer_id))
    await tx.session.flush()
    return (await parties_by_id(tx, [party_id]))[party_id]


async def penalize(
    tx: Transaction, counts: PenaltyCounts, viewer_id: UUID, party_id: UUID, user_id: UUID, reason: str
) -> PenaltyView:
    """Give a member who did not come a penalty, as the party's leader; once, and within 14 days.

    Raises:
        NotFound, NotPartyLeader, NotPenalizable, AlreadyPenalized, InvalidInput
    """
    party = await lock_party(tx, party_id)
    party.check_leader(viewer_id)
    member = (await _members(tx, party_id)).get(user_id)
    penalty = penalty_for(party, user_id, member, reason, tx.now)
    table = table_of(Penalty)
    given = (
        insert(table)
        .values(penalty.model_dump())
        .on_conflict_do_nothing(index_elements=[table.c.party_id, table.c.user_id])
        .returning(table.c.id)
    )
    if await tx.session.scalar(given) is None:
        of_party = await _penalties_of_party(tx, party_id)
        raise AlreadyPenalized(next(each.id for each in of_party if each.user_id == user_id))
    record(tx, party_id, PartyEventKind.PENALIZED, viewer_id, user=user_id)
    await tx.publish(MemberPenalized(party_id, penalty.id, user_id, viewer_id))
    counts.change(tx, user_id)
    return await _read_back(tx, penalty.id)


async def revoke_penalty(
    tx: Transaction, counts: PenaltyCounts, administrator_id: UUID, penalty_id: UUID, reason: str
) -> PenaltyView:
    """Take a penalty back, as an administrator. That answers an open objection, too.

    Raises:
        NotFound, Involved, AlreadyRevoked, InvalidInput
    """
    penalty = await _locked(tx, penalty_id)
    await _revoke(tx, counts, administrator_id, penalty, reason)
    objection = await _objection(tx, penalty_id)
    if objection is not None and objection.decided_at is None:
        objection.decide(administrator_id, Decision.REVOKED, reason, tx.now)
    return await _read_back(tx, penalty_id)


async def object_to_penalty(tx: Transaction, viewer_id: UUID, penalty_id: UUID, words: str) -> ObjectionView:
    """Say why a penalty is wrong, as the person who got it; once, and within 14 days.

    Raises:
        NotFound, AlreadyObjected, AlreadyRevoked, ObjectionTooLate, InvalidInput
    """
    penalty = await _locked(tx, penalty_id)
    if penalty.user_id != viewer_id:
        raise NotFound("penalty", penalty_id)
    if (earlier := await _objection(tx, penalty_id)) is not None:
        raise AlreadyObjected(earlier.id)
    objection = penalty.object(words, tx.now)
    tx.session.add(objection)
    await tx.session.flush()
    return (await objections_by_id(tx, [objection.id]))[objection.id]


async def decide_objection(
    tx: Transaction,
    counts: PenaltyCounts,
    administrator_id: UUID,
    objection_id: UUID,
    decision: Decision,
    reason: str,
) -> ObjectionView:
    """Answer an objection, as an administrator: the penalty is revoked, or stays.

    Raises:
        NotFound, Involved, ObjectionDecided, InvalidInput
    """
    penalty_id = await tx.session.scalar(
        select(col(Objection.penalty_id)).where(col(Objection.id) == objection_id)
    )
    if penalty_id is None:
        raise NotFound("objection", objection_id)
    penalty = await _locked(tx, penalty_id)
    penalty.check_uninvolved(administrator_id)
    objection = await tx.session.get_one(Objection, objection_id, populate_existing=True)
    objection.decide(administrator_id, decision, reason, tx.now)
    if decision is Decision.REVOKED:
        await _revoke(tx, counts, administrator_id, penalty, reason)
    else:
        said = objection.reason or ""
        await tx.publish(PenaltyUpheld(penalty.party_id, penalty.id, penalty.user_id, administrator_id, said))
    await tx.session.flush()
    return (await objections_by_id(tx, [objection_id]))[objection_id]


async def penalties_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, PenaltyView]:
    """Those of the penalties that exist."""
    rows = await tx.session.execute(select_penalties().where(col(Penalty.id).in_(ids)))
    return {penalty.id: penalty for penalty in map(penalty_of, rows)}


async def objections_by_id(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, ObjectionView]:
    """Those of the objections that exist."""
    rows = await tx.session.execute(select_objections().where(col(Objection.id).in_(ids)))
    return {objection.id: objection for objection in map(objection_of, rows)}


async def objections_by_penalty(tx: Transaction, penalty_ids: Iterable[UUID]) -> dict[UUID, ObjectionView]:
    """What was said against each of the penalties, where something was."""
    rows = await tx.session.execute(select_objections().where(col(Objection.penalty_id).in_(penalty_ids)))
    return {objection.penalty_id: objection for objection in map(objection_of, rows)}


async def penalties_of_parties(tx: Transaction, party_ids: Iterable[UUID]) -> dict[UUID, list[PenaltyView]]:
    """What each party's leader has given, the earliest first: one for each member at most."""
    statement = select_penalties().where(col(Penalty.party_id).in_(party_ids)).order_by(col(Penalty.id))
    found: dict[UUID, list[PenaltyView]] = {}
    for penalty in map(penalty_of, await tx.session.execute(statement)):
        found.setdefault(penalty.party_id, []).append(penalty)
    return found


async def penalties_of(tx: Transaction, user_id: UUID, page: PageOf) -> Page[PenaltyView]:
    """What the person got, the newest first; also what has ended or was revoked.

    Raises:
        MalformedCursor
    """
    statement = select_penalties().where(col(Penalty.user_id) == user_id)
    if (key := page.key(UUID)) is not None:
        statement = statement.where(col(Penalty.id) < key[0])
    statement = statement.order_by(col(Penalty.id).desc()).limit(page.first + 1)
    views = [penalty_of(row) for row in await tx.session.execute(statement)]
    return paged(views, [(view.id,) for view in views], page)


async def open_objections(tx: Transaction, page: PageOf) -> Page[ObjectionView]:
    """What waits for an administrator, the oldest first.

    Raises:
        MalformedCursor
    """
    statement = select_objections().where(col(Objection.decided_at).is_(None))
    if (key := page.key(UUID)) is not None:
        statement = statement.where(col(Objection.id) > key[0])
    statement = statement.order_by(col(Objection.id)).limit(page.first + 1)
    views = [objection_of(row) for row in await tx.session.execute(statement)]
    return paged(views, [(view.id,) for view in views], page)


async def _revoke(
    tx: Transaction, counts: PenaltyCounts, administrator_id: UUID, penalty: Penalty, reason: str
) -> None:
    penalty.revoke(administrator_id, reason, tx.now)
    record(tx, penalty.party_id, PartyEventKind.PENALTY_REVOKED, administrator_id, user=penalty.user_id)
    await tx.publish(PenaltyRevoked(penalty.party_id, penalty.id, penalty.user_id, administrator_id))
    counts.change(tx, penalty.user_id)


async def _locked(tx: Transaction, penalty_id: UUID) -> Penalty:
    """The penalty, held with its party: whatever becomes of either queues there."""
    party_id = await tx.session.scalar(select(col(Penalty.party_id)).where(col(Penalty.id) == penalty_id))
    if party_id is None:
        raise NotFound("penalty", penalty_id)
    await lock_party(tx, party_id)
    return await tx.session.get_one(Penalty, penalty_id, populate_existing=True)


async def _objection(tx: Transaction, penalty_id: UUID) -> Objection | None:
    statement = select(Objection).where(col(Objection.penalty_id) == penalty_id)
    return (await tx.session.scalars(statement.execution_options(populate_existing=True))).one_or_none()


async def _members(tx: Transaction, party_id: UUID) -> dict[UUID, Membership]:
    """The accepted members but the leader, by their users' ids."""
    statement = select(Membership).where(
        col(Membership.party_id) == party_id,
        col(Membership.status) == MembershipStatus.ACCEPTED,
        col(Membership.role) == MemberRole.MEMBER,
    )
    return {each.user_id: each for each in await tx.session.scalars(statement)}


async def _penalties_of_party(tx: Transaction, party_id: UUID) -> list[PenaltyView]:
    return (await penalties_of_parties(tx, [party_id])).get(party_id, [])


async def _read_back(tx: Transaction, penalty_id: UUID) -> PenaltyView:
    await tx.session.flush()
    return (await penalties_by_id(tx, [penalty_id]))[penalty_id]
