"""The connection to Redis."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

RedisClient = Redis


def make_redis(url: str, *, wait_s: float = 2, connections: int = 50) -> RedisClient:
    """A pool of connections to Redis. Timeouts, retries and pool are set here, not left to the library.

    A lost connection is tried again twice within a fraction of a second; a slow answer is not waited for.
    """
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url,
        decode_responses=False,
        socket_timeout=wait_s,
        socket_connect_timeout=wait_s,
        max_connections=connections,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 2),
        retry_on_error=[RedisConnectionError],
        health_check_interval=15,
    )
