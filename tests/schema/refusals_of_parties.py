"""How mutations of parties and memberships come to their refusals."""

from typing import Any

from tests.schema.scenes import Attempt, Scene, case, nothing


@case("createParty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, await scene.draft() | {"marketId": nothing("Market")}


@case("createParty", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, await scene.draft() | {"capacity": 51}


@case("joinParty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": nothing("Party")}


@case("joinParty", "AlreadyJoined")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.party()}


@case("joinParty", "AlreadyDecided")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.leader.do("rejectMember", membershipId=await scene.request(party, person=scene.neighbour))
    return scene.neighbour, {"partyId": party}


@case("joinParty", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.close(party)
    return scene.neighbour, {"partyId": party}


@case("joinParty", "PartyFull")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.full()}


@case("joinParty", "NotEnoughUnits")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.party(), "quantity": 10}


@case("joinParty", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.party(), "quantity": 0}


@case("acceptMember", "NotFound")
@case("rejectMember", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"membershipId": nothing("Membership")}


@case("acceptMember", "NotPartyLeader")
@case("rejectMember", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"membershipId": await scene.request(await scene.party())}


@case("acceptMember", "AlreadyDecided")
@case("rejectMember", "AlreadyDecided")
async def _(scene: Scene) -> Attempt:
    request = await scene.request(await scene.party())
    await scene.leader.do("rejectMember", membershipId=request)
    return scene.leader, {"membershipId": request}


@case("acceptMember", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    request = await scene.request(party)
    await scene.close(party)
    return scene.leader, {"membershipId": request}


@case("acceptMember", "PartyFull")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    first, second = await scene.request(party), await scene.request(party)
    await scene.leader.do("acceptMember", membershipId=first)
    return scene.leader, {"membershipId": second}


@case("acceptMember", "NotEnoughUnits")
async def _(scene: Scene) -> Attempt:
    party = await scene.party(capacity=3)
    first, second = await scene.request(party, 5), await scene.request(party, 5)
    await scene.leader.do("acceptMember", membershipId=first)
    return scene.leader, {"membershipId": second}


@case("rejectMember", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"membershipId": await scene.request(await scene.party()), "reason": "가" * 501}


@case("updateParty", "NotFound")
@case("cancelParty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": nothing("Party")}


@case("updateParty", "NotPartyLeader")
@case("cancelParty", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.party()}


@case("updateParty", "PartyClosed")
@case("cancelParty", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.canceled()}


@case("updateParty", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.full(), "capacity": 1}


ENDED: dict[str, Any] = {"actualPrice": 10_000, "attendance": []}


@case("completeParty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, ENDED | {"partyId": nothing("Party")}


@case("completeParty", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, ENDED | {"partyId": await scene.party()}


@case("completeParty", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    return scene.leader, ENDED | {"partyId": await scene.canceled()}


@case("completeParty", "TooEarly")
async def _(scene: Scene) -> Attempt:
    return scene.leader, ENDED | {"partyId": await scene.party()}


@case("completeParty", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.begin(party)
    twice = [{"userId": scene.leader.id, "attended": came} for came in (True, False)]
    return scene.leader, {"partyId": party, "actualPrice": 10_000, "attendance": twice}


@case("withdrawRequest", "NotFound")
@case("leaveParty", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": nothing("Party")}


@case("withdrawRequest", "NotPartyMember")
@case("leaveParty", "NotPartyMember")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.party()}


@case("withdrawRequest", "AlreadyDecided")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.place(party)
    return scene.neighbour, {"partyId": party}


@case("leaveParty", "LeaderStays")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.party()}


@case("leaveParty", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.place(party)
    await scene.leader.do("cancelParty", partyId=party)
    return scene.neighbour, {"partyId": party}


@case("leaveParty", "TooLate")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.place(party)
    await scene.begin(party)
    return scene.neighbour, {"partyId": party}


WHY = {"reason": "연락이 안 돼요"}


@case("removeMember", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, WHY | {"membershipId": nothing("Membership")}


@case("removeMember", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, WHY | {"membershipId": await scene.place(await scene.party())}


@case("removeMember", "NotPartyMember")
async def _(scene: Scene) -> Attempt:
    return scene.leader, WHY | {"membershipId": await scene.request(await scene.party())}


@case("removeMember", "LeaderStays")
async def _(scene: Scene) -> Attempt:
    return scene.leader, WHY | {"membershipId": await scene.leaders_place(await scene.party())}


@case("removeMember", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    place = await scene.place(party)
    await scene.leader.do("cancelParty", partyId=party)
    return scene.leader, WHY | {"membershipId": place}


@case("removeMember", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"membershipId": await scene.place(await scene.party()), "reason": " "}
