"""Every message that a stranger may send, and the close code that the protocol has for it."""

import json

import pytest
from websockets.typing import Data

from app.transport import TransportLimits, messages
from app.transport.errors import ProtocolViolation
from tests.app.transport.test_sockets import closing, receive, send, subscribe
from tests.app.transport.toy import Toy, eventually

DEEP = "[" * 50_000 + "]" * 50_000
QUERY = '"payload":{"query":"{ hello }"}'

HOSTILE: dict[str, tuple[Data, int]] = {
    "empty": ("", 4400),
    "no JSON": ("hello", 4400),
    "a text": ('"connection_init"', 4400),
    "a number": ("1", 4400),
    "null": ("null", 4400),
    "a list": ('[{"type":"ping"}]', 4400),
    "an empty object": ("{}", 4400),
    "no type": (f'{{"id":"1",{QUERY}}}', 4400),
    "type null": ('{"type":null}', 4400),
    "type a list": ('{"type":["subscribe"]}', 4400),
    "type an object": ('{"type":{"a":1}}', 4400),
    "unknown type": ('{"type":"start","id":"1"}', 4400),
    "a message of servers": ('{"type":"next","id":"1","payload":{}}', 4400),
    "an acknowledgement": ('{"type":"connection_ack"}', 4400),
    "id missing": (f'{{"type":"subscribe",{QUERY}}}', 4400),
    "id null": (f'{{"type":"subscribe","id":null,{QUERY}}}', 4400),
    "id a number": (f'{{"type":"subscribe","id":1,{QUERY}}}', 4400),
    "id a list": (f'{{"type":"subscribe","id":["1"],{QUERY}}}', 4400),
    "id an object": (f'{{"type":"subscribe","id":{{}},{QUERY}}}', 4400),
    "id empty": (f'{{"type":"subscribe","id":"",{QUERY}}}', 4400),
    "id of 60,000 characters": (f'{{"type":"subscribe","id":"{"x" * 60_000}",{QUERY}}}', 4400),
    "id a lone surrogate": (f'{{"type":"subscribe","id":"\\ud800",{QUERY}}}', 4400),
    "payload missing": ('{"type":"subscribe","id":"1"}', 4400),
    "payload null": ('{"type":"subscribe","id":"1","payload":null}', 4400),
    "payload a text": ('{"type":"subscribe","id":"1","payload":"{ hello }"}', 4400),
    "payload a list": ('{"type":"subscribe","id":"1","payload":[]}', 4400),
    "query missing": ('{"type":"subscribe","id":"1","payload":{}}', 4400),
    "query a number": ('{"type":"subscribe","id":"1","payload":{"query":1}}', 4400),
    "query a lone surrogate": ('{"type":"subscribe","id":"1","payload":{"query":"\\udfff"}}', 4400),
    "variables a list": ('{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}', 4400),
    "operationName a list": (
        '{"type":"subscribe","id":"1","payload":{"query":"{a}","operationName":[]}}',
        4400,
    ),
    "extensions a text": ('{"type":"subscribe","id":"1","payload":{"query":"{a}","extensions":""}}', 4400),
    "5,000 digits": ('{"type":"ping","payload":{"n":' + "9" * 5000 + "}}", 4400),
    "NaN": ('{"type":"ping","payload":{"n":NaN}}', 4400),
    "deep JSON": ('{"type":"ping","payload":' + DEEP + "}", 4400),
    "JSON of 101 levels": ('{"type":"ping","payload":{"n":' + "[" * 99 + "]" * 99 + "}}", 4400),
    "init with a text": ('{"type":"connection_init","payload":"token"}', 4400),
    "ping with a text": ('{"type":"ping","payload":"x"}', 4400),
    "pong with a list": ('{"type":"pong","payload":[]}', 4400),
    "complete without id": ('{"type":"complete"}', 4400),
    "complete with a list": ('{"type":"complete","id":[]}', 4400),
    "binary JSON": (b'{"type":"ping"}', 4400),
    "binary nonsense": (b"\xff\xfe\x00", 4400),
    "too long": ('{"type":"ping"}'.ljust(128 * 1024 + 1), 1009),
    "too long in UTF-8": (
        json.dumps({"type": "ping", "payload": {"a": "가" * 50_000}}, ensure_ascii=False),
        1009,
    ),
}


@pytest.mark.parametrize("is_acknowledged", [True, False])
@pytest.mark.parametrize(("message", "code"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_message_is_answered_by_a_close_code(
    toy: Toy, message: Data, code: int, is_acknowledged: bool
):
    async with toy.session() if is_acknowledged else toy.socket() as client:
        await client.send(message)
        assert (await closing(client))[0] == code


async def test_text_that_is_no_utf8_is_1007(toy: Toy):
    async with toy.session() as client:
        await client.send(b'{"type":"\xff"}', text=True)
        assert (await closing(client))[0] == 1007


async def test_an_id_in_use_is_4409_and_its_reason_fits(toy: Toy):
    async with toy.session() as client:
        for _ in range(2):
            await subscribe(client, "subscription { silence }", id_="가" * 200)
        code, reason = await closing(client)
    assert (code, reason[:14]) == (4409, "Subscriber for")
    assert len(reason.encode()) <= 123
    await eventually(lambda: toy.context.stopped == ["silence"])


async def test_a_peer_that_opens_and_completes_in_turn_holds_nothing(toy: Toy):
    async with toy.session() as client:
        for number in range(300):
            await subscribe(client, "subscription { silence }", id_=str(number))
            await send(client, "complete", id=str(number))
        await subscribe(client, "{ hello }", id_="last")
        assert (await receive(client))["id"] == "last"
    assert toy.context.started == toy.context.stopped


def test_the_size_of_a_message_is_checked_behind_any_server():
    limits = TransportLimits(max_message_bytes=100)
    assert messages.parse({"text": '{"type":"pong"}'.ljust(100)}, limits) == messages.Pong()
    for text in ('{"type":"pong"}'.ljust(101), '{"type":"pong","payload":{"a":"' + "가" * 24 + '"}}'):
        with pytest.raises(ProtocolViolation) as violation:
            messages.parse({"text": text}, limits)
        assert violation.value.code == 1009
