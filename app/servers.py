"""The two servers that Gonggu stands on: those that are named, or the embedded pair."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from redis.exceptions import RedisError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from app.cache import make_redis
from app.database import make_engine, migrate, pending_migrations
from app.embedded.servers import embedded_servers
from app.settings import Settings

log = logging.getLogger("gonggu")


class NotReady(Exception):
    """The server can't start; the text says why and what to do."""


@contextmanager
def running_servers(settings: Settings) -> Generator[Settings, None, None]:
    """The settings with both addresses in them; what had to be started stops at the end.

    Raises:
        EmbeddedServersError
    """
    if settings.database_url is not None and settings.redis_url is not None:
        yield settings
        return
    if settings.database_url is None:
        # Whoever runs without a database of their own has a key of this folder as well.
        settings = settings.model_copy(update={"secret_key": settings.signing_key()})
    with embedded_servers(settings.data_dir) as pair:
        addresses = {
            "database_url": settings.database_url or pair.database_url,
            "redis_url": settings.redis_url or pair.redis_url,
        }
        yield settings.model_copy(update=addresses)


def check_servers(settings: Settings, *, migrate_first: bool) -> None:
    """See that the database answers and has its tables; say so when Redis does not answer.

    Redis only makes it fast: a server that starts while it is away serves, and is not ready until it is back.

    Raises:
        NotReady
    """
    asyncio.run(_check_database(settings, migrate_first=migrate_first))
    asyncio.run(_check_redis(settings))


async def _check_database(settings: Settings, *, migrate_first: bool) -> None:
    url = settings.database_url or ""
    engine = make_engine(url, connect_within_s=settings.database_wait_s)
    try:
        if migrate_first:
            await migrate(engine)
        pending = await pending_migrations(engine)
    except (OSError, DBAPIError) as problem:
        place = make_url(url).render_as_string(hide_password=True)
        reason = (
            str(getattr(problem, "orig", problem)).splitlines()[0] if str(problem) else type(problem).__name__
        )
        raise NotReady(
            f"PostgreSQL at {place} can't be used: {reason}. Start it, or set DATABASE_URL."
        ) from problem
    finally:
        await engine.dispose()
    if pending:
        raise NotReady(f"The database lacks migrations ({', '.join(pending)}). Run: python -m app migrate")


async def _check_redis(settings: Settings) -> None:
    url = settings.redis_url or ""
    redis = make_redis(url, wait_s=settings.redis_wait_s)
    try:
        await redis.ping()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves **kwargs untyped
    except (RedisError, OSError) as problem:
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        log.warning("Redis at %s can't be used: %s. Until it answers, nothing comes live.", place, problem)
    finally:
        await redis.aclose()
