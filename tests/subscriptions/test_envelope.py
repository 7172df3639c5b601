import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.envelope import LARGEST_DATA_BYTES, Envelope, Malformed, UnknownVersion

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.text(), st.none() | st.integers(1, 2**40), json)
def test_an_envelope_comes_out_as_it_went_in(kind: str, channel: str, number: int | None, data: object):
    sent = Envelope(kind, channel, number, data)
    assert Envelope.decode(sent.encode(), channel) == sent


def test_data_above_8_kb_stay_out():
    small, large = "x" * (LARGEST_DATA_BYTES - 2), "x" * (LARGEST_DATA_BYTES - 1)
    assert Envelope.decode(Envelope("k", "c", 1, small).encode(), "c").data == small
    left_out = Envelope.decode(Envelope("k", "c", 1, large).encode(), "c")
    assert (left_out.data, left_out.number) == (None, 1)


def test_korean_counts_by_its_bytes():
    text = "가" * (LARGEST_DATA_BYTES // 3 + 1)
    assert Envelope.decode(Envelope("k", "c", 1, text).encode(), "c").data is None


good = orjson.loads(Envelope("k", "c", 1).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        orjson.dumps(good | {"number": "1"}).decode(),
        orjson.dumps(good | {"kind": None}).decode(),
        orjson.dumps(good | {"v": 0}).decode(),
        orjson.dumps(good | {"channel": "another"}).decode(),
        "[" * 5000,
        "\ud800",
    ],
)
def test_what_is_no_envelope_is_refused(text: str):
    with pytest.raises(Malformed):
        Envelope.decode(text, "c")


def test_a_newer_version_is_told_apart():
    with pytest.raises(UnknownVersion):
        Envelope.decode(orjson.dumps({"v": 2, "something": "else"}).decode(), "c")
