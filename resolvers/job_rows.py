"""Jobs as rows of PgQueuer's table: the statements that write, pick, hold and end them.

Times of jobs come from the caller's clock, so that a handler never runs before its time by the clock it is
given. Heartbeats alone are by the database's, because several machines compare them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from resolvers.sql import run

CHANNEL = "ch_pgqueuer"
"""Where PgQueuer's trigger tells of new rows, when their transaction commits."""

MOST_ERROR_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Claim:
    """A picked job. It is its owner's while the row has the same owner and the same number of picks."""

    id: int
    name: str
    key: str
    owner: UUID
    #: How often it was picked, this time included.
    attempts: int
    due: datetime
    payload: bytes


def identity(name: str, key: str) -> str:
    """What two live jobs can't share. JSON, because every separator may be part of a name or a key."""
    return json.dumps([name, key], ensure_ascii=False)


def key_of(identity: str) -> str:
    """The key in it."""
    return json.loads(identity)[1]


async def write(
    connection: AsyncConnection, name: str, key: str, when: datetime, payload: bytes, *, replace: bool
) -> None:
    """Write a job. A live one of this name and key is moved and taken from its worker, or left as it is."""
    conflict = "NOTHING"
    if replace:
        conflict = """UPDATE SET execute_after = EXCLUDED.execute_after, payload = EXCLUDED.payload,
            status = 'queued', attempts = 0, queue_manager_id = NULL, headers = NULL, updated = now()"""
    await run(
        connection,
        f"""
        WITH written AS (
            INSERT INTO jobs.pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, status)
            VALUES (0, $1, $2, $3, $4, 'queued')
            ON CONFLICT (dedupe_key)
                WHERE status IN ('queued', 'picked') AND dedupe_key IS NOT NULL DO {conflict}
            RETURNING id, entrypoint, priority
        )
        INSERT INTO jobs.pgqueuer_log (job_id, status, entrypoint, priority)
        SELECT id, 'queued', entrypoint, priority FROM written
        """,  # noqa: S608 - the one part is a constant of this function
        name,
        payload,
        when,
        identity(name, key),
    )


async def cancel(connection: AsyncConnection, name: str, key: str) -> None:
    """Delete every row of this name and key. A worker that runs it finds nothing to acknowledge."""
    await run(
        connection,
        """
        WITH gone AS (DELETE FROM jobs.pgqueuer WHERE dedupe_key = $1 RETURNING id, entrypoint, priority)
        INSERT INTO jobs.pgqueuer_log (job_id, status, entrypoint, priority)
        SELECT id, 'canceled', entrypoint, priority FROM gone
        """,
        identity(name, key),
    )


async def claim(
    connection: AsyncConnection,
    names: Sequence[str],
    owner: UUID,
    now: datetime,
    *,
    limit: int,
    stale_after_s: float,
) -> list[Claim]:
    """Pick jobs whose time has come, earliest first, and those whose worker shows no sign of life.

    A pick is counted when it is made: a job that kills its worker raises nothing that could be counted later.
    Names that this process doesn't know are left to one that does.
    """
    rows = await run(
        connection,
        """
        WITH due AS (
            SELECT id FROM jobs.pgqueuer
            WHERE status = 'queued' AND execute_after <= $3 AND entrypoint = ANY($1)
            ORDER BY execute_after, id LIMIT $4 FOR UPDATE SKIP LOCKED
        ), stale AS (
            SELECT id FROM jobs.pgqueuer
            WHERE status = 'picked' AND heartbeat < clock_timestamp() - make_interval(secs => $5)
                AND entrypoint = ANY($1)
            ORDER BY heartbeat LIMIT $4 FOR UPDATE SKIP LOCKED
        ), picked AS (
            UPDATE jobs.pgqueuer AS job
            SET status = 'picked', attempts = attempts + 1, queue_manager_id = $2,
                heartbeat = clock_timestamp(), updated = now()
            FROM (SELECT id FROM stale UNION ALL SELECT id FROM due LIMIT $4) AS eligible
            WHERE job.id = eligible.id
            RETURNING job.*
        ), logged AS (
            INSERT INTO jobs.pgqueuer_log (job_id, status, entrypoint, priority)
            SELECT id, 'picked', entrypoint, priority FROM picked
        )
        SELECT id, entrypoint, dedupe_key, attempts, execute_after, payload FROM picked
        ORDER BY execute_after, id
        """,
        list(names),
        owner,
        now,
        limit,
        float(stale_after_s),
    )
    return [
        Claim(id, name, key_of(dedupe_key), owner, attempts, due, payload)
        for id, name, dedupe_key, attempts, due, payload in rows
    ]


async def next_due(connection: AsyncConnection, names: Sequence[str]) -> datetime | None:
    """The earliest time of a waiting job, be it past or future."""
    rows = await run(
        connection,
        """
        SELECT execute_after FROM jobs.pgqueuer WHERE status = 'queued' AND entrypoint = ANY($1)
        ORDER BY execute_after, id LIMIT 1
        """,
        list(names),
    )
    return rows[0][0] if rows else None


async def beat(connection: AsyncConnection, owner: UUID, ids: Sequence[int]) -> None:
    """Show a sign of life. Rows that somebody has locked are passed over: they can't be picked either."""
    await run(
        connection,
        """
        UPDATE jobs.pgqueuer SET heartbeat = clock_timestamp() WHERE id IN (
            SELECT id FROM jobs.pgqueuer WHERE id = ANY($1) AND queue_manager_id = $2 AND status = 'picked'
            FOR UPDATE SKIP LOCKED)
        """,
        list(ids),
        owner,
    )


async def acknowledge(connection: AsyncConnection, claim: Claim) -> bool:
    """Delete the row, if it is still ours. Until the commit nobody else can take it."""
    return await _end(connection, claim, "DELETE FROM jobs.pgqueuer AS job", "successful")


async def retry(connection: AsyncConnection, claim: Claim, when: datetime, error: str) -> bool:
    """Have the job tried again at that time, if it is still ours."""
    return await _end(
        connection,
        claim,
        """UPDATE jobs.pgqueuer AS job SET status = 'queued', execute_after = $4, queue_manager_id = NULL,
            updated = now(), headers = jsonb_build_object('error', $5::text)""",
        "exception",
        when,
        error[:MOST_ERROR_CHARACTERS],
    )


async def bury(connection: AsyncConnection, claim: Claim, error: str) -> bool:
    """Hold the job as dead, with what ended it, if it is still ours."""
    return await _end(
        connection,
        claim,
        """UPDATE jobs.pgqueuer AS job SET status = 'failed', queue_manager_id = NULL, updated = now(),
            headers = jsonb_build_object('error', $4::text)""",
        "failed",
        error[:MOST_ERROR_CHARACTERS],
    )


async def give_back(connection: AsyncConnection, claim: Claim) -> bool:
    """Undo a pick that came to nothing through no fault of the job: its worker stops."""
    is_ours = await _end(
        connection,
        claim,
        """UPDATE jobs.pgqueuer AS job SET status = 'queued', queue_manager_id = NULL, updated = now(),
            attempts = attempts - 1""",
        "queued",
    )
    await wake(connection)
    return is_ours


async def wake(connection: AsyncConnection) -> None:
    """Have every worker look: the trigger tells of rows that are new, not of those that change."""
    await run(
        connection,
        """
        SELECT pg_notify($1, json_build_object('channel', $1::text, 'operation', 'update', 'sent_at', now(),
            'table', 'pgqueuer', 'type', 'table_changed_event')::text)
        """,
        CHANNEL,
    )


async def _end(connection: AsyncConnection, claim: Claim, change: str, logged: str, *values: object) -> bool:
    rows = await run(
        connection,
        f"""
        WITH ended AS (
            {change} WHERE job.id = $1 AND job.queue_manager_id = $2 AND job.attempts = $3
                AND job.status = 'picked' RETURNING job.id, job.entrypoint, job.priority
        ), logged AS (
            INSERT INTO jobs.pgqueuer_log (job_id, status, entrypoint, priority)
            SELECT id, '{logged}', entrypoint, priority FROM ended
        )
        SELECT id FROM ended
        """,  # noqa: S608 - the parts are constants of this module
        claim.id,
        claim.owner,
        claim.attempts,
        *values,
    )
    return bool(rows)
