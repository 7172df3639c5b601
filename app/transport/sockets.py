"""One graphql-transport-ws socket, from its acceptance to the end of its last task."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec

import strawberry
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from strawberry.types.graphql import OperationType

from app.transport import messages
from app.transport.answers import Answer
from app.transport.context import ConnectionRefused, FormatError, MakeContext, OperationContext
from app.transport.documents import Documents
from app.transport.errors import Code, ProtocolViolation, coded
from app.transport.limits import TransportLimits
from app.transport.operations import execute_within, subscribe
from app.transport.outbox import Outbox
from app.transport.requests import GraphQLRequest

log = logging.getLogger(__name__)

P = ParamSpec("P")

ABORT_EXTENSION = "gonggu.abort"
"""Where ``app.transport.server`` puts the means to drop a connection without waiting for its peer."""

WRITE_EXTENSION = "gonggu.write_text"
"""Where it puts the means to send text that is encoded already; it says whether it could."""

LONGEST_NAP_S = 60.0
"""Between looks at the wall clock, which may be set while we sleep."""


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """What all sockets of an endpoint share."""

    schema: strawberry.Schema
    documents: Documents
    make_context: MakeContext
    limits: TransportLimits
    format_error: FormatError
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class End:
    """Why a socket ends; without a code its peer has gone already."""

    code: int | None
    reason: str


class Socket:
    """Owns one reader, one sender, the timers and a task per operation.

    An operation sends its messages by itself while nothing else waits: that saves waking the sender.

    Whoever finds a reason calls ``end``; the first reason counts. Then the close frame leaves, and every
    task is cancelled and awaited before ``serve`` returns.
    """

    def __init__(self, settings: SocketSettings, scope: Scope, receive: Receive, send: Send) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._scope = scope
        self._receive = receive
        self._send = send
        self._outbox = Outbox(self._limits.max_waiting_messages, self._limits.max_waiting_bytes)
        self._write: Callable[[bytes], bool] | None = scope.get("extensions", {}).get(WRITE_EXTENSION)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[End] = self._loop.create_future()
        self._sending_since: float | None = None
        self._sending_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._was_initialised = asyncio.Event()
        self._context: OperationContext | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._pong = asyncio.Event()
        self._is_draining = False

    def end(self, code: int | None, reason: str) -> None:
        """Begin the end, from anywhere; a second reason changes nothing."""
        if not self._ended.done():
            self._ended.set_result(End(code, reason))
            self._outbox.close()

    def refuse_operations(self) -> None:
        """From now on, end when a new operation is asked for, so that it is asked for elsewhere."""
        self._is_draining = True

    async def serve(self) -> None:
        """Speak the protocol until one side ends it."""
        if messages.SUBPROTOCOL not in self._scope["subprotocols"]:
            await self._send({"type": "websocket.accept"})
            await self._close(End(messages.BAD_SUBPROTOCOL, f"Use the subprotocol {messages.SUBPROTOCOL}"))
            return
        await self._send({"type": "websocket.accept", "subprotocol": messages.SUBPROTOCOL})
        try:
            sender = self._start(self._send_messages)
            self._start(self._read_messages)
            self._start(self._limit_initialisation)
            end = await self._ended
            await self._stop({sender})  # two senders would mix their frames
            await self._close(end)
        finally:
            if self._sending_timer is not None:
                self._sending_timer.cancel()
            await self._stop(self._tasks)

    # Tasks

    def _start(
        self, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guard(work, *args, **kwargs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(
        self, work: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        # A fault of ours in one task must not leave the others on a socket that only half works.
        try:
            await work(*args, **kwargs)
        except Exception:
            log.exception("a task of a socket failed")
            self.end(messages.INTERNAL_ERROR, "Internal server error")

    async def _stop(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Cancel and await; sources of events close their own subscriptions meanwhile."""
        tasks = list(tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=self._limits.close_s)
            for task in stuck:
                log.error("a cancelled operation still runs after %s s: %r", self._limits.close_s, task)

    # Sending

    async def _send_messages(self) -> None:
        while True:
            await self._transmit(await self._outbox.get())

    def _say_now(self, message: bytes) -> bool:
        """Send a message of an operation without waiting for anything, if that is possible."""
        if self._write is None or not self._outbox.claim():
            return False
        is_said = self._write(message)
        self._outbox.release()
        return is_said

    def _say(self, message: bytes) -> Awaitable[None]:
        """Send a message of an operation as soon as possible, or behind what waits. Await it at once."""
        return self._transmit(message) if self._outbox.claim() else self._outbox.put(message)

    async def _transmit(self, message: bytes) -> None:
        """Send a message whose turn it is."""
        self._sending_since = self._loop.time()
        if self._sending_timer is None:
            # Not a timeout for each message, which would cost as much as sending it.
            at = self._sending_since + self._limits.send_s
            self._sending_timer = self._loop.call_at(at, self._look_at_sending)
        try:
            # The protocol wants text; bytes would leave as a binary frame.
            await self._send({"type": "websocket.send", "text": message.decode()})
        except OSError:
            self.end(None, "the peer has gone")
        finally:
            self._sending_since = None
            self._outbox.release()

    def _look_at_sending(self) -> None:
        self._sending_timer = None
        if self._sending_since is None:
            return
        at = self._sending_since + self._limits.send_s
        if at <= self._loop.time():
            self.end(messages.ABNORMAL, "the peer has stopped reading")
        else:
            self._sending_timer = self._loop.call_at(at, self._look_at_sending)

    async def _close(self, end: End) -> None:
        if end.code is None:
            return
        if end.code != messages.ABNORMAL:
            reason = messages.close_reason(end.reason)
            try:
                async with asyncio.timeout(self._limits.close_s):
                    await self._outbox.silence()  # an operation may be sending
                    await self._send({"type": "websocket.close", "code": end.code, "reason": reason})
                return
            except OSError:  # among them TimeoutError
                log.debug("a close frame found no reader")
        abort: Callable[[], None] | None = self._scope.get("extensions", {}).get(ABORT_EXTENSION)
        if abort is not None:
            abort()

    # Receiving

    async def _read_messages(self) -> None:
        while True:
            frame = await self._receive()
            if frame["type"] == "websocket.disconnect":
                self.end(None, "the peer has gone")
                return
            try:
                await self._handle(messages.parse(frame, self._limits))
            except ProtocolViolation as violation:
                self.end(violation.code, violation.reason)
                return

    async def _handle(self, message: messages.ClientMessage) -> None:
        match message:
            case messages.ConnectionInit(payload):
                if self._was_initialised.is_set():
                    raise ProtocolViolation(messages.INIT_TWICE, "Too many initialisation requests")
                self._was_initialised.set()
                # In a task, because what arrives before it is done must be refused, not kept.
                self._start(self._initialise, payload)
            case messages.Ping(payload):
                await self._outbox.put(messages.pong(payload))
            case messages.Pong():
                self._pong.set()
            case messages.Subscribe(id_, request):
                await self._subscribe(id_, request)
            case messages.Complete(id_):
                task = self._operations.pop(id_, None)
                if task is not None:
                    await self._stop({task})

    # Life

    async def _limit_initialisation(self) -> None:
        try:
            async with asyncio.timeout(self._limits.connection_init_s):
                await self._was_initialised.wait()
        except TimeoutError:
            self.end(messages.INIT_TIMEOUT, "Connection initialisation timeout")

    async def _initialise(self, payload: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._limits.execution_s):
                context = await self._settings.make_context(HTTPConnection(self._scope), payload)
        except ConnectionRefused as refused:
            self.end(messages.FORBIDDEN, f"{refused.code}: {refused.reason}")
            return
        except Exception:
            # Not 4500, after which clients give up: what fails here is most likely the database.
            log.exception("a socket's context can't be made")
            self.end(messages.TRY_AGAIN_LATER, "Try again later")
            return
        if context.expires_at is not None:
            if context.expires_at <= self._settings.now():
                self.end(messages.FORBIDDEN, "Token expired")
                return
            self._start(self._expire, context.expires_at)
        self._start(self._end_with_session, context)
        await self._outbox.put(messages.ACK)
        self._context = context
        self._start(self._keep_alive)

    async def _expire(self, at: datetime) -> None:
        while True:
            left_s = (at - self._settings.now()).total_seconds()
            if left_s <= 0:
                break
            await asyncio.sleep(min(left_s, LONGEST_NAP_S))
        self.end(messages.FORBIDDEN, "Token expired")

    async def _end_with_session(self, context: OperationContext) -> None:
        self.end(messages.FORBIDDEN, await context.until_over())

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._limits.ping_every_s)
            self._pong.clear()
            self._outbox.put_first(messages.PING)
            try:
                async with asyncio.timeout(self._limits.pong_within_s):
                    await self._pong.wait()
            except TimeoutError:
                # A close frame would wait behind what this peer doesn't read.
                self.end(messages.ABNORMAL, "no pong")
                return

    # Operations

    async def _subscribe(self, id_: str, request: GraphQLRequest) -> None:
        if self._context is None:
            raise ProtocolViolation(messages.UNAUTHORIZED, "Unauthorized")
        if id_ in self._operations:
            raise ProtocolViolation(messages.ID_IN_USE, f"Subscriber for {id_} already exists")
        if self._is_draining:
            raise ProtocolViolation(messages.SERVICE_RESTART, "Service restart")
        if len(self._running) >= self._limits.max_subscriptions:
            limit = self._limits.max_subscriptions
            refusal = coded(
                Code.TOO_MANY_SUBSCRIPTIONS,
                f"{limit} operations run on this connection: complete one, or open another connection.",
            )
            await self._outbox.put(self._failure(id_, Answer.refused(refusal)))
            return
        task = self._start(self._operate, id_, request, self._context)
        self._operations[id_] = task
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _operate(self, id_: str, request: GraphQLRequest, of_socket: OperationContext) -> None:
        last, opening = messages.complete(id_), messages.opening_of_next(id_)
        try:
            async with asyncio.timeout(self._limits.execution_s):
                context = await of_socket.for_operation()
            async with aclosing(self._answers(request, context)) as answers:
                async for answer in answers:
                    if not answer.was_executed:
                        last = self._failure(id_, answer)
                        break
                    payload = answer.payload or answer.encode(self._settings.format_error, context)
                    message = b"%b%b}" % (opening, payload)
                    if not self._say_now(message):
                        await self._say(message)
        except Exception as error:
            # Told by its cause: it may be the database that is away, and not a fault of ours.
            last = self._failure(id_, Answer.refused(GraphQLError(str(error), original_error=error)))
        # First free the id: the client may use it again as soon as it reads this.
        self._operations.pop(id_, None)
        await self._say(last)

    def _answers(self, request: GraphQLRequest, context: OperationContext) -> AsyncGenerator[Answer, None]:
        settings = self._settings
        kind = settings.documents.operation_type(request.query, request.operation_name)
        if kind is OperationType.SUBSCRIPTION:
            return subscribe(settings.schema, request, context)
        return self._single_answer(request, context)

    async def _single_answer(
        self, request: GraphQLRequest, context: OperationContext
    ) -> AsyncGenerator[Answer, None]:
        yield await execute_within(self._settings.schema, request, context, self._limits.execution_s)

    def _failure(self, id_: str, answer: Answer) -> bytes:
        return messages.error(id_, answer.formatted_errors(self._settings.format_error, self._context))
