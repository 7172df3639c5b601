"""What members say to each other, over HTTP: written, read back, and seen by nobody else."""

import asyncio
import json
from typing import Any

import pytest

from resolvers.pages import cursor_of
from schema import ids
from tests.api import Api, Client, graphql_schema
from tests.schema.talks import Talk, nickname, talk
from tests.schema.test_story import JOINED, open_party

PAGE = "edges { cursor node { number text } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
SAID = "messages { edges { node { number kind text sender { nickname } } } }"
HTML = "<script>alert('&amp;')</script>\n둘째 줄 👋"


def numbers(page: dict[str, Any]) -> list[int]:
    return [edge["node"]["number"] for edge in page["edges"]]


def sides(page: dict[str, Any]) -> tuple[bool, bool]:
    """Whether there is more before, and behind."""
    return page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]


async def test_members_talk_and_what_they_say_stays_as_they_wrote_it(shared_api: Api):
    one = await talk(shared_api)
    leader, member = await nickname(one.leader), await nickname(one.member)
    assert [await one.say(one.leader, "  안녕하세요\n"), await one.say(one.member, HTML)] == [2, 3]
    for person in (one.leader, one.member):
        said = await one.chat(person, SAID)
        assert [edge["node"] for edge in said["messages"]["edges"]] == [
            {"number": 1, "kind": "SYSTEM", "text": "The chat is open. Say hello!", "sender": None},
            {"number": 2, "kind": "CHAT", "text": "안녕하세요", "sender": {"nickname": leader}},
            {"number": 3, "kind": "CHAT", "text": HTML, "sender": {"nickname": member}},
        ]


async def test_the_server_speaks_of_what_happens_in_the_language_of_the_reader(shared_api: Api):
    one = await talk(shared_api)
    leaver, removed = await shared_api.neighbour(), await shared_api.neighbour()
    left, out = await nickname(leaver), await nickname(removed)
    await one.join(leaver)
    await leaver.do("leaveParty", partyId=one.party)
    place = await one.join(removed)
    await one.leader.do("removeMember", membershipId=place, reason="연락이 안 돼요")
    await one.leader.do("updateParty", partyId=one.party, capacity=3)
    await one.join(await shared_api.neighbour("마지막 사람"))
    await one.leader.do("closeChat", partyId=one.party)
    await one.leader.do("openChat", partyId=one.party)
    await one.leader.do("cancelParty", partyId=one.party)

    async def texts(person: Client) -> list[tuple[str, str]]:
        edges = (await one.chat(person, SAID))["messages"]["edges"]
        return [(edge["node"]["kind"], edge["node"]["text"]) for edge in edges]

    assert await texts(one.member) == [
        ("SYSTEM", "The chat is open. Say hello!"),
        ("JOINED", f"{left} has joined."),
        ("LEFT", f"{left} has left."),
        ("JOINED", f"{out} has joined."),
        ("LEFT", f"{out} was removed by the leader."),
        ("SYSTEM", "The party has changed. Have a look."),
        ("JOINED", "마지막 사람 has joined."),
        ("SYSTEM", "Every place is taken."),
        ("SYSTEM", "The chat is closed. It can still be read."),
        ("SYSTEM", "The chat is open. Say hello!"),
        ("SYSTEM", "The party was canceled."),
    ]
    korean = await texts(one.member.speaking("ko"))
    assert korean[1:3] == [("JOINED", f"{left} 님이 들어왔어요."), ("LEFT", f"{left} 님이 나갔어요.")]
    assert korean[4] == ("LEFT", f"파티장이 {out} 님을 내보냈어요.")
    assert korean[-1] == ("SYSTEM", "파티가 취소됐어요.")


async def test_history_is_read_page_by_page_in_both_directions(shared_api: Api):
    one = await talk(shared_api)
    for number in range(2, 8):
        assert await one.say(one.member, f"{number}번") == number
    newest = (await one.chat(one.member, f"messages(last: 3) {{ {PAGE} }}"))["messages"]
    assert (numbers(newest), sides(newest)) == ([5, 6, 7], (True, False))
    assert newest["pageInfo"]["startCursor"] == newest["edges"][0]["cursor"]
    assert newest["pageInfo"]["endCursor"] == newest["edges"][-1]["cursor"]

    back = f"messages(last: $n, before: $cursor) {{ {PAGE} }}"
    start = newest["pageInfo"]["startCursor"]
    older = (await one.chat(one.member, back, n=3, cursor=start))["messages"]
    assert (numbers(older), sides(older)) == ([2, 3, 4], (True, True))
    start = older["pageInfo"]["startCursor"]
    oldest = (await one.chat(one.member, back, n=3, cursor=start))["messages"]
    assert (numbers(oldest), sides(oldest)) == ([1], (False, True))

    on = f"messages(first: $n, after: $cursor) {{ {PAGE} }}"
    first = (await one.chat(one.member, f"messages(first: 4) {{ {PAGE} }}"))["messages"]
    assert (numbers(first), sides(first)) == ([1, 2, 3, 4], (False, True))
    rest = (await one.chat(one.member, on, n=4, cursor=first["pageInfo"]["endCursor"]))["messages"]
    assert (numbers(rest), sides(rest)) == ([5, 6, 7], (True, False))
    none = (await one.chat(one.member, on, n=4, cursor=rest["pageInfo"]["endCursor"]))["messages"]
    assert (numbers(none), none["pageInfo"]["endCursor"]) == ([], None)


async def test_a_page_of_history_is_fifty_by_default_and_a_hundred_at_most(shared_api: Api):
    one = await talk(shared_api)
    for number in range(2, 53):
        await one.say(one.leader, f"{number}번")
    for arguments in ("", "(last: null)"):
        page = (await one.chat(one.leader, f"messages{arguments} {{ {PAGE} }}"))["messages"]
        assert (numbers(page), sides(page)) == (list(range(3, 53)), (True, False))
    assert numbers((await one.chat(one.leader, f"messages(last: 100) {{ {PAGE} }}"))["messages"])[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "last: 0",
        "last: 101",
        "last: -1",
        "first: 0",
        "first: 101",
        'before: "garbage"',
        'after: ""',
        f'after: "{cursor_of(("1",))}"',
        f'before: "{cursor_of((1, 2))}"',
        f'before: "{cursor_of((2**31,))}"',
        f'first: 5, after: "{cursor_of((-(2**63),))}"',
    ],
)
async def test_a_page_or_a_cursor_of_history_that_is_none_is_refused(shared_api: Api, arguments: str):
    one = await talk(shared_api)
    asked = f"messages({arguments}) {{ edges {{ cursor }} }}"
    query = f"query($id: ID!) {{ party(id: $id) {{ chat {{ {asked} }} }} }}"
    assert (await one.leader.fails(query, id=one.party))["code"] == "BAD_USER_INPUT"


async def test_what_was_read_goes_forward_only_and_is_seen_by_everybody(shared_api: Api):
    one = await talk(shared_api)
    await one.say(one.leader, "하나")
    await one.say(one.leader, "둘")
    marks = "lastNumber unreadCount readMarks { number user { id } }"

    async def seen(person: Client) -> tuple[int, dict[str, int]]:
        chat = await one.chat(person, marks)
        assert chat["lastNumber"] == 3
        return chat["unreadCount"], {each["user"]["id"]: each["number"] for each in chat["readMarks"]}

    leader, member = one.leader.id, one.member.id
    # Who speaks has read.
    assert await seen(one.leader) == (0, {leader: 3, member: 0})
    assert await seen(one.member) == (3, {leader: 3, member: 0})
    for given, kept in ((2, 2), (1, 2), (99, 3), (0, 3)):
        chat = await one.member.do(
            "markChatRead", "... on Chat { unreadCount }", partyId=one.party, number=given
        )
        assert chat["unreadCount"] == 3 - kept
        assert await seen(one.leader) == (0, {leader: 3, member: kept})


async def test_a_chat_is_nothing_to_anyone_but_its_accepted_members(shared_api: Api):
    leader, member, applicant, rejected, leaver, stranger = [await shared_api.neighbour() for _ in range(6)]
    party = await open_party(shared_api, leader, capacity=5)

    async def place(person: Client) -> str:
        request = await person.do("joinParty", JOINED, partyId=party)
        await leader.do("acceptMember", membershipId=request["id"])
        return request["id"]

    await place(member)
    seen = "query($id: ID!) { party(id: $id) { chat { id lastNumber } } }"
    for person in (leader, member):
        assert await person.ask(seen, id=party) == {"chat": None}, "it is not open yet"
    await leader.do("openChat", partyId=party)
    await place(leaver)
    request = await rejected.do("joinParty", JOINED, partyId=party)
    await leader.do("rejectMember", membershipId=request["id"])
    await applicant.do("joinParty", partyId=party)
    await leaver.do("leaveParty", partyId=party)
    one = Talk(shared_api, leader, member, party)
    await one.say(leader, "우리끼리")
    chat = (await member.ask(seen, id=party))["chat"]
    assert chat["lastNumber"] == 4
    message = (await one.chat(member, "messages(last: 1) { edges { node { id } } }"))["messages"]["edges"][0]
    node = "query($id: ID!) { node(id: $id) { __typename id ... on ChatMessage { text } } }"
    found = await member.ask(node, id=message["node"]["id"])
    assert found == {"__typename": "ChatMessage", "id": message["node"]["id"], "text": "우리끼리"}
    assert (await member.ask(node, id=chat["id"]))["__typename"] == "Chat"
    for person in (shared_api.anybody, stranger, applicant, rejected, leaver):
        assert await person.ask(seen, id=party) == {"chat": None}
        assert await person.ask(node, id=chat["id"]) is None
        assert await person.ask(node, id=message["node"]["id"]) is None


async def test_a_message_sent_again_with_its_key_is_the_first_one(shared_api: Api):
    one = await talk(shared_api)
    fields = "... on ChatMessage { id number text }"

    async def send(person: Client, text: str) -> dict[str, Any]:
        return await person.do("sendChatMessage", fields, partyId=one.party, text=text, clientKey="가 1")

    first = await send(one.member, "두 번 눌렀어요")
    at_once = await asyncio.gather(*(send(one.member, "다시") for _ in range(5)))
    assert at_once == [first] * 5
    # A key is of its sender: others may choose the same.
    assert (await send(one.leader, "저도요"))["number"] == 3
    assert (await one.chat(one.leader, "lastNumber"))["lastNumber"] == 3
    for key in ("", "x" * 101, "a\nb"):
        refused = await one.leader.do(
            "sendChatMessage", "... on InvalidInput { field }", partyId=one.party, text="글", clientKey=key
        )
        assert refused["field"] == "clientKey"


async def test_one_key_at_twenty_devices_at_once_is_one_message(shared_api: Api):
    one = await talk(shared_api)
    sent = await asyncio.gather(*(one.say(one.member, "한 번만", clientKey="k") for _ in range(20)))
    assert set(sent) == {2}
    assert (await one.chat(one.leader, "lastNumber"))["lastNumber"] == 2


async def test_a_closed_chat_is_read_and_not_written_until_it_is_opened_again(shared_api: Api):
    one = await talk(shared_api)
    await one.say(one.leader, "끝")
    assert (await one.leader.do("closeChat", "... on Chat { isOpen }", partyId=one.party))["isOpen"] is False
    for mutation, more in (("sendChatMessage", {"text": "글"}), ("setTyping", {"isTyping": True})):
        assert (await one.member.do(mutation, partyId=one.party, **more))["code"] == "CHAT_CLOSED"
    assert len((await one.chat(one.member, SAID))["messages"]["edges"]) == 3
    assert (await one.leader.do("openChat", "... on Chat { isOpen }", partyId=one.party))["isOpen"] is True
    assert await one.say(one.member, "다시") == 5


async def test_a_full_party_opens_its_chat_by_itself(shared_api: Api):
    leader, member = await shared_api.neighbour(), await shared_api.neighbour()
    party = await open_party(shared_api, leader, approval="AUTO", capacity=2)
    await member.do("joinParty", partyId=party)
    said = await Talk(shared_api, leader, member, party).chat(member, "isOpen lastNumber party { id }")
    assert said == {"isOpen": True, "lastNumber": 1, "party": {"id": party}}


@pytest.mark.parametrize("text", ["", "  \n ", "가" * 2_001, "a\x00b", "a\x07b"])
async def test_a_text_that_is_none_is_refused(shared_api: Api, text: str):
    one = await talk(shared_api)
    refused = await one.member.do(
        "sendChatMessage", "... on InvalidInput { field }", partyId=one.party, text=text
    )
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "text")


async def test_no_chat_shows_an_email_address(shared_api: Api):
    one = await talk(shared_api)
    await one.say(one.leader, "안녕하세요")
    schema = graphql_schema()
    for name in ("Chat", "ChatMessage", "ReadMark", "ChatPresence", "User", "Membership", "Party"):
        of: Any = schema.get_type(name)
        assert not any("mail" in field.lower() for field in of.fields)
    everything = (
        "id isOpen lastNumber unreadCount readMarks { number user { id nickname joinedAt } } "
        "present { id nickname } party { leader { nickname } members { user { nickname } } } "
        "messages { edges { node { id number kind text sentAt sender { id nickname joinedAt } } } }"
    )
    seen = json.dumps(await one.chat(one.member, everything))
    assert one.leader.email not in seen
    assert "@example.com" not in seen


async def test_ids_of_other_kinds_open_no_chat(shared_api: Api):
    one = await talk(shared_api)
    chat = (await one.chat(one.leader, "id"))["id"]
    assert chat == ids.encode("Chat", one.key)
    query = "mutation($id: ID!) { openChat(input: {partyId: $id}) { __typename } }"
    assert (await one.leader.fails(query, id=chat))["code"] == "BAD_USER_INPUT"
