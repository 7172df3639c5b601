"""Brings the story into a database by the verbs that everybody uses; again, it renews what is over."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from app.demo.scenario import Bookmark, Gathering, Person, Scenario, read_scenario, span
from importers.envelopes import read_lines
from importers.items import ITEMS_CSV, ItemRow, import_items
from importers.markets import MARKETS_CSV, MarketRow, import_markets
from importers.runs import run
from models.items import Item
from models.markets import Market
from models.memberships import MembershipStatus
from models.parties import Approval, Party, PartyStatus
from models.regions import region_of
from models.users import User
from resolvers.chat import send_message
from resolvers.items import bookmark_item
from resolvers.items import items as find_items
from resolvers.markets import bookmark_market
from resolvers.markets import markets as find_markets
from resolvers.memberships import accept_member, join_party
from resolvers.near import Around
from resolvers.pages import PageOf
from resolvers.parties import PartyDraft, create_party
from resolvers.passwords import Passwords
from resolvers.transaction import Transaction, Transactions

PASSWORD = "gonggu-demo"  # noqa: S105 - everybody may know it
SOURCE = "demo"
OPEN_PARTIES = 24
MANGWON = (37.5562, 126.9056)

Keys = dict[str, UUID]


async def load_demo(transactions: Transactions) -> None:
    """Load the catalogue, the people, their parties and what they say there, in one transaction."""
    scenario = read_scenario()
    passwords = Passwords(threads=1)
    password_hash = await passwords.hash(PASSWORD)
    passwords.close()
    async with transactions.write() as tx:
        await import_items(tx.session, read_lines(ITEMS_CSV), tx.now)
        await import_markets(tx.session, read_lines(MARKETS_CSV), tx.now)
        await _load_catalogue(tx, scenario)
        people = await _load_people(tx, scenario.people, password_hash)
        markets, items = await _keys(tx, Market), await _keys(tx, Item)
        for bookmark in scenario.bookmarks:
            await _bookmark(tx, bookmark, people, markets, items)
        for gathering in scenario.parties:
            await _load_party(tx, gathering, people, markets, items)
        await _fill_the_map(tx, list(people.values()))


async def _load_catalogue(tx: Transaction, scenario: Scenario) -> None:
    markets = [
        MarketRow(
            source=SOURCE,
            source_id=place.key,
            name=place.name,
            kind=place.kind,
            address=place.address,
            region=region_of(place.address),
            latitude=place.latitude,
            longitude=place.longitude,
        )
        for place in scenario.markets
    ]
    items = [
        ItemRow(source=SOURCE, source_id=goods.key, category=goods.category, name=goods.name, unit=goods.unit)
        for goods in scenario.items
    ]
    await run(tx.session, Market, markets, tx.now)
    await run(tx.session, Item, items, tx.now)


async def _load_people(tx: Transaction, people: list[Person], password_hash: str) -> Keys:
    keys: Keys = {}
    for person in people:
        known = await tx.session.scalar(
            select(col(User.id)).where(func.lower(col(User.email)) == person.email.lower())
        )
        if known is None:
            user = User(
                email=person.email,
                password_hash=password_hash,
                nickname=person.nickname,
                role=person.role,
                home_address=person.address,
                home_region=region_of(person.address),
                home_latitude=person.latitude,
                home_longitude=person.longitude,
                created_at=tx.now,
            )
            tx.session.add(user)
            known = user.id
        keys[person.key] = known
    await tx.session.flush()
    return keys


async def _load_party(
    tx: Transaction, gathering: Gathering, people: Keys, markets: Keys, items: Keys
) -> None:
    leader_id = people[gathering.leader]
    if await _leads_a_party(tx, leader_id, gathering.note):
        return
    (starts_at, ends_at), (join_by, _) = span(gathering.meets, tx.now), span(gathering.join_by, tx.now)
    (_, _, leaders_quantity), *others = gathering.members
    party = await create_party(
        tx,
        leader_id,
        PartyDraft(
            market_id=markets[gathering.market],
            item_id=items[gathering.item],
            item_count=gathering.item_count,
            item_unit=gathering.item_unit,
            estimated_price=gathering.estimated_price,
            capacity=gathering.capacity,
            min_members=gathering.min_members,
            starts_at=starts_at,
            ends_at=ends_at,
            join_by=join_by,
            note=gathering.note,
            approval=gathering.approval,
            quantity=leaders_quantity,
        ),
    )
    for name, status, quantity in others:
        membership = await join_party(tx, people[name], party.id, quantity)
        if status is MembershipStatus.ACCEPTED and membership.status is MembershipStatus.REQUESTED:
            await accept_member(tx, leader_id, membership.id)

    for number, (name, text) in enumerate(gathering.chat):
        await send_message(tx, people[name], party.id, text, f"demo {number}")


async def _bookmark(tx: Transaction, bookmark: Bookmark, people: Keys, markets: Keys, items: Keys) -> None:
    if bookmark.item is not None:
        await bookmark_item(tx, people[bookmark.person], items[bookmark.item])
    if bookmark.market is not None:
        await bookmark_market(tx, people[bookmark.person], markets[bookmark.market])


async def _leads_a_party(tx: Transaction, leader_id: UUID, note: str) -> bool:
    statement = select(col(Party.id)).where(
        col(Party.leader_id) == leader_id,
        col(Party.note) == note,
        col(Party.status).in_([PartyStatus.OPEN, PartyStatus.FULL]),
        col(Party.join_by) > tx.now,
    )
    return await tx.session.scalar(statement.limit(1)) is not None


async def _fill_the_map(tx: Transaction, leaders: Sequence[UUID]) -> None:
    """Open a party at each of the marts nearest to 망원시장, so that there is something near everybody."""
    marts = await find_markets(tx, PageOf(OPEN_PARTIES), around=Around(*MANGWON, within_m=15_000))
    goods = await find_items(tx, PageOf(100))
    for number, found in enumerate(marts.rows):
        item, leader_id = goods.rows[number * 13 % len(goods.rows)], leaders[number % len(leaders)]
        note = f"{found.market.name}에서 {item.name} 같이 사요"
        if await _leads_a_party(tx, leader_id, note):
            continue
        starts_at, ends_at = span(f"+{number % 6 + 1}d {10 + number % 9}:00..{11 + number % 9}:00", tx.now)
        await create_party(
            tx,
            leader_id,
            PartyDraft(
                market_id=found.market.id,
                item_id=item.id,
                item_count=10 + number % 4 * 5,
                item_unit=item.unit or "개",
                estimated_price=9_900 + number * 1_000,
                capacity=3 + number % 4,
                starts_at=starts_at,
                ends_at=ends_at,
                note=note,
                approval=Approval.AUTO if number % 2 else Approval.MANUAL,
                quantity=2,
            ),
        )


async def _keys(tx: Transaction, row: type[Item] | type[Market]) -> Keys:
    statement = select(col(row.source_id), col(row.id)).where(col(row.source) == SOURCE)
    return dict((await tx.session.execute(statement)).all())
