"""One picked job, performed: the handler and the acknowledgement in one transaction."""

import asyncio
import logging
import random
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import DomainError
from resolvers import job_rows
from resolvers.job_rows import Claim
from resolvers.jobs import ClaimLost, kind_of
from resolvers.transaction import Transactions, Unavailable

log = logging.getLogger("gonggu.jobs")

FIRST_PAUSE_S, GROWTH, LONGEST_PAUSE_S = 5.0, 3.0, 3600.0
GIVE_BACK_WITHIN_S = 2.0


class Outcome(StrEnum):
    """How one attempt at a job has ended."""

    DONE = "done"
    #: It raised, and waits for its next attempt.
    FAILED = "failed"
    #: It was tried as often as it may be.
    DEAD = "dead"
    #: It was not ours any more at the end, so nothing has happened.
    LOST = "lost"
    #: The database could not be told how it ended. It is picked again when it shows no sign of life.
    UNKNOWN = "unknown"


class Refused(Exception):
    """A rule of the domain has refused what a job wanted to do."""


async def perform(transactions: Transactions, claim: Claim) -> Outcome:
    """Run a picked job's handler. Either its effect is committed and its row gone, or neither is.

    Canceled, it gives the job back without counting the pick.
    """
    kind = kind_of(claim.name)
    if claim.attempts > kind.attempts:
        return await _bury(transactions, claim, f"The process ended {kind.attempts} times while it ran.")
    try:
        async with asyncio.timeout(kind.within_s), transactions.write(claim) as tx:
            try:
                await kind.perform(tx, claim.payload)
            except DomainError as refusal:
                # Nothing that a refusal would keep is kept: the next attempt starts from the same rows.
                raise Refused(f"{type(refusal).__name__}: {refusal}") from refusal
            # Last, so that the row of the job is locked after the rows of its domain, as everywhere else.
            await tx.jobs.acknowledge()
    except ClaimLost:
        log.info("The job %s %s was taken from us while it ran; nothing has happened", claim.name, claim.key)
        return Outcome.LOST
    except asyncio.CancelledError:
        async with asyncio.timeout(GIVE_BACK_WITHIN_S):
            await _tell(transactions, lambda connection: job_rows.give_back(connection, claim), Outcome.LOST)
        raise
    except Exception as problem:
        if claim.attempts >= kind.attempts:
            log.exception("The job %s %s is dead after %d attempts", claim.name, claim.key, claim.attempts)
            return await _bury(transactions, claim, _describe(problem))
        log.warning(
            "The job %s %s failed for the %d. time", claim.name, claim.key, claim.attempts, exc_info=True
        )
        when = transactions.clock() + pause_after(claim.attempts)
        error = _describe(problem)
        return await _tell(
            transactions, lambda connection: job_rows.retry(connection, claim, when, error), Outcome.FAILED
        )
    return Outcome.DONE


def pause_after(attempts: int) -> timedelta:
    """How long a job waits after so many attempts: 5 s, 15 s, 45 s, … 1 h, less up to half by chance."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * GROWTH ** (attempts - 1))
    return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing


async def _bury(transactions: Transactions, claim: Claim, error: str) -> Outcome:
    return await _tell(transactions, lambda connection: job_rows.bury(connection, claim, error), Outcome.DEAD)


async def _tell(
    transactions: Transactions, change: Callable[[AsyncConnection], Awaitable[bool]], outcome: Outcome
) -> Outcome:
    try:
        async with transactions.write() as tx:
            is_ours = await change(await tx.session.connection())
    except (Unavailable, SQLAlchemyError, OSError):
        log.warning("How a job ended could not be written; it will be picked again", exc_info=True)
        return Outcome.UNKNOWN
    return outcome if is_ours else Outcome.LOST


def _describe(problem: Exception) -> str:
    """What it was, then where: the innermost places, without the values of variables."""
    if isinstance(problem, Unavailable) and isinstance(problem.__cause__, Exception):
        problem = problem.__cause__
    frames = "".join(traceback.format_tb(problem.__traceback__, limit=-6))
    return f"{type(problem).__name__}: {str(problem)[:500]}\n{frames}"
