"""What is in deploy/ fits what it starts."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from app.cli import app as commands
from app.settings import ROOT, Settings
from app.transport.limits import TransportLimits

DEPLOY = ROOT / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"), key=lambda path: path.name)
REQUESTS_END_WITHIN_S = 10
"""What app.serve gives to uvicorn."""


def service(path: Path) -> dict[str, str]:
    """The options of a unit; their names in lower case."""
    unit = ConfigParser(interpolation=None, strict=False)
    unit.read_string(path.read_text("utf-8"))
    return dict(unit["Service"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_there_is(path: Path):
    arguments = service(path)["execstart"].split()
    assert arguments[1:3] == ["-m", "app"]
    assert arguments[3] in [command.name for command in commands.registered_commands]


def test_a_server_is_not_killed_while_it_drains():
    drain_s: float = Settings.model_fields["drain_s"].default
    to_the_last_s = drain_s + 3 * TransportLimits().close_s + REQUESTS_END_WITHIN_S
    assert int(service(DEPLOY / "gonggu-server@.service")["timeoutstopsec"]) > to_the_last_s


def check(haproxy: str, **variables: str) -> None:
    """See that HAProxy takes the configuration without complaint."""
    checked = subprocess.run(
        [haproxy, "-c", "-f", DEPLOY / "haproxy.cfg"],
        env={"GONGGU_UNPRIVILEGED": "yes", "GONGGU_MAXCONN": "100", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "[WARNING]" not in checked.stderr


def test_haproxy_takes_the_configuration(haproxy: str):
    check(haproxy)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
def test_haproxy_takes_the_configuration_with_a_certificate(haproxy: str, tmp_path: Path):
    key, public, both = (tmp_path / name for name in ("key.pem", "public.pem", "both.pem"))
    request = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", key, "-out", public]
    subprocess.run(["openssl", "req", *request], capture_output=True, timeout=30, check=True)
    both.write_bytes(public.read_bytes() + key.read_bytes())
    check(haproxy, GONGGU_CERTIFICATE=str(both))


def test_a_silent_stream_or_socket_is_not_cut_off_by_the_proxy():
    limits, seconds = TransportLimits(), {"s": 1, "m": 60}
    timeouts = {
        name: int(number) * seconds[unit]
        for name, number, unit in re.findall(
            r"^ +timeout (\S+) +(\d+)([sm])$", (DEPLOY / "haproxy.cfg").read_text("utf-8"), re.MULTILINE
        )
    }
    for name in ("client", "server"):
        assert timeouts[name] > 2 * limits.keep_alive_s
        assert timeouts[name] > limits.execution_s
    assert timeouts["tunnel"] > limits.ping_every_s + limits.pong_within_s
