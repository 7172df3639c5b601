"""The future as rows: a job is written in the transaction that makes it necessary.

A job is a name and a key: `("party.close_joining", party_id)`. There is at most one live job for each pair.
It is performed at least once, at its time or after it, in one transaction that also takes its row away.
"""

import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NotRequired, TypeVar, cast, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import ConfigDict, TypeAdapter, with_config
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from resolvers import job_rows
from resolvers.job_rows import Claim

if TYPE_CHECKING:
    from resolvers.transaction import Transaction

Handler = Callable[..., Awaitable[None]]
HandlerT = TypeVar("HandlerT", bound=Handler)
Key = UUID | str

SEOUL = "Asia/Seoul"


class UnknownJob(LookupError):
    """No handler has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No job is named {name!r}: write @job({name!r}) over its handler in resolvers/.")


class ClaimLost(Exception):
    """The job is not ours any more: moved, canceled, or picked again. Nothing may be committed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of every job with one name."""

    name: str
    handler: Handler
    #: How often it is picked before it is held as dead; a pick that ended in a crash counts.
    attempts: int
    #: Seconds that one attempt may take.
    within_s: float
    #: The JSON of the key and the arguments, by the annotations of the handler.
    payload: TypeAdapter[dict[str, Any]]

    def encode(self, key: Key, arguments: dict[str, Any]) -> bytes:
        """What the row keeps.

        Raises:
            ValidationError: an argument is missing, unknown, or not of its type
        """
        return self.payload.dump_json(self.payload.validate_python({"key": key, **arguments}))

    async def perform(self, tx: "Transaction", payload: bytes) -> None:
        """Call the handler with what the row kept."""
        arguments = self.payload.validate_json(payload)
        await self.handler(tx, arguments.pop("key"), **arguments)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the clock on the wall starts a job, again and again."""

    expression: str
    job: str
    zone: str

    @property
    def tick(self) -> str:
        """The name of the job that waits for the next time.

        The time is part of it, so that a process which knows another time for the same job leaves it alone.
        """
        return f"cron:{self.job}:{self.expression}:{self.zone}"

    def after(self, moment: datetime) -> datetime:
        """The first time later than this one."""
        local = moment.astimezone(ZoneInfo(self.zone))
        return croniter(self.expression, local).get_next(datetime)


_kinds: dict[str, Kind] = {}
_schedules: dict[str, Schedule] = {}


def job(name: str, *, attempts: int = 8, within_s: float = 60) -> Callable[[HandlerT], HandlerT]:
    """Make a function the handler of a job: `async def f(tx: Transaction, key: UUID, *, more: int)`.

    It may be called twice for one job, and later than asked: it looks at the rows before it acts. What it
    raises undoes its transaction and has it tried again after a while.
    """

    def register(handler: HandlerT) -> HandlerT:
        add_kind(name, handler, _annotations(handler), attempts=attempts, within_s=within_s)
        return handler

    return register


def add_kind(
    name: str, handler: Handler, arguments: dict[str, Any], *, attempts: int = 8, within_s: float = 60
) -> None:
    """Register a handler whose argument types are given, `key` first among them."""
    if name in _kinds:
        raise ValueError(f"Two handlers want the job {name!r}: {_kinds[name].handler} and {handler}.")
    make = cast(Callable[..., Any], TypedDict)
    shape = with_config(ConfigDict(extra="forbid", ser_json_inf_nan="constants"))(make(name, arguments))
    _kinds[name] = Kind(name, handler, attempts, within_s, TypeAdapter(shape))


def cron(expression: str, name: str, zone: str = SEOUL) -> None:
    """Start the job `name`, key "cron", at these times of the zone's clock: `cron("17 4 * * *", "…")`.

    However many processes know it, each time starts one job. Times that pass while nothing runs start one job
    when something runs again. A job that is still going at its next time isn't started a second time.
    """
    if not croniter.is_valid(expression):
        raise ValueError(f"{expression!r} is no cron expression: minute hour day month weekday.")
    schedule = Schedule(expression, name, zone)

    async def tick(tx: "Transaction", key: str) -> None:
        await tx.jobs.once(name, tx.now, "cron")
        await tx.jobs.at(schedule.tick, schedule.after(tx.now), key)

    add_kind(schedule.tick, tick, {"key": str})
    _schedules[schedule.tick] = schedule


def kind_of(name: str) -> Kind:
    """The job of this name.

    Raises:
        UnknownJob
    """
    if name not in kinds():
        raise UnknownJob(name)
    return _kinds[name]


def kinds() -> Sequence[str]:
    """The names of every job that this process can perform."""
    load_handlers()
    return list(_kinds)


@cache
def load_handlers() -> None:
    """Import every module beside this one: what registers itself at import is then known to every process."""
    import resolvers

    for module in pkgutil.iter_modules(resolvers.__path__):
        import_module(f"resolvers.{module.name}")


@dataclass
class Jobs:
    """The jobs of one transaction: what it starts, moves or cancels takes effect when it commits."""

    session: AsyncSession
    now: datetime
    #: The job that this transaction performs, if it performs one.
    claim: Claim | None = None
    _is_acknowledged: bool = field(default=False, init=False)

    async def at(self, name: str, when: datetime, key: Key, /, **arguments: Any) -> None:
        """Have exactly one job of this name and key, at this time, with these arguments.

        A live one is moved. If it is running at this moment it loses its effect: it can't commit any more.

        Raises:
            UnknownJob
        """
        await self._write(name, when, key, arguments, replace=True)

    async def soon(self, name: str, key: Key, /, **arguments: Any) -> None:
        """The same, now: as soon as this transaction has committed.

        Raises:
            UnknownJob
        """
        await self._write(name, self.now, key, arguments, replace=True)

    async def once(self, name: str, when: datetime, key: Key, /, **arguments: Any) -> None:
        """Have a job of this name and key; one that is waiting or running already stays as it is.

        Raises:
            UnknownJob
        """
        await self._write(name, when, key, arguments, replace=False)

    async def cancel(self, name: str, key: Key) -> None:
        """Have no job of this name and key, be it waiting, running or dead. A running one can't commit."""
        if self._is_own(name, key):
            await self.acknowledge()
        await job_rows.cancel(await self.session.connection(), name, str(key))

    async def plant(self) -> None:
        """Have every schedule wait for its next time."""
        load_handlers()
        for schedule in _schedules.values():
            await self.once(schedule.tick, schedule.after(self.now), "tick")

    async def acknowledge(self) -> None:
        """Take away the row of the job that this transaction performs. The second time changes nothing.

        Raises:
            ClaimLost
        """
        if self.claim is None or self._is_acknowledged:
            return
        if not await job_rows.acknowledge(await self.session.connection(), self.claim):
            raise ClaimLost
        self._is_acknowledged = True

    async def _write(
        self, name: str, when: datetime, key: Key, arguments: dict[str, Any], *, replace: bool
    ) -> None:
        if when.utcoffset() is None:
            raise ValueError(f"The time of {name!r} has no offset, so it names no moment.")
        payload = kind_of(name).encode(key, arguments)
        if replace and self._is_own(name, key):
            # Moving the own row would make it somebody else's, and the end of this transaction undo the move.
            await self.acknowledge()
        # Through the session's connection, so that BEGIN has been sent: a rollback takes the job along.
        connection = await self.session.connection()
        await job_rows.write(connection, name, str(key), when, payload, replace=replace)

    def _is_own(self, name: str, key: Key) -> bool:
        return self.claim is not None and (self.claim.name, self.claim.key) == (name, str(key))


def _annotations(handler: Handler) -> dict[str, Any]:
    """Names and types of a handler's arguments after the transaction."""
    hints = get_type_hints(handler)
    _, *parameters = inspect.signature(handler).parameters.values()
    if not parameters or parameters[0].name != "key":
        raise TypeError(f"{handler.__qualname__} has to begin with (tx: Transaction, key: UUID).")
    missing = [each.name for each in parameters if each.name not in hints]
    if missing:
        raise TypeError(f"{handler.__qualname__} has no type for {', '.join(missing)}.")
    return {
        each.name: hints[each.name] if each.default is each.empty else NotRequired[hints[each.name]]
        for each in parameters
    }
