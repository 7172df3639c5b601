"""One POST: read, negotiate, execute, answer, as the GraphQL-over-HTTP specification has it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import orjson
import strawberry
from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.types.graphql import OperationType

from app.transport import event_streams, media_types
from app.transport.context import ConnectionRefused, MakeContext, OperationContext
from app.transport.documents import Documents
from app.transport.errors import Code, HttpRefusal, Malformed
from app.transport.event_streams import EventStream
from app.transport.multipart import Multipart
from app.transport.operations import Answer, execute, subscribe, timed_out
from app.transport.requests import PARAMETERS, GraphQLRequest, read_json
from app.transport.streams import EXPIRED, Framing, Streams, StreamSettings

log = logging.getLogger(__name__)

OFFERS = (media_types.JSON, media_types.GRAPHQL_RESPONSE, media_types.EVENT_STREAM)
"""For one answer, in the order of our preference where the client has none: old clients send no Accept and
expect JSON."""

FRAMINGS: dict[str, Framing] = {media_types.EVENT_STREAM: EventStream(), media_types.MULTIPART: Multipart()}
"""For the many answers of a subscription."""

NO_STREAM_ACCEPTED = (
    "A subscription has many answers: open a WebSocket on this path with the subprotocol "
    f"graphql-transport-ws, or accept `{media_types.EVENT_STREAM}` or `{media_types.MULTIPART}`."
)


class TookTooLong(Exception):
    """Our own limit has ended it; a ``TimeoutError`` may be anybody's."""


class HttpTransport:
    """Queries, mutations and subscriptions by POST; the media type and the operation say how it answers."""

    def __init__(
        self,
        schema: strawberry.Schema,
        documents: Documents,
        make_context: MakeContext,
        settings: StreamSettings,
        ide_path: str | None,
    ) -> None:
        self.streams = Streams(settings)
        self._schema = schema
        self._documents = documents
        self._make_context = make_context
        self._limits = settings.limits
        self._format_error = settings.format_error
        self._now = settings.now
        self._ide_path = ide_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. A client that hangs up gets nothing and stops what it began."""
        try:
            response = await self._answer(scope, receive, send)
        except ClientDisconnect:
            return
        except HttpRefusal as refusal:
            response = self._refuse(refusal)
        except Exception as error:
            response = self._fail(error)
        if response is not None:
            await response(scope, receive, send)

    def _fail(self, error: Exception) -> Response:
        """Tell by the cause: the database may be away, and it is worth trying again, or it is our fault."""
        told = self._format_error(GraphQLError(str(error), original_error=error), None)
        is_away = told["extensions"]["code"] == Code.SERVICE_UNAVAILABLE
        return _respond(orjson.dumps({"errors": [told]}), 503 if is_away else 500, media_types.JSON)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """The response; None when it was a stream, which has been sent."""
        headers = Headers(scope=scope)
        if scope["method"] != "POST":
            return self._answer_to_other_method(scope["method"], headers)
        accept = ", ".join(headers.getlist("accept"))
        _choose(accept, (*OFFERS, *FRAMINGS))
        _check_content(headers)
        body = await self._read_body(headers, receive)
        try:
            request = GraphQLRequest.of(read_json(body, self._limits.max_json_depth, once=PARAMETERS))
        except Malformed as error:
            raise HttpRefusal(400, Code.BAD_REQUEST, str(error)) from None
        is_subscription = self._is_subscription(request)
        stream_type = media_types.choose(accept, media_types.STREAMS) if is_subscription else None
        if stream_type is not None:
            await self._stream(FRAMINGS[stream_type], request, scope, receive, send)
            return None
        media_type = _choose(accept, OFFERS)
        if is_subscription:
            raise HttpRefusal(400, Code.OPERATION_NOT_SUPPORTED, NO_STREAM_ACCEPTED)
        context, answer = await self._execute(HTTPConnection(scope), request, receive)
        body = answer.encode(self._format_error, context)
        if media_type == media_types.EVENT_STREAM:
            return _respond(event_streams.next_(body) + event_streams.COMPLETE, 200, media_type)
        return _respond(body, _status(answer, media_type), media_type)

    def _answer_to_other_method(self, method: str, headers: Headers) -> Response:
        wants_a_page = method == "GET" and "text/html" in headers.get("accept", "").lower()
        if self._ide_path is not None and wants_a_page:
            return RedirectResponse(self._ide_path, status_code=303)
        # Queries by GET need no preflight, so a foreign page could ask them in its visitor's name.
        raise HttpRefusal(
            405, Code.METHOD_NOT_ALLOWED, "Send GraphQL requests by POST.", headers={"allow": "POST"}
        )

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        limit = self._limits.max_body_bytes
        too_large = HttpRefusal(413, Code.PAYLOAD_TOO_LARGE, f"A request may have at most {limit} bytes.")
        declared = headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
            raise too_large  # before a client that expects "100 Continue" sends anything
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    if size > limit:
                        raise too_large
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            message = f"The body took longer than {self._limits.body_s:g} s: send the request again."
            raise HttpRefusal(408, Code.REQUEST_TIMEOUT, message, {"connection": "close"}) from None

    def _is_subscription(self, request: GraphQLRequest) -> bool:
        # The word comes first, because it is in few documents, and most of them are parsed only later.
        if "subscription" not in request.query:
            return False
        kind = self._documents.operation_type(request.query, request.operation_name)
        return kind is OperationType.SUBSCRIPTION

    async def _execute(
        self, connection: HTTPConnection, request: GraphQLRequest, receive: Receive
    ) -> tuple[OperationContext | None, Answer]:
        context: OperationContext | None = None
        answer: Answer | None = None
        try:
            async with self._while_connected(receive):
                context = await self._make_context(connection, {})
                answer = await execute(self._schema, request, context)
        except TookTooLong:
            log.info("an operation was cancelled after %s s", self._limits.execution_s)
        return context, answer or timed_out(self._limits.execution_s)

    async def _stream(
        self, framing: Framing, request: GraphQLRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        connection = HTTPConnection(scope)
        after = event_streams.last_event_id(connection.headers.getlist("last-event-id"))
        with self.streams.place(framing) as stream:
            try:
                async with self._while_connected(receive):
                    context = await self._make_context(connection, {})
            except TookTooLong:
                message = "The stream could not be opened in time: try again later."
                raise HttpRefusal(503, Code.SERVICE_UNAVAILABLE, message) from None
            if context.expires_at is not None and context.expires_at <= self._now():
                raise _unauthenticated(Code.UNAUTHENTICATED, EXPIRED)
            if after is not None:
                context = context.resumed_after(after)
            answers = subscribe(self._schema, request, context)
            await stream.serve(context, answers, scope, receive, send)

    @asynccontextmanager
    async def _while_connected(self, receive: Receive) -> AsyncGenerator[None, None]:
        """Cancel what is inside, with its resolvers and whatever SQL they wait for, when nobody waits for it.

        Raises:
            TookTooLong, ClientDisconnect, HttpRefusal
        """
        try:
            # The group ends either with what is inside, or because one of its two tasks raised.
            async with asyncio.timeout(self._limits.execution_s), asyncio.TaskGroup() as group:
                watcher = group.create_task(_watch_for_disconnect(receive))
                yield
                watcher.cancel()
        except TimeoutError:
            raise TookTooLong from None
        except BaseExceptionGroup as group:
            raise _first_of(group) from None

    def _refuse(self, refusal: HttpRefusal) -> Response:
        # In plain JSON whatever was accepted: this is no answer to a well-formed GraphQL request.
        body = orjson.dumps({"errors": [self._format_error(refusal.error, None)]})
        return _respond(body, refusal.status, media_types.JSON, refusal.headers)


def _choose(accept: str, offers: Sequence[str]) -> str:
    media_type = media_types.choose(accept, offers)
    if media_type is None:
        raise HttpRefusal(406, Code.NOT_ACCEPTABLE, f"Accept one of {', '.join(offers)}.")
    return media_type


def _check_content(headers: Headers) -> None:
    """Demand JSON, which is also the guard against cross-site requests: it forces a preflight."""
    content_types = headers.getlist("content-type")
    kind, parameters = media_types.parse(content_types[0]) if len(content_types) == 1 else ("", {})
    if kind != media_types.JSON or not media_types.is_utf8(parameters):
        message = "Send the header `Content-Type: application/json`; the only charset is utf-8."
        raise HttpRefusal(415, Code.UNSUPPORTED_MEDIA_TYPE, message, {"accept": media_types.JSON})
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        message = "Send the body uncompressed, without Content-Encoding."
        raise HttpRefusal(415, Code.UNSUPPORTED_MEDIA_TYPE, message, {"accept-encoding": "identity"})


async def _watch_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientDisconnect


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    if isinstance(error, ConnectionRefused):
        return _unauthenticated(error.code, error.reason)
    return error


def _unauthenticated(code: str, reason: str) -> HttpRefusal:
    return HttpRefusal(401, code, reason, {"www-authenticate": "Bearer"})


def _status(answer: Answer, media_type: str) -> int:
    """The table of the specification.

    Plain ``application/json`` is 200 for every well-formed request, because a proxy may answer with that
    type too; the GraphQL type can afford to tell the truth.
    """
    if answer.code == Code.OPERATION_NOT_SUPPORTED:
        return 400
    if answer.was_executed or media_type == media_types.JSON:
        return 200
    if answer.code == Code.OPERATION_TIMEOUT:
        return 504
    return 400 if answer.code is not None else 500


def _respond(body: bytes, status: int, media_type: str, headers: dict[str, str] | None = None) -> Response:
    return Response(
        body,
        status,
        # Given whole, because Starlette adds a charset to text/* only.
        headers={
            "content-type": f"{media_type}; charset=utf-8",
            "cache-control": "no-store",
            "vary": "accept",
            **(headers or {}),
        },
    )
