import pytest

from models.errors import InvalidInput, NicknameTaken, NotFound
from models.users import WITHDRAWN, User
from resolvers import users
from resolvers.near import Around
from resolvers.nearby import PartyFilter, nearby_parties
from resolvers.pages import PageOf
from resolvers.sessions import Keys
from resolvers.transaction import Transaction, Transactions
from resolvers.users import Home
from tests.factories import make_party, make_user
from tests.people import sign_up

BUSAN = Home(" 부산광역시 해운대구 우동 1408 ", 35.1631, 129.1636)


async def test_a_nickname_changes_and_nothing_else(tx: Transaction, keys: Keys):
    person = (await sign_up(tx, keys)).user
    before = await users.viewer(tx, person.id)
    await users.update_profile(tx, person.id, nickname=" 파인애플 ")
    after = await users.viewer(tx, person.id)
    before.nickname = "파인애플"
    assert after == before


async def test_a_home_moves_with_its_region_and_what_is_near(tx: Transaction, keys: Keys):
    person = (await sign_up(tx, keys)).user
    await users.update_profile(tx, person.id, home=BUSAN)
    home = await users.viewer(tx, person.id)
    assert (home.nickname, home.home_address) == ("망고", "부산광역시 해운대구 우동 1408")
    assert (home.home_region, home.home_latitude) == ("부산 해운대구", 35.1631)
    await make_party(tx)
    around = Around(home.home_latitude, home.home_longitude, 10_000)
    assert (await nearby_parties(tx, around, PartyFilter(), PageOf())).rows == []


async def test_the_same_nickname_in_other_letters_is_ones_own(tx: Transaction):
    person = await make_user(tx, nickname="Mango")
    await users.update_profile(tx, person.id, nickname="mango")
    assert (await users.viewer(tx, person.id)).nickname == "mango"


async def test_a_nickname_that_somebody_has_is_refused_and_nothing_changes(transactions: Transactions):
    async with transactions.write() as tx:
        person, _ = await make_user(tx), await make_user(tx, nickname="Mango망고")
        before = await users.viewer(tx, person.id)
    with pytest.raises(NicknameTaken) as refusal:
        async with transactions.write() as tx:
            await users.update_profile(tx, person.id, nickname="MANGO망고", home=BUSAN)
    assert refusal.value.nickname == "MANGO망고"
    async with transactions.read() as tx:
        assert await users.viewer(tx, person.id) == before


@pytest.mark.parametrize(
    ("field", "nickname", "home"),
    [
        ("nickname", "망", None),
        ("nickname", "망\x00고", None),
        ("nickname", f"{WITHDRAWN} abc", None),
        ("address", None, Home(" ", 37.5, 127)),
        ("point", None, Home("서울", 91, 127)),
    ],
)
async def test_a_broken_rule_is_told_by_its_field(
    tx: Transaction, field: str, nickname: str | None, home: Home | None
):
    person = await make_user(tx)
    with pytest.raises(InvalidInput) as refusal:
        await users.update_profile(tx, person.id, nickname=nickname, home=home)
    assert refusal.value.field == field


async def test_whoever_has_withdrawn_gets_nothing_back(tx: Transaction):
    person = await make_user(tx)
    person.withdraw(tx.now)
    await tx.session.flush()
    with pytest.raises(NotFound):
        await users.update_profile(tx, person.id, nickname="다시 나", home=BUSAN)
    row = await tx.session.get_one(User, person.id, populate_existing=True)
    assert (row.home_address, row.nickname[:6]) == (None, WITHDRAWN)


async def test_a_home_hardly_off_the_equator_is_stored_as_on_it(tx: Transaction):
    columns = Home("서울 마포구 망원동", 5e-324, -5e-324).columns()
    user = await make_user(tx, **columns)
    assert (user.home_latitude, user.home_longitude) == (0, 0)
