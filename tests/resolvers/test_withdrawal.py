import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from models.base import Row
from models.errors import (
    DomainError,
    NotFound,
    OpenObligations,
    SessionExpired,
    TooManyAttempts,
    WrongCredentials,
)
from models.items import ItemBookmark
from models.markets import MarketBookmark
from models.memberships import Membership, MembershipStatus
from models.parties import Approval
from models.users import WITHDRAWN, Role, Session, User
from resolvers import items, markets, memberships, parties, sessions, users
from resolvers.locks import lock_party
from resolvers.sessions import Keys, SignedIn
from resolvers.transaction import Transaction, Transactions
from resolvers.withdrawal import withdraw
from tests.conftest import MovableClock
from tests.factories import make_item, make_market, make_party, make_user
from tests.people import PASSWORD, sign_up, viewer_now, viewer_of

MANGO = "mango@example.com"


@pytest.fixture
async def mango(transactions: Transactions, keys: Keys) -> SignedIn:
    """Who is going to withdraw."""
    async with transactions.write() as tx:
        return await sign_up(tx, keys, user_agent="phone")


async def go(transactions: Transactions, keys: Keys, person: SignedIn, password: str = PASSWORD) -> None:
    async with transactions.write() as tx:
        await withdraw(tx, keys, person.user.id, password)


async def row_of(tx: Transaction, person: SignedIn) -> User:
    return await tx.session.get_one(User, person.user.id, populate_existing=True)


async def test_nothing_personal_is_left_of_who_withdraws(
    transactions: Transactions, keys: Keys, mango: SignedIn, clock: MovableClock
):
    async with transactions.write() as tx:
        await users.grant_role(tx, MANGO, Role.ADMIN)
    await go(transactions, keys, mango)
    async with transactions.read() as tx:
        row = await row_of(tx, mango)
        left = {name for name, value in row.model_dump().items() if value is not None}
        assert left == {"id", "nickname", "role", "created_at", "withdrawn_at"}
        assert (row.role, row.withdrawn_at) == (Role.USER, clock.now)
        assert await tx.session.scalar(text("SELECT position FROM users")) is None
        session = (await tx.session.scalars(select(Session))).one()
        assert (session.ended_at, session.user_agent) == (clock.now, None)
        whole: Any = await tx.session.scalar(
            text("SELECT string_agg(users::text || sessions::text, '') FROM users, sessions")
        )
        for personal in ("mango", "망고", "마포", "37.5", "argon2", "phone"):
            assert personal not in whole.lower()


async def test_the_nickname_of_who_withdrew_is_neutral_and_nobody_elses(transactions: Transactions):
    async with transactions.write() as tx:
        people = [await make_user(tx) for _ in range(50)]
        for person in people:
            person.withdraw(tx.now)
    nicknames = {person.nickname for person in people}
    assert len(nicknames) == 50
    assert all(len(nickname) == 20 and nickname.startswith(f"{WITHDRAWN} ") for nickname in nicknames)


async def test_who_withdrew_can_not_sign_in_refresh_or_use_a_token(
    transactions: Transactions, keys: Keys, mango: SignedIn
):
    async with transactions.write() as tx:
        other_device = await sessions.sign_in(tx, keys, MANGO, PASSWORD)
    await go(transactions, keys, mango)
    for signed_in in (mango, other_device):
        async with transactions.read() as tx:
            assert await viewer_of(tx, keys, signed_in) is None
            assert await sessions.sessions_of(tx, mango.user.id) == []
            with pytest.raises(NotFound):
                await users.viewer(tx, mango.user.id)
        with pytest.raises(SessionExpired):
            async with transactions.write() as tx:
                await sessions.refresh_tokens(tx, keys, signed_in.tokens.refresh_token)
    with pytest.raises(WrongCredentials):
        async with transactions.write() as tx:
            await sessions.sign_in(tx, keys, MANGO, PASSWORD)


async def test_a_session_that_came_alive_again_by_hand_is_still_nobodys(
    transactions: Transactions, keys: Keys, mango: SignedIn
):
    await go(transactions, keys, mango)
    async with transactions.write() as tx:
        await tx.session.execute(text("UPDATE sessions SET ended_at = NULL"))
    async with transactions.read() as tx:
        assert await viewer_of(tx, keys, mango) is None
    with pytest.raises(SessionExpired):
        async with transactions.write() as tx:
            await sessions.refresh_tokens(tx, keys, mango.tokens.refresh_token)


async def test_the_address_and_the_nickname_may_sign_up_again_as_somebody_else(
    transactions: Transactions, keys: Keys, mango: SignedIn
):
    for _ in range(2):
        await go(transactions, keys, mango)
        async with transactions.write() as tx:
            again = await sign_up(tx, keys)
        assert again.user.id != mango.user.id
        mango = again


async def test_a_wrong_password_withdraws_nobody_and_counts_as_an_attempt(
    transactions: Transactions, keys: Keys, mango: SignedIn
):
    for refusal in [WrongCredentials] * 10 + [TooManyAttempts]:
        with pytest.raises(refusal):
            await go(transactions, keys, mango, "something else")
    with pytest.raises(TooManyAttempts):
        await go(transactions, keys, mango)
    async with transactions.read() as tx:
        assert await viewer_of(tx, keys, mango) is not None


async def test_who_has_withdrawn_can_not_withdraw_again(
    transactions: Transactions, keys: Keys, mango: SignedIn
):
    await go(transactions, keys, mango)
    with pytest.raises(WrongCredentials):
        await go(transactions, keys, mango)


async def obligations(transactions: Transactions, keys: Keys, person: SignedIn) -> list[UUID]:
    """What keeps the person; after which they are as they were."""
    with pytest.raises(OpenObligations) as refusal:
        await go(transactions, keys, person)
    async with transactions.write() as tx:
        await viewer_now(tx, keys, person)
        assert (await row_of(tx, person)).withdrawn_at is None
    return list(refusal.value.party_ids)


async def test_parties_that_count_on_somebody_keep_them_the_soonest_first(
    transactions: Transactions, keys: Keys, mango: SignedIn, clock: MovableClock
):
    async with transactions.write() as tx:
        leader = await row_of(tx, mango)
        led = await make_party(tx, leader, starts_at=tx.now + timedelta(days=3))
        full = await make_party(tx, capacity=2, starts_at=tx.now + timedelta(days=1))
        await memberships.join_party(tx, mango.user.id, full.id)
        waiting = await make_party(tx, approval=Approval.MANUAL)
        await memberships.join_party(tx, mango.user.id, waiting.id)
    assert await obligations(transactions, keys, mango) == [full.id, led.id]
    async with transactions.write() as tx:
        # The request that was to be taken back still waits: nothing has changed.
        (request,) = (await memberships.latest_memberships(tx, mango.user.id, [waiting.id])).values()
        assert request.status is MembershipStatus.REQUESTED
        await memberships.leave_party(tx, mango.user.id, full.id)
    assert await obligations(transactions, keys, mango) == [led.id]
    async with transactions.write() as tx:
        await parties.cancel_party(tx, mango.user.id, led.id)
    await go(transactions, keys, mango)


async def test_parties_that_are_over_keep_their_shape_and_nobody(
    transactions: Transactions, keys: Keys, mango: SignedIn, clock: MovableClock
):
    async with transactions.write() as tx:
        leader = await make_user(tx)
        party = await make_party(tx, leader)
        joined = await memberships.join_party(tx, mango.user.id, party.id)
        await parties.cancel_party(tx, leader.id, party.id)
    await go(transactions, keys, mango)
    async with transactions.read() as tx:
        member = (await memberships.memberships_by_id(tx, [joined.id]))[joined.id]
        assert member.status is MembershipStatus.ACCEPTED
        assert member.user.nickname.startswith(WITHDRAWN)
        assert (await users.users_by_id(tx, [mango.user.id]))[mango.user.id] == member.user


async def test_requests_are_taken_back_and_bookmarks_dropped(
    transactions: Transactions, keys: Keys, mango: SignedIn
):
    async with transactions.write() as tx:
        somebody = await make_user(tx)
        item, market = await make_item(tx), await make_market(tx)
        for user_id in (mango.user.id, somebody.id):
            await items.bookmark_item(tx, user_id, item.id)
            await markets.bookmark_market(tx, user_id, market.id)
        waiting = [await make_party(tx, approval=Approval.MANUAL) for _ in range(3)]
        for party in waiting:
            await memberships.join_party(tx, mango.user.id, party.id)
    await go(transactions, keys, mango)
    async with transactions.read() as tx:
        mine = await memberships.latest_memberships(tx, mango.user.id, [party.id for party in waiting])
        assert [each.status for each in mine.values()] == [MembershipStatus.WITHDRAWN] * 3
        for bookmark in (ItemBookmark, MarketBookmark):
            assert (await tx.session.scalars(select(col(bookmark.user_id)))).all() == [somebody.id]


@pytest.mark.parametrize(
    "change",
    [
        "withdrawn_at = now()",
        "withdrawn_at = now(), email = NULL, password_hash = NULL, home_address = NULL, home_region = NULL",
        "email = NULL",
        "home_latitude = NULL, home_longitude = NULL",
    ],
)
async def test_the_database_keeps_nothing_personal_of_who_withdrew_and_all_of_who_did_not(
    tx: Transaction, change: str
):
    await make_user(tx)
    with pytest.raises(IntegrityError, match="withdrawn_is_erased"):
        async with tx.session.begin_nested():
            await tx.session.execute(text(f"UPDATE users SET {change}"))  # noqa: S608 - one of those above


# Many at once


Verb = Callable[[Transaction], Awaitable[object]]


async def all_at_once(transactions: Transactions, *verbs: Verb) -> list[str]:
    """What becomes of each, at the same time in transactions of their own."""

    async def one(verb: Verb) -> str:
        try:
            async with transactions.write() as tx:
                await verb(tx)
        except DomainError as refusal:
            return refusal.code()
        return "DONE"

    return await asyncio.gather(*(one(verb) for verb in verbs))


async def count(tx: Transaction, row: type[Row], *conditions: Any) -> int | None:
    return await tx.session.scalar(select(func.count()).select_from(row).where(*conditions))


async def test_of_eight_withdrawals_at_once_one_is_done(fresh_transactions: Transactions, keys: Keys):
    async with fresh_transactions.write() as tx:
        mango = await sign_up(tx, keys)

    async def leave(tx: Transaction) -> None:
        await withdraw(tx, keys, mango.user.id, PASSWORD)

    results = await all_at_once(fresh_transactions, *[leave] * 8)
    assert sorted(results) == ["DONE"] + ["WRONG_CREDENTIALS"] * 7


async def test_no_session_is_opened_past_a_withdrawal(fresh_transactions: Transactions, keys: Keys):
    async with fresh_transactions.write() as tx:
        mango = await sign_up(tx, keys)

    async def sign_in(tx: Transaction) -> None:
        await sessions.sign_in(tx, keys, MANGO, PASSWORD)

    async def leave(tx: Transaction) -> None:
        await withdraw(tx, keys, mango.user.id, PASSWORD)

    await all_at_once(fresh_transactions, *[sign_in] * 4, leave, *[sign_in] * 4)
    async with fresh_transactions.read() as tx:
        assert (await row_of(tx, mango)).withdrawn_at is not None
        assert await count(tx, Session, col(Session.ended_at).is_(None)) == 0


async def test_an_acceptance_and_a_withdrawal_at_once_never_leave_a_place_to_nobody(
    fresh_transactions: Transactions, keys: Keys
):
    async with fresh_transactions.write() as tx:
        leader = await make_user(tx)
        party = await make_party(tx, leader, capacity=20, approval=Approval.MANUAL)
        people = [
            await sign_up(tx, keys, email=f"person{number}@example.com", nickname=f"사람{number}")
            for number in range(6)
        ]
        requests = [(await memberships.join_party(tx, each.user.id, party.id)).id for each in people]

    def leave(person: SignedIn) -> Verb:
        return lambda tx: withdraw(tx, keys, person.user.id, PASSWORD)

    def accept(request: UUID) -> Verb:
        return lambda tx: memberships.accept_member(tx, leader.id, request)

    pairs = zip(people, requests, strict=True)
    verbs = [verb for person, request in pairs for verb in (leave(person), accept(request))]
    results = await all_at_once(fresh_transactions, *verbs)
    outcomes = {tuple(results[number : number + 2]) for number in range(0, len(results), 2)}
    assert outcomes <= {("DONE", "ALREADY_DECIDED"), ("OPEN_OBLIGATIONS", "DONE")}
    await check_nobody_gone_counts(fresh_transactions)


async def test_whoever_holds_the_person_waits_for_the_withdrawal_and_finds_nobody(
    fresh_transactions: Transactions, keys: Keys
):
    async with fresh_transactions.write() as tx:
        mango = await sign_up(tx, keys)
        party = await make_party(tx)

    async def join(tx: Transaction) -> None:
        await lock_party(tx, party.id)
        await users.check_living(tx, mango.user.id)
        await memberships.join_party(tx, mango.user.id, party.id)

    async def leave(tx: Transaction) -> None:
        await withdraw(tx, keys, mango.user.id, PASSWORD)

    results = await all_at_once(fresh_transactions, join, leave)
    assert tuple(results) in {("DONE", "OPEN_OBLIGATIONS"), ("NOT_FOUND", "DONE")}
    await check_nobody_gone_counts(fresh_transactions)


async def check_nobody_gone_counts(transactions: Transactions) -> None:
    """Nobody who has withdrawn has a request or a place."""
    async with transactions.read() as tx:
        gone = select(col(User.id)).where(col(User.withdrawn_at).is_not(None))
        live = col(Membership.status).in_((MembershipStatus.REQUESTED, MembershipStatus.ACCEPTED))
        assert await count(tx, Membership, live, col(Membership.user_id).in_(gone)) == 0
