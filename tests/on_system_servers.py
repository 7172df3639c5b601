"""Runs pytest on the system's PostgreSQL and Redis: `python -m tests.on_system_servers [arguments]`.

They are started for this run alone, in a directory that is gone afterwards and on sockets in it. Servers
that the machine runs itself are left alone.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from app.embedded.binaries import Binaries, find
from app.embedded.servers import embedded_servers

INSTALLATIONS = Path("/usr/lib/postgresql")
"""Where Debian keeps them: one folder for each major version."""
OLDEST = 15


def system_binaries() -> Binaries:
    """The oldest PostgreSQL here that we support, and a Redis."""
    installed = (path for path in INSTALLATIONS.glob("*") if path.name.isdecimal())
    versions = sorted(int(path.name) for path in installed if (path / "bin" / "initdb").exists())
    supported = [version for version in versions if version >= OLDEST]
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    if not supported or redis is None:
        sys.exit(f"Install PostgreSQL {OLDEST} or newer and Redis: apt install postgresql redis-server")
    return find(INSTALLATIONS / str(supported[0]) / "bin", Path(redis))


def main(arguments: list[str]) -> int:
    """Run pytest; its code is ours."""
    binaries = system_binaries()
    with (
        tempfile.TemporaryDirectory(prefix="gonggu-system-") as directory,
        embedded_servers(Path(directory) / "data", binaries, durable=False) as pair,
    ):
        os.environ["TEST_DATABASE_URL"] = pair.database_url
        os.environ["TEST_REDIS_URL"] = pair.redis_url
        sys.stdout.write(f"PostgreSQL {binaries.pg_major()} and {binaries.valkey_server}\n")
        return int(pytest.main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
