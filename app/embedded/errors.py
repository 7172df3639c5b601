"""What can keep the embedded servers from starting. Each message says what to do."""

from dataclasses import dataclass
from pathlib import Path

USE_OWN_SERVERS = "Or set DATABASE_URL and REDIS_URL to servers of your own."


class EmbeddedServersError(Exception):
    """The embedded PostgreSQL and Valkey can't be used."""


@dataclass(eq=False)
class BinariesMissing(EmbeddedServersError):
    """A program that we would start isn't there."""

    program: str
    looked_in: Path | None = None

    def __str__(self) -> str:
        where = f" in {self.looked_in}" if self.looked_in else ""
        return (
            f"There is no {self.program}{where}. Install the locked dependencies (./gonggu setup). "
            f"{USE_OWN_SERVERS}"
        )


class PlatformUnsupported(EmbeddedServersError):
    """Nobody publishes the programs for this operating system."""

    def __str__(self) -> str:
        return (
            "The embedded servers run on Linux and macOS. "
            "Here, set DATABASE_URL (PostgreSQL 15 or newer) and REDIS_URL (Redis 7 or Valkey 8 or newer)."
        )


@dataclass(eq=False)
class DataFromOtherVersion(EmbeddedServersError):
    """PostgreSQL reads only what its own major version wrote."""

    pgdata: Path
    written_by: str
    ours: str

    def __str__(self) -> str:
        return (
            f"{self.pgdata} was written by PostgreSQL {self.written_by}, and ours is {self.ours}. "
            f"To keep the data, dump them with version {self.written_by} (pg_dumpall), remove the directory "
            f"and load them into the new one; to start afresh, just remove it. {USE_OWN_SERVERS}"
        )


@dataclass(eq=False)
class DataNotOurs(EmbeddedServersError):
    """The files belong to somebody else, or somebody else's server has them open."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path} can't be used: {self.reason} {USE_OWN_SERVERS}"


@dataclass(eq=False)
class ServerDidNotStart(EmbeddedServersError):
    """A server, or the wait for somebody else's start, ended without an answer."""

    reason: str
    log_tail: str = ""

    def __str__(self) -> str:
        tail = f"\n{self.log_tail}" if self.log_tail else ""
        return f"{self.reason} {USE_OWN_SERVERS}{tail}"
