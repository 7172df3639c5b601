"""How many penalties of a person count now: from Redis where it can be believed, else from the database.

Every read that begins after a change was committed counts the change, whatever Redis does. A writer blocks
the person's entry before it commits. If Redis doesn't confirm that, it raises a doubt in the database, which
makes every process leave Redis alone before the change is committed. See docs/adr/0014.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Self, TypeAlias
from uuid import UUID, uuid4

from redis.asyncio import Redis

from resolvers.penalty_cache import Ends, Lease, PenaltyCache, Silent, in_microseconds
from resolvers.penalty_doubts import Doubts
from resolvers.penalty_tempo import Tempo
from resolvers.penalty_turns import Turn, Turns
from resolvers.transaction import Transaction, Transactions
from subscriptions.tasks import end

log = logging.getLogger(__name__)

Expiries: TypeAlias = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Sequence[datetime]]]]
"""Reads when each person's penalties end that are neither revoked nor over, in one statement."""

_Answer: TypeAlias = "Ends | Turn[Ends] | Turn[_Answer]"
"""What is known of a person, or who is being asked."""

_READS_AT_ONCE = 8
_STATEMENTS_AT_ONCE = 2
_FILLS_AT_ONCE = 8


class PenaltyCounts:
    """One per process: `async with PenaltyCounts(redis, expiries, transactions) as counts`."""

    def __init__(
        self, redis: Redis, expiries: Expiries, transactions: Transactions, *, tempo: Tempo | None = None
    ) -> None:
        tempo = tempo or Tempo()
        self._expiries = expiries
        self._clock = transactions.clock
        self._look_again_after_s = tempo.look_again_after_s
        self._cache = PenaltyCache(redis, tempo)
        self._doubts = Doubts(transactions, tempo)
        self._known = Turns(self._look, turns=_READS_AT_ONCE, within_s=tempo.rows_within_s)
        self._again = Turns(self._look_again, turns=_READS_AT_ONCE, within_s=tempo.rows_within_s)
        self._rows = Turns(self._read, turns=_STATEMENTS_AT_ONCE, within_s=tempo.rows_within_s)
        # What may be filled in when it was read.
        self._leases: dict[UUID, Lease] = {}
        self._filling = set[asyncio.Task[None]]()
        self._looking: asyncio.Task[None] | None = None
        #: What has happened since the start, by name, for metrics.
        self.counts = Counter[str]()

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._doubts.look_for_ever(), name="penalties look for doubts")
        return self

    async def __aexit__(self, *_: object) -> None:
        for turns in (self._known, self._again, self._rows):
            await turns.close()
        await end([*self._filling, *([self._looking] if self._looking else ())])

    async def of(self, user_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many penalties of each of these count now.

        Raises:
            Unavailable: neither Redis nor the database answers.
        """
        answers = await self._known.of(user_ids)
        ends: dict[UUID, Ends] = {}
        for user_id, answer in answers.items():
            while isinstance(answer, Turn):
                answer = (await answer.result())[user_id]
            ends[user_id] = answer
        now = in_microseconds(self._clock())
        return {user_id: sum(each > now for each in some) for user_id, some in ends.items()}

    def change(self, tx: Transaction, user_id: UUID) -> None:
        """Say that the transaction changes a person's penalties, as every one that does has to.

        Its commit takes two seconds longer while Redis doesn't answer.
        """
        token = uuid4().hex
        tx.beforehand.append(partial(self._block, tx, user_id, token))
        tx.afterwards.append(partial(self._release, user_id, token))

    async def _block(self, tx: Transaction, user_id: UUID, token: str) -> None:
        """Let nobody keep what was read before the commit. Ends by itself when nobody releases it."""
        try:
            await self._cache.block(user_id, token)
            self.counts["blocks"] += 1
        except Silent as problem:
            log.warning("A penalty changes while Redis is away: %s", problem)
            self.counts["doubts"] += 1
            await self._doubts.raise_one(tx)

    async def _release(self, user_id: UUID, token: str) -> None:
        """What is read from now on may be kept."""
        try:
            await self._cache.release(user_id, token)
        except Silent as problem:
            log.info("A penalty count is not cached for a while: %s", problem)

    async def _look(self, ids: Sequence[UUID]) -> Mapping[UUID, _Answer]:
        return await self._ask(ids, self._again)

    async def _look_again(self, ids: Sequence[UUID]) -> Mapping[UUID, _Answer]:
        await asyncio.sleep(self._look_again_after_s)
        return await self._ask(ids, self._rows)

    async def _ask(self, ids: Sequence[UUID], busy: "Turns[_Answer] | Turns[Ends]") -> Mapping[UUID, _Answer]:
        """Ask Redis, and have the database asked at once for what it doesn't know.

        `busy` is to be asked for those whom somebody else is about to fill in.
        """
        doubt = self._doubts.last
        try:
            found = None if doubt is None else await self._cache.read(ids, doubt)
        except Silent as problem:
            log.debug("Penalties are counted in the database: %s", problem)
            found = None
        if found is None:
            self.counts["fallbacks"] += len(ids)
            return dict.fromkeys(ids, self._rows.join(ids))
        self.counts["hits"] += len(found.ends)
        self.counts["misses"] += len(ids) - len(found.ends)
        self._leases.update(dict.fromkeys(found.leased, found.lease))
        answers: dict[UUID, _Answer] = {**found.ends}
        if found.busy:
            answers.update(dict.fromkeys(found.busy, busy.join(found.busy)))
        if to_read := [each for each in ids if each not in answers]:
            answers.update(dict.fromkeys(to_read, self._rows.join(to_read)))
        return answers

    async def _read(self, ids: Sequence[UUID]) -> Mapping[UUID, Ends]:
        """Ask the database; fill in what we have leases for from before."""
        leases = {each: lease for each in ids if (lease := self._leases.pop(each, None)) is not None}
        rows = await self._expiries(ids)
        ends = {each: tuple(sorted(map(in_microseconds, rows.get(each, ())))) for each in ids}
        by_lease: dict[Lease, dict[UUID, Ends]] = {}
        for user_id, lease in leases.items():
            by_lease.setdefault(lease, {})[user_id] = ends[user_id]
        for lease, some in by_lease.items():
            self._fill(lease, some)
        return ends

    def _fill(self, lease: Lease, ends: Mapping[UUID, Ends]) -> None:
        """Fill in what was read while its readers go on."""
        if len(self._filling) < _FILLS_AT_ONCE:
            task = asyncio.create_task(self._filled(lease, ends), name="penalties fill in")
            self._filling.add(task)
            task.add_done_callback(self._filling.discard)

    async def _filled(self, lease: Lease, ends: Mapping[UUID, Ends]) -> None:
        try:
            filled = await self._cache.fill(lease, ends)
        except Silent as problem:
            log.debug("Penalties are not cached: %s", problem)
            filled = 0
        self.counts["fills"] += filled
        self.counts["refused_fills"] += len(ends) - filled
