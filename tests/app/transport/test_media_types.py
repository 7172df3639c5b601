import pytest

from app.transport.http import OFFERS
from app.transport.media_types import GRAPHQL_RESPONSE, JSON, choose, parse


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
        ("text/html", None),
        ("text/event-stream", None),
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


@pytest.mark.parametrize("header", ["", ";", "a\r\nb", "; charset=x", 'application/json; charset="', "\x00"])
def test_nonsense_is_no_media_type(header: str):
    kind, _ = parse(header)
    assert kind in ("", "application/json", "a\r\nb", "\x00") or "/" not in kind
