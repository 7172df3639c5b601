from subscriptions.decoding import Decoded
from subscriptions.envelope import Envelope
from tests.subscriptions.lossy import Message, message_of


class Counted:
    """How often something was made of an event."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, envelope: Envelope) -> Message | None:
        self.calls += 1
        return message_of(envelope)


def test_an_event_is_made_a_row_once_however_many_readers_take_it():
    counted = Counted()
    decoded = Decoded(counted)
    event = Envelope("message", "chat:1", 1, "안녕하세요")
    rows = [decoded(event) for _ in range(1_000)]
    assert rows == [Message(1, "안녕하세요")] * 1_000
    assert all(row is rows[0] for row in rows)
    assert counted.calls == 1


def test_an_event_that_brings_nothing_is_looked_at_once_too():
    counted = Counted()
    decoded = Decoded(counted)
    event = Envelope("message", "chat:1", 1)
    assert [decoded(event) for _ in range(3)] == [None] * 3
    assert counted.calls == 1


def test_two_events_of_the_same_number_are_two():
    decoded = Decoded(message_of)
    one, other = (Envelope("message", f"chat:{party}", 1, party) for party in ("a", "b"))
    assert (decoded(one), decoded(other)) == (Message(1, "a"), Message(1, "b"))


def test_what_came_long_ago_is_forgotten():
    counted = Counted()
    decoded = Decoded(counted)
    events = [Envelope("message", "chat:1", number, "글") for number in range(1, 1_002)]
    for event in events:
        decoded(event)
    decoded(events[-1])
    assert counted.calls == 1_001
    decoded(events[0])
    assert counted.calls == 1_002
