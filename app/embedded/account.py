"""Who runs the servers.

PostgreSQL refuses to be run by root. Root therefore hands it to an account without rights, which may not
be able to walk to our files: a project in /root lies behind a door that only root opens, and we don't open
it for others. Programs are then linked into a directory the account can walk to; the data stay in place,
reached through a descriptor that root opened (``/proc/self/fd/7``).
"""

import os
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.embedded.binaries import Binaries
from app.embedded.errors import DataNotOurs

if sys.platform != "win32":
    import pwd


@dataclass(frozen=True)
class Account:
    """A user and its group, by number."""

    uid: int
    gid: int

    def may_walk_to(self, path: Path) -> bool:
        """Whether every directory on the way, and the path itself if it is one, lets the account through."""
        path = path.resolve()
        return all(self._may_enter(place) for place in (path, *path.parents) if place.is_dir())

    def _may_enter(self, directory: Path) -> bool:
        about = directory.stat()
        if about.st_uid == self.uid:
            return bool(about.st_mode & 0o100)
        if about.st_gid == self.gid:
            return bool(about.st_mode & 0o010)
        return bool(about.st_mode & 0o001)


def for_data(pgdata: Path) -> Account | None:
    """The account that shall run the servers; None means as ourselves.

    An existing directory keeps its owner, so that a project of a normal user once started by root
    still belongs to that user.

    Raises:
        DataNotOurs
    """
    owner = pgdata.stat() if pgdata.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise DataNotOurs(pgdata, "it belongs to another user. Start as that user, or remove it.")
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    # initdb looks its user up, so it has to be an account that exists.
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of a path and of everything below it."""
    if account is None:
        return
    os.chown(path, account.uid, account.gid)
    for directory, subdirectories, files in os.walk(path):
        for name in (*subdirectories, *files):
            os.chown(Path(directory) / name, account.uid, account.gid, follow_symlinks=False)


@contextmanager
def address(directory: Path, account: Account | None) -> Generator[tuple[str, tuple[int, ...]]]:
    """How the account names a directory, and the descriptors it has to inherit for that.

    Raises:
        DataNotOurs
    """
    if account is None or account.may_walk_to(directory):
        yield str(directory), ()
        return
    if not Path("/proc/self/fd").is_dir():
        reason = f"PostgreSQL can't run as root, and user {account.uid} can't reach the directory."
        raise DataNotOurs(directory, f"{reason} Start as a normal user, or move the project.")
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def within_reach(binaries: Binaries, account: Account | None, stage: Path) -> Binaries:
    """The same programs, where the account can execute them: in place, or linked into ``stage``."""
    if account is None:
        return binaries
    pg_bin_dir, valkey_server = binaries.pg_bin_dir, binaries.valkey_server
    if not account.may_walk_to(pg_bin_dir):
        prefix = pg_bin_dir.parent
        trees = [prefix] if binaries.pg_libs is None else [prefix, binaries.pg_libs]
        # The programs find their libraries by a path relative to themselves: keep the distances.
        root = Path(os.path.commonpath([tree.parent for tree in trees]))
        for tree in trees:
            _link_tree(tree, stage / tree.relative_to(root))
        pg_bin_dir = stage / prefix.relative_to(root) / pg_bin_dir.name
    if not account.may_walk_to(valkey_server.parent):
        stage.mkdir(exist_ok=True)
        _link_or_copy(str(valkey_server), str(stage / valkey_server.name))
        valkey_server = stage / valkey_server.name
    return Binaries(pg_bin_dir, valkey_server)


def _link_tree(source: Path, target: Path) -> None:
    unneeded = shutil.ignore_patterns("*.a", "include", "pkgconfig", "pgxs", "doc", "man")
    shutil.copytree(source, target, symlinks=True, ignore=unneeded, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
