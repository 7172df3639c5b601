"""Things found by their ids, as far as the viewer may see them."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from schema.chat import ChatMessage, chat_of
from schema.context import Info
from schema.items import Item
from schema.markets import Market
from schema.memberships import Membership, may_see
from schema.nodes import Node
from schema.notifications import Notification
from schema.parties import Party
from schema.penalties import Objection, Penalty, objection_seen, penalty_seen
from schema.users import User

Find = Callable[[Info, UUID], Awaitable[Node | None]]


async def find_item(info: Info, key: UUID) -> Node | None:
    """For everybody."""
    view = await info.context.loaders.item.load(key)
    return Item.of(view) if view else None


async def find_market(info: Info, key: UUID) -> Node | None:
    """For everybody."""
    view = await info.context.loaders.market.load(key)
    return Market.of(view) if view else None


async def find_user(info: Info, key: UUID) -> Node | None:
    """For everybody."""
    view = await info.context.loaders.user.load(key)
    return User.of(view) if view else None


async def find_party(info: Info, key: UUID) -> Node | None:
    """For everybody."""
    view = await info.context.loaders.party.load(key)
    return Party.of(view) if view else None


async def find_membership(info: Info, key: UUID) -> Node | None:
    """Applicants are between them and the leader."""
    view = await info.context.loaders.membership.load(key)
    party = await info.context.loaders.party.load(view.party_id) if view else None
    if view is None or party is None or not may_see(info, view, party.leader.id):
        return None
    return Membership.of(view)


async def find_chat(info: Info, key: UUID) -> Node | None:
    """For accepted members."""
    return await chat_of(info, key)


async def find_message(info: Info, key: UUID) -> Node | None:
    """For accepted members."""
    view = await info.context.loaders.message.load(key)
    if view is None or await chat_of(info, view.party_id) is None:
        return None
    return ChatMessage.of(view)


async def find_notification(info: Info, key: UUID) -> Node | None:
    """For its receiver."""
    view = await info.context.loaders.notification.load(key)
    return Notification.of(view) if view else None


async def find_penalty(info: Info, key: UUID) -> Node | None:
    """Between who got it, who gave it, and the administrators."""
    view = await penalty_seen(info, key)
    return Penalty.of(view) if view else None


async def find_objection(info: Info, key: UUID) -> Node | None:
    """Between who made it and the administrators."""
    view = await objection_seen(info, await info.context.loaders.objection.load(key))
    return Objection.of(view) if view else None


FINDERS: dict[str, Find] = {
    "Chat": find_chat,
    "ChatMessage": find_message,
    "Item": find_item,
    "Market": find_market,
    "Membership": find_membership,
    "Notification": find_notification,
    "Objection": find_objection,
    "Party": find_party,
    "Penalty": find_penalty,
    "User": find_user,
}
"""By the kind that an id names."""
