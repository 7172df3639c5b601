"""The composition root: every part made from the settings and put together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from graphql import GraphQLError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.auth import ContextMaker
from app.cache import RedisClient, make_redis
from app.database import make_engine
from app.graphiql import graphiql_routes
from app.health import Health, answers, pings
from app.live import LiveEvents, make_live_events
from app.metrics import metrics_route
from app.relay import Relay
from app.settings import ROOT, Settings
from app.transport.context import OperationContext
from app.transport.documents import Documents
from app.transport.endpoint import GraphQLEndpoint
from app.transport.executor import EventExecutor
from app.transport.limits import TransportLimits
from resolvers.attempts import Attempts
from resolvers.live import LiveReads
from resolvers.passwords import Passwords
from resolvers.sessions import Keys
from resolvers.tokens import TokenIssuer
from resolvers.transaction import Clock, Publish, Transactions, left_to_the_relay
from schema.context import Context
from schema.faults import format_error
from schema.limits import QueryLimits
from schema.root import make_schema
from subscriptions.broadcaster import backend_for
from subscriptions.hub import Hub


def utc_now() -> datetime:
    """The clock of the real world."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Parts:
    """What the process shares: made once, closed at the end."""

    settings: Settings
    engine: AsyncEngine
    redis: RedisClient
    transactions: Transactions
    keys: Keys
    events: LiveEvents

    async def close(self) -> None:
        """Let go of every connection and thread."""
        self.keys.passwords.close()
        await self.redis.aclose()
        await self.engine.dispose()


def make_parts(settings: Settings, clock: Clock = utc_now, passwords: Passwords | None = None) -> Parts:
    """Open nothing yet: connections are made when they are needed.

    `settings` names both servers: `app.servers` starts the embedded ones where they are not set.
    """
    if settings.database_url is None or settings.redis_url is None:
        raise ValueError("the addresses of both servers must be known by now")
    engine = make_engine(
        settings.database_url, pool_size=settings.database_pool, connect_within_s=settings.database_wait_s
    )
    redis, secret = make_redis(settings.redis_url, wait_s=settings.redis_wait_s), settings.signing_key()
    transactions, events = _with_live_events(settings, engine, redis, clock)
    return Parts(
        settings=settings,
        engine=engine,
        redis=redis,
        transactions=transactions,
        events=events,
        keys=Keys(
            passwords or Passwords(),
            TokenIssuer(secret, settings.access_lifetime, settings.refresh_lifetime),
            Attempts(redis, secret, most=settings.sign_in_attempts),
        ),
    )


def transactions_on(
    engine: AsyncEngine, clock: Clock = utc_now, publish: Publish = left_to_the_relay
) -> Transactions:
    """The means to open transactions on a pool of connections."""
    reading = engine.execution_options(isolation_level="AUTOCOMMIT")
    return Transactions(
        async_sessionmaker(engine, expire_on_commit=False),
        async_sessionmaker(reading, expire_on_commit=False),
        clock,
        publish,
    )


def _with_live_events(
    settings: Settings, engine: AsyncEngine, redis: RedisClient, clock: Clock
) -> tuple[Transactions, LiveEvents]:
    """Transactions publish through the hub, which asks the database through transactions of its own."""
    reading = transactions_on(engine, clock)
    relay = Relay(reading, takes=settings.jobs == "internal")
    backend = backend_for(str(settings.redis_url))
    hub = Hub(backend, heads=LiveReads(reading).heads, published=relay.published)
    transactions = transactions_on(engine, clock, hub.publish)
    return transactions, make_live_events(hub, relay, transactions, redis)


@dataclass(frozen=True)
class Application:
    """What a server runs, and how it is told that its server is about to stop."""

    asgi: Starlette
    #: Not ready any more, no new sockets, and the old ones closed over some seconds.
    drain: Callable[[], Awaitable[None]]


def make_app(parts: Parts) -> Application:
    """GraphQL on `/graphql`, its explorer on `/graphiql`, health on `/livez` and `/readyz`."""
    settings = parts.settings
    documents = Documents(
        max_tokens=settings.max_tokens, max_length=settings.max_characters, limits=query_limits(settings)
    )
    endpoint = GraphQLEndpoint(
        make_schema(documents.extension, execution_context_class=EventExecutor),
        ContextMaker(parts.transactions, parts.keys, parts.events.live, settings.trusted_proxies),
        _limits(settings),
        format_error=_format,
        allowed_origins=settings.allowed_origins,
        now=parts.transactions.clock,
        ide_path="/graphiql",
    )
    health = Health({"database": answers(parts.engine), "redis": pings(parts.redis)})

    async def drain() -> None:
        health.is_draining = True
        await endpoint.drain(settings.drain_s)

    routes: list[BaseRoute] = [
        Route("/", RedirectResponse("/graphiql")),
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", endpoint),
        *health.routes(),
        metrics_route(parts.events, lambda: endpoint.open_sockets + endpoint.open_streams),
        *graphiql_routes(ROOT / "web" / "dist" / "graphiql"),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "accept-language", "last-event-id"],
        max_age=7200,
    )
    return Application(Starlette(routes=routes, middleware=[cors] if settings.allowed_origins else []), drain)


def _limits(settings: Settings) -> TransportLimits:
    return TransportLimits(
        max_body_bytes=settings.max_body_bytes,
        max_json_depth=settings.max_json_depth,
        max_message_bytes=settings.max_message_bytes,
        max_subscriptions=settings.max_subscriptions,
        max_streams=settings.max_streams,
        keep_alive_s=settings.keep_alive_s,
        execution_s=settings.execution_s,
        connection_init_s=settings.connection_init_s,
        ping_every_s=settings.ping_every_s,
        pong_within_s=settings.pong_within_s,
    )


def query_limits(settings: Settings) -> QueryLimits:
    """How much a document may ask for, by the settings."""
    return QueryLimits(
        max_operations=settings.max_operations,
        max_depth=settings.max_depth,
        max_aliases=settings.max_aliases,
        max_directives=settings.max_directives,
        max_root_fields=settings.max_root_fields,
        max_fields=settings.max_fields,
        max_repeats=settings.max_repeats,
        max_cost=settings.max_cost,
    )


def _format(error: GraphQLError, context: OperationContext | None) -> dict[str, object]:
    return format_error(error, context.language if isinstance(context, Context) else "ko")
