"""What members hear of their chat while they listen, and when they hear no more."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from schema import ids
from tests.api import WITHIN_S, Api, Client
from tests.schema.talks import MESSAGES, PRESENCE, Talk, again_until_heard, nickname, talk
from tests.schema.test_story import JOINED, open_party


def numbers(events: list[dict[str, object]]) -> list[object]:
    return [event["number"] for event in events]


async def test_two_members_hear_each_other(shared_api: Api):
    one = await talk(shared_api)
    leader, member = await nickname(one.leader), await nickname(one.member)
    async with (
        one.leader.subscribed(MESSAGES, id=one.party, after=1) as to_leader,
        one.member.subscribed(MESSAGES, id=one.party, after=1) as to_member,
    ):
        await one.say(one.leader, "어디세요?")
        await one.say(one.member, "<b>3번 출구</b>")
        for events in (to_leader, to_member):
            assert await events.some(2) == [
                {"number": 2, "kind": "CHAT", "text": "어디세요?", "sender": {"nickname": leader}},
                {"number": 3, "kind": "CHAT", "text": "<b>3번 출구</b>", "sender": {"nickname": member}},
            ]


async def test_everything_above_the_last_number_comes_once_and_in_order_then_what_is_live(shared_api: Api):
    one = await talk(shared_api)
    for _ in range(10):
        await asyncio.gather(*(one.say(one.leader, "옛날에") for _ in range(25)))
    async with (
        one.member.subscribed(MESSAGES, id=one.party, after=0) as all_of_it,
        one.member.subscribed(MESSAGES, id=one.party, after=149) as half,
        one.member.subscribed(MESSAGES, id=one.party, after=251) as nothing,
    ):
        assert numbers(await all_of_it.some(251)) == list(range(1, 252))
        said = await asyncio.gather(*(one.say(one.leader, "동시에") for _ in range(20)))
        assert sorted(said) == list(range(252, 272))
        assert numbers(await all_of_it.some(20)) == list(range(252, 272))
        assert numbers(await half.some(122)) == list(range(150, 272))
        assert numbers(await nothing.some(20)) == list(range(252, 272))


async def test_without_a_last_number_only_what_is_said_from_now_on_comes(shared_api: Api):
    one = await talk(shared_api)
    before = await one.say(one.leader, "옛날 이야기")
    heard: list[int] = []

    async def say() -> None:
        heard.append(await one.say(one.leader, "들려요?"))

    async with one.member.subscribed(MESSAGES, id=one.party) as events:
        await again_until_heard(say, events)
        assert heard[0] > before
        # Nothing older follows.
        number = await one.say(one.leader, "이제 들려요")
        assert (await events.next())["number"] == number


async def test_a_number_that_no_message_has_yet_is_taken_for_the_last_one(shared_api: Api):
    one = await talk(shared_api)
    async with one.member.subscribed(MESSAGES, id=one.party, after=2**31 - 1) as events:
        async with asyncio.timeout(WITHIN_S):
            # Who is present has begun to listen.
            while not (await one.chat(one.leader, "present { id }"))["present"]:
                pass
        assert await one.say(one.leader, "여기서부터") == 2
        assert (await events.next())["number"] == 2


async def test_what_is_no_number_and_what_is_no_party_is_refused(shared_api: Api):
    one = await talk(shared_api)
    for number in ("2", -1, 2**31, 1.5):
        async with one.member.subscribed(MESSAGES, id=one.party, after=number) as events:
            assert await events.refusal() == "BAD_USER_INPUT"
    async with one.member.subscribed(MESSAGES, id="garbage") as events:
        assert await events.refusal() == "BAD_USER_INPUT"
    async with one.member.subscribed(MESSAGES, id=ids.encode("Chat", one.key)) as events:
        assert await events.refusal() == "BAD_USER_INPUT"


@pytest.mark.parametrize("subscription", [MESSAGES, PRESENCE], ids=["messages", "presence"])
async def test_nobody_but_accepted_members_listens(shared_api: Api, subscription: str):
    leader, member, applicant, rejected, leaver, removed, stranger = [
        await shared_api.neighbour() for _ in range(7)
    ]
    party = await open_party(shared_api, leader, capacity=5)
    requests: dict[str, str] = {}
    for person in (member, leaver, removed, rejected, applicant):
        requests[person.id] = (await person.do("joinParty", JOINED, partyId=party))["id"]
    for person in (member, leaver, removed):
        await leader.do("acceptMember", membershipId=requests[person.id])
    async with member.subscribed(subscription, id=party) as events:
        assert await events.refusal() == "CHAT_CLOSED", "it is not open yet"
    await leader.do("openChat", partyId=party)
    await leader.do("rejectMember", membershipId=requests[rejected.id])
    await leader.do("removeMember", membershipId=requests[removed.id], reason="연락이 안 돼요")
    await leaver.do("leaveParty", partyId=party)
    for person in (stranger, applicant, rejected, leaver, removed):
        async with person.subscribed(subscription, id=party) as events:
            assert await events.refusal() == "NOT_PARTY_MEMBER"
    for person in (shared_api.anybody, shared_api.anybody.with_token("bad")):
        async with person.subscribed(subscription, id=party) as events:
            assert await events.refusal() == "UNAUTHENTICATED"


async def leave(one: Talk, person: Client, place: str) -> None:
    assert (await person.do("leaveParty", partyId=one.party))["__typename"] == "Membership"


async def be_removed(one: Talk, person: Client, place: str) -> None:
    removed = await one.leader.do("removeMember", membershipId=place, reason="연락이 안 돼요")
    assert removed["__typename"] == "Membership"


Depart = Callable[[Talk, Client, str], Awaitable[None]]


@pytest.mark.parametrize("depart", [leave, be_removed])
async def test_who_departs_hears_that_and_nothing_after_it(shared_api: Api, depart: Depart):
    one = await talk(shared_api)
    person = await shared_api.neighbour()
    place = await one.join(person)
    async with (
        person.subscribed(MESSAGES, id=one.party, after=0) as to_person,
        one.member.subscribed(MESSAGES, id=one.party, after=0) as to_member,
        person.subscribed(PRESENCE, id=one.party) as present,
    ):
        assert numbers(await to_person.some(2)) == [1, 2]
        await present.next()
        await depart(one, person, place)
        await one.say(one.leader, "이제 우리끼리")
        (last,) = await to_person.rest()
        assert (last["number"], last["kind"], last["sender"]["nickname"]) == (
            3,
            "LEFT",
            await nickname(person),
        )
        assert numbers(await to_member.some(4)) == [1, 2, 3, 4]
        await present.rest()


@pytest.mark.parametrize("ahead", [0, 1, 2, 100])
async def test_nobody_hears_more_by_saying_that_they_have_the_message_of_their_departure(
    shared_api: Api, ahead: int
):
    one = await talk(shared_api)
    async with (
        one.member.subscribed(MESSAGES, id=one.party, after=1 + ahead) as events,
        one.member.subscribed(PRESENCE, id=one.party) as present,
    ):
        await present.next()
        await one.member.do("leaveParty", partyId=one.party)
        for words in ("하나", "둘", "셋"):
            await one.say(one.leader, words)
        assert numbers(await events.rest()) == [2]


async def test_who_has_come_back_hears_of_the_old_departure_and_goes_on(shared_api: Api):
    one = await talk(shared_api)
    person = await shared_api.neighbour()
    for _ in range(2):
        await one.join(person)
        await person.do("leaveParty", partyId=one.party)
    await one.join(person)
    async with person.subscribed(MESSAGES, id=one.party, after=0) as events:
        assert [each["kind"] for each in await events.some(6)] == [
            *("SYSTEM", "JOINED", "LEFT", "JOINED", "LEFT", "JOINED")
        ]
        number = await one.say(one.leader, "어서 와요")
        assert (await events.next())["number"] == number
        await person.do("leaveParty", partyId=one.party)
        assert [each["kind"] for each in await events.rest()] == ["LEFT"]


async def test_two_readers_in_two_languages_get_their_own_words(shared_api: Api):
    one = await talk(shared_api)
    async with (
        one.leader.speaking("ko").subscribed(MESSAGES, id=one.party, after=1) as korean,
        one.leader.subscribed(MESSAGES, id=one.party, after=1) as english,
        one.member.subscribed(MESSAGES, id=one.party, after=1) as too,
    ):
        await one.leader.do("closeChat", partyId=one.party)
        assert (await korean.next())["text"] == "채팅이 닫혔어요. 지난 대화는 계속 볼 수 있어요."
        for events in (english, too):
            assert (await events.next())["text"] == "The chat is closed. It can still be read."


async def test_who_listens_is_present_and_who_stops_is_not(shared_api: Api):
    one = await talk(shared_api)
    leader, member = {"nickname": await nickname(one.leader)}, {"nickname": await nickname(one.member)}
    async with one.leader.subscribed(PRESENCE, id=one.party) as events:
        assert await events.next() == {"typing": [], "present": []}
        async with one.member.subscribed(MESSAGES, id=one.party):
            assert await events.next() == {"typing": [], "present": [member]}
            assert (await one.chat(one.leader, "present { nickname }"))["present"] == [member]
            async with one.leader.subscribed(MESSAGES, id=one.party):
                # In the order of their ids.
                assert await events.next() == {"typing": [], "present": [leader, member]}
            assert await events.next() == {"typing": [], "present": [member]}
        assert await events.next() == {"typing": [], "present": []}


async def test_who_writes_is_seen_until_they_stop_or_time_passes(api: Api):
    one = await talk(api)
    member = {"nickname": await nickname(one.member)}
    async with one.leader.subscribed(PRESENCE, id=one.party) as events:
        assert await events.next() == {"typing": [], "present": []}

        async def typing(is_typing: bool) -> None:
            fields = "... on Chat { isOpen }"
            said = await one.member.do("setTyping", fields, partyId=one.party, isTyping=is_typing)
            assert said["isOpen"]

        await typing(True)
        assert (await events.next())["typing"] == [member]
        await typing(False)
        assert (await events.next())["typing"] == []
        await typing(True)
        assert (await events.next())["typing"] == [member]
        api.clock.move(seconds=6)
        assert (await events.next())["typing"] == []


async def test_of_what_is_read_of_parties_each_reader_sees_their_own_part(shared_api: Api):
    """However many ask the same in the same words: what depends on the viewer is never shared."""
    one = await talk(shared_api)
    stranger = await shared_api.neighbour()
    query = (
        "subscription($id: ID!) { partyChanges(partyId: $id) { note viewerMembership { role status } "
        "chat { unreadCount } } }"
    )
    people = [one.leader, one.member, stranger] * 3
    async with (
        people[0].subscribed(query, id=one.party) as a,
        people[1].subscribed(query, id=one.party) as b,
        people[2].subscribed(query, id=one.party) as c,
        people[3].subscribed(query, id=one.party) as d,
        people[4].subscribed(query, id=one.party) as e,
        people[5].subscribed(query, id=one.party) as f,
    ):
        everybody = (a, b, c, d, e, f)
        for events in everybody:
            await events.next()
        for note in ("하나", "둘"):
            await one.leader.do("updateParty", partyId=one.party, note=note)
            seen = [await events.next() for events in everybody]
            assert [each["note"] for each in seen] == [note] * 6
            memberships = [each["viewerMembership"] for each in seen]
            leader = {"role": "LEADER", "status": "ACCEPTED"}
            assert memberships == [leader, {"role": "MEMBER", "status": "ACCEPTED"}, None] * 2
            assert [each["chat"] is None for each in seen] == [False, False, True] * 2
