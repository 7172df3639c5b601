"""What holds for the repository as a whole, and would otherwise be found out late."""

import importlib.util
import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import models  # noqa: F401 - importing the rows fills the metadata  # pyright: ignore[reportUnusedImport]
from app.settings import ROOT
from models.base import Row

PACKAGES = ("app", "schema", "resolvers", "importers", "subscriptions", "models", "tests")
LONGEST_FILE = 400

# Written in parts: this file is looked at as well.
REGISTRIES = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
            ("jsdelivr", "net"),
            ("unpkg", "com"),
            ("ghcr", "io"),
        ]
    )
)
PLACES_OF_ONE_MACHINE = re.compile(
    rf"""(?<![\w.$}}~/-])/(?:{"|".join(["home", "Users", "work", "workspace", "mnt"])})/\w"""
)


def _ignored() -> set[str]:
    lines = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    return {".git", *(line.rstrip("/") for line in lines)}


def _files(folder: Path = ROOT, ignored: frozenset[str] = frozenset(_ignored())) -> list[Path]:
    """What is committed, or would be. Without git, which a copy of the project may lack."""
    files: list[Path] = []
    for path in sorted(folder.iterdir()):
        if {path.name, str(path.relative_to(ROOT))} & ignored or path.suffix == ".pyc" or path.is_symlink():
            continue
        files += _files(path) if path.is_dir() else [path]
    return files


FILES = _files()


def _mentions(pattern: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for path in FILES:
        text = path.read_bytes().decode(errors="replace")
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_or_module_has_the_name_of_a_package_of_ours(package: str):
    assert package not in sys.stdlib_module_names
    assert set(packages_distributions().get(package, [])) <= {"gonggu"}
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin == str(ROOT / package / "__init__.py")


def test_imports_point_downwards(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    code = lint_imports("pyproject.toml", no_cache=True, no_logo=True)
    assert code == 0, capsys.readouterr().out


def test_no_file_names_the_host_of_a_registry():
    assert _mentions(REGISTRIES) == []


def test_no_file_names_a_place_that_only_one_machine_has():
    assert _mentions(PLACES_OF_ONE_MACHINE) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
def test_a_lock_of_python_packages_pins_hashes_and_names_no_address(lock: str):
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert "index-url" not in text
    for requirement in re.split(r"\n(?=\w)", text.strip()):
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_locks_of_npm_packages_pin_hashes_and_name_no_address():
    locks = [path for path in FILES if path.name == "package-lock.json"]
    assert locks
    for lock in locks:
        packages: dict[str, dict[str, object]] = json.loads(lock.read_text("utf-8"))["packages"]
        for name, package in packages.items():
            assert "resolved" not in package, f"{lock}: {name}"
            assert "integrity" in package or name == "", f"{lock}: {name}"


def test_no_file_of_python_is_too_long_to_have_one_noun():
    sources = [path for path in FILES if path.suffix == ".py" or path.name == "gonggu"]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in sources
        if path.parent.name != "versions"
    }
    assert {name: lines for name, lines in lengths.items() if lines >= LONGEST_FILE} == {}


def test_every_table_has_its_word_in_the_glossary():
    glossary = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    explained = {
        name for row in glossary.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[-1])
    }
    assert set(Row.metadata.tables) == explained


def test_the_glossary_has_each_word_once_in_order_and_in_both_languages():
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    words = [row[0] for row in rows]
    assert words == sorted(set(words))
    assert [row[0] for row in rows if not re.search("[가-힣]", row[1])] == []
