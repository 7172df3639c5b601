"""Two servers behind HAProxy: what they share, and what a restart of one after the other costs."""

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import strawberry
from sqlalchemy import text as sql

from schema import ids
from tests.api import Client
from tests.deploy.chatters import Chatter, Line, by_socket, by_stream, next_line, socket_of, subscribe
from tests.deploy.conftest import COMMAND, Site
from tests.schema.scenes import Scene

PARTIES = 8
MEMBERS = 4
RESTART_WITHIN_S = 120.0
CATCH_UP_WITHIN_S = 30.0
MAY_END_A_CONNECTION = {"closed 1012", "closed 1001", "closed 1006", "refused 502", "refused 503"} | {
    "ConnectionRefusedError",
    "RemoteProtocolError",  # a stream that was broken off
}


async def test_a_chat_crosses_from_one_process_to_the_other(site: Site):
    scene = Scene(site.api, await site.api.neighbour(), await site.api.neighbour())
    party = await scene.party()
    await scene.place(party)
    async with socket_of(scene.leader) as one, socket_of(scene.neighbour) as two:
        assert await site.connections() == [1, 1]
        for socket in (one, two):
            await subscribe(socket, party, 0)
            assert (await next_line(socket))[0] == 1
        for person, said in ((scene.leader, "어디세요?"), (scene.neighbour, "다 왔어요!")):
            await person.do("sendChatMessage", partyId=party, text=said)
            heard = [await next_line(socket) for socket in (one, two)]
            assert heard[0] == heard[1]
            assert heard[0][1] == said


async def test_wrong_passwords_count_for_the_address_that_the_proxy_sees(site: Site):
    async def guess(number: int, address: str, claimed: str) -> str:
        transport = httpx.AsyncHTTPTransport(local_address=address)
        async with httpx.AsyncClient(
            transport=transport, base_url=site.api.http.base_url, timeout=15
        ) as http:
            guesser = Client(http, address=claimed)
            answer = await guesser.do("signIn", email=f"nobody{number}@example.com", password="wrong")
        return answer["__typename"]

    guesses = [await guess(number, "127.0.0.2", f"192.0.2.{number}") for number in range(11)]
    assert guesses == ["WrongCredentials"] * 10 + ["TooManyAttempts"]
    assert await guess(11, "127.0.0.3", "127.0.0.2") == "WrongCredentials"


async def test_what_is_for_the_house_is_not_shown_to_the_public(site: Site):
    for path in ("/metrics", "/livez", "/readyz"):
        assert (await site.api.http.get(path)).status_code == 404


async def chatters_of(site: Site) -> list[Chatter]:
    """Members of some parties that are full; one in each hears by event stream, the others by socket."""

    async def party() -> list[Chatter]:
        leader, *others = [await site.api.neighbour() for _ in range(MEMBERS)]
        scene = Scene(site.api, leader, others[0])
        party = await scene.party(capacity=MEMBERS)
        for other in others:
            await leader.do("acceptMember", membershipId=await scene.request(party, person=other))
        hears = [by_stream] + [by_socket] * (MEMBERS - 1)
        return [Chatter(person, party, hear) for person, hear in zip([leader, *others], hears, strict=True)]

    return [
        chatter for members in await asyncio.gather(*(party() for _ in range(PARTIES))) for chatter in members
    ]


async def rolling_restart(site: Site) -> None:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "rolling-restart"),
        env=site.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(RESTART_WITHIN_S):
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()


async def rows(site: Site, party: str) -> list[Line]:
    async with site.api.parts.transactions.read() as tx:
        found = await tx.session.execute(
            sql("SELECT number, text FROM chat_messages WHERE party_id = :id ORDER BY number"),
            {"id": ids.decode("Party", strawberry.ID(party))},
        )
        return [(number, said) for number, said in found]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(CATCH_UP_WITHIN_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is in no event
            await asyncio.sleep(0.02)


async def test_restarting_one_server_after_the_other_under_load_loses_nothing(site: Site):
    chatters = await chatters_of(site)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = [group.create_task(chatter.listen()) for chatter in chatters]
        talking = [group.create_task(chatter.talk(over)) for chatter in chatters]
        await until(lambda: all(chatter.heard for chatter in chatters))
        assert sum(await site.connections()) == len(chatters)
        await rolling_restart(site)
        over.set()
        said = {text for task in talking for text in await task}
        kept = {party: await rows(site, party) for party in {chatter.party for chatter in chatters}}
        await until(lambda: all(chatter.heard[-1] == kept[chatter.party][-1] for chatter in chatters))
        for task in listening:
            task.cancel()

    for chatter in chatters:
        lines = kept[chatter.party]
        assert [number for number, _ in chatter.heard] == [number for number, _ in lines]
        assert chatter.heard[1:] == lines[1:]  # the first one the server says, in everybody's own language
        assert chatter.losses, "somebody has slept through the restart"
        assert set(chatter.losses) <= MAY_END_A_CONNECTION
    texts = Counter(text for lines in kept.values() for _, text in lines)
    assert {text: texts[text] for text in said} == dict.fromkeys(said, 1)
