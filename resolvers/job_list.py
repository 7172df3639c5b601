"""Jobs as an operator sees them: which there are, and a hand on each."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from resolvers.job_rows import key_of, wake
from resolvers.transaction import Transaction


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    #: It raised, and waits for its next attempt.
    FAILED = "failed"
    #: It was tried as often as it may be; nothing happens until somebody retries or cancels it.
    DEAD = "dead"


CONDITIONS = {
    JobState.WAITING: "status = 'queued' AND headers->>'error' IS NULL",
    JobState.RUNNING: "status = 'picked'",
    JobState.FAILED: "status = 'queued' AND headers->>'error' IS NOT NULL",
    JobState.DEAD: "status = 'failed'",
}


class JobNotFound(Exception):
    """There is no such job, or it stands where this can't be done."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """One line of the list."""

    id: int
    state: JobState
    name: str
    key: str
    due: datetime
    attempts: int
    #: What ended the last attempt, with the places in the code.
    error: str | None


async def list_jobs(tx: Transaction, state: JobState | None, limit: int) -> list[JobLine]:
    """Jobs by their time, earliest first."""
    where = "TRUE" if state is None else CONDITIONS[state]
    states = " ".join(f"WHEN {condition} THEN '{state}'" for state, condition in CONDITIONS.items())
    rows = await _run(
        tx,
        f"""
        SELECT id, CASE {states} END, entrypoint, dedupe_key, execute_after, attempts, headers->>'error'
        FROM jobs.pgqueuer WHERE {where} AND dedupe_key IS NOT NULL
        ORDER BY execute_after, id LIMIT :limit
        """,  # noqa: S608 - the parts are constants of this module
        limit=limit,
    )
    return [
        JobLine(id, JobState(state), name, key_of(dedupe_key), due, attempts, error)
        for id, state, name, dedupe_key, due, attempts, error in rows
    ]


async def retry_job(tx: Transaction, job_id: int) -> None:
    """Have a failed or dead job tried now, as if for the first time.

    Raises:
        JobNotFound
    """
    try:
        rows = await _run(
            tx,
            f"""
            UPDATE jobs.pgqueuer SET status = 'queued', execute_after = :now, attempts = 0, headers = NULL
            WHERE id = :id AND ({CONDITIONS[JobState.FAILED]} OR {CONDITIONS[JobState.DEAD]}) RETURNING id
            """,  # noqa: S608 - the parts are constants of this module
            id=job_id,
            now=tx.now,
        )
    except IntegrityError as twin:
        raise JobNotFound(
            f"Job {job_id} can't be retried: a newer job of the same name and key is waiting or running. "
            f"Cancel this one: python -m app jobs cancel {job_id}"
        ) from twin
    if not rows:
        raise JobNotFound(f"There is no failed or dead job {job_id}.")
    await wake(await tx.session.connection())


async def retry_dead_jobs(tx: Transaction) -> int:
    """Have the newest dead job of each name and key tried now, where no newer one lives; say how many."""
    rows = await _run(
        tx,
        """
        UPDATE jobs.pgqueuer SET status = 'queued', execute_after = :now, attempts = 0, headers = NULL
        WHERE id IN (
            SELECT DISTINCT ON (dedupe_key) id FROM jobs.pgqueuer AS dead
            WHERE status = 'failed' AND NOT EXISTS (
                SELECT FROM jobs.pgqueuer AS twin
                WHERE twin.dedupe_key = dead.dedupe_key AND twin.status IN ('queued', 'picked'))
            ORDER BY dedupe_key, id DESC
        ) RETURNING id
        """,
        now=tx.now,
    )
    await wake(await tx.session.connection())
    return len(rows)


async def cancel_job(tx: Transaction, job_id: int) -> None:
    """Take a job away, wherever it stands; one that is running can't commit its effect any more.

    Raises:
        JobNotFound
    """
    rows = await _run(
        tx,
        """
        WITH gone AS (DELETE FROM jobs.pgqueuer WHERE id = :id RETURNING id, entrypoint, priority),
        logged AS (
            INSERT INTO jobs.pgqueuer_log (job_id, status, entrypoint, priority)
            SELECT id, 'canceled', entrypoint, priority FROM gone)
        SELECT id FROM gone
        """,
        id=job_id,
    )
    if not rows:
        raise JobNotFound(f"There is no job {job_id}.")


async def _run(tx: Transaction, statement: str, **values: object) -> list[Any]:
    return list((await tx.session.execute(text(statement), values)).all())
