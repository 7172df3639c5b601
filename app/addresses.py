"""Where a request comes from: the peer, or whom a proxy of ours says that it speaks for."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(connection: HTTPConnection, trusted: Sequence[Network]) -> str | None:
    """The address that attempts are counted for; None when the peer has none.

    Anybody can write X-Forwarded-For. Each proxy adds its own peer on the right, so it is read from there, as
    far as those who wrote it are trusted.
    """
    if connection.client is None:
        return None
    nearest = _parsed(connection.client.host)
    if nearest is None:
        return connection.client.host or None
    hops = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    while hops and any(nearest in network for network in trusted):
        before = _parsed(hops.pop())
        if before is None:
            break  # a proxy that writes no address vouches for nobody but itself
        nearest = before
    return str(nearest)


def _parsed(written: str) -> Address | None:
    """An address as proxies write them: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1]:80."""
    written = written.strip()
    if written.startswith("["):
        written = written[1:].partition("]")[0]
    elif written.count(":") == 1:
        written = written.partition(":")[0]
    try:
        address = ip_address(written)
    except ValueError:
        return None
    # A socket that listens on both versions shows version 4 like this.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
