"""The schema: every domain's fields put together."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from graphql import GraphQLError
from graphql.execution import Executor
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext

from schema import ids
from schema.context import Info
from schema.errors import HANDLERS
from schema.items import Item, ItemMutation, ItemQuery
from schema.markets import Market, MarketMutation, MarketQuery
from schema.memberships import Membership, MembershipMutation, may_see
from schema.nearby import NearbyQuery
from schema.nodes import Node
from schema.parties import Party, PartyMutation, PartyQuery
from schema.scalars import DateTime
from schema.users import User, UserMutation
from schema.viewer import ViewerMutation, ViewerQuery


async def _item(info: Info, key: UUID) -> Node | None:
    view = await info.context.loaders.item.load(key)
    return Item.of(view) if view else None


async def _market(info: Info, key: UUID) -> Node | None:
    view = await info.context.loaders.market.load(key)
    return Market.of(view) if view else None


async def _user(info: Info, key: UUID) -> Node | None:
    view = await info.context.loaders.user.load(key)
    return User.of(view) if view else None


async def _party(info: Info, key: UUID) -> Node | None:
    view = await info.context.loaders.party.load(key)
    return Party.of(view) if view else None


async def _membership(info: Info, key: UUID) -> Node | None:
    view = await info.context.loaders.membership.load(key)
    party = await info.context.loaders.party.load(view.party_id) if view else None
    if view is None or party is None or not may_see(info, view, party.leader.id):
        return None
    return Membership.of(view)


_NODES: dict[str, Callable[[Info, UUID], Awaitable[Node | None]]] = {
    "Item": _item,
    "Market": _market,
    "Membership": _membership,
    "Party": _party,
    "User": _user,
}


@strawberry.type
class NodeQuery:
    """Fields of Query that belong to no domain."""

    @strawberry.field(description="Anything with an id; null when it is gone, or not for the viewer.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Node | None:
        """Ask the domain that the id names."""
        kind, key = ids.split(id)
        return await _NODES[kind](info, key) if kind in _NODES else None

    @strawberry.field(description="What time the server has: a client's clock may be wrong.")
    async def server_time(self, info: Info) -> datetime:
        """The clock of the transactions."""
        return info.context.transactions.clock()


Query: Any = merge_types("Query", (ViewerQuery, NodeQuery, NearbyQuery, PartyQuery, ItemQuery, MarketQuery))
Mutation: Any = merge_types(
    "Mutation",
    (UserMutation, ViewerMutation, ItemMutation, MarketMutation, PartyMutation, MembershipMutation),
)


class Schema(strawberry.Schema):
    """Strawberry's schema, silent: what goes wrong is told by `schema.faults`, once."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Leave it to whoever formats the errors: they know what is ours and what a client did."""


def make_schema(
    *extensions: Callable[[], SchemaExtension],
    execution_context_class: type[Executor[Any]] | None = None,
) -> Schema:
    """Build the schema. It keeps no state: one serves the whole process."""
    return Schema(
        query=Query,
        mutation=Mutation,
        types=[Item, Market, Membership, Party, User],
        exception_handlers=HANDLERS,
        extensions=extensions,
        execution_context_class=execution_context_class,
        config=StrawberryConfig(scalar_map={datetime: DateTime}),
    )
