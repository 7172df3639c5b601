import httpx
from starlette.applications import Starlette

from app.cache import make_redis
from app.database import make_engine
from app.health import Health, answers, pings


async def get(health: Health, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=[*health.routes()]))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get(path)


async def test_a_server_whose_servers_answer_is_ready_until_it_drains(server_url: str, redis_url: str):
    engine, redis = make_engine(server_url), make_redis(redis_url)
    health = Health({"database": answers(engine), "redis": pings(redis)})
    ready = await get(health, "/readyz")
    assert (ready.status_code, ready.json()) == (200, {"database": "ok", "redis": "ok"})
    assert ready.headers["cache-control"] == "no-store"
    health.is_draining = True
    draining = await get(health, "/readyz")
    assert (draining.status_code, draining.json()["server"]) == (503, "draining")
    assert (await get(health, "/livez")).text == "alive\n"
    await redis.aclose()
    await engine.dispose()


async def test_a_server_without_its_servers_lives_but_is_not_ready_and_says_which_is_missing(
    server_url: str,
):
    engine, redis = make_engine(server_url), make_redis("redis://127.0.0.1:1/0", wait_s=0.5)
    lost = make_engine("postgresql+asyncpg://user:secret@127.0.0.1:1/none", connect_within_s=1)
    checks = {"database": answers(engine), "other": answers(lost), "redis": pings(redis)}
    ready = await get(Health(checks), "/readyz")
    assert ready.status_code == 503
    assert ready.json()["database"] == "ok"
    assert ready.json()["other"] != "ok"
    assert ready.json()["redis"] == "ConnectionError"
    assert "secret" not in ready.text
    assert (await get(Health(checks), "/livez")).status_code == 200
    await redis.aclose()
    await lost.dispose()
    await engine.dispose()
