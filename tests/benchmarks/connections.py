"""Thousands of people on one server: `python -m tests.benchmarks.connections --help`. Linux only.

Reads from standard input who they are, one JSON object a line: `{"token": "…", "partyId": "…"}`; where there
are more connections than lines, it begins again. Writes what it measured as JSON.

The documents are options, so that it can speak to another server: `$partyId` is the variable of the
subscription, `$input` (`partyId`, `text`, `clientKey`) that of the mutation. The subscription has to select
`text`, by which people know their own. One process drives 10,000 connections, from several local addresses.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import orjson
import typer
import uvloop

from tests.benchmarks.crowd import Crowd, Member, Person, Target
from tests.benchmarks.processes import cpu_s

SUBSCRIPTION = """
    subscription Follow($partyId: ID!) {
        chatMessages(partyId: $partyId, after: 0) { id number kind sender { id nickname } text sentAt }
    }
"""
MUTATION = """
    mutation Send($input: SendChatMessageInput!) {
        sendChatMessage(input: $input) { __typename ... on ChatMessage { number } ... on Error { code } }
    }
"""
SPARE_FILES = 200
SAMPLES = 20
LOOK_S = 0.5
QUIET = 0.1
"""A server that uses less of a core than this has caught up: it only pings."""
QUIET_WITHIN_S = 60


class TooFewFiles(Exception):
    """A process may not hold as many sockets as were asked for; the text says what would let it."""


@dataclass(frozen=True)
class Spread:
    """How long the middle, the slowest hundredth and the slowest of all waited."""

    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, waited_s: Sequence[float]) -> "Spread | None":
        """None when nobody got that far."""
        if not waited_s:
            return None
        ms = sorted(1000 * waited for waited in waited_s)
        return cls(ms[len(ms) // 2], ms[int(len(ms) * 0.99)], ms[-1])


@dataclass(frozen=True)
class Opened:
    """What became of connections that each subscribed and sent one mutation.

    Acknowledged counts from before connecting; heard, from sending to one's own message on the subscription.
    """

    connections: int
    open_at_end: int
    seconds: float
    errors: dict[str, int]
    acknowledged: Spread | None
    answered: Spread | None
    heard: Spread | None


@dataclass(frozen=True)
class Idle:
    """What the server's memory is for subscriptions on which nothing happens. All in bytes."""

    subscriptions: int
    open_at_end: int
    errors: dict[str, int]
    rss_before: int
    rss_connected: int
    rss_subscribed: int
    rss_at_end: int
    per_connection: float
    per_subscription: float
    """The connection included."""


@dataclass(frozen=True)
class Flat:
    """The server's memory while events pass through it."""

    events: int
    subscribers: int
    seconds: float
    errors: dict[str, int]
    rss_after: list[tuple[int, int]]
    """Events answered, and bytes then."""
    growth_per_event: float
    """Bytes, since the first quarter, in which caches fill."""


async def open_all(crowd: Crowd) -> Opened:
    """Let everybody subscribe and send one mutation, and stay until the last has heard their own message."""
    run = uuid4().hex
    answered: list[float] = []
    heard: list[float] = []

    async def take_part(number: int, member: Member) -> None:
        own = f"{run} {number}."
        member.listen_for(own)
        member.follow()
        member.say(own)
        answered.append(await member.take_answer())
        heard.append(await member.take_until_heard(1, crowd.target.within_s))

    began = time.perf_counter()
    async with crowd.everybody(take_part):
        seconds, inside = time.perf_counter() - began, crowd.inside
    waited = (Spread.of(crowd.acknowledged_s), Spread.of(answered), Spread.of(heard))
    return Opened(crowd.count, inside, seconds, dict(crowd.errors), *waited)


async def hold_idle(crowd: Crowd, pid: int, hold_s: float) -> Idle:
    """Connect everybody, then subscribe everybody, and look at the server's memory after each."""
    members: list[Member] = []

    async def take_part(_: int, member: Member) -> None:
        members.append(member)

    await _until_quiet(pid)
    before = rss(pid)
    async with crowd.everybody(take_part):
        await _until_quiet(pid)
        connected = rss(pid)
        for member in members:
            member.follow()
        await _until_quiet(pid)
        subscribed = rss(pid)
        await asyncio.sleep(hold_s)
        at_end, inside = rss(pid), crowd.inside
    each = ((connected - before) / crowd.count, (subscribed - before) / crowd.count)
    return Idle(crowd.count, inside, dict(crowd.errors), before, connected, subscribed, at_end, *each)


async def pass_through(crowd: Crowd, subscribers: int, events: int, pid: int) -> Flat:
    """Let the first of the crowd listen and the others send, each as soon as the one before is answered.

    Raises:
        Failed: Somebody could not connect, or heard nothing at all.
    """
    run = uuid4().hex
    rss_after: list[tuple[int, int]] = []
    numbers = iter(range(1, events + 1))

    async def send(sender: Member) -> None:
        with crowd.counting():
            for number in numbers:
                sender.say(f"{run} event {number}")
                await sender.take_answer()
                if number % (events // SAMPLES) == 0:
                    rss_after.append((number, rss(pid)))

    async def hear(listener: Member) -> None:
        with crowd.counting():
            await listener.take_until_heard(events, None)

    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(crowd.member(n)) for n in range(crowd.count)]
        listeners, speakers = members[:subscribers], members[subscribers:]
        await _until_they_listen(listeners, speakers[0], f"{run} warm-up", crowd.target.within_s)
        for listener in listeners:
            listener.listen_for(f"{run} event")
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(hear(one)) for one in listeners]
            sending = [group.create_task(send(one)) for one in speakers]
            await asyncio.wait(sending)
            seconds = time.perf_counter() - began
            _, late = await asyncio.wait(hearing, timeout=crowd.target.within_s)
            for task in late:
                crowd.errors["subscription: not everything heard"] += 1
                task.cancel()
    growth = _growth(rss_after[len(rss_after) // 4 :])
    return Flat(events, subscribers, seconds, dict(crowd.errors), rss_after, growth)


async def _until_they_listen(
    listeners: Sequence[Member], speaker: Member, text: str, within_s: float
) -> None:
    """Speak until all have heard something: nothing else says when a subscription has begun."""
    for listener in listeners:
        listener.listen_for(text)
        listener.follow()
    hearing = asyncio.gather(*(listener.take_until_heard(1, within_s) for listener in listeners))
    try:
        while not hearing.done():
            speaker.say(text)
            await speaker.take_answer()
            await asyncio.wait([hearing], timeout=LOOK_S)
        await hearing
    finally:
        hearing.cancel()


def _growth(samples: Sequence[tuple[int, int]]) -> float:
    if len(samples) < 2:
        return 0.0
    (first, before), (last, after) = samples[0], samples[-1]
    return (after - before) / (last - first)


async def _until_quiet(pid: int) -> None:
    """Wait until a server has caught up."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    before = cpu_s(pid)
    while time.monotonic() < deadline:
        await asyncio.sleep(LOOK_S)
        now = cpu_s(pid)
        if now - before < QUIET * LOOK_S:
            return
        before = now


def rss(pid: int) -> int:
    """Bytes of memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split(maxsplit=1)[0])


def allow_open_files(sockets: int) -> None:
    """Let this process, and those that it starts from now on, hold so many sockets.

    Raises:
        TooFewFiles
    """
    wanted = sockets + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):  # only root raises the hard limit, and not in every container
        message = f"{wanted:,} open files are needed and {hard:,} allowed: raise it with `ulimit -n {wanted}`"
        raise TooFewFiles(message) from None


# ── the commands ────────────────────────────────────────────────────────────────────────────────────────────

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, help=__doc__)
Port = Annotated[int, typer.Option(help="Where the server listens, on 127.0.0.1.")]
Pid = Annotated[int, typer.Option(help="The server's process, whose memory is read.")]
Path_ = Annotated[str, typer.Option("--path", help="Of the endpoint.")]
Subscription = Annotated[str, typer.Option(help="The document of the subscription.", show_default="ours")]
Mutation = Annotated[str, typer.Option(help="The document of the mutation.", show_default="ours")]
Connections = Annotated[int, typer.Option(min=1, help="How many people come.")]
RampS = Annotated[float, typer.Option(min=0, help="Seconds over which they come, evenly.")]
WithinS = Annotated[float, typer.Option(min=0.1, help="Seconds that each waits for each step.")]


@app.command("open")
def open_(
    port: Port,
    path: Path_ = "/graphql",
    subscription: Subscription = SUBSCRIPTION,
    mutation: Mutation = MUTATION,
    connections: Connections = 10_000,
    ramp_s: RampS = 30,
    within_s: WithinS = 30,
) -> None:
    """Connect, subscribe and send one mutation on each; how long it took, and errors by kind."""
    crowd = _crowd(Target(port, path, subscription, mutation, within_s), connections, ramp_s)
    _write(uvloop.run(open_all(crowd)))


@app.command()
def idle(
    port: Port,
    pid: Pid,
    path: Path_ = "/graphql",
    subscription: Subscription = SUBSCRIPTION,
    connections: Connections = 10_000,
    ramp_s: RampS = 30,
    within_s: WithinS = 30,
    hold_s: Annotated[float, typer.Option(min=0, help="Seconds to stay, pings answered.")] = 45,
) -> None:
    """Hold one subscription on each connection; what each takes of the server's memory."""
    crowd = _crowd(Target(port, path, subscription, MUTATION, within_s), connections, ramp_s)
    _write(uvloop.run(hold_idle(crowd, pid, hold_s)))


@app.command()
def flat(
    port: Port,
    pid: Pid,
    path: Path_ = "/graphql",
    subscription: Subscription = SUBSCRIPTION,
    mutation: Mutation = MUTATION,
    events: Annotated[int, typer.Option(min=SAMPLES, help="How many mutations are sent.")] = 100_000,
    subscribers: Annotated[int, typer.Option(min=1, help="Connections that listen.")] = 4,
    senders: Annotated[int, typer.Option(min=1, help="Connections that send.")] = 4,
    within_s: WithinS = 30,
) -> None:
    """Send many events to few subscribers in the party of the first person; the server's memory meanwhile."""
    crowd = _crowd(Target(port, path, subscription, mutation, within_s), subscribers + senders)
    _write(uvloop.run(pass_through(crowd.in_one_party(), subscribers, events, pid)))


def _crowd(target: Target, count: int, ramp_s: float = 0) -> Crowd:
    allow_open_files(count)
    people = [orjson.loads(line) for line in sys.stdin.buffer]
    if not people:
        raise typer.BadParameter("nobody is on standard input")
    return Crowd(target, [Person(one["token"], one["partyId"]) for one in people], count, ramp_s)


def _write(measured: Opened | Idle | Flat) -> None:
    sys.stdout.buffer.write(orjson.dumps(measured, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    app()
