"""One POST: read, negotiate, execute, answer, as the GraphQL-over-HTTP specification has it."""

import asyncio
import logging

import orjson
import strawberry
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from app.transport import media_types
from app.transport.context import ConnectionRefused, FormatError, MakeContext, OperationContext
from app.transport.errors import Code, HttpRefusal, Malformed
from app.transport.limits import TransportLimits
from app.transport.operations import Answer, execute, internal, timed_out
from app.transport.requests import PARAMETERS, GraphQLRequest, read_json

log = logging.getLogger(__name__)

OFFERS = (media_types.JSON, media_types.GRAPHQL_RESPONSE)
"""In the order of our preference where the client has none: old clients send no Accept and expect JSON."""


class HttpTransport:
    """Queries and mutations by POST; further transports join where the media type is chosen."""

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: MakeContext,
        limits: TransportLimits,
        format_error: FormatError,
        ide_path: str | None,
    ) -> None:
        self._schema = schema
        self._make_context = make_context
        self._limits = limits
        self._format_error = format_error
        self._ide_path = ide_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. A client that hangs up gets nothing and stops what it began."""
        try:
            response = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except HttpRefusal as refusal:
            response = self._refuse(refusal)
        except Exception as error:
            log.exception("an HTTP request failed")
            body = Answer.refused(internal(error)).encode(self._format_error, None)
            response = _respond(body, 500, media_types.JSON)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope=scope)
        if scope["method"] != "POST":
            return self._answer_to_other_method(scope["method"], headers)
        media_type = media_types.choose(", ".join(headers.getlist("accept")), OFFERS)
        if media_type is None:
            raise HttpRefusal(406, Code.NOT_ACCEPTABLE, f"Accept one of {', '.join(OFFERS)}.")
        _check_content(headers)
        body = await self._read_body(headers, receive)
        try:
            request = GraphQLRequest.of(read_json(body, self._limits.max_json_depth, once=PARAMETERS))
        except Malformed as error:
            raise HttpRefusal(400, Code.BAD_REQUEST, str(error)) from None
        context, answer = await self._execute(HTTPConnection(scope), request, receive)
        return _respond(answer.encode(self._format_error, context), _status(answer, media_type), media_type)

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

    async def _execute(
        self, connection: HTTPConnection, request: GraphQLRequest, receive: Receive
    ) -> tuple[OperationContext | None, Answer]:
        context: OperationContext | None = None
        answer: Answer | None = None
        try:
            # The group ends either with the answer, or because one of its two tasks raised: the watcher
            # when the client has gone, which cancels the resolvers and whatever SQL they wait for.
            async with asyncio.timeout(self._limits.execution_s), asyncio.TaskGroup() as group:
                watcher = group.create_task(_watch_for_disconnect(receive))
                context = await self._make_context(connection, {})
                answer = await execute(self._schema, request, context)
                watcher.cancel()
        except TimeoutError:
            log.info("an operation was cancelled after %s s", self._limits.execution_s)
        except BaseExceptionGroup as group:
            raise _first_of(group) from None
        return context, answer or timed_out(self._limits.execution_s)

    def _refuse(self, refusal: HttpRefusal) -> Response:
        # In plain JSON whatever was accepted: this is no answer to a well-formed GraphQL request.
        body = orjson.dumps({"errors": [self._format_error(refusal.error, None)]})
        return _respond(body, refusal.status, media_types.JSON, refusal.headers)


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
        return HttpRefusal(401, error.code, error.reason, {"www-authenticate": "Bearer"})
    return error


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
