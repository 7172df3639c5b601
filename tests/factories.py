"""Rows for tests: plain functions with defaults, each row different where it must be."""

from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from models.items import Item
from models.markets import Market, MarketKind
from models.parties import Approval
from models.users import Role, User
from resolvers import parties
from resolvers.transaction import Transaction
from resolvers.views import PartyView

MANGWON = (37.5562, 126.9056)
"""망원시장, in degrees."""

_number = count(1)


async def make_user(tx: Transaction, **changes: Any) -> User:
    """A neighbour who lives at 망원시장. Their password can't be guessed: there is none."""
    number = next(_number)
    values: dict[str, Any] = {
        "email": f"neighbour{number}@example.com",
        "password_hash": "none",
        "nickname": f"이웃{number}",
        "role": Role.USER,
        "home_address": "서울 마포구 포은로8길 14",
        "home_region": "서울 마포구",
        "home_latitude": MANGWON[0],
        "home_longitude": MANGWON[1],
        "created_at": tx.now,
    }
    user = User(**values | changes)
    tx.session.add(user)
    await tx.session.flush()
    return user


async def make_market(tx: Transaction, point: tuple[float, float] = MANGWON, **changes: Any) -> Market:
    """A market at a point, in degrees."""
    number = next(_number)
    values: dict[str, Any] = {
        "source": "test",
        "source_id": str(number),
        "name": f"{number}번 시장",
        "kind": MarketKind.TRADITIONAL_MARKET,
        "address": "서울 마포구 포은로8길 14",
        "region": "서울 마포구",
        "latitude": point[0],
        "longitude": point[1],
        "updated_at": tx.now,
    }
    market = Market(**values | changes)
    tx.session.add(market)
    await tx.session.flush()
    return market


async def make_item(tx: Transaction, **changes: Any) -> Item:
    """An item of the catalogue."""
    number = next(_number)
    values: dict[str, Any] = {
        "source": "test",
        "source_id": str(number),
        "category": "생활용품",
        "name": f"휴지 {number}롤",
        "unit": "롤",
        "updated_at": tx.now,
    }
    item = Item(**values | changes)
    tx.session.add(item)
    await tx.session.flush()
    return item


async def make_party(
    tx: Transaction,
    leader: User | None = None,
    market: Market | None = None,
    item: Item | None = None,
    **changes: Any,
) -> PartyView:
    """An open AUTO party of four for 30 units, tomorrow from now on for an hour, opened by its real verb."""
    leader_id: UUID = (leader or await make_user(tx)).id
    starts_at = changes.pop("starts_at", tx.now + timedelta(days=1))
    draft: dict[str, Any] = {
        "market_id": (market or await make_market(tx)).id,
        "item_id": (item or await make_item(tx)).id,
        "item_count": 30,
        "item_unit": "롤",
        "capacity": 4,
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=1),
        "approval": Approval.AUTO,
    }
    return await parties.create_party(tx, leader_id, parties.PartyDraft(**draft | changes))
