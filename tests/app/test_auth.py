from collections.abc import AsyncGenerator

import httpx
import pytest

from app.auth import language_of
from models.errors import Language
from tests.api import Api, running_api


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "ko"),
        ("en", "en"),
        ("ko", "ko"),
        ("en-US,en;q=0.9", "en"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en;q=0.7, ko;q=0.8", "ko"),
        ("fr, en;q=0.5", "en"),
        ("fr", "ko"),
        ("*", "ko"),
        ("EN", "en"),
        ("en;q=0", "ko"),
        ("ko;q=0, en", "en"),
        ("en;q=0, ko;q=0", "ko"),
        ("en;q=nonsense, ko;q=0.1", "ko"),
        ("en;q=nan", "ko"),
        ("en;q=9, ko;q=1", "en"),
        ("english", "ko"),
        (";;;,,,=", "ko"),
        ("," * 5000 + "en", "ko"),
        ("\x00", "ko"),
    ],
)
def test_the_language_is_the_one_that_the_header_ranks_higher_and_korean_in_doubt(
    accepted: str, language: Language
):
    assert language_of(accepted) == language


@pytest.fixture
async def api(fresh_url: str, redis_url: str) -> AsyncGenerator[Api, None]:
    async with running_api(fresh_url, redis_url) as api:
        yield api


async def code(http: httpx.AsyncClient, authorization: str | None) -> str | None:
    """The code that a query for the viewer is answered with; None when it is answered with the viewer."""
    headers = {} if authorization is None else {"authorization": authorization}
    response = await http.post("/graphql", json={"query": "{ viewer { email } }"}, headers=headers)
    answer = response.json()
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return None if answer["data"]["viewer"] else "NOBODY"


async def test_a_bearer_token_says_who_asks_and_nothing_else_does(api: Api):
    person = await api.neighbour()
    token = person.access_token
    assert await code(api.http, None) == "NOBODY"
    assert await code(api.http, f"Bearer {token}") is None
    assert await code(api.http, f"bearer   {token}") is None
    for wrong in (f"Basic {token}", f"Bearer {person.refresh_token}", "Bearer", "Bearer null"):
        assert await code(api.http, wrong) == "UNAUTHENTICATED"


async def test_a_token_in_the_address_is_no_token(api: Api):
    person = await api.neighbour()
    query = {"query": "{ viewer { email } }"}
    for name in ("token", "access_token", "authorization"):
        response = await api.http.post("/graphql", params={name: person.access_token or ""}, json=query)
        assert response.json()["data"] == {"viewer": None}
