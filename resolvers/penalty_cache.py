"""What Redis holds of a person's penalties: one key, and in it one of three things.

    E<tag>:<ends>     an entry: when the penalties that count end, in microseconds since 1970
    L<token>          a lease: its holder reads the database and may fill in what it finds
    B <token> …       a block: these writers are about to commit, or died; nobody fills, nobody leases

So a change takes an entry away and ends a lease in the same moment, and nobody can fill in what was read
before. The tag says under which memory of Redis, and after which doubt, an entry was made; others are not
believed. Redis has a new memory when its process is another (started anew, with or without its data; another
one took over) or when the key that says so is gone. It may have forgotten blocks then, so it serves nobody
until every transaction that may have had one has ended.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID, uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from resolvers.penalty_tempo import Tempo
from subscriptions.breaker import Breaker
from subscriptions.broadcaster import PREFIX
from subscriptions.tasks import unswallowed

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
Ends: TypeAlias = Sequence[int]
"""When somebody's penalties end, in microseconds since 1970."""

_FAILURES = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Answers with the tag, then for each person the ends, or 0: leased to us, 1: leased to another, 2: blocked.
# With nothing while the memory of Redis is too young.
_READ = """
local doubt, lease, lease_ms, life_ms = ARGV[1], 'L' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local memory = table.remove(KEYS, 1)
local since = redis.call('GET', memory)
if not since or string.sub(since, 1, #run + 1) ~= run .. '.' then
    since = run .. '.' .. string.format('%.0f', now_ms)
    redis.call('SET', memory, since)
end
if now_ms - tonumber(string.sub(since, #run + 2)) < life_ms then return {} end
local tag = 'E' .. string.sub(since, -22) .. '.' .. doubt .. ':'
local answer = {tag}
for i, held in ipairs(redis.call('MGET', unpack(KEYS))) do
    local kind = held and string.sub(held, 1, 1)
    if kind == 'E' and string.sub(held, 1, #tag) == tag then
        answer[i + 1] = string.sub(held, #tag + 1)
    elseif kind == 'B' then
        answer[i + 1] = 2
    elseif kind == 'L' and held ~= lease then
        answer[i + 1] = 1
    else
        redis.call('SET', KEYS[i], lease, 'PX', lease_ms)
        answer[i + 1] = 0
    end
end
return answer
"""

# Answers with how many were filled in.
_FILL = """
local lease, kept_ms, filled = 'L' .. ARGV[1], ARGV[2], 0
for i, key in ipairs(KEYS) do
    if redis.call('GET', key) == lease then
        redis.call('SET', key, ARGV[i + 2], 'PX', kept_ms)
        filled = filled + 1
    end
end
return filled
"""

# Perhaps sent twice: a token stands there once.
_BLOCK = """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, 1) ~= 'B' then held = 'B' end
if not string.find(held, ARGV[1], 1, true) then held = held .. ' ' .. ARGV[1] end
redis.call('SET', KEYS[1], held, 'PX', ARGV[2])
return 1
"""

# A block that is not there any more may have let something in that is not right any more.
_RELEASE = """
local held = redis.call('GET', KEYS[1])
if not held then return 0 end
if string.sub(held, 1, 1) ~= 'B' then return redis.call('DEL', KEYS[1]) end
held = string.gsub(held, ' ' .. ARGV[1], '')
if held == 'B' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], held, 'KEEPTTL')
return 0
"""


class Silent(Exception):
    """Redis did not do what it was asked for within the time; it may do it later."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Allows what is read from the database from now on to be filled in."""

    tag: bytes
    token: str


@dataclass(frozen=True, slots=True)
class Found:
    """What Redis says of some people. Of the others the database has to be asked."""

    lease: Lease
    ends: Mapping[UUID, Ends]
    leased: Sequence[UUID]
    #: Leased to others.
    busy: Sequence[UUID]


class PenaltyCache:
    """Asks Redis, within a short time, and not for a while when it was silent."""

    def __init__(self, redis: Redis, tempo: Tempo) -> None:
        self._redis = redis
        self._tempo = tempo
        self._breaker = Breaker(_FAILURES, tempo.rest_s)

    async def read(self, ids: Sequence[UUID], doubt: int) -> Found | None:
        """What is known of these, in one round trip, which takes the leases of what is missing.

        None while Redis is too young to be believed.

        Raises:
            Silent
        """
        keys = [_MEMORY, *map(_key, ids)]
        token = uuid4().hex
        tempo = self._tempo
        answer = cast(
            list[Any], await self._run(_READ, keys, doubt, token, _ms(tempo.lease_s), _ms(tempo.life_s))
        )
        if not answer:
            return None
        ends: dict[UUID, Ends] = {}
        leased: tuple[list[UUID], list[UUID], list[UUID]] = ([], [], [])
        for user_id, held in zip(ids, answer[1:], strict=True):
            if isinstance(held, int):
                leased[held].append(user_id)
            else:
                ends[user_id] = tuple(map(int, held.split())) if held else ()
        return Found(Lease(answer[0], token), ends, leased[0], leased[1])

    async def fill(self, lease: Lease, ends: Mapping[UUID, Ends]) -> int:
        """Put in what was read after the lease was taken, where it still holds; how many that were.

        Raises:
            Silent
        """
        values = [lease.tag + b" ".join(b"%d" % each for each in some) for some in ends.values()]
        keys = list(map(_key, ends))
        return int(await self._run(_FILL, keys, lease.token, _ms(self._tempo.kept_s), *values))

    async def block(self, user_id: UUID, token: str) -> None:
        """Take away what is known, and let nobody fill in anything until the release.

        Raises:
            Silent
        """
        await self._run(_BLOCK, [_key(user_id)], token, _ms(self._tempo.life_s))

    async def release(self, user_id: UUID, token: str) -> None:
        """End one block; others stand.

        Raises:
            Silent
        """
        await self._run(_RELEASE, [_key(user_id)], token)

    async def _run(self, script: str, keys: Sequence[str], *arguments: str | int | bytes) -> Any:
        if not self._breaker.allows():
            raise Silent("Redis rests.")
        try:
            async with asyncio.timeout(self._tempo.answer_within_s):
                # Sent in full each time: a Redis that was started anew knows no scripts.
                command: Awaitable[Any] = self._redis.eval(script, len(keys), *keys, *arguments)  # pyright: ignore[reportArgumentType] - bytes are fine
                answer = await unswallowed(command)
        except (RedisError, OSError) as problem:  # among them TimeoutError
            self._breaker.failed()
            raise Silent(f"{type(problem).__name__}: {problem}") from problem
        self._breaker.succeeded()
        return answer


_MEMORY = f"{PREFIX}penalties"


def _key(user_id: UUID) -> str:
    return f"{PREFIX}penalties:{user_id}"


def _ms(seconds: float) -> int:
    return int(1000 * seconds)


def in_microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
