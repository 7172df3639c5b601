"""Notifications as their receiver has them."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from models.base import new_id
from models.errors import InvalidInput, NotFound
from models.notifications import BY_SMS, NotificationKind, SubjectKind
from models.users import User
from resolvers import notifications
from resolvers.housekeeping import NOTIFICATIONS_KEPT
from resolvers.notices import Notice, Notices
from resolvers.notifications import PreferenceView
from resolvers.pages import MalformedCursor, PageOf
from resolvers.sessions import Keys
from resolvers.transaction import Transaction, Transactions
from resolvers.withdrawal import withdraw
from tests.conftest import MovableClock
from tests.factories import make_party, make_user
from tests.jobs import run_due
from tests.people import PASSWORD, sign_up

Kind = NotificationKind


async def tell(tx: Transaction, *people: User, times: int = 1, kind: Kind = Kind.PARTY_CHANGED) -> None:
    """Tell people of a party that somebody did something to."""
    leader = await make_user(tx)
    party = await make_party(tx, leader)
    detail = {"item": party.item.name, "market": party.market.name}
    for _ in range(times):
        notice = Notice(kind, party.id, SubjectKind.PARTY, party.id, leader.id, detail)
        tx.collected(Notices).tell([person.id for person in people], notice)
    await tx.finish()


async def listed(
    tx: Transaction, person: User, page: PageOf | None = None, *, unread_only: bool = False
) -> list[int]:
    found = await notifications.notifications_of(tx, person.id, page or PageOf(), unread_only=unread_only)
    return [each.number for each in found.rows]


async def ids_of(tx: Transaction, person: User) -> dict[int, UUID]:
    found = await notifications.notifications_of(tx, person.id, PageOf(100))
    return {each.number: each.id for each in found.rows}


async def test_a_person_sees_what_they_were_told_the_newest_first_page_by_page(tx: Transaction):
    person, other = await make_user(tx), await make_user(tx)
    await tell(tx, person, times=5)
    await tell(tx, other, times=2)
    first = await notifications.notifications_of(tx, person.id, PageOf(2))
    assert [each.number for each in first.rows] == [5, 4]
    assert (first.has_next, first.has_previous) == (True, False)
    assert await listed(tx, person, PageOf(2, first.cursors[-1])) == [3, 2]
    last = await notifications.notifications_of(tx, person.id, PageOf(4, first.cursors[0]))
    assert ([each.number for each in last.rows], last.has_next) == ([4, 3, 2, 1], False)
    assert await listed(tx, await make_user(tx)) == []
    with pytest.raises(MalformedCursor):
        await listed(tx, person, PageOf(2, "nonsense"))


async def test_a_notification_shows_what_was_told_and_who_did_it_by_their_name_of_now(tx: Transaction):
    person = await make_user(tx)
    await tell(tx, person)
    (note,) = (await notifications.notifications_of(tx, person.id, PageOf())).rows
    row = (await tx.session.execute(text("SELECT * FROM notifications"))).one()
    assert (note.id, note.number, note.kind, note.party_id) == (row.id, 1, Kind.PARTY_CHANGED, row.party_id)
    assert (note.subject_kind, note.subject_id) == (SubjectKind.PARTY, row.party_id)
    assert (note.created_at, note.read_at, note.detail) == (tx.now, None, row.detail)
    leader = await tx.session.get_one(User, row.actor_id)
    assert note.actor == leader.nickname
    leader.nickname = "새 별명"
    await tx.session.flush()
    own = await notifications.own_notifications(tx, person.id, [note.id])
    assert own[note.id].actor == "새 별명"


async def test_what_others_were_told_is_nobody_elses(tx: Transaction):
    person, other = await make_user(tx), await make_user(tx)
    await tell(tx, person, other)
    (id,) = (await ids_of(tx, person)).values()
    assert await notifications.own_notifications(tx, other.id, [id]) == {}
    await notifications.mark_read(tx, other.id, ids=[id])
    await notifications.mark_read(tx, other.id, up_to_number=99)
    assert await notifications.unread_count(tx, person.id) == 1
    assert await notifications.unread_count(tx, other.id) == 0
    with pytest.raises(NotFound):
        await notifications.delete_notification(tx, other.id, id)
    assert await listed(tx, person) == [1]


async def test_what_is_read_is_marked_by_ids_or_up_to_a_number_and_the_first_time_stays(tx: Transaction):
    person = await make_user(tx)
    await tell(tx, person, times=5)
    ids = await ids_of(tx, person)
    await notifications.mark_read(tx, person.id, ids=[ids[2], ids[4], new_id()])
    assert await listed(tx, person, unread_only=True) == [5, 3, 1]
    began = tx.now
    tx.now += timedelta(hours=1)
    await notifications.mark_read(tx, person.id, up_to_number=3)
    assert await listed(tx, person, unread_only=True) == [5]
    assert await notifications.unread_count(tx, person.id) == 1
    read = await notifications.own_notifications(tx, person.id, ids.values())
    assert {read[ids[number]].read_at for number in (2, 4)} == {began}
    assert {read[ids[number]].read_at for number in (1, 3)} == {tx.now}
    await notifications.mark_read(tx, person.id, ids=[])
    await notifications.mark_read(tx, person.id, up_to_number=0)
    assert await notifications.unread_count(tx, person.id) == 1


async def test_either_ids_or_a_number_has_to_be_given(tx: Transaction):
    person = await make_user(tx)
    for ids, number in ((None, None), ([new_id()], 1)):
        with pytest.raises(InvalidInput):
            await notifications.mark_read(tx, person.id, ids, number)


async def test_unread_pages_go_on_where_they_ended(tx: Transaction):
    person = await make_user(tx)
    await tell(tx, person, times=4)
    await notifications.mark_read(tx, person.id, ids=[(await ids_of(tx, person))[3]])
    page = await notifications.notifications_of(tx, person.id, PageOf(2), unread_only=True)
    assert [each.number for each in page.rows] == [4, 2]
    assert await listed(tx, person, PageOf(2, page.cursors[-1]), unread_only=True) == [1]


async def test_what_is_deleted_is_given_once_more_and_the_other_numbers_stay(tx: Transaction):
    person = await make_user(tx)
    await tell(tx, person, times=3)
    ids = await ids_of(tx, person)
    gone = await notifications.delete_notification(tx, person.id, ids[2])
    assert (gone.id, gone.number) == (ids[2], 2)
    with pytest.raises(NotFound) as refusal:
        await notifications.delete_notification(tx, person.id, ids[2])
    assert (refusal.value.kind, refusal.value.id) == ("notification", ids[2])
    await notifications.delete_notification(tx, person.id, ids[3])
    await tell(tx, person)
    assert await listed(tx, person) == [4, 1], "a number is never given twice"


async def test_without_a_word_everybody_is_told_of_every_kind(tx: Transaction):
    person = await make_user(tx)
    assert await notifications.preferences_of(tx, person.id) == [
        PreferenceView(kind, in_app=True, sms=kind in BY_SMS) for kind in Kind
    ]


async def test_a_preference_is_the_persons_own_and_the_last_word_counts(tx: Transaction):
    person, other = await make_user(tx), await make_user(tx)
    usual = await notifications.preferences_of(tx, other.id)
    reminder = Kind.PURCHASE_CONFIRM_REMINDER
    for in_app, sms in ((False, False), (True, False), (False, True)):
        wish = PreferenceView(reminder, in_app=in_app, sms=sms)
        await notifications.set_preference(tx, person.id, wish)
        found = {each.kind: each for each in await notifications.preferences_of(tx, person.id)}
        assert found.pop(reminder) == wish
        assert list(found.values()) == [each for each in usual if each.kind is not reminder]
    assert await notifications.preferences_of(tx, other.id) == usual


async def test_what_was_told_half_a_year_ago_is_forgotten(transactions: Transactions, clock: MovableClock):
    async with transactions.write() as tx:
        person = await make_user(tx)
        await tell(tx, person, times=2)
    clock.move(minutes=1)
    async with transactions.write() as tx:
        await tell(tx, person)
    clock.now += NOTIFICATIONS_KEPT - timedelta(minutes=1)
    for left in ([3, 2, 1], [3]):
        async with transactions.write() as tx:
            await tx.jobs.soon("notifications.forget", "cron")
        assert "notifications.forget" in [each.name for each in await run_due(transactions)]
        async with transactions.read() as tx:
            assert await listed(tx, person) == left
        clock.move(seconds=1)


async def test_old_notifications_are_forgotten_once_an_hour(transactions: Transactions, clock: MovableClock):
    async with transactions.write() as tx:
        await tx.jobs.plant()
    clock.move(minutes=59)
    ran = [each.name for each in await run_due(transactions)]
    assert ran.count("notifications.forget") == 1


async def test_who_withdraws_takes_along_all_they_were_told(transactions: Transactions, keys: Keys):
    async with transactions.write() as tx:
        mango, other = await sign_up(tx, keys), await make_user(tx)
        person = await tx.session.get_one(User, mango.user.id)
        await tell(tx, person, other, times=2)
        for each in (person, other):
            wish = PreferenceView(Kind.PARTY_CREATED, in_app=False, sms=False)
            await notifications.set_preference(tx, each.id, wish)
    async with transactions.write() as tx:
        await withdraw(tx, keys, mango.user.id, PASSWORD)
    async with transactions.read() as tx:
        for table, owner in (
            ("notifications", "receiver_id"),
            ("mailboxes", "user_id"),
            ("notification_preferences", "user_id"),
        ):
            owners = await tx.session.scalars(text(f"SELECT DISTINCT {owner} FROM {table}"))  # noqa: S608
            assert owners.all() == [other.id]
