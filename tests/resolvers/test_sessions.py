import asyncio
import contextlib
import unicodedata
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from models.errors import (
    InvalidInput,
    NotFound,
    SessionExpired,
    WrongCredentials,
)
from models.users import Session, User
from resolvers import sessions
from resolvers.sessions import Keys
from resolvers.tokens import AccessToken
from resolvers.transaction import Transaction, Transactions
from tests.conftest import MovableClock
from tests.factories import make_user
from tests.people import PASSWORD, sign_up, viewer_now, viewer_of


async def count(tx: Transaction, row: type[User] | type[Session]) -> int | None:
    return await tx.session.scalar(select(func.count()).select_from(row))


async def test_signing_in_opens_a_session_of_its_own(tx: Transaction, keys: Keys):
    first = await sign_up(tx, keys)
    second = await sessions.sign_in(tx, keys, " mango@EXAMPLE.com", PASSWORD)
    assert second.user == first.user
    assert await count(tx, Session) == 2
    one, other = await viewer_of(tx, keys, first), await viewer_of(tx, keys, second)
    assert one
    assert other
    assert one.session_id != other.session_id


@pytest.mark.parametrize("email", ["İstanbul@example.com", "ÄPFEL@example.com", "망고@example.com"])
async def test_an_address_signs_in_as_it_signed_up_whatever_its_letters(
    tx: Transaction, keys: Keys, email: str
):
    await sign_up(tx, keys, email=email)
    for written in (email, unicodedata.normalize("NFD", email)):
        assert await sessions.sign_in(tx, keys, written, PASSWORD)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("mango@example.com", "wrong password"),
        ("mango@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("", PASSWORD),
        ("\x00", PASSWORD),
        ("mango@example.com\x00", PASSWORD),
        ("%", PASSWORD),
        ("x" * 100_000, PASSWORD),
    ],
)
async def test_wrong_credentials_are_refused_without_saying_which(
    tx: Transaction, keys: Keys, email: str, password: str
):
    await sign_up(tx, keys)
    with pytest.raises(WrongCredentials):
        await sessions.sign_in(tx, keys, email, password)
    assert await count(tx, Session) == 1


async def test_an_account_whose_stored_hash_is_none_lets_nobody_in(tx: Transaction, keys: Keys):
    user = await make_user(tx, password_hash="none")
    for password in ("none", "nobody has this password", ""):
        with pytest.raises(WrongCredentials):
            await sessions.sign_in(tx, keys, user.email or "", password)


async def test_refreshing_rotates_the_token_and_prolongs_the_session(
    transactions: Transactions, keys: Keys, clock: MovableClock
):
    async with transactions.write() as tx:
        tokens = (await sign_up(tx, keys)).tokens
    for _ in range(3):
        clock.move(days=29)
        async with transactions.write() as tx:
            fresh = await sessions.refresh_tokens(tx, keys, tokens.refresh_token)
        assert fresh.tokens.refresh_token != tokens.refresh_token
        assert fresh.user.nickname == "망고"
        tokens = fresh.tokens
    async with transactions.read() as tx:
        session = (await tx.session.scalars(select(Session))).one()
    assert (session.generation, session.last_used_at) == (4, clock.now)
    assert session.expires_at == clock.now + timedelta(days=30)


async def test_a_refresh_token_that_comes_twice_ends_its_session_for_the_thief_and_the_owner(
    transactions: Transactions, keys: Keys
):
    async with transactions.write() as tx:
        first = await sign_up(tx, keys)
        other = await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)
    async with transactions.write() as tx:
        second = await sessions.refresh_tokens(tx, keys, first.tokens.refresh_token)
    for token in (first.tokens.refresh_token, second.tokens.refresh_token):
        with pytest.raises(SessionExpired):
            async with transactions.write() as tx:
                await sessions.refresh_tokens(tx, keys, token)
    async with transactions.read() as tx:
        # The refusal was answered, and yet the end of the session is kept; the other session lives.
        assert await viewer_of(tx, keys, second) is None
        assert await viewer_of(tx, keys, other) is not None


async def test_a_session_ends_when_nobody_uses_it_for_its_lifetime(
    transactions: Transactions, keys: Keys, clock: MovableClock
):
    async with transactions.write() as tx:
        tokens = (await sign_up(tx, keys)).tokens
    clock.move(days=30)
    with pytest.raises(SessionExpired):
        async with transactions.write() as tx:
            await sessions.refresh_tokens(tx, keys, tokens.refresh_token)


async def test_a_refresh_token_of_a_session_that_is_gone_is_refused(tx: Transaction, keys: Keys):
    user = await make_user(tx)
    tokens = keys.tokens.issue(user.id, user.id, 1, tx.now)
    with pytest.raises(SessionExpired):
        await sessions.refresh_tokens(tx, keys, tokens.refresh_token)


async def test_signing_out_ends_the_session_and_repeating_it_is_harmless(tx: Transaction, keys: Keys):
    signed_in = await sign_up(tx, keys)
    viewer = await viewer_of(tx, keys, signed_in)
    assert viewer
    for _ in range(2):
        await sessions.sign_out(tx, viewer)
    await tx.session.flush()
    assert await viewer_of(tx, keys, signed_in) is None
    with pytest.raises(SessionExpired):
        await sessions.refresh_tokens(tx, keys, signed_in.tokens.refresh_token)


async def test_another_session_can_be_ended_but_only_ones_own(tx: Transaction, keys: Keys):
    mine, my_phone = await sign_up(tx, keys), await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)
    theirs = await sign_up(tx, keys, email="other@example.com", nickname="다른 사람")
    await tx.session.flush()
    me, phone = await viewer_of(tx, keys, mine), await viewer_of(tx, keys, my_phone)
    them = await viewer_of(tx, keys, theirs)
    assert me
    assert phone
    assert them
    await sessions.sign_out(tx, me, phone.session_id)
    with pytest.raises(NotFound):
        await sessions.sign_out(tx, me, them.session_id)
    with pytest.raises(NotFound):
        await sessions.sign_out(tx, me, me.user_id)
    await tx.session.flush()
    assert await viewer_of(tx, keys, my_phone) is None
    assert await viewer_of(tx, keys, mine) == me
    assert await viewer_of(tx, keys, theirs) == them


async def test_a_token_that_mixes_a_session_with_another_person_speaks_for_nobody(
    tx: Transaction, keys: Keys
):
    signed_in = await sign_up(tx, keys)
    other = await make_user(tx)
    viewer = await viewer_of(tx, keys, signed_in)
    assert viewer
    mixed = AccessToken(other.id, viewer.session_id, viewer.expires_at)
    assert await sessions.viewer_behind(tx, mixed) is None


async def test_sessions_that_are_over_for_long_are_forgotten(
    transactions: Transactions, keys: Keys, clock: MovableClock
):
    async with transactions.write() as tx:
        await sign_up(tx, keys)
        await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)
    clock.move(days=40)
    async with transactions.write() as tx:
        living = await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)
    async with transactions.write() as tx:
        assert await sessions.forget_sessions(tx, ended_before=clock.now - timedelta(days=10)) == 0
        assert await sessions.forget_sessions(tx, ended_before=clock.now) == 2
        assert await viewer_of(tx, keys, living) is not None


async def test_of_eight_uses_of_one_refresh_token_at_once_exactly_one_wins(
    fresh_transactions: Transactions, keys: Keys
):
    async with fresh_transactions.write() as tx:
        token = (await sign_up(tx, keys)).tokens.refresh_token

    async def refresh() -> str:
        try:
            async with fresh_transactions.write() as tx:
                await sessions.refresh_tokens(tx, keys, token)
        except SessionExpired as refusal:
            return refusal.code()
        return "TOKENS"

    results = await asyncio.gather(*(refresh() for _ in range(8)))
    assert sorted(results) == ["SESSION_EXPIRED"] * 7 + ["TOKENS"]
    async with fresh_transactions.read() as tx:
        # Who is the thief can't be told: the session is over for the winner too.
        session = (await tx.session.scalars(select(Session))).one()
    assert (session.generation, session.is_live(session.created_at)) == (2, False)


async def test_sessions_are_listed_while_they_live_the_newest_first(
    transactions: Transactions, keys: Keys, clock: MovableClock
):
    async with transactions.write() as tx:
        first = await sign_up(tx, keys, user_agent="phone")
        await sign_up(tx, keys, email="other@example.com", nickname="다른 사람")
    clock.move(days=20)
    async with transactions.write() as tx:
        ended = await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)
        await sessions.sign_out(tx, await viewer_now(tx, keys, ended))
        await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD, user_agent="laptop")
    async with transactions.read() as tx:
        listed = await sessions.sessions_of(tx, first.user.id)
        assert [each.user_agent for each in listed] == ["laptop", "phone"]
        assert listed[0].created_at == listed[0].last_used_at == clock.now
    clock.move(days=10)
    async with transactions.read() as tx:
        # Nobody has used the phone for its lifetime.
        assert [each.user_agent for each in await sessions.sessions_of(tx, first.user.id)] == ["laptop"]


async def test_a_hundred_sessions_are_listed_at_most(tx: Transaction, keys: Keys):
    signed_in = await sign_up(tx, keys)
    for _ in range(101):
        sessions.open_session(tx, keys, signed_in.user, None)
    await tx.session.flush()
    assert len(await sessions.sessions_of(tx, signed_in.user.id)) == 100


NEW = "훨씬 더 비밀이에요"


async def test_changing_the_password_ends_every_other_session_and_refreshes_this_one(
    transactions: Transactions, keys: Keys
):
    async with transactions.write() as tx:
        mine, thiefs = (
            await sign_up(tx, keys),
            await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD),
        )
        somebodys = await sign_up(tx, keys, email="other@example.com", nickname="다른 사람")
    async with transactions.write() as tx:
        viewer = await viewer_now(tx, keys, mine)
        fresh = await sessions.change_password(tx, keys, viewer, PASSWORD, NEW)
    async with transactions.write() as tx:
        assert fresh.user == mine.user
        assert (await viewer_now(tx, keys, fresh)).session_id == viewer.session_id
        assert await viewer_of(tx, keys, thiefs) is None
        assert await viewer_of(tx, keys, somebodys) is not None
        assert await sessions.refresh_tokens(tx, keys, fresh.tokens.refresh_token)
        with pytest.raises(SessionExpired):
            await sessions.refresh_tokens(tx, keys, thiefs.tokens.refresh_token)
        with pytest.raises(WrongCredentials):
            await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)
        assert await sessions.sign_in(tx, keys, "mango@example.com", NEW)


async def test_a_refresh_token_of_before_the_change_is_used_up_by_it(transactions: Transactions, keys: Keys):
    async with transactions.write() as tx:
        old = await sign_up(tx, keys)
        await sessions.change_password(tx, keys, await viewer_now(tx, keys, old), PASSWORD, NEW)
    with pytest.raises(SessionExpired):
        async with transactions.write() as tx:
            await sessions.refresh_tokens(tx, keys, old.tokens.refresh_token)


async def test_a_password_is_not_changed_without_the_one_until_now_or_to_a_bad_one(
    tx: Transaction, keys: Keys
):
    signed_in = await sign_up(tx, keys)
    viewer = await viewer_now(tx, keys, signed_in)
    with pytest.raises(WrongCredentials):
        await sessions.change_password(tx, keys, viewer, NEW, NEW)
    with pytest.raises(InvalidInput) as refusal:
        await sessions.change_password(tx, keys, viewer, PASSWORD, "short")
    assert refusal.value.field == "newPassword"
    assert await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)


async def test_whoever_signed_out_meanwhile_changes_nothing(tx: Transaction, keys: Keys):
    signed_in = await sign_up(tx, keys)
    viewer = await viewer_now(tx, keys, signed_in)
    await sessions.sign_out(tx, viewer)
    with pytest.raises(SessionExpired):
        await sessions.change_password(tx, keys, viewer, PASSWORD, NEW)
    assert await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)


async def test_of_eight_changes_of_the_password_at_once_exactly_one_wins(
    fresh_transactions: Transactions, keys: Keys
):
    async with fresh_transactions.write() as tx:
        viewer = await viewer_now(tx, keys, await sign_up(tx, keys))

    async def change(number: int) -> str:
        try:
            async with fresh_transactions.write() as tx:
                await sessions.change_password(tx, keys, viewer, PASSWORD, f"{NEW} {number}")
        except WrongCredentials as refusal:
            return refusal.code()
        return "TOKENS"

    results = await asyncio.gather(*(change(number) for number in range(8)))
    assert sorted(results) == ["TOKENS"] + ["WRONG_CREDENTIALS"] * 7


async def test_no_session_opened_with_the_old_password_outlives_its_change(
    fresh_transactions: Transactions, keys: Keys
):
    async with fresh_transactions.write() as tx:
        mine = await sign_up(tx, keys)
        viewer = await viewer_now(tx, keys, mine)

    async def sign_in() -> None:
        with contextlib.suppress(WrongCredentials):
            async with fresh_transactions.write() as tx:
                await sessions.sign_in(tx, keys, "mango@example.com", PASSWORD)

    async def change() -> None:
        async with fresh_transactions.write() as tx:
            await sessions.change_password(tx, keys, viewer, PASSWORD, NEW)

    await asyncio.gather(*(sign_in() for _ in range(4)), change(), *(sign_in() for _ in range(4)))
    async with fresh_transactions.read() as tx:
        assert [each.id for each in await sessions.sessions_of(tx, viewer.user_id)] == [viewer.session_id]
