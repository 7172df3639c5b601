from ipaddress import ip_network

import pytest
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from app.addresses import client_address
from app.settings import Settings
from app.transport.limits import TransportLimits
from app.transport.server import uvicorn_options

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:f::/48"))


def seen(peer: str | None, *forwarded: str) -> str | None:
    """The address of whoever a peer says that it speaks for."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    client = None if peer is None else (peer, 4711)
    return client_address(HTTPConnection({"type": "http", "headers": headers, "client": client}), TRUSTED)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        # Whoever is not a proxy of ours may write what they like.
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9, 10.0.0.2 ,10.0.0.3"], "203.0.113.9"),
        # Everybody in the row is trusted: whoever began it.
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [",,,"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:51234"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::7]:51234"], "2001:db8::7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("2001:db8:f::1", ["2001:DB8::0007"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("testclient", ["198.51.100.7"], "testclient"),
        ("", [], None),
        (None, ["198.51.100.7"], None),
    ],
)
def test_a_forwarded_address_counts_as_far_as_those_who_wrote_it_are_trusted(
    peer: str | None, forwarded: list[str], expected: str | None
):
    assert seen(peer, *forwarded) == expected


def test_uvicorn_leaves_the_peer_as_it_is():
    # It would believe whatever runs on this machine.
    assert uvicorn_options(TransportLimits()).get("proxy_headers") is False


def test_proxies_are_addresses_or_networks_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GONGGU_TRUSTED_PROXIES", " 10.0.0.0/8, 192.0.2.1 ,2001:db8::/32,")
    assert [str(each) for each in Settings().trusted_proxies] == [
        "10.0.0.0/8",
        "192.0.2.1/32",
        "2001:db8::/32",
    ]
    monkeypatch.setenv("GONGGU_TRUSTED_PROXIES", "proxy.internal")
    with pytest.raises(ValidationError, match=r"'proxy\.internal' does not .* such as 10\.0\.0\.0/8"):
        Settings()
