"""What the clock sweeps up."""

from datetime import timedelta

from sqlalchemy import text

from resolvers.jobs import cron, job
from resolvers.notifications import forget_notifications
from resolvers.sessions import forget_sessions
from resolvers.transaction import Transaction

SESSIONS_KEPT = timedelta(days=30)
NOTIFICATIONS_KEPT = timedelta(days=180)
LOG_KEPT = timedelta(days=7)
STATISTICS_KEPT = timedelta(days=90)


@job("sessions.forget")
async def forget_old_sessions(tx: Transaction, key: str) -> None:
    """Drop sessions that ended a month ago."""
    await forget_sessions(tx, ended_before=tx.now - SESSIONS_KEPT)


@job("notifications.forget")
async def forget_old_notifications(tx: Transaction, key: str) -> None:
    """Drop what people were told half a year ago."""
    await forget_notifications(tx, created_before=tx.now - NOTIFICATIONS_KEPT)


@job("jobs.tidy")
async def tidy_jobs(tx: Transaction, key: str) -> None:
    """Add up PgQueuer's log in its statistics, drop lines older than a week and sums older than 90 days.

    At most 50,000 lines at a time: what is left is dropped an hour later.
    """
    await tx.session.execute(
        text("""
        WITH counted AS (
            UPDATE jobs.pgqueuer_log SET aggregated = TRUE WHERE id IN (
                SELECT id FROM jobs.pgqueuer_log WHERE NOT aggregated LIMIT 50000 FOR UPDATE SKIP LOCKED)
            RETURNING entrypoint, priority, status, date_trunc('sec', created) AS created
        )
        INSERT INTO jobs.pgqueuer_statistics (count, created, entrypoint, priority, status)
        SELECT count(*), created, entrypoint, priority, status FROM counted
        GROUP BY entrypoint, priority, status, created
        ON CONFLICT (priority, date_trunc('sec', timezone('UTC', created)), status, entrypoint)
            DO UPDATE SET count = pgqueuer_statistics.count + EXCLUDED.count
        """)
    )
    await tx.session.execute(
        text("""
        DELETE FROM jobs.pgqueuer_log WHERE id IN (
            SELECT id FROM jobs.pgqueuer_log WHERE created < :before AND aggregated
            ORDER BY created LIMIT 50000)
        """),
        {"before": tx.now - LOG_KEPT},
    )
    await tx.session.execute(
        text("DELETE FROM jobs.pgqueuer_statistics WHERE created < :before"),
        {"before": tx.now - STATISTICS_KEPT},
    )


cron("17 * * * *", "sessions.forget")
cron("27 * * * *", "notifications.forget")
cron("47 * * * *", "jobs.tidy")
