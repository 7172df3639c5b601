"""Jobs in tests: time is moved, not waited for."""

from typing import NamedTuple
from uuid import uuid4

from app.performing import Outcome, perform
from resolvers import job_rows
from resolvers.jobs import kinds
from resolvers.transaction import Transactions


class Ran(NamedTuple):
    """One attempt at a job."""

    name: str
    key: str
    outcome: Outcome


async def run_due(transactions: Transactions) -> list[Ran]:
    """Perform every job whose time has come by the transactions' clock, earliest first, until none is due.

    Picked and performed by what the worker uses; what they start is performed as well, if it is due.
    """
    owner, ran = uuid4(), list[Ran]()
    while True:
        async with transactions.write() as tx:
            connection = await tx.session.connection()
            claims = await job_rows.claim(connection, kinds(), owner, tx.now, limit=1, stale_after_s=30)
        if not claims:
            return ran
        ran.append(Ran(claims[0].name, claims[0].key, await perform(transactions, claims[0])))
