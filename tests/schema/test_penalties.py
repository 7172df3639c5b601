"""Attendance and penalties as people meet them, over HTTP."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import strawberry
from sqlalchemy import text

from schema import ids
from tests.api import Api, Client, running_api
from tests.schema.talks import NOTIFICATIONS
from tests.schema.test_life import HISTORY, later
from tests.schema.test_notifications import told
from tests.schema.test_story import open_party

WHY = "연락 없이 안 오셨어요"
COUNT = "query($id: ID!) { node(id: $id) { ... on User { penaltyCount } } }"
PENALTY = (
    "... on Penalty { id reason givenAt expiresAt revokedAt revokeReason party { id }"
    " user { nickname penaltyCount } givenBy { nickname } revokedBy { nickname } }"
)
OBJECTION = (
    "... on Objection { id text decision reason decidedBy { nickname }"
    " penalty { revokedAt user { penaltyCount } } }"
)
OF_PARTY = "query($id: ID!) { party(id: $id) { penalties { id } } }"
NODE = f"query($id: ID!) {{ node(id: $id) {{ __typename {PENALTY} }} }}"
SAID = "query($id: ID!) { node(id: $id) { ... on Penalty { objection { text decision } } } }"
OWN = "query($first: Int) { viewer { penalties(first: $first) { edges { node { id } } } } }"
OPEN = "{ openObjections { edges { node { text penalty { id party { id } } } } } }"
OF_PERSON = "query($id: ID!) { penalties(userId: $id) { edges { node { id } } } }"


@dataclass
class Meeting:
    """A party that was done without its one member."""

    api: Api
    leader: Client
    absent: Client
    party: str

    async def penalize(self, fields: str = "... on Penalty { id }", **changes: Any) -> dict[str, Any]:
        """What becomes of the leader's wish."""
        input = {"partyId": self.party, "userId": self.absent.id, "reason": WHY}
        return await self.leader.do("penalize", fields, **input | changes)


async def meeting(api: Api) -> Meeting:
    """A party of 휴지 at 망원시장."""
    leader, absent = await api.neighbour("파티장"), await api.neighbour("안 온 이웃")
    party = await open_party(api, leader, approval="AUTO")
    await absent.do("joinParty", partyId=party)
    leader, absent = await later(api, leader, days=1), await later(api, absent)
    attendance = [{"userId": absent.id, "attended": False}]
    await leader.do("completeParty", partyId=party, actualPrice=1_000, attendance=attendance)
    return Meeting(api, leader, absent, party)


async def administrator(api: Api) -> Client:
    person = await api.neighbour("운영자")
    async with api.parts.transactions.write() as tx:
        key = {"id": ids.decode("User", strawberry.ID(person.id))}
        await tx.session.execute(text("UPDATE users SET role = 'ADMIN' WHERE id = :id"), key)
    return person


async def count(person: Client, of: str) -> int:
    return (await person.ask(COUNT, id=of))["penaltyCount"]


async def test_a_penalty_from_the_no_show_to_the_decision(api: Api):
    party = await meeting(api)
    leader, absent, boss = party.leader, party.absent, await administrator(api)
    assert await count(api.anybody, absent.id) == 0
    async with absent.subscribed(NOTIFICATIONS, after=0) as events:
        given = await party.penalize(PENALTY)
        assert (given["reason"], given["party"]["id"]) == (WHY, party.party)
        assert given["user"] == {"nickname": "안 온 이웃", "penaltyCount": 1}
        assert (given["givenBy"]["nickname"], given["revokedBy"]) == ("파티장", None)
        while (heard := await events.next())["kind"] != "PENALTY_RECEIVED":
            pass
    assert heard["text"] == (
        "파티장 gave you a penalty on 22 November 2026 for not coming to the party for 두루마리 휴지 30롤: "
        f"{WHY} · It counts until 20 February 2027."
    )
    (korean, *_) = await told(absent.speaking("ko"))
    assert korean["text"] == (
        "파티장 님이 2026년 11월 22일 두루마리 휴지 30롤 파티 노쇼로 페널티를 줬어요. "
        f"이유: {WHY} · 2027년 2월 20일까지 유지돼요."
    )
    assert korean["subject"] == {"__typename": "Penalty", "id": given["id"]}
    assert korean["path"] == f"/penalties/{given['id']}"
    assert await count(api.anybody, absent.id) == 1

    made = await absent.do("objectToPenalty", OBJECTION, penaltyId=given["id"], text="갔는데 못 만났어요")
    assert (made["text"], made["decision"], made["decidedBy"]) == ("갔는데 못 만났어요", None, None)
    (waiting,) = (await boss.ask(OPEN))["edges"]
    assert waiting["node"]["penalty"] == {"id": given["id"], "party": {"id": party.party}}
    decided = await boss.do(
        "decideObjection", OBJECTION, objectionId=made["id"], decision="REVOKED", reason="사진을 봤어요"
    )
    assert (decided["decision"], decided["decidedBy"]["nickname"]) == ("REVOKED", "운영자")
    assert decided["penalty"]["user"] == {"penaltyCount": 0}
    assert decided["penalty"]["revokedAt"] is not None
    assert (await boss.ask(OPEN))["edges"] == []
    assert await count(api.anybody, absent.id) == 0
    (revoked, *_) = await told(absent)
    assert revoked["text"] == (
        "Your penalty from the party for 두루마리 휴지 30롤 was revoked: 사진을 봤어요"
    )

    seen = (await absent.ask(HISTORY, id=party.party))["history"]
    assert [(each["kind"], each["detail"]) for each in seen[-2:]] == [
        ("PENALIZED", {"user": absent.id}),
        ("PENALTY_REVOKED", {"user": absent.id}),
    ]
    assert (await leader.ask(OF_PARTY, id=party.party))["penalties"] == [{"id": given["id"]}]


async def test_an_objection_that_does_not_convince_leaves_the_penalty(api: Api):
    party, boss = await meeting(api), await administrator(api)
    given = await party.penalize()
    made = await party.absent.do("objectToPenalty", OBJECTION, penaltyId=given["id"], text="갔는데요")
    await boss.do(
        "decideObjection", objectionId=made["id"], decision="UPHELD", reason="아무도 못 봤다고 해요"
    )
    (note, *_) = await told(party.absent)
    assert (note["kind"], note["text"]) == (
        "PENALTY_UPHELD",
        "Your objection was considered. The penalty from the party for 두루마리 휴지 30롤 counts until "
        "20 February 2027: 아무도 못 봤다고 해요",
    )
    (korean, *_) = await told(party.absent.speaking("ko"))
    assert re.search("유지돼요. 이유: 아무도 못 봤다고 해요", korean["text"])
    assert await count(party.absent, party.absent.id) == 1
    again = await boss.do("revokePenalty", PENALTY, penaltyId=given["id"], reason="착오였어요")
    assert (again["revokeReason"], again["revokedBy"]["nickname"]) == ("착오였어요", "운영자")
    assert again["user"]["penaltyCount"] == 0


async def test_a_penalty_is_between_who_gave_it_who_got_it_and_administrators(api: Api):
    party, boss = await meeting(api), await administrator(api)
    stranger = await api.neighbour()
    given = await party.penalize()
    await party.absent.do("objectToPenalty", penaltyId=given["id"], text="갔는데요")
    for person in (party.leader, party.absent, boss):
        assert (await person.ask(NODE, id=given["id"]))["reason"] == WHY
    for person in (stranger, api.anybody):
        assert await person.ask(NODE, id=given["id"]) is None
    # What is said against it is not for the leader.
    for person in (party.absent, boss):
        assert (await person.ask(SAID, id=given["id"]))["objection"] == {"text": "갔는데요", "decision": None}
    assert (await party.leader.ask(SAID, id=given["id"]))["objection"] is None

    for person in (party.leader, boss):
        assert (await person.ask(OF_PARTY, id=party.party))["penalties"] == [{"id": given["id"]}]
    for person in (party.absent, stranger, api.anybody):
        assert (await person.ask(OF_PARTY, id=party.party))["penalties"] == []
    own = [(await person.ask(OWN))["penalties"]["edges"] for person in (party.absent, party.leader)]
    assert own == [[{"node": {"id": given["id"]}}], []]
    of_person = await boss.ask(OF_PERSON, id=party.absent.id)
    assert of_person["edges"] == [{"node": {"id": given["id"]}}]


async def test_only_administrators_list_and_decide(api: Api):
    party = await meeting(api)
    given = await party.penalize()
    made = await party.absent.do("objectToPenalty", OBJECTION, penaltyId=given["id"], text="갔는데요")
    mutations = {
        "revokePenalty": {"penaltyId": given["id"], "reason": WHY},
        "decideObjection": {"objectionId": made["id"], "decision": "REVOKED", "reason": WHY},
    }
    for person, code in ((party.leader, "FORBIDDEN"), (api.anybody, "UNAUTHENTICATED")):
        assert (await person.fails(OPEN))["code"] == code
        assert (await person.fails(OF_PERSON, id=party.absent.id))["code"] == code
        for name, input in mutations.items():
            query = (
                f"mutation($input: {name[0].upper()}{name[1:]}Input!)"
                f" {{ {name}(input: $input) {{ __typename }} }}"
            )
            assert (await person.fails(query, input=input))["code"] == code
    assert await count(party.absent, party.absent.id) == 1


async def test_a_leader_corrects_who_came_and_members_see_it(api: Api):
    party = await meeting(api)
    fields = "... on Party { doneAt members { user { nickname } attendance } }"
    corrected = await party.leader.do(
        "correctAttendance",
        fields,
        partyId=party.party,
        attendance=[{"userId": party.absent.id, "attended": True}],
    )
    assert {each["user"]["nickname"]: each["attendance"] for each in corrected["members"]} == {
        "파티장": "ATTENDED",
        "안 온 이웃": "ATTENDED",
    }
    assert corrected["doneAt"] == api.clock.now.isoformat()
    seen = (await party.absent.ask(HISTORY, id=party.party))["history"]
    assert (seen[-1]["kind"], seen[-1]["detail"]) == (
        "ATTENDANCE_CORRECTED",
        {"user": party.absent.id, "attended": True},
    )
    refused = await party.penalize("... on NotPenalizable { reason }")
    assert (refused["code"], refused["reason"]) == ("NOT_PENALIZABLE", "ATTENDED")


async def test_a_penalty_reaches_the_party_that_people_look_at(api: Api):
    party = await meeting(api)
    changes = "subscription($id: ID!) { partyChanges(partyId: $id) { history { kind } penalties { id } } }"
    async with (
        party.leader.subscribed(changes, id=party.party) as leads,
        party.absent.subscribed(changes, id=party.party) as looks,
    ):
        first = [await events.next() for events in (leads, looks)]
        assert [each["history"][-1]["kind"] for each in first] == ["DONE", "DONE"]
        given = await party.penalize()
        news = [await events.next() for events in (leads, looks)]
    assert [each["history"][-1]["kind"] for each in news] == ["PENALIZED", "PENALIZED"]
    assert [each["penalties"] for each in news] == [[{"id": given["id"]}], []]


async def test_a_hundred_leaders_hands_on_two_servers_give_one_penalty(fresh_url: str, redis_url: str):
    secret: dict[str, Any] = {"secret_key": "one installation, in the tests of penalties"}
    async with (
        running_api(fresh_url, redis_url, database_wait_s=30, **secret) as here,
        running_api(fresh_url, redis_url, database_wait_s=30, **secret) as there,
    ):
        party = await meeting(here)
        there.clock.now = here.clock.now
        leaders = [party.leader, party.leader.at(there)]
        counts = [await count(leader, party.absent.id) for leader in leaders]
        input = {"partyId": party.party, "userId": party.absent.id, "reason": WHY}
        fields = "... on Penalty { id } ... on AlreadyPenalized { penalty { id } }"
        answers = await asyncio.gather(
            *(leaders[number % 2].do("penalize", fields, **input) for number in range(100))
        )
        assert Counter(each["__typename"] for each in answers) == {"Penalty": 1, "AlreadyPenalized": 99}
        assert len({(each.get("penalty") or each)["id"] for each in answers}) == 1
        assert counts == [0, 0]
        assert [await count(leader, party.absent.id) for leader in leaders] == [1, 1]
        received = [each for each in await told(party.absent) if each["kind"] == "PENALTY_RECEIVED"]
        assert len(received) == 1


@pytest.mark.parametrize("days", [89, 90])
async def test_a_penalty_leaves_the_count_when_its_90_days_end(api: Api, days: int):
    party = await meeting(api)
    await party.penalize()
    assert await count(api.anybody, party.absent.id) == 1
    api.clock.move(days=days)
    assert await count(api.anybody, party.absent.id) == (1 if days < 90 else 0)
