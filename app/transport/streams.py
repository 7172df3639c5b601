"""Subscriptions over plain HTTP: what streams have in common, whatever their bytes look like."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from starlette.types import Message, Receive, Scope, Send

from app.transport.context import FormatError, OperationContext
from app.transport.errors import Code, HttpRefusal, coded
from app.transport.limits import TransportLimits
from app.transport.operations import Answer, internal
from app.transport.sockets import ABORT_EXTENSION, LONGEST_NAP_S

log = logging.getLogger(__name__)

EXPIRED = "The token has ended: refresh it and subscribe again."


class Framing(Protocol):
    """How a stream looks on the wire."""

    @property
    def content_type(self) -> str:
        """The header's value."""
        ...

    @property
    def opening(self) -> bytes:
        """What comes first, with the headers."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """What says nothing, to those on the way who count silence as death."""
        ...

    @property
    def closing(self) -> bytes:
        """What comes last. A stream that breaks off without it is one to come back to."""
        ...

    def event(self, answer: bytes, resume_point: int | None) -> bytes:
        """One answer of the operation, as JSON."""
        ...

    def ended(self, refusal: bytes) -> bytes:
        """Why the server ends a stream: JSON like ``{"errors": […]}``."""
        ...


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What all streams of an endpoint share."""

    limits: TransportLimits
    format_error: FormatError
    now: Callable[[], datetime]


class ReaderLost(Exception):
    """The peer has gone, or takes nothing any more."""


class Stream:
    """The response to one subscription.

    Whatever can end it is a task that returns the last words, or None to break off without any. The first
    that is done decides; the others are cancelled and awaited.
    """

    def __init__(self, settings: StreamSettings, framing: Framing) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._framing = framing
        self._cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writing = asyncio.Lock()

    def cut(self) -> None:
        """Break off, so that the client comes back: after last words it would stay away."""
        if not self._cut.done():
            self._cut.set_result(None)

    async def serve(
        self,
        context: OperationContext,
        answers: AsyncGenerator[Answer, None],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send the answers until one side ends it."""
        self._context = context
        self._send = send
        gone = asyncio.create_task(_until_gone(receive))
        tasks = [gone]
        last_words: bytes | None = None
        try:
            with suppress(ReaderLost):
                await self._start()
                # In this order, because of several that are done at once the first decides.
                tasks.append(asyncio.create_task(self._until_token_ends()))
                tasks.append(asyncio.create_task(self._until_session_ends()))
                tasks.append(asyncio.create_task(self._send_answers(answers)))
                tasks.append(asyncio.create_task(self._keep_alive()))
                last_words = await self._first_of(tasks)
            if last_words is None:
                await self._break_off(scope, gone)
        finally:
            await self._stop(tasks)
        if last_words is not None:
            with suppress(ReaderLost):
                await self._write(last_words, more=False)

    # What can end it

    async def _first_of(self, tasks: list[asyncio.Task[bytes | None]]) -> bytes | None:
        over, _ = await asyncio.wait({self._cut, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if self._cut in over:
            return None
        try:
            return next(task for task in tasks if task in over).result()
        except ReaderLost:
            raise
        except Exception:
            # Whatever it was, the client had better come back than believe that this was all.
            log.exception("a task of a stream failed")
            return None

    async def _until_token_ends(self) -> bytes | None:
        at = self._context.expires_at
        if at is None:
            return await asyncio.get_running_loop().create_future()
        while True:
            left_s = (at - self._settings.now()).total_seconds()
            if left_s <= 0:
                return self._ended(EXPIRED)
            await asyncio.sleep(min(left_s, LONGEST_NAP_S))

    async def _until_session_ends(self) -> bytes | None:
        return self._ended(await self._context.until_over())

    async def _send_answers(self, answers: AsyncGenerator[Answer, None]) -> bytes | None:
        try:
            async with aclosing(answers):
                async for answer in answers:
                    await self._write(self._event(answer))
                    if not answer.was_executed:
                        break
                    # A source that is always ready and a peer that takes it all would let nobody else run.
                    await asyncio.sleep(0)
        except ReaderLost:
            raise
        except Exception as error:
            log.exception("an operation failed")
            return self._event(Answer.refused(internal(error))) + self._framing.closing
        return self._framing.closing

    async def _keep_alive(self) -> bytes | None:
        while True:
            await asyncio.sleep(self._limits.keep_alive_s)
            await self._write(self._framing.keep_alive)

    async def _break_off(self, scope: Scope, gone: asyncio.Task[bytes | None]) -> None:
        # A server that gives us no means does it when we return, with a line of complaint.
        abort: Callable[[], None] | None = scope.get("extensions", {}).get(ABORT_EXTENSION)
        if abort is not None:
            abort()
            await asyncio.wait({gone}, timeout=self._limits.close_s)

    async def _stop(self, tasks: Collection[asyncio.Task[bytes | None]]) -> None:
        """Cancel and await; the source of events closes its own subscription meanwhile."""
        for task in tasks:
            task.cancel()
        ended, stuck = await asyncio.wait(tasks, timeout=self._limits.close_s)
        for task in ended:
            if not task.cancelled():
                task.exception()  # otherwise asyncio complains that nobody has looked
        for task in stuck:
            log.error("a cancelled stream still runs after %s s: %r", self._limits.close_s, task)

    # Sending

    async def _start(self) -> None:
        headers = {
            "content-type": self._framing.content_type,
            "cache-control": "no-store",
            "vary": "accept",
            "x-accel-buffering": "no",
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._put({"type": "http.response.start", "status": 200, "headers": raw})
        await self._write(self._framing.opening)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        await self._put({"type": "http.response.body", "body": data, "more_body": more})

    async def _put(self, message: Message) -> None:
        # It waits while the connection is full, and whoever yields the answers waits with it.
        async with self._writing:
            try:
                async with asyncio.timeout(self._limits.send_s):
                    await self._send(message)
            except OSError as error:  # among them TimeoutError
                raise ReaderLost from error

    def _event(self, answer: Answer) -> bytes:
        return self._framing.event(self._encode(answer), answer.resume_point)

    def _ended(self, reason: str) -> bytes:
        refusal = self._encode(Answer.refused(coded(Code.UNAUTHENTICATED, reason)))
        return self._framing.ended(refusal) + self._framing.closing

    def _encode(self, answer: Answer) -> bytes:
        return answer.encode(self._settings.format_error, self._context)


async def _until_gone(receive: Receive) -> bytes | None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Streams:
    """Those of one endpoint that are open."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._open: dict[Stream, asyncio.Task[Any] | None] = {}
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def open(self) -> dict[Stream, asyncio.Task[Any] | None]:
        """Each with the task that serves it."""
        return self._open

    def refuse_new(self) -> None:
        """From now on, so that they are asked for elsewhere."""
        self._is_draining = True

    @contextmanager
    def place(self, framing: Framing) -> Generator[Stream]:
        """A stream that is counted from the making of its context to its end.

        Raises:
            HttpRefusal
        """
        if self._is_draining:
            message = "This server is going away: connect again."
            raise HttpRefusal(503, Code.SERVICE_UNAVAILABLE, message, {"connection": "close"})
        if len(self._open) >= self._settings.limits.max_streams:
            raise HttpRefusal(503, Code.TOO_MANY_STREAMS, "Too many streams are open here: try again later.")
        stream = Stream(self._settings, framing)
        self._open[stream] = asyncio.current_task()
        try:
            yield stream
        finally:
            del self._open[stream]
