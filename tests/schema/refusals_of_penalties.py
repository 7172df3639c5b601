"""How mutations of attendance and penalties come to their refusals."""

from typing import Any

import strawberry
from sqlalchemy import text

from schema import ids
from tests.api import Client
from tests.schema.scenes import Attempt, Scene, case, nothing

WHY = {"reason": "연락 없이 안 오셨어요"}
OBJECTION = {"text": "갔는데 못 만났어요"}


async def done(scene: Scene) -> str:
    """A party that was done without the neighbour, who has a place in it."""
    party = await scene.party()
    await scene.place(party)
    await scene.begin(party)
    attendance = [{"userId": scene.neighbour.id, "attended": False}]
    ended = await scene.leader.do("completeParty", partyId=party, actualPrice=1, attendance=attendance)
    assert ended["__typename"] == "Party", ended
    return party


async def penalty(scene: Scene) -> str:
    """The id of the neighbour's penalty."""
    given = await scene.leader.do("penalize", "... on Penalty { id }", **await penalizing(scene))
    return given["id"]


async def objection(scene: Scene) -> str:
    """The id of the neighbour's objection to it."""
    fields, of = "... on Objection { id }", await penalty(scene)
    return (await scene.neighbour.do("objectToPenalty", fields, penaltyId=of, **OBJECTION))["id"]


async def penalizing(scene: Scene, person: Client | None = None) -> dict[str, Any]:
    """What the leader says to penalize somebody."""
    return {"partyId": await done(scene), "userId": (person or scene.neighbour).id, **WHY}


async def administrator(scene: Scene, person: Client | None = None) -> Client:
    """Somebody else, or one of the scene, as an administrator."""
    person = person or await scene.api.neighbour()
    async with scene.api.parts.transactions.write() as tx:
        key = {"id": ids.decode("User", strawberry.ID(person.id))}
        await tx.session.execute(text("UPDATE users SET role = 'ADMIN' WHERE id = :id"), key)
    return person


async def long_ago(scene: Scene) -> None:
    """What the leader has done with parties and penalties was done weeks ago."""
    async with scene.api.parts.transactions.write() as tx:
        key = {"id": ids.decode("User", strawberry.ID(scene.leader.id))}
        await tx.session.execute(
            text("UPDATE parties SET done_at = done_at - interval '15 days' WHERE leader_id = :id"), key
        )
        await tx.session.execute(
            text("UPDATE penalties SET given_at = given_at - interval '15 days' WHERE given_by_id = :id"), key
        )


async def penalized_often(scene: Scene) -> Client:
    """The neighbour with three penalties."""
    parties = [await scene.party() for _ in range(3)]
    for party in parties:
        await scene.place(party)
    attendance = [{"userId": scene.neighbour.id, "attended": False}]
    for party in parties:
        await scene.begin(party)
        await scene.leader.do("completeParty", partyId=party, actualPrice=1, attendance=attendance)
        await scene.leader.do("penalize", partyId=party, userId=scene.neighbour.id, **WHY)
    return scene.neighbour


@case("joinParty", "TooManyPenalties")
async def _(scene: Scene) -> Attempt:
    return await penalized_often(scene), {"partyId": await scene.party()}


@case("createParty", "TooManyPenalties")
async def _(scene: Scene) -> Attempt:
    return await penalized_often(scene), await scene.draft()


@case("penalize", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": nothing("Party"), "userId": scene.neighbour.id, **WHY}


@case("penalize", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, await penalizing(scene)


@case("penalize", "NotPenalizable")
async def _(scene: Scene) -> Attempt:
    return scene.leader, await penalizing(scene, scene.leader)


@case("penalize", "AlreadyPenalized")
async def _(scene: Scene) -> Attempt:
    input = await penalizing(scene)
    await scene.leader.do("penalize", **input)
    return scene.leader, input


@case("penalize", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, await penalizing(scene) | {"reason": " "}


@case("revokePenalty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return await administrator(scene), {"penaltyId": nothing("Penalty"), **WHY}


@case("revokePenalty", "Involved")
async def _(scene: Scene) -> Attempt:
    given = await penalty(scene)
    return await administrator(scene, scene.leader), {"penaltyId": given, **WHY}


@case("revokePenalty", "AlreadyRevoked")
async def _(scene: Scene) -> Attempt:
    person, input = await administrator(scene), {"penaltyId": await penalty(scene), **WHY}
    await person.do("revokePenalty", **input)
    return person, input


@case("revokePenalty", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return await administrator(scene), {"penaltyId": await penalty(scene), "reason": "가" * 501}


@case("objectToPenalty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"penaltyId": await penalty(scene), **OBJECTION}


@case("objectToPenalty", "AlreadyObjected")
async def _(scene: Scene) -> Attempt:
    input = {"penaltyId": await penalty(scene), **OBJECTION}
    await scene.neighbour.do("objectToPenalty", **input)
    return scene.neighbour, input


@case("objectToPenalty", "AlreadyRevoked")
async def _(scene: Scene) -> Attempt:
    given = await penalty(scene)
    await (await administrator(scene)).do("revokePenalty", penaltyId=given, **WHY)
    return scene.neighbour, {"penaltyId": given, **OBJECTION}


@case("objectToPenalty", "ObjectionTooLate")
async def _(scene: Scene) -> Attempt:
    given = await penalty(scene)
    await long_ago(scene)
    return scene.neighbour, {"penaltyId": given, **OBJECTION}


@case("objectToPenalty", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"penaltyId": await penalty(scene), "text": "가" * 1_001}


ANSWER = {"decision": "UPHELD", **WHY}


@case("decideObjection", "NotFound")
async def _(scene: Scene) -> Attempt:
    return await administrator(scene), {"objectionId": nothing("Objection"), **ANSWER}


@case("decideObjection", "Involved")
async def _(scene: Scene) -> Attempt:
    made = await objection(scene)
    return await administrator(scene, scene.neighbour), {"objectionId": made, **ANSWER}


@case("decideObjection", "ObjectionDecided")
async def _(scene: Scene) -> Attempt:
    person, input = await administrator(scene), {"objectionId": await objection(scene), **ANSWER}
    await person.do("decideObjection", **input)
    return person, input


@case("decideObjection", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return await administrator(scene), {"objectionId": await objection(scene), **ANSWER, "reason": ""}


def came(scene: Scene) -> dict[str, Any]:
    """That the neighbour was there after all."""
    return {"attendance": [{"userId": scene.neighbour.id, "attended": True}]}


@case("correctAttendance", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": nothing("Party"), **came(scene)}


@case("correctAttendance", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await done(scene), **came(scene)}


@case("correctAttendance", "PartyNotDone")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.canceled(), **came(scene)}


@case("correctAttendance", "AttendanceFixed")
async def _(scene: Scene) -> Attempt:
    party = await done(scene)
    await long_ago(scene)
    return scene.leader, {"partyId": party, **came(scene)}


@case("correctAttendance", "AlreadyPenalized")
async def _(scene: Scene) -> Attempt:
    input = await penalizing(scene)
    await scene.leader.do("penalize", **input)
    return scene.leader, {"partyId": input["partyId"], **came(scene)}


@case("correctAttendance", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await done(scene), "attendance": []}
