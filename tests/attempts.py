"""Attempts at a password, right and wrong ones."""

from datetime import UTC, datetime

from models.errors import TooManyAttempts, WrongCredentials
from resolvers.attempts import Attempts

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MANGO, HERE = "mango@example.com", "192.0.2.1"


async def fail(
    attempts: Attempts, email: str = MANGO, address: str | None = HERE, now: datetime = NOW
) -> int:
    """The seconds to wait that a wrong password is answered with; 0 when it was looked at."""
    try:
        async with attempts.attempt(email, address, now):
            raise WrongCredentials
    except TooManyAttempts as refusal:
        return refusal.retry_after_s
    except WrongCredentials:
        return 0


async def succeed(attempts: Attempts, email: str = MANGO, address: str | None = HERE) -> None:
    """A right password."""
    async with attempts.attempt(email, address, NOW):
        pass
