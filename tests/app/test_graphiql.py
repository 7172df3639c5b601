"""The page at /graphiql, served as it is and seen by a real browser whose network is cut."""

import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_schema, parse, validate

from app.graphiql import PAGE, read_examples
from app.transport import Documents, EventExecutor
from app.web_files import WANTED, files_path
from schema.root import make_schema
from tests.app.graphiql_toy import RIGHT, Desk, serving
from tests.app.transport.toy import eventually
from tests.browser import Page, browser, needs_chromium

FILES = files_path(PAGE.parent)
needs_files = pytest.mark.skipif(
    not (FILES / "manifest.json").exists(), reason="GraphiQL's files are not there: run ./gonggu setup"
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def url(desk: Desk) -> AsyncGenerator[str]:
    async with serving(desk, FILES) as url:
        yield url


@pytest.fixture
async def page(url: str) -> AsyncGenerator[Page]:
    async with browser() as page:
        await page.goto(f"{url}/graphiql")
        await page.until("document.querySelector('.graphiql-query-editor .CodeMirror')")
        yield page


async def run(page: Page, operation: str) -> None:
    """Write a named operation into the tab that is open, and run it once GraphiQL has understood it."""
    editor = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror"
    await page.evaluate(f"{editor}.setValue({operation!r})")
    name = operation.split()[1]
    await page.until(f"{editor}.operationName === {name!r}")
    await press_run(page)


async def press_run(page: Page) -> None:
    await page.until("!document.querySelector('.graphiql-execute-button').disabled")
    await page.evaluate("document.querySelector('.graphiql-execute-button').click()")


async def answer(page: Page, containing: str) -> str:
    """What the answer's pane says once it says this."""
    shown = "document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue()"
    return await page.until(f"({shown} ?? '').includes({containing!r}) && {shown}")


async def sign_in(page: Page, *, with_password: str = RIGHT) -> None:
    await page.evaluate(f"""(() => {{
        const form = document.getElementById('sign-in');
        form.email.value = 'mangwon@example.com';
        form.password.value = {with_password!r};
        form.requestSubmit();
    }})()""")


SIGNED_IN = "!document.getElementById('signed-in').hidden"
SIGNED_OUT = "!document.getElementById('sign-in').hidden"


@needs_chromium
@needs_files
async def test_the_first_example_answers_at_once(page: Page, url: str, tmp_path: Path) -> None:
    tabs = await page.until(
        "[...document.querySelectorAll('.graphiql-tab-button')].map(tab => tab.textContent).join()"
    )
    assert tabs.startswith("NearbyParties,PartyDetails,JoinParty")
    await press_run(page)
    assert "참기름 12병" in await answer(page, "totalCount")
    await page.screenshot(tmp_path / "graphiql.png")
    assert page.complaints == []
    assert [address for address in page.requests if not address.startswith(f"{url}/graph")] == []


@needs_chromium
@needs_files
async def test_a_subscription_runs_over_the_websocket_with_the_token(page: Page) -> None:
    await run(page, "subscription Watch { authorizations(times: 2) }")
    await answer(page, "1: None")
    await sign_in(page)
    await page.until(SIGNED_IN)
    await run(page, "subscription Watch { authorizations(times: 4) }")
    await answer(page, "3: Bearer access 1")
    assert page.complaints == []
    sockets = [address for address in page.requests if address.startswith("ws")]
    assert len(sockets) == 2
    assert all("access" not in address for address in page.requests)


@needs_chromium
@needs_files
async def test_who_signs_in_is_shown_and_sends_the_token_until_signing_out(page: Page, desk: Desk) -> None:
    await sign_in(page)
    await page.until(SIGNED_IN)
    assert await page.evaluate("document.getElementById('nickname').textContent") == "망원동토박이"
    await run(page, "query Who { authorization }")
    await answer(page, "Bearer access 1")
    await page.evaluate("document.getElementById('sign-out').click()")
    await page.until(SIGNED_OUT)
    await run(page, "query Anew { authorization }")
    await answer(page, "null")
    assert desk.ended
    assert desk.seen == ["Bearer access 1", None]


@needs_chromium
@needs_files
async def test_a_wrong_password_is_told_and_the_next_attempt_clears_it(page: Page) -> None:
    await sign_in(page, with_password="wrong")
    notice = await page.until("document.getElementById('notice').innerText")
    assert notice == "The e-mail address or the password is wrong."
    await sign_in(page)
    await page.until(SIGNED_IN)
    assert await page.evaluate("document.getElementById('notice').hidden")


@needs_chromium
@needs_files
async def test_an_access_token_is_renewed_before_it_ends(page: Page, desk: Desk) -> None:
    desk.lifetime = timedelta(minutes=-1)
    await sign_in(page)
    await page.until(SIGNED_IN)
    desk.lifetime = timedelta(minutes=15)
    await run(page, "query Who { authorization }")
    await answer(page, "Bearer access 2")
    await run(page, "query Again { authorization }")
    await eventually(lambda: desk.seen == ["Bearer access 2"] * 2)


@needs_chromium
@needs_files
async def test_a_session_that_ended_elsewhere_asks_to_sign_in_again(page: Page, desk: Desk) -> None:
    desk.lifetime, desk.ended = timedelta(minutes=-1), True
    await sign_in(page)
    await page.until(SIGNED_IN)
    await run(page, "query Who { authorization }")
    await page.until(SIGNED_OUT)
    await answer(page, "Please sign in again.")


@needs_chromium
@needs_files
async def test_a_reload_keeps_the_person_and_a_copy_of_the_tab_does_not(page: Page, url: str) -> None:
    await sign_in(page)
    await page.until(SIGNED_IN)
    await page.goto(f"{url}/graphiql")
    await page.until(SIGNED_IN)
    await page.evaluate("window.copy = window.open(location.href), true")
    await page.until("copy.document.querySelector('.graphiql-query-editor .CodeMirror')")
    assert await page.evaluate("copy.document.getElementById('signed-in').hidden")
    assert await page.evaluate(SIGNED_IN)


@needs_chromium
@needs_files
async def test_every_panel_opens_under_the_content_policy(page: Page) -> None:
    for label in ("Show Documentation Explorer", "Show History"):
        await page.evaluate(f"document.querySelector('button[aria-label=\"{label}\"]').click()")
        await page.until("document.querySelector('.graphiql-plugin')")
    await page.evaluate("document.querySelector('button[aria-label=\"Open settings dialog\"]').click()")
    await page.until("document.querySelector('.graphiql-dialog')")
    assert [complaint for complaint in page.complaints if complaint.startswith("security")] == []


@needs_chromium
@needs_files
async def test_the_examples_can_be_opened_again(page: Page) -> None:
    await run(page, "query Mine { authorization }")
    await page.until("document.querySelector('.graphiql-tab-button').textContent === 'Mine'")
    await page.evaluate("window.confirm = () => true, document.getElementById('restore').click()")
    await page.until("document.querySelector('.graphiql-tab-button')?.textContent === 'NearbyParties'")


@needs_chromium
@needs_files
async def test_the_page_speaks_korean_to_a_korean_browser(url: str) -> None:
    async with browser(language="ko-KR") as page:
        await page.goto(f"{url}/graphiql")
        await page.until("document.querySelector('#sign-in button').textContent === '로그인'")
        assert await page.evaluate("document.documentElement.lang") == "ko"


def operation_name(example: dict[str, Any]) -> str:
    return example["query"].split("(")[0].split("{")[0].split()[-1]


async def get(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        return await client.get(url, headers=headers)


async def test_without_its_files_the_page_says_how_to_get_them_and_needs_no_restart(
    desk: Desk, tmp_path: Path
) -> None:
    async with serving(desk, tmp_path) as url:
        missing = await get(f"{url}/graphiql")
        assert missing.status_code == 503
        assert "./gonggu setup" in missing.text
        assert f"curl {url}/graphql" in missing.text
        (tmp_path / "manifest.json").write_text("{}")
        assert (await get(f"{url}/graphiql")).status_code == 200


async def test_what_a_client_writes_into_the_host_is_not_written_into_the_page(
    desk: Desk, tmp_path: Path
) -> None:
    async with serving(desk, tmp_path) as url:
        missing = await get(f"{url}/graphiql", Host="<script>alert(1)</script>")
    assert "<script>" not in missing.text


async def test_every_answer_forbids_foreign_code_and_guessing_of_types(url: str) -> None:
    first, second = await get(f"{url}/graphiql"), await get(f"{url}/graphiql")
    policy = first.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert policy != second.headers["content-security-policy"]
    script = await get(f"{url}/graphiql/static/boot.js")
    for answer in (first, script, await get(f"{url}/graphiql/config.json")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_an_unchanged_file_is_not_sent_twice(url: str) -> None:
    script = await get(f"{url}/graphiql/static/boot.js")
    again = await get(f"{url}/graphiql/static/boot.js", **{"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["package.json", "../package.json", "%2e%2e/.npmrc", "nothing.js"])
async def test_nothing_but_the_page_is_served(url: str, name: str) -> None:
    assert (await get(f"{url}/graphiql/static/{name}")).status_code == 404


def test_the_page_uses_every_script_and_style_that_is_fetched() -> None:
    text = (PAGE / "index.html").read_text()
    wanted = [file.name for file in WANTED if not file.name.endswith(".txt")]
    assert [name for name in wanted if f'static/{name}"' not in text] == []


@pytest.mark.parametrize("example", read_examples(PAGE / "examples"), ids=operation_name)
def test_every_example_is_valid(example: dict[str, Any]) -> None:
    sdl = make_schema(Documents().extension, execution_context_class=EventExecutor).as_str()
    assert validate(build_schema(sdl), parse(example["query"])) == []
    json.loads(example["variables"] or "{}")


def test_examples_come_in_the_order_of_their_names_with_their_variables(tmp_path: Path) -> None:
    (tmp_path / "2-b.graphql").write_text("{ b }\n\n")
    (tmp_path / "1-a.graphql").write_text("{ a }")
    (tmp_path / "1-a.json").write_text('{"x": 1}\n')
    expected: list[dict[str, Any]] = [
        {"query": "{ a }\n", "variables": '{"x": 1}'},
        {"query": "{ b }\n", "variables": ""},
    ]
    assert read_examples(tmp_path) == expected
