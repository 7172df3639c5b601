"""The messages of graphql-transport-ws, from and to text.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from app.transport.errors import Malformed, ProtocolViolation
from app.transport.limits import TransportLimits
from app.transport.requests import GraphQLRequest, read_json

SUBPROTOCOL = "graphql-transport-ws"

# Close codes. Those below 4000 are of RFC 6455, the others of the protocol.
ABNORMAL = 1006  # never sent: the connection is dropped
TOO_BIG = 1009
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
BAD_MESSAGE = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
BAD_SUBPROTOCOL = 4406
INIT_TIMEOUT = 4408
ID_IN_USE = 4409
INIT_TWICE = 4429
INTERNAL_ERROR = 4500

MAX_REASON_BYTES = 123
"""A control frame holds 125 bytes, two of them the code."""

ACK = b'{"type":"connection_ack"}'
PING = b'{"type":"ping"}'


@dataclass(frozen=True, slots=True)
class ConnectionInit:
    """The first message; its payload carries the token."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong with the same payload."""

    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers our ping."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Starts an operation of any kind."""

    id: str
    request: GraphQLRequest


@dataclass(frozen=True, slots=True)
class Complete:
    """The client wants no more of this operation."""

    id: str


ClientMessage = ConnectionInit | Ping | Pong | Subscribe | Complete


def parse(frame: Mapping[str, Any], limits: TransportLimits) -> ClientMessage:
    """Read one received frame of ASGI.

    Raises:
        ProtocolViolation
    """
    text = frame.get("text")
    if not isinstance(text, str):
        raise ProtocolViolation(BAD_MESSAGE, "Send text frames, not binary ones")
    raw = text.encode()
    if len(raw) > limits.max_message_bytes:
        raise ProtocolViolation(TOO_BIG, f"A message may have at most {limits.max_message_bytes} bytes")
    try:
        value = read_json(raw, limits.max_json_depth)
        if not isinstance(value, dict):
            raise Malformed("A message must be a JSON object")
        return _message(cast(dict[str, Any], value), limits)
    except Malformed as error:
        raise ProtocolViolation(BAD_MESSAGE, f"Invalid message: {error}") from None


def _message(message: dict[str, Any], limits: TransportLimits) -> ClientMessage:
    match message.get("type"):
        case "connection_init":
            return ConnectionInit(_payload(message) or {})
        case "ping":
            return Ping(_payload(message))
        case "pong":
            _payload(message)
            return Pong()
        case "subscribe":
            return Subscribe(_id(message, limits), GraphQLRequest.of(message.get("payload")))
        case "complete":
            return Complete(_id(message, limits))
        case _:
            raise Malformed("`type` must be connection_init, ping, pong, subscribe or complete")


def _payload(message: dict[str, Any]) -> dict[str, Any] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise Malformed("`payload` must be an object, null, or left out")
    return cast("dict[str, Any] | None", payload)


def _id(message: dict[str, Any], limits: TransportLimits) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= limits.max_id_characters:
        raise Malformed(f"`id` must be a text of 1 to {limits.max_id_characters} characters")
    return id_


def pong(payload: dict[str, Any] | None) -> bytes:
    """The answer to a ping."""
    return b'{"type":"pong"}' if payload is None else orjson.dumps({"type": "pong", "payload": payload})


def opening_of_next(id_: str) -> bytes:
    """How each result of an operation begins; its payload and a brace follow.

    The payload is encoded already: among many readers only this differs.
    """
    return b'{"id":%b,"type":"next","payload":' % orjson.dumps(id_)


def error(id_: str, errors: list[Any]) -> bytes:
    """The operation failed before or outside its fields, and is over."""
    return orjson.dumps({"id": id_, "type": "error", "payload": errors})


def complete(id_: str) -> bytes:
    """The operation is over."""
    return orjson.dumps({"id": id_, "type": "complete"})


def close_reason(text: str) -> str:
    """Cut to what a close frame holds, between two characters."""
    return text.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
