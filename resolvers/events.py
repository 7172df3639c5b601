"""What has happened, told to whoever listens, without knowing them.

An event is a frozen dataclass beside the verbs of its domain. Whoever `accompanies` it acts in the
transaction of the change: what they write exists exactly when the change does. Whoever `listens` gets a
durable job, written in that transaction: it is tried until it succeeds, and the change doesn't wait for it.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from models.base import new_id
from resolvers.jobs import add_kind, load_handlers

if TYPE_CHECKING:
    from resolvers.transaction import Transaction


@dataclass(frozen=True)
class Event:
    """Something that has happened. Listeners get its fields, maybe much later: ids rather than rows."""


EventT = TypeVar("EventT", bound=Event)
Listener = Callable[["Transaction", EventT], Awaitable[None]]

_listeners: defaultdict[type[Event], list[str]] = defaultdict(list)
_companions: defaultdict[type[Event], list[Listener[Any]]] = defaultdict(list)


def accompanies(event_type: type[EventT]) -> Callable[[Listener[EventT]], Listener[EventT]]:
    """Call the function for each event of exactly this type, in the transaction that publishes it.

    What it raises undoes the change. It holds up whoever acts, so it is short; it locks rows in the order of
    `resolvers.locks`.
    """

    def register(companion: Listener[EventT]) -> Listener[EventT]:
        _companions[event_type].append(companion)
        return companion

    return register


def listens(
    event_type: type[EventT], *, name: str | None = None, attempts: int = 8, within_s: float = 60
) -> Callable[[Listener[EventT]], Listener[EventT]]:
    """Call the function for each event of exactly this type, at least once, in a transaction of its own.

    Waiting events find their listener by its name, which is its module and its own name: give the old one as
    `name` when it moves.
    """
    if not is_dataclass(event_type):
        raise TypeError(f"{event_type.__qualname__} has to be a frozen dataclass.")

    def register(listener: Listener[EventT]) -> Listener[EventT]:
        async def handle(tx: "Transaction", key: UUID, *, event: EventT) -> None:
            await listener(tx, event)

        job = f"listener:{name or f'{listener.__module__}.{_name_of(listener)}'}"
        add_kind(job, handle, {"key": UUID, "event": event_type}, attempts=attempts, within_s=within_s)
        _listeners[event_type].append(job)
        return listener

    return register


async def publish(tx: "Transaction", event: Event) -> None:
    """Tell everybody: companions now, listeners once this transaction has committed."""
    load_handlers()
    for companion in _companions.get(type(event), []):
        await companion(tx, event)
    occurrence = new_id()
    for job in _listeners.get(type(event), []):
        await tx.jobs.soon(job, occurrence, event=event)


def _name_of(listener: Callable[..., Any]) -> str:
    return getattr(listener, "__name__", type(listener).__name__)
