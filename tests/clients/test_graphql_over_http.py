import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.api import running_api
from tests.app.transport.toy import Toy


def failed_audits(run_client: Callable[..., str], url: str) -> list[dict[str, Any]]:
    """What the audit demands (MUST) or advises (SHOULD) and the server at `url` doesn't do."""
    results: list[dict[str, Any]] = json.loads(run_client("audit.mjs", url))
    demanded = [result for result in results if result["name"].startswith(("MUST", "SHOULD"))]
    assert len(demanded) >= 36, "the audit did not run"
    return [result for result in demanded if result["status"] != "ok"]


async def test_the_transport_does_all_that_the_audit_demands_and_advises(run_client: Callable[..., str]):
    async with Toy().serve() as toy:
        assert await asyncio.to_thread(failed_audits, run_client, toy.url) == []


async def test_the_real_server_does_all_that_the_audit_demands_and_advises(
    run_client: Callable[..., str], fresh_url: str, redis_url: str
):
    async with running_api(fresh_url, redis_url) as api:
        url = f"{api.http.base_url}".rstrip("/") + "/graphql"
        assert await asyncio.to_thread(failed_audits, run_client, url) == []
