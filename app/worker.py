"""Background work: what has to happen without anybody asking for it."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from resolvers.transaction import Transactions, Unavailable
from resolvers.users import forget_sessions

log = logging.getLogger("gonggu.worker")

EVERY_S = 3600.0
KEPT_AFTER_END = timedelta(days=30)


async def work(transactions: Transactions) -> None:
    """Once an hour drop the sessions that ended a month ago. Runs until it is cancelled.

    Any number of processes may do it at once: what one has dropped is not there for the next.
    """
    while True:
        try:
            async with transactions.write() as tx:
                dropped = await forget_sessions(tx, ended_before=tx.now - KEPT_AFTER_END)
        except (Unavailable, SQLAlchemyError) as problem:
            log.warning("Old sessions stay for another hour: %s", problem)
        else:
            if dropped:
                log.info("Dropped %d old sessions", dropped)
        await asyncio.sleep(EVERY_S)
