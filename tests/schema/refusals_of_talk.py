"""How mutations of chats and notifications come to their refusals."""

from tests.schema.scenes import Attempt, Scene, case, nothing


@case("openChat", "NotFound")
@case("closeChat", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": nothing("Party")}


@case("openChat", "NotPartyLeader")
@case("closeChat", "NotPartyLeader")
async def _(scene: Scene) -> Attempt:
    party = await scene.party()
    await scene.place(party)
    return scene.neighbour, {"partyId": party}


@case("openChat", "PartyClosed")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.canceled()}


@case("openChat", "NobodyToTalkTo")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.party()}


@case("openChat", "ChatAlreadyOpen")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.full()}


@case("closeChat", "ChatClosed")
async def _(scene: Scene) -> Attempt:
    party = await scene.full()
    await scene.leader.do("closeChat", partyId=party)
    return scene.leader, {"partyId": party}


@case("sendChatMessage", "NotPartyMember")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.full(), "text": "저도 끼워 주세요"}


@case("sendChatMessage", "ChatClosed")
async def _(scene: Scene) -> Attempt:
    party = await scene.full()
    await scene.leader.do("closeChat", partyId=party)
    return scene.leader, {"partyId": party, "text": "누구 있어요?"}


@case("sendChatMessage", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.full(), "text": "가" * 2_001}


@case("markChatRead", "NotPartyMember")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.full(), "number": 1}


@case("markChatRead", "ChatClosed")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.party(), "number": 1}


@case("markChatRead", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.full(), "number": -1}


@case("setTyping", "NotPartyMember")
async def _(scene: Scene) -> Attempt:
    return scene.neighbour, {"partyId": await scene.full(), "isTyping": True}


@case("setTyping", "ChatClosed")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"partyId": await scene.party(), "isTyping": True}


@case("markNotificationsRead", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"ids": [nothing("Notification")], "upToNumber": 1}


@case("deleteNotification", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"notificationId": nothing("Notification")}


@case("setNotificationPreference", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"kind": "PARTY_FULL", "inApp": True, "sms": True}
