"""When nobody may believe what Redis says of penalties, because a change could not be announced there.

PostgreSQL keeps it, for every process: the sequence `penalty_doubts` holds the end of the newest doubt, in
milliseconds since 1970 by the clock of the database. A sequence shows what it was set to at once, before the
transaction that has set it commits, and keeps it also when that fails.
"""

import asyncio
import logging
import time
from typing import NoReturn

from sqlalchemy import text

from resolvers.penalty_tempo import Tempo
from resolvers.transaction import Transaction, Transactions

log = logging.getLogger(__name__)

_LOOKS_WITHIN_BELIEF = 4
_MARGIN = 1.1
"""The clocks of two machines do not run at quite the same speed."""

_LOOK = text("""
    SELECT last_value, last_value <= 1000 * extract(epoch FROM clock_timestamp()) FROM penalty_doubts
""")
_RAISE = text("""
    WITH before AS MATERIALIZED (
        SELECT last_value, (1000 * extract(epoch FROM clock_timestamp()))::bigint AS now FROM penalty_doubts
    )
    SELECT last_value, now, setval('penalty_doubts', greatest(now + :life, last_value + 1)) FROM before
""")


class Doubts:
    """Looks for doubts, so that others need not ask; and raises one."""

    def __init__(self, transactions: Transactions, tempo: Tempo) -> None:
        self._transactions = transactions
        self._tempo = tempo
        self._seen: int | None = None
        self._seen_at = 0.0

    @property
    def last(self) -> int | None:
        """The doubt that is over, which what is written to Redis bears. None: do not believe Redis now.

        Whoever raises a doubt commits only when every look from before it is too old for this.
        """
        if time.monotonic() - self._seen_at >= self._tempo.believe_s:
            return None
        return self._seen

    async def look_for_ever(self) -> NoReturn:
        """Look again and again. As long as that fails, Redis is not believed."""
        while True:
            try:
                await self._look()
            except Exception as problem:
                log.warning("Redis is not asked for penalties: %s: %s", type(problem).__name__, problem)
            await asyncio.sleep(self._tempo.believe_s / _LOOKS_WITHIN_BELIEF)

    async def raise_one(self, tx: Transaction) -> None:
        """Let nobody believe Redis until this transaction must have ended; nor later what it held before."""
        life_ms, believe_ms = int(1000 * self._tempo.life_s), 1000 * self._tempo.believe_s * _MARGIN
        before, now, until = (await tx.session.execute(_RAISE, {"life": life_ms})).one()
        self._seen = None
        log.warning("Penalties are counted in the database alone for %.1f s", (until - now) / 1000)
        # Where everybody knows of a doubt that goes on without a pause, nobody needs to be waited for.
        if not now + believe_ms < before <= now + life_ms - believe_ms:
            await asyncio.sleep(believe_ms / 1000)

    async def _look(self) -> None:
        started = time.monotonic()
        async with asyncio.timeout(self._tempo.believe_s), self._transactions.read() as tx:
            last, is_over = (await tx.session.execute(_LOOK)).one()
        self._seen, self._seen_at = (last if is_over else None), started
