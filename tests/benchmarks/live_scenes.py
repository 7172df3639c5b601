"""One party that many listen to, and many parties that one listens to: see `bench_live`."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import orjson

from tests.benchmarks.chats import Chats
from tests.benchmarks.crowd import Person
from tests.benchmarks.live_client import Script, Told
from tests.benchmarks.live_servers import Contestant, Stores
from tests.benchmarks.processes import ROOT

WITHIN_S = 300


@dataclass(frozen=True)
class Scene:
    """Who listens to whom, and how much is said."""

    name: str
    chats: Chats
    sockets: int
    """Listeners of each party, more than one for each member if need be. The leader talks."""

    messages: int
    per_s: float

    def listeners(self, people: Sequence[Sequence[Person]]) -> list[Person]:
        """Whose sockets they are: members in turn, the leader only where there are many."""
        all_: list[Person] = []
        for members in people:
            who = members if self.sockets >= len(members) else members[1:]
            all_ += [who[number % len(who)] for number in range(self.sockets)]
        return all_


@dataclass(frozen=True)
class Cost:
    """What one server took, medians of several rounds."""

    all_us: float
    """CPU for each delivery, with what the messages themselves took."""

    net_us: float
    """The same without what as many messages took to which nobody listened."""

    message_us: float
    """CPU for each of those."""

    p50_ms: float
    p99_ms: float
    bytes_each: float
    per_s: float
    """Messages sent."""

    @classmethod
    def of(cls, rounds: Sequence["Cost"]) -> "Cost":
        """The median of each."""
        return cls(**{name: median(getattr(cost, name) for cost in rounds) for name in asdict(rounds[0])})


def measure(contestant: Contestant, stores: Stores, scene: Scene, people: list[list[Person]]) -> Cost:
    """Start the server, and let the same be said twice: to nobody, then to all listeners.

    Where people listen at another process than they talk to, there is nothing to take off: that process
    takes part in nothing else.
    """
    listeners = scene.listeners(people)
    with contestant.run(stores) as running:

        def tell(listeners: list[Person]) -> Told:
            places = (running.talk_port, running.listen_port, running.pid)
            documents = (contestant.subscription, contestant.mutation)
            talkers = [members[0] for members in people]
            return _play(Script(*places, *documents, listeners, talkers, scene.messages, scene.per_s))

        silent_s = 0.0 if contestant.is_split else tell([]).cpu_s
        told = tell(listeners)
    return Cost(
        all_us=1e6 * told.cpu_s / told.deliveries,
        net_us=1e6 * (told.cpu_s - silent_s) / told.deliveries,
        message_us=1e6 * silent_s / told.messages,
        p50_ms=told.p50_ms,
        p99_ms=told.p99_ms,
        bytes_each=told.bytes_each,
        per_s=told.messages / told.seconds,
    )


def _play(script: Script) -> Told:
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.live_client"],
        cwd=ROOT,
        input=orjson.dumps(script),
        stdout=subprocess.PIPE,
        check=True,
        timeout=WITHIN_S,
    )
    return Told(**orjson.loads(said.stdout))
