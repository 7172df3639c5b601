"""What people are told, over HTTP and live: everything that concerns them, and nothing of anybody else's."""

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

from resolvers import sessions
from resolvers.pages import cursor_of
from resolvers.views import UserView
from schema import ids
from tests.api import Api, Client
from tests.factories import make_user
from tests.jobs import run_due
from tests.schema.talks import MESSAGES, NOTIFICATIONS, again_until_heard, talk
from tests.schema.test_life import later
from tests.schema.test_story import JOINED, open_party

HANGUL = re.compile("[가-힣]")
LIST = """
query($first: Int, $after: String, $unread: Boolean) {
  viewer {
    unreadNotificationCount
    notifications(first: $first, after: $after, unreadOnly: $unread) {
      edges { cursor node { id number kind text path readAt createdAt subject { __typename id } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
COUNT = "... on Viewer { unreadNotificationCount }"
ITEM, MARKET = "두루마리 휴지 30롤", "망원시장"


async def told(person: Client, **variables: Any) -> list[dict[str, Any]]:
    """What the person was told, the newest first."""
    viewer = await person.ask(LIST, **variables)
    return [edge["node"] for edge in viewer["notifications"]["edges"]]


async def test_everything_that_concerns_a_person_is_told_in_their_language(api: Api):
    leader, one, other, turned_down = [
        await api.neighbour(name) for name in ("파티장", "하나", "둘이", "거절된 이웃")
    ]
    party = await open_party(api, leader, capacity=4)
    seen = "query($id: ID!) { party(id: $id) { item { id } } }"
    item = (await one.ask(seen, id=party))["item"]["id"]
    await one.do("bookmarkItem", itemId=item)
    await run_due(api.parts.transactions)

    requests = {
        person.id: (await person.do("joinParty", JOINED, partyId=party))["id"]
        for person in (one, other, turned_down)
    }
    await leader.do("rejectMember", membershipId=requests[turned_down.id])
    for person in (one, other):
        await leader.do("acceptMember", membershipId=requests[person.id])
    await leader.do("openChat", partyId=party)
    await leader.do("sendChatMessage", partyId=party, text="안녕하세요")
    await leader.do("sendChatMessage", partyId=party, text="또 저예요")
    await leader.do("updateParty", partyId=party, note="쪽지는 알리지 않아요")
    await leader.do("updateParty", partyId=party, capacity=3)
    await other.do("leaveParty", partyId=party)
    again = await other.do("joinParty", JOINED, partyId=party)
    await leader.do("acceptMember", membershipId=again["id"])
    await leader.do("removeMember", membershipId=again["id"], reason="연락이 안 돼요")
    leader = await later(api, leader, days=1)
    attendance = [{"userId": one.id, "attended": True}]
    done = await leader.do("completeParty", partyId=party, actualPrice=10_000, attendance=attendance)
    assert done["__typename"] == "Party"

    async def texts(person: Client) -> list[tuple[str, str]]:
        return [(each["kind"], each["text"]) for each in reversed(await told(person, first=50))]

    one, other, turned_down = [await later(api, each) for each in (one, other, turned_down)]
    asked = ("JOIN_REQUESTED", "{} has asked to join your party for " + ITEM + ".")
    assert await texts(leader) == [
        (asked[0], asked[1].format("하나")),
        (asked[0], asked[1].format("둘이")),
        (asked[0], asked[1].format("거절된 이웃")),
        ("MEMBER_LEFT", f"둘이 has left your party for {ITEM}."),
        (asked[0], asked[1].format("둘이")),
    ]
    at = f"for {ITEM} at {MARKET}"
    both = [
        ("JOIN_ACCEPTED", f"You have a place in the party for {ITEM}."),
        ("CHAT_OPENED", f"The chat of the party for {ITEM} is open."),
        ("CHAT_MESSAGE", f"There are new messages in the chat of the party for {ITEM}."),
        ("PARTY_CHANGED", f"The party {at} has changed."),
    ]
    full = ("PARTY_FULL", f"The party {at} is full.")
    assert [each for each in await texts(one) if each != full] == [
        ("PARTY_CREATED", f"A party for {ITEM} has opened at {MARKET}."),
        *both,
        ("PARTY_DONE", f"The party {at} is done. See your share."),
    ]
    assert full in await texts(one)
    assert [each for each in await texts(other) if each != full] == [
        *both,
        ("JOIN_ACCEPTED", f"You have a place in the party for {ITEM}."),
        ("MEMBER_REMOVED", f"The leader has removed you from the party for {ITEM}."),
    ]
    assert await texts(turned_down) == [
        ("JOIN_REJECTED", f"Your request to join the party for {ITEM} was turned down.")
    ]
    for person in (leader, one, other, turned_down):
        assert all(HANGUL.search(said.replace(ITEM, "")) for _, said in await texts(person.speaking("ko")))
    assert (await texts(leader.speaking("ko")))[3][1] == f"둘이 님이 {ITEM} 파티에서 나갔어요."


async def test_neighbours_hear_of_a_new_party_and_applicants_of_its_end(api: Api):
    leader, near, far = (
        await api.neighbour(),
        await api.neighbour(),
        await api.neighbour(point=(35.1796, 129.0756)),
    )
    first = await open_party(api, leader)
    seen = "query($id: ID!) { party(id: $id) { market { id } } }"
    market = (await near.ask(seen, id=first))["market"]["id"]
    await run_due(api.parts.transactions)
    for person in (near, far, leader):
        await person.do("bookmarkMarket", marketId=market)
    async with near.subscribed(NOTIFICATIONS, after=0) as events:
        party = await open_party(api, leader, marketId=market)
        await run_due(api.parts.transactions)
        told_of = {"kind": "PARTY_CREATED", "text": f"A party for {ITEM} has opened at {MARKET}."}
        assert await events.next() == {"number": 1, **told_of}
        await near.do("joinParty", partyId=party)
        await leader.do("cancelParty", partyId=party)
        canceled = await events.next()
        assert (canceled["number"], canceled["kind"]) == (2, "PARTY_CANCELED")
        assert canceled["text"] == f"The party for {ITEM} at {MARKET} was canceled."
    assert await told(far) == []
    assert {each["kind"] for each in await told(leader)} == {"JOIN_REQUESTED"}
    (_, created) = await told(near)
    assert created["path"] == f"/parties/{party}"
    assert created["subject"] == {"__typename": "Party", "id": party}


async def test_notifications_come_above_the_last_number_then_live(shared_api: Api):
    one = await talk(shared_api)
    for _ in range(3):
        newcomer = await shared_api.neighbour()
        await one.join(newcomer)
        await newcomer.do("leaveParty", partyId=one.party)
    async with (
        one.leader.subscribed(NOTIFICATIONS, after=0) as all_of_them,
        one.leader.subscribed(NOTIFICATIONS, after=5) as some,
        one.leader.subscribed(NOTIFICATIONS, after=-1) as bad,
    ):
        # The member's joining, then each who came and went.
        assert [each["number"] for each in await all_of_them.some(7)] == [1, 2, 3, 4, 5, 6, 7]
        assert [each["number"] for each in await some.some(2)] == [6, 7]
        assert await bad.refusal() == "BAD_USER_INPUT"
        await one.member.do("leaveParty", partyId=one.party)
        for events in (all_of_them, some):
            last = await events.next()
            assert (last["number"], last["kind"]) == (8, "MEMBER_LEFT")


async def test_without_a_last_number_only_what_is_new_comes(shared_api: Api):
    one = await talk(shared_api)
    assert len(await told(one.leader)) == 1
    async with one.leader.subscribed(NOTIFICATIONS) as events:

        async def come_and_go() -> None:
            await one.join(newcomer)
            await newcomer.do("leaveParty", partyId=one.party)

        newcomer = await shared_api.neighbour()
        await again_until_heard(come_and_go, events)
        newest = (await told(one.leader))[0]["number"]
        await one.member.do("leaveParty", partyId=one.party)
        while (heard := (await events.next())["number"]) <= newest:
            assert heard > 1
        assert heard == newest + 1


async def test_nobody_listens_without_signing_in(shared_api: Api):
    for person in (shared_api.anybody, shared_api.anybody.with_token("bad")):
        async with person.subscribed(NOTIFICATIONS, after=0) as events:
            assert await events.refusal() == "UNAUTHENTICATED"


async def test_what_one_person_is_told_reaches_nobody_whose_id_looks_alike(api: Api):
    """In the original, user 10 was heard by user 1, whose id is a prefix of it."""
    looks = ("01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000010")
    one, ten = [await signed_in(api, UUID(each)) for each in looks]
    leader = await api.neighbour()
    party = await open_party(api, leader, capacity=4)
    async with (
        one.subscribed(NOTIFICATIONS, after=0) as to_one,
        ten.subscribed(NOTIFICATIONS, after=0) as to_ten,
    ):
        for _ in range(3):
            request = await ten.do("joinParty", JOINED, partyId=party)
            await leader.do("acceptMember", membershipId=request["id"])
            assert (await to_ten.next())["kind"] == "JOIN_ACCEPTED"
            await ten.do("leaveParty", partyId=party)
        request = await one.do("joinParty", JOINED, partyId=party)
        await leader.do("rejectMember", membershipId=request["id"])
        first = await to_one.next()
        assert (first["number"], first["kind"]) == (1, "JOIN_REJECTED")


async def signed_in(api: Api, key: UUID) -> Client:
    """Somebody with an id of the test's choice."""
    async with api.parts.transactions.write() as tx:
        user = await make_user(tx, id=key)
        view = UserView(user.id, user.nickname, user.created_at)
        tokens = sessions.open_session(tx, api.parts.keys, view, "tests").tokens
    return replace(api.anybody, access_token=tokens.access_token, id=ids.encode("User", key))


async def test_the_list_is_in_pages_the_newest_first_and_can_leave_out_what_was_read(shared_api: Api):
    one = await talk(shared_api)
    for _ in range(2):
        newcomer = await shared_api.neighbour()
        await one.join(newcomer)
        await newcomer.do("leaveParty", partyId=one.party)
    page = (await one.leader.ask(LIST, first=3))["notifications"]
    assert [edge["node"]["number"] for edge in page["edges"]] == [5, 4, 3]
    assert page["pageInfo"] == {"hasNextPage": True, "endCursor": page["edges"][-1]["cursor"]}
    rest = (await one.leader.ask(LIST, first=3, after=page["pageInfo"]["endCursor"]))["notifications"]
    assert [edge["node"]["number"] for edge in rest["edges"]] == [2, 1]
    assert rest["pageInfo"]["hasNextPage"] is False
    await one.leader.do("markNotificationsRead", ids=[page["edges"][0]["node"]["id"]])
    assert [each["number"] for each in await told(one.leader, unread=True)] == [4, 3, 2, 1]
    for wrong in ({"first": 0}, {"first": 101}, {"after": "garbage"}, {"after": cursor_of((2**31,))}):
        answer = await one.leader.send(LIST, **wrong)
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ["BAD_USER_INPUT"] or (wrong == {"after": cursor_of((2**31,))} and not codes)


async def test_what_was_read_is_counted_by_ids_or_up_to_a_number(shared_api: Api):
    one = await talk(shared_api)
    for _ in range(2):
        newcomer = await shared_api.neighbour()
        await one.join(newcomer)
        await newcomer.do("leaveParty", partyId=one.party)
    listed = {each["number"]: each["id"] for each in await told(one.leader)}
    strangers = (await told(one.member))[0]["id"]

    async def read(**which: Any) -> int:
        viewer = await one.leader.do("markNotificationsRead", COUNT, **which)
        return viewer["unreadNotificationCount"]

    assert await read(ids=[]) == 5
    assert await read(ids=[listed[5], listed[3]]) == 3
    # What others were told is left alone.
    assert await read(ids=[strangers]) == 3
    assert (await told(one.member))[0]["readAt"] is None
    assert await read(upToNumber=2) == 1
    marks = {each["number"]: each["readAt"] for each in await told(one.leader)}
    now = shared_api.clock.now.isoformat()
    assert marks == {5: now, 4: None, 3: now, 2: now, 1: now}
    for wrong in ({}, {"ids": [listed[4]], "upToNumber": 4}):
        assert (await one.leader.do("markNotificationsRead", **wrong))["code"] == "INVALID_INPUT"
    too_many = "mutation($ids: [ID!]) { markNotificationsRead(input: {ids: $ids}) { __typename } }"
    assert (await one.leader.fails(too_many, ids=[listed[4]] * 101))["code"] == "BAD_USER_INPUT"
    assert await read(upToNumber=2**31 - 1) == 0


async def test_a_deleted_notification_leaves_its_number_and_nobody_deletes_those_of_others(shared_api: Api):
    one = await talk(shared_api)
    newcomer = await shared_api.neighbour()
    await one.join(newcomer)
    (_, first) = await told(one.leader)
    refused = await one.member.do(
        "deleteNotification", "... on NotFound { kind }", notificationId=first["id"]
    )
    assert (refused["code"], refused["kind"]) == ("NOT_FOUND", "notification")
    gone = await one.leader.do("deleteNotification", COUNT, notificationId=first["id"])
    assert gone["unreadNotificationCount"] == 1
    assert [each["number"] for each in await told(one.leader)] == [2]
    assert (await one.leader.do("deleteNotification", notificationId=first["id"]))["code"] == "NOT_FOUND"
    async with one.leader.subscribed(NOTIFICATIONS, after=0) as events:
        assert (await events.next())["number"] == 2


async def test_a_notification_is_a_node_for_its_receiver_alone(shared_api: Api):
    one = await talk(shared_api)
    (note,) = await told(one.leader)
    node = "query($id: ID!) { node(id: $id) { __typename ... on Notification { text } } }"
    seen = await one.leader.ask(node, id=note["id"])
    assert seen == {"__typename": "Notification", "text": note["text"]}
    for person in (one.member, shared_api.anybody):
        assert await person.ask(node, id=note["id"]) is None


async def test_what_a_notification_is_about_is_shown_as_long_as_the_receiver_may_see_it(shared_api: Api):
    one = await talk(shared_api)
    newcomer = await shared_api.neighbour()
    place = await one.join(newcomer)
    await one.say(one.leader, "어서 와요")
    subject = {"__typename": "Chat", "id": ids.encode("Chat", one.key)}
    (note,) = [each for each in await told(newcomer) if each["kind"] == "CHAT_MESSAGE"]
    assert note["subject"] == subject
    assert note["path"] == f"/parties/{one.party}/chat"
    (asked, _) = await told(one.leader)
    assert asked["subject"] == {"__typename": "Membership", "id": place}
    assert asked["path"] == f"/parties/{one.party}"
    await one.leader.do("removeMember", membershipId=place, reason="연락이 안 돼요")
    kinds = {each["kind"]: each["subject"] for each in await told(newcomer)}
    assert kinds == {"CHAT_MESSAGE": None, "MEMBER_REMOVED": {"__typename": "Membership", "id": place}}
    async with newcomer.subscribed(
        "subscription { notifications(after: 0) { kind subject { id } } }"
    ) as events:
        assert await events.next() == {"kind": "CHAT_MESSAGE", "subject": None}


async def test_who_is_in_the_chat_is_not_told_of_messages_and_others_once_until_they_read(shared_api: Api):
    one = await talk(shared_api)
    away = await shared_api.neighbour()
    await one.join(away)
    async with one.member.subscribed(MESSAGES, id=one.party, after=0) as events:
        await events.some(2)
        for words in ("하나", "둘"):
            await one.say(one.leader, words)
        await events.some(2)
    messages = [each for each in await told(one.member) if each["kind"] == "CHAT_MESSAGE"]
    assert messages == []
    assert [each["kind"] for each in await told(away)] == ["CHAT_MESSAGE"]
    await away.do("markChatRead", partyId=one.party, number=4)
    await one.say(one.leader, "셋")
    assert [each["kind"] for each in await told(away)] == ["CHAT_MESSAGE"] * 2


async def test_a_kind_that_is_not_wanted_is_not_written(shared_api: Api):
    one = await talk(shared_api)
    wishes = "... on Viewer { notificationPreferences { kind inApp sms } }"
    query = "{ viewer { notificationPreferences { kind inApp sms } } }"
    before = {each["kind"]: each for each in (await one.member.ask(query))["notificationPreferences"]}
    assert all(each["inApp"] for each in before.values())
    assert [kind for kind, each in before.items() if each["sms"]] == ["PURCHASE_CONFIRM_REMINDER"]
    changed = await one.member.do("setNotificationPreference", wishes, kind="CHAT_MESSAGE", inApp=False)
    after = {each["kind"]: each for each in changed["notificationPreferences"]}
    assert after == before | {"CHAT_MESSAGE": {"kind": "CHAT_MESSAGE", "inApp": False, "sms": False}}
    await one.say(one.leader, "들려요?")
    await one.leader.do("updateParty", partyId=one.party, capacity=3)
    assert [each["kind"] for each in await told(one.member)] == ["PARTY_CHANGED", "CHAT_OPENED"]
    assert (await told(one.member))[0]["number"] == 2
    other = await one.leader.ask(query)
    assert {each["kind"]: each for each in other["notificationPreferences"]} == before


async def test_the_words_of_a_notification_hold_the_name_of_now_and_no_address(shared_api: Api):
    one = await talk(shared_api)
    await one.member.do("updateProfile", nickname="새로운이름")
    (note,) = await told(one.leader)
    assert note["text"] == f"새로운이름 has asked to join your party for {ITEM}."
    assert "@" not in note["text"]
