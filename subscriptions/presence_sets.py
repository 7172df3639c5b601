"""The sorted sets in Redis that say who is present in a chat, and who is typing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import TypeAlias, cast
from uuid import UUID

from redis.asyncio import Redis

from subscriptions.broadcaster import PREFIX
from subscriptions.tasks import unswallowed

Sets: TypeAlias = Mapping[str, Mapping[str, float]]
"""For how many seconds from now each member belongs to each set. No longer, with 0."""

_READS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PresenceState:
    """Who is in a chat. Each person once, in the order of their ids."""

    present: tuple[UUID, ...] = ()
    typing: tuple[UUID, ...] = ()


class PresenceSets:
    """Writes and reads them. Scores are when a member ends, in milliseconds since 1970 as Redis counts."""

    def __init__(self, redis: Redis, clock: Callable[[], datetime], within_s: float) -> None:
        """Every round trip, and the turn to make it, may take `within_s`."""
        self._redis = redis
        self._clock = clock
        self._within_s = within_s
        self._turn = asyncio.Semaphore(_READS_AT_ONCE)
        # What has to be added to our clock for the one of Redis, so that processes agree.
        self._ahead_ms = 0.0

    async def write(self, sets: Sets) -> None:
        """Bring sets up to date, in one round trip.

        Raises:
            TimeoutError, redis.exceptions.RedisError, OSError
        """
        async with asyncio.timeout(self._within_s), self._redis.pipeline(transaction=False) as pipeline:
            sent_ms = self._ours_ms()
            pipeline.time()  # pyright: ignore[reportUnknownMemberType]
            for key, members in sets.items():
                now = self._now_ms()
                pipeline.zremrangebyscore(key, "-inf", now)
                staying = {
                    member: now + int(1000 * lasts_s) for member, lasts_s in members.items() if lasts_s
                }
                if leaving := members.keys() - staying.keys():
                    pipeline.zrem(key, *leaving)
                if staying:
                    pipeline.zadd(key, staying)
                    pipeline.pexpire(key, max(staying.values()) - now)
            answers = await unswallowed(pipeline.execute())
            seconds, microseconds = answers[0]
        # Redis looked at its clock after we had sent, and before we had the answer: no more is known.
        redis_ms = 1000 * int(seconds) + int(microseconds) / 1000
        self._ahead_ms = min(max(self._ahead_ms, redis_ms - self._ours_ms()), redis_ms - sent_ms)

    async def read(self, party_id: UUID) -> tuple[PresenceState, float]:
        """Who is there, and the seconds until the first of them ends by itself.

        Raises:
            TimeoutError, redis.exceptions.RedisError, OSError
        """
        async with (
            asyncio.timeout(self._within_s),
            self._turn,
            self._redis.pipeline(transaction=False) as pipeline,
        ):
            now = self._now_ms()
            for key in (present_key(party_id), typing_key(party_id)):
                pipeline.zrange(key, f"({now}", "+inf", byscore=True, withscores=True)  # pyright: ignore[reportUnknownMemberType]
            present, typing = cast(list[list[tuple[bytes, float]]], await unswallowed(pipeline.execute()))
        first = min((score for _, score in (*present, *typing)), default=inf)
        return PresenceState(_people(present), _people(typing)), (first - now) / 1000

    def _ours_ms(self) -> float:
        return 1000 * self._clock().timestamp()

    def _now_ms(self) -> int:
        return int(self._ours_ms() + self._ahead_ms)


def present_key(party_id: UUID) -> str:
    """Whose members are "<user>:<process>"."""
    return f"{PREFIX}present:{party_id}"


def typing_key(party_id: UUID) -> str:
    """Whose members are users."""
    return f"{PREFIX}typing:{party_id}"


def _people(members: Iterable[tuple[bytes, float]]) -> tuple[UUID, ...]:
    """Those whom members of a set stand for: somebody, perhaps at one of several processes."""
    return tuple(sorted({UUID(member.decode().partition(":")[0]) for member, _ in members}))
