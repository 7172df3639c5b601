import asyncio
import math
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from models.base import new_id
from models.errors import DomainError, EmailTaken, InvalidInput, NicknameTaken, NotFound
from models.users import Role, Session, User
from resolvers import users
from resolvers.sessions import Keys, Viewer
from resolvers.transaction import Transaction, Transactions
from resolvers.users import Home
from tests.factories import make_user
from tests.people import PASSWORD, sign_up, viewer_of


async def count(tx: Transaction, row: type[User] | type[Session]) -> int | None:
    return await tx.session.scalar(select(func.count()).select_from(row))


async def test_signing_up_makes_a_plain_user_at_home_and_signs_in(tx: Transaction, keys: Keys):
    signed_in = await sign_up(tx, keys, user_agent="neighbour's phone\x00" + "x" * 300)
    viewer = await users.viewer(tx, signed_in.user.id)
    assert (viewer.email, viewer.nickname, viewer.role) == ("Mango@Example.com", "망고", Role.USER)
    assert (viewer.home_region, viewer.home_latitude) == ("서울 마포구", 37.5562)
    session = (await tx.session.scalars(select(Session))).one()
    assert session.user_agent == "neighbour's phone" + "x" * 183
    assert session.expires_at == tx.now + timedelta(days=30)
    assert await viewer_of(tx, keys, signed_in) == Viewer(
        signed_in.user.id, session.id, Role.USER, tx.now + timedelta(minutes=15)
    )


async def test_a_password_is_kept_as_an_argon2id_hash(tx: Transaction, keys: Keys):
    await sign_up(tx, keys)
    stored = await tx.session.scalar(select(col(User.password_hash)))
    assert stored
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


@pytest.mark.parametrize("email", ["mango@example.com", " MANGO@EXAMPLE.COM ", "Mango@Example.com"])
async def test_an_address_that_differs_in_case_alone_is_taken(
    transactions: Transactions, keys: Keys, email: str
):
    async with transactions.write() as tx:
        await sign_up(tx, keys)
    with pytest.raises(EmailTaken):
        async with transactions.write() as tx:
            await sign_up(tx, keys, email=email, nickname="다른 사람")


@pytest.mark.parametrize("nickname", ["Mango망고", "MANGO망고 ", unicodedata.normalize("NFD", "mango망고")])
async def test_a_nickname_that_looks_the_same_is_taken(transactions: Transactions, keys: Keys, nickname: str):
    async with transactions.write() as tx:
        await sign_up(tx, keys, nickname="mango망고")
    with pytest.raises(NicknameTaken) as refusal:
        async with transactions.write() as tx:
            await sign_up(tx, keys, email="other@example.com", nickname=nickname)
    assert refusal.value.nickname == unicodedata.normalize("NFC", nickname.strip())


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("email", {"email": "mango"}),
        ("password", {"password": "7letter"}),
        ("nickname", {"nickname": "망"}),
        ("nickname", {"nickname": "망\x00고"}),
        ("address", {"home": Home(" ", 37.5, 127)}),
        ("point", {"home": Home("서울", 90.1, 127)}),
        ("point", {"home": Home("서울", 37.5, -180.1)}),
        ("point", {"home": Home("서울", math.nan, 127)}),
        ("point", {"home": Home("서울", 37.5, math.inf)}),
    ],
    ids=str,
)
async def test_a_broken_rule_is_told_by_its_field_and_makes_no_account(
    tx: Transaction, keys: Keys, field: str, changes: dict[str, Any]
):
    with pytest.raises(InvalidInput) as refusal:
        await sign_up(tx, keys, **changes)
    assert refusal.value.field == field
    assert await count(tx, User) == 0


async def test_a_role_is_given_by_the_server_and_counts_at_once(tx: Transaction, keys: Keys):
    signed_in = await sign_up(tx, keys)
    for role in (Role.ADMIN, Role.USER):
        await users.grant_role(tx, " MANGO@example.com", role)
        await tx.session.flush()
        viewer = await viewer_of(tx, keys, signed_in)
        assert viewer
        assert viewer.role is role
    with pytest.raises(DomainError):
        await users.grant_role(tx, "nobody@example.com", Role.ADMIN)


async def test_people_are_found_by_their_ids_and_missing_ones_left_out(tx: Transaction):
    one, other = await make_user(tx), await make_user(tx)
    found = await users.users_by_id(tx, [one.id, other.id, (await make_user(tx)).id])
    assert {one.id, other.id} < found.keys()
    with pytest.raises(NotFound):
        await users.viewer(tx, new_id())


async def test_of_eight_sign_ups_with_one_address_at_once_exactly_one_wins(
    fresh_transactions: Transactions, keys: Keys
):
    async def join(number: int) -> str:
        email = "mango@example.com".replace("m", "M") if number % 2 else "mango@example.com"
        try:
            async with fresh_transactions.write() as tx:
                await sign_up(tx, keys, email=email, nickname=f"망고{number}")
        except DomainError as refusal:
            return refusal.code()
        return "TOKENS"

    results = await asyncio.gather(*(join(number) for number in range(8)))
    assert sorted(results) == ["EMAIL_TAKEN"] * 7 + ["TOKENS"]
    async with fresh_transactions.read() as tx:
        assert (await count(tx, User), await count(tx, Session)) == (1, 1)
