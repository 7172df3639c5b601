"""The servers that `bench_live` compares, each in processes of its own on the same machine."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.benchmarks import peer
from tests.benchmarks.connections import MUTATION
from tests.benchmarks.processes import free_port, server

SECRET_KEY = "for benchmarks alone, and for nothing else"
NODE_HEAP = {"NODE_OPTIONS": "--max-old-space-size=300"}


@dataclass(frozen=True)
class Running:
    """Where to talk, where to listen, and the process behind the latter."""

    talk_port: int
    listen_port: int
    pid: int


@dataclass(frozen=True)
class Stores:
    """What the servers stand on."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class Contestant:
    """A server that is measured."""

    name: str
    run: Callable[[Stores], AbstractContextManager[Running]]
    subscription: str = peer.SUBSCRIPTION
    mutation: str = MUTATION
    is_split: bool = False
    """Whether people listen at another process than the one they talk to."""


def environment(stores: Stores, jobs: str = "internal") -> dict[str, str]:
    """The settings of a real server."""
    return {
        "DATABASE_URL": stores.database_url,
        "REDIS_URL": stores.redis_url,
        "SECRET_KEY": SECRET_KEY,
        "JOBS": jobs,
        "GONGGU_DRAIN_S": "0",
        "GONGGU_LOG_LEVEL": "warning",
    }


@contextmanager
def gonggu(stores: Stores) -> Generator[Running, None, None]:
    """The real server."""
    with _one(environment(stores), "app", "serve") as running:
        yield running


@contextmanager
def gonggu_split(stores: Stores) -> Generator[Running, None, None]:
    """Two real servers."""
    talk, listen = environment(stores), environment(stores, "external")
    with _one(talk, "app", "serve") as first, _one(listen, "app", "serve") as second:
        yield Running(first.talk_port, second.listen_port, second.pid)


@contextmanager
def mercurius(stores: Stores) -> Generator[Running, None, None]:
    """The peer."""
    with _peer(stores) as running:
        yield running


@contextmanager
def mercurius_split(stores: Stores) -> Generator[Running, None, None]:
    """Two of the peer."""
    with _peer(stores) as first, _peer(stores) as second:
        yield Running(first.talk_port, second.listen_port, second.pid)


def rival(kind: str) -> Callable[[Stores], AbstractContextManager[Running]]:
    """A bare one, which stands on nothing."""
    return lambda stores: _one({}, "tests.benchmarks.live_rivals", "--kind", kind)


def _peer(stores: Stores) -> AbstractContextManager[Running]:
    path = urlsplit(stores.redis_url).path  # of the embedded server's socket, as ioredis wants it
    return _one(NODE_HEAP, "tests.benchmarks.peer", "--redis-url", path)


@contextmanager
def _one(environment: Mapping[str, str], *arguments: str) -> Generator[Running, None, None]:
    port = free_port()
    with server(*arguments, "--port", str(port), port=port, environment=environment) as pid:
        yield Running(port, port, pid)


OURS = (Contestant("gonggu", gonggu), Contestant("gonggu ×2", gonggu_split, is_split=True))
BARE = (Contestant("queues", rival("queues")), Contestant("loop", rival("loop")))
PEER = (
    Contestant("mercurius", mercurius, mutation=peer.MUTATION),
    Contestant("mercurius ×2", mercurius_split, mutation=peer.MUTATION, is_split=True),
)
