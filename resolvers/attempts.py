"""Attempts at a password: so many wrong ones a minute for an account, and from an address; then none.

Redis counts for all processes. Where it does not answer, each process goes on counting for itself: people
still sign in, and whoever guesses gets as many attempts again from each process.
"""

import asyncio
import hashlib
import hmac
import logging
import math
import secrets
import unicodedata
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network, ip_address
from weakref import WeakValueDictionary

from redis.asyncio import Redis
from redis.exceptions import RedisError

from models.errors import TooManyAttempts
from models.text import comparable

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 0.25
"""So long Redis is waited for."""
REST_S = 1.0
"""So long it is left alone after it did not answer: not everybody in a row shall wait for it."""
MOST_REMEMBERED = 10_000
"""Accounts and addresses that one process counts for itself."""

# Counts an attempt under every key, or under none; answers with the milliseconds to wait, 0 when counted.
# A refused attempt is not counted: who keeps trying is let in again all the same.
_TAKE = """
local now, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local wait = 0
for _, key in ipairs(KEYS) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    local last_free = redis.call('ZRANGE', key, -most, -most, 'WITHSCORES')
    if last_free[2] then wait = math.max(wait, tonumber(last_free[2]) + window - now) end
end
if wait == 0 then
    for _, key in ipairs(KEYS) do
        redis.call('ZADD', key, now, ARGV[4])
        redis.call('PEXPIRE', key, window)
    end
end
return math.min(wait, window)
"""

# The first key is the account's.
_FORGIVE = """
redis.call('DEL', KEYS[1])
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[1]) end
return 0
"""


class Attempts:
    """Counts attempts at passwords over a sliding window, in one place for all processes."""

    def __init__(
        self, redis: Redis, secret: str, *, most: int = 10, window: timedelta = timedelta(minutes=1)
    ) -> None:
        """Take the means to count.

        Args:
            redis: Where it is counted.
            secret: Keeps e-mail addresses out of Redis: they can't be guessed from the keys without it.
            most: Failures within the window that an account may have, and an address.
            window: How long a failure counts.
        """
        self._redis = redis
        self._secret = secret.encode()
        self._most = most
        self._window_ms = int(window.total_seconds() * 1000)
        self._rests_until = -math.inf
        self._memory = _Memory(most, self._window_ms)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def attempt(self, email: str, address: str | None, now: datetime) -> AsyncGenerator[None, None]:
        """Look at a password inside: what is raised there leaves a failure behind.

        It is counted before the password is looked at, so that many at once are no way around it. When the
        block ends well, the account has no failures any more, and the address is as it was before.

        From one address it is one at a time: whoever waits learns how the one before ended. So a crowd behind
        one address is refused for its failures alone. An address of None is not counted.

        Raises:
            TooManyAttempts
        """
        keys = [self._key("account", _folded(email))]
        if address is not None:
            keys.append(self._key("address", _network(address)))
        token, now_ms = secrets.token_hex(8), int(now.timestamp() * 1000)
        async with self._turns.setdefault(keys[-1], asyncio.Lock()):
            wait_ms = await self._ask(_TAKE, keys, now_ms, self._window_ms, self._most, token)
            is_in_redis = wait_ms is not None
            if wait_ms is None:
                wait_ms = self._memory.take(keys, now_ms, token)
            if wait_ms > 0:
                raise TooManyAttempts(math.ceil(wait_ms / 1000))
            yield
            if is_in_redis:
                await self._ask(_FORGIVE, keys, token)
            else:
                self._memory.forgive(keys, token)

    async def _ask(self, script: str, keys: Sequence[str], *arguments: str | int) -> int | None:
        """Run a script; None where Redis does not answer in time."""
        clock = asyncio.get_running_loop().time
        if clock() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                # Sent in full each time: a Redis that was started anew knows no scripts.
                return int(await self._redis.eval(script, len(keys), *keys, *arguments))
        except (RedisError, OSError) as problem:  # among them TimeoutError
            self._rests_until = clock() + REST_S
            log.warning("Redis did not count an attempt to sign in; this process does: %r", problem)
            return None

    def _key(self, kind: str, name: str) -> str:
        digest = hmac.new(self._secret, f"attempts:{kind}:{name}".encode(), hashlib.sha256)
        return f"attempts:{kind}:{digest.hexdigest()[:32]}"


class _Memory:
    """What the scripts do, for one process."""

    def __init__(self, most: int, window_ms: int) -> None:
        self._most = most
        self._window_ms = window_ms
        #: When each attempt was made by its token, in milliseconds; the key used last is the last one.
        self._counted: dict[str, dict[str, int]] = {}

    def take(self, keys: Sequence[str], now_ms: int, token: str) -> int:
        wait_ms = 0
        for key in keys:
            times = self._counted.pop(key, {})
            self._counted[key] = {each: at for each, at in times.items() if at > now_ms - self._window_ms}
            if len(self._counted[key]) >= self._most:
                last_free = sorted(self._counted[key].values())[-self._most]
                wait_ms = max(wait_ms, last_free + self._window_ms - now_ms)
        if wait_ms == 0:
            for key in keys:
                self._counted[key][token] = now_ms
        while len(self._counted) > MOST_REMEMBERED:
            del self._counted[next(iter(self._counted))]
        return min(wait_ms, self._window_ms)

    def forgive(self, keys: Sequence[str], token: str) -> None:
        self._counted.pop(keys[0], None)
        for key in keys[1:]:
            self._counted.get(key, {}).pop(token, None)


def _folded(email: str) -> str:
    """Coarser than the database compares: no other spelling of an address has attempts of its own."""
    # Longer than any account's, and cut before it is taken apart: one letter can become eighteen.
    letters = unicodedata.normalize("NFKD", comparable(email)[:255].casefold()).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _network(address: str) -> str:
    """An IPv4 address itself; the network of an IPv6 address, of which one customer has them all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
