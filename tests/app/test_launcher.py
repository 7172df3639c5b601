"""The launcher, copied into a directory with empty locks, so that installing needs no network."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).resolve().parents[2] / "gonggu"
WITHIN_S = 120.0

# Runs the launcher as a Python would that differs from ours in what the first line says.
AS_ANOTHER_PYTHON = """
import runpy, sys
{difference}
sys.argv = ["gonggu", "demo"]
runpy.run_path({launcher!r}, run_name="__main__")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that echoes how it was called."""
    root = tmp_path / "with a space"
    (root / "app").mkdir(parents=True)
    shutil.copy2(LAUNCHER, root / "gonggu")
    (root / "requirements.lock").touch()
    (root / "requirements-dev.lock").touch()
    echo = 'import os, sys; print("app" if __package__ else "pytest", sys.argv[1:], os.getcwd())'
    (root / "app" / "__main__.py").write_text(echo)
    (root / "pytest.py").write_text(echo)
    return root


def start(project: Path, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    # No uv and no HOME; compiled files are allowed, to see where they go.
    return subprocess.Popen(
        [sys.executable, project / "gonggu", *arguments],
        cwd=cwd or project,
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gonggu(project: Path, *arguments: str, cwd: Path | None = None) -> tuple[str, str]:
    """What a successful call writes to its two outputs."""
    with start(project, *arguments, cwd=cwd) as process:
        output, messages = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, messages
    return output, messages


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_it_explains_itself_before_anything_is_installed(project: Path, arguments: tuple[str, ...]):
    output, messages = gonggu(project, *arguments)
    assert output.startswith("Usage: ./gonggu COMMAND")
    assert messages == ""
    assert not (project / ".venv").exists()


def test_an_old_python_says_in_one_line_that_it_is_too_old(project: Path):
    done = run_as(project, "sys.version_info = (3, 6, 15)")
    assert done.returncode == 1
    assert done.stderr == "Gonggu needs Python 3.11 or newer; this is 3.6. Try: python3.11 gonggu\n"


def test_an_old_python_gets_as_far_as_saying_so():
    ast.parse(LAUNCHER.read_text(), feature_version=(3, 6))


def test_a_python_without_pip_names_the_package_to_install(project: Path):
    done = run_as(project, "sys.modules['ensurepip'] = sys.modules['pip'] = None")
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def run_as(project: Path, difference: str) -> subprocess.CompletedProcess[str]:
    script = AS_ANOTHER_PYTHON.format(difference=difference, launcher=str(project / "gonggu"))
    return subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_the_first_call_installs_and_the_next_goes_straight_to_the_program(project: Path, tmp_path: Path):
    output, messages = gonggu(project, "demo", "--port", "1", cwd=tmp_path)
    assert output == f"app ['demo', '--port', '1'] {project}\n"
    assert "making .venv" in messages
    assert "installing requirements.lock" in messages
    assert gonggu(project, "demo", cwd=tmp_path) == (f"app ['demo'] {project}\n", "")
    compiled = {path.relative_to(project).parts[0] for path in project.rglob("*.pyc")}
    assert compiled <= {".venv"}


def test_tests_run_with_the_development_packages(project: Path):
    output, messages = gonggu(project, "test", "-k", "some")
    assert output == f"pytest ['-k', 'some'] {project}\n"
    assert "installing requirements-dev.lock" in messages
    # They include what the program needs.
    assert gonggu(project, "demo") == (f"app ['demo'] {project}\n", "")


def test_a_changed_lock_is_installed(project: Path):
    gonggu(project, "setup")
    (project / "requirements.lock").write_text("# changed\n")
    _, messages = gonggu(project, "demo")
    assert "making .venv" not in messages
    assert "installing requirements.lock" in messages


def test_an_interrupted_installation_is_begun_anew(project: Path):
    gonggu(project, "setup")
    (project / ".venv" / "gonggu-unfinished").touch()
    half_written = project / ".venv" / "half-written"
    half_written.touch()
    _, messages = gonggu(project, "demo")
    assert "did not finish" in messages
    assert not half_written.exists()


def test_an_environment_whose_python_was_removed_is_made_again(project: Path):
    gonggu(project, "setup")
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    output, messages = gonggu(project, "demo")
    assert "making .venv" in messages
    assert output.startswith("app")


def test_a_failing_installation_shows_why_and_is_tried_again(project: Path):
    (project / "requirements.lock").write_text("--no-index\nunheard-of==1\n")
    for _ in range(2):
        with start(project, "demo") as process:
            output, messages = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 1
        assert output == ""
        assert "unheard-of" in messages


def test_of_two_first_calls_one_installs_and_the_other_waits(project: Path):
    with start(project, "demo", "a") as first, start(project, "demo", "b") as second:
        heard = [process.communicate(timeout=WITHIN_S) for process in (first, second)]
    assert sorted(output for output, _ in heard) == [f"app ['demo', '{name}'] {project}\n" for name in "ab"]
    assert sum("installed in" in messages for _, messages in heard) == 1


def give_web_files(project: Path, program: str) -> None:
    (project / "web" / "graphiql").mkdir(parents=True, exist_ok=True)
    (project / "web" / "graphiql" / "package-lock.json").write_text("{}")
    (project / "app" / "web_files.py").write_text(program)


def test_the_files_of_graphiql_are_fetched_once_for_each_lock(project: Path):
    give_web_files(project, "open('fetched', 'a').write('x')")
    for _ in range(2):
        gonggu(project, "demo")
    assert (project / "fetched").read_text() == "x"
    (project / "web" / "graphiql" / "package-lock.json").write_text("[]")
    gonggu(project, "demo")
    assert (project / "fetched").read_text() == "xx"


def test_without_the_files_of_graphiql_the_server_starts_all_the_same(project: Path):
    give_web_files(project, "import sys; sys.exit('no network')")
    output, messages = gonggu(project, "demo")
    assert output.startswith("app ['demo']")
    assert "no GraphiQL" in messages
    assert "(no network)" in messages
    assert gonggu(project, "demo")[1] == ""
    assert "no GraphiQL" in gonggu(project, "setup")[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions stop everybody but root")
def test_what_another_user_installed_is_refused_with_advice(project: Path):
    gonggu(project, "setup")
    (project / "requirements.lock").write_text("# changed\n")
    (project / ".venv").chmod(0o500)
    with start(project, "demo") as process:
        _, messages = process.communicate(timeout=WITHIN_S)
    (project / ".venv").chmod(0o700)
    assert process.returncode == 1
    assert "Another user made it" in messages
