import pytest

from app.transport.http import OFFERS
from app.transport.media_types import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    JSON,
    MULTIPART,
    STREAMS,
    choose,
    parse,
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("APPLICATION/GraphQL-Response+JSON", GRAPHQL_RESPONSE),
        ("application/graphql-response+json; charset=utf-8", GRAPHQL_RESPONSE),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_RESPONSE),
        ("application/json;q=0.9, application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", JSON),
        ("application/graphql-response+json, application/json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json;q=0.1, */*", JSON),
        ("text/html, application/graphql-response+json;q=0.5", GRAPHQL_RESPONSE),
        ("application/json;q=0, */*", GRAPHQL_RESPONSE),
        # as urql sends it
        (
            "application/graphql-response+json, application/graphql+json, application/json, "
            "text/event-stream, multipart/mixed",
            GRAPHQL_RESPONSE,
        ),
        ("text/event-stream", EVENT_STREAM),
        ("text/event-stream, application/json", EVENT_STREAM),
        ("text/event-stream;q=0.9, application/json", JSON),
        ("application/json, text/event-stream", JSON),
        ("text/html", None),
        ("text/*", None),
        ("multipart/mixed;subscriptionSpec=1.0", None),
        ("application/json;q=0", None),
        ("application/json;charset=latin1", None),
        ("application/json;q=many", None),
        ("application/json;q=nan", None),
        ("application/json;q=2", None),
        (";;;,,", None),
    ],
)
def test_the_best_offer_is_chosen_by_quality_and_then_by_order(accept: str | None, chosen: str | None):
    assert choose(accept, OFFERS) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, None),
        ("", None),
        ("*/*", None),
        ("text/*, multipart/*", None),
        ("application/json", None),
        ("text/event-stream", EVENT_STREAM),
        ("*/*, text/event-stream;q=0.1", EVENT_STREAM),
        ("text/event-stream;q=0, */*", None),
        ("text/event-stream;charset=latin1", None),
        ("text/event-stream-of-mine", None),
        ("multipart/mixed", None),
        ("multipart/mixed;subscriptionSpec=1.0", MULTIPART),
        ('Multipart/Mixed; boundary="graphql"; subscriptionspec="1.0"; q=0.5', MULTIPART),
        ("multipart/mixed;subscriptionSpec", None),
        ("multipart/mixed;subscriptionSpec=1", None),
        ("text/event-stream;subscriptionSpec=1.0", EVENT_STREAM),
        ("text/event-stream, multipart/mixed;subscriptionSpec=1.0", EVENT_STREAM),
        ("multipart/mixed;subscriptionSpec=1.0, text/event-stream", MULTIPART),
        ("multipart/mixed;subscriptionSpec=1.0;q=0.5, text/event-stream;q=0.6", EVENT_STREAM),
        # as urql and Apollo send it
        ("text/event-stream, multipart/mixed", EVENT_STREAM),
        ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json;q=0.9", MULTIPART),
    ],
)
def test_a_stream_is_for_who_names_it(accept: str | None, chosen: str | None):
    assert choose(accept, STREAMS) == chosen


@pytest.mark.parametrize("header", ["", ";", "a\r\nb", "; charset=x", 'application/json; charset="', "\x00"])
def test_nonsense_is_no_media_type(header: str):
    kind, _ = parse(header)
    assert kind in ("", "application/json", "a\r\nb", "\x00") or "/" not in kind
