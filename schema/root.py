"""The schema: every domain's fields put together."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import strawberry
from graphql import GraphQLError
from graphql.execution import Executor
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext

from schema import ids
from schema.chat import Chat, ChatMessage
from schema.chat_verbs import ChatMutation, ChatSubscription
from schema.context import Info
from schema.errors import HANDLERS
from schema.items import Item, ItemMutation, ItemQuery
from schema.lookup import FINDERS
from schema.markets import Market, MarketMutation, MarketQuery
from schema.memberships import Membership, MembershipMutation
from schema.nearby import NearbyQuery
from schema.nodes import Node
from schema.notification_verbs import NotificationMutation, NotificationSubscription
from schema.notifications import Notification
from schema.parties import Party, PartyMutation, PartyQuery
from schema.party_changes import PartySubscription
from schema.penalties import Objection, Penalty
from schema.penalty_verbs import PenaltyMutation, PenaltyQuery
from schema.scalars import DateTime
from schema.users import User, UserMutation
from schema.viewer import ViewerMutation, ViewerQuery


@strawberry.type
class NodeQuery:
    """Fields of Query that belong to no domain."""

    @strawberry.field(description="Anything with an id; null when it is gone, or not for the viewer.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Node | None:
        """Ask the domain that the id names."""
        kind, key = ids.split(id)
        return await FINDERS[kind](info, key) if kind in FINDERS else None

    @strawberry.field(description="What time the server has: a client's clock may be wrong.")
    async def server_time(self, info: Info) -> datetime:
        """The clock of the transactions."""
        return info.context.transactions.clock()


Query: Any = merge_types(
    "Query", (ViewerQuery, NodeQuery, NearbyQuery, PartyQuery, ItemQuery, MarketQuery, PenaltyQuery)
)
Mutation: Any = merge_types(
    "Mutation",
    (
        UserMutation,
        ViewerMutation,
        ItemMutation,
        MarketMutation,
        PartyMutation,
        MembershipMutation,
        ChatMutation,
        NotificationMutation,
        PenaltyMutation,
    ),
)
Subscription: Any = merge_types(
    "Subscription", (ChatSubscription, NotificationSubscription, PartySubscription)
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
        subscription=Subscription,
        types=[
            Chat,
            ChatMessage,
            Item,
            Market,
            Membership,
            Notification,
            Objection,
            Party,
            Penalty,
            User,
        ],
        exception_handlers=HANDLERS,
        extensions=extensions,
        execution_context_class=execution_context_class,
        config=StrawberryConfig(scalar_map={datetime: DateTime}),
    )
