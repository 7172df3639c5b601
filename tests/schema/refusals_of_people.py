"""How mutations of people and the catalogue come to their refusals."""

from tests.api import PASSWORD
from tests.schema.scenes import ACCOUNT, Attempt, Scene, case, nothing


@case("signUp", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.api.anybody, ACCOUNT | {
        "email": "new@example.com",
        "nickname": "새이웃",
        "password": "short",
    }


@case("signUp", "EmailTaken")
async def _(scene: Scene) -> Attempt:
    return scene.api.anybody, ACCOUNT | {"email": scene.leader.email.upper(), "nickname": "새 별명"}


@case("signUp", "NicknameTaken")
async def _(scene: Scene) -> Attempt:
    await scene.api.neighbour("별명 있음")
    return scene.api.anybody, ACCOUNT | {"email": "new@example.com", "nickname": " 별명 있음"}


@case("signIn", "WrongCredentials")
async def _(scene: Scene) -> Attempt:
    return scene.api.anybody, {"email": scene.leader.email, "password": "something else"}


@case("signIn", "TooManyAttempts")
async def _(scene: Scene) -> Attempt:
    return await scene.tried_too_often(), {"email": scene.leader.email, "password": PASSWORD}


@case("changePassword", "WrongCredentials")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"currentPassword": "something else", "newPassword": PASSWORD}


@case("changePassword", "TooManyAttempts")
async def _(scene: Scene) -> Attempt:
    return await scene.tried_too_often(), {"currentPassword": PASSWORD, "newPassword": PASSWORD}


@case("changePassword", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"currentPassword": PASSWORD, "newPassword": "short"}


@case("updateProfile", "InvalidInput")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"nickname": None}


@case("updateProfile", "NicknameTaken")
async def _(scene: Scene) -> Attempt:
    await scene.api.neighbour("별명 또 있음")
    return scene.leader, {"nickname": "별명 또 있음"}


@case("withdraw", "WrongCredentials")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"password": "something else"}


@case("withdraw", "TooManyAttempts")
async def _(scene: Scene) -> Attempt:
    return await scene.tried_too_often(), {"password": PASSWORD}


@case("withdraw", "OpenObligations")
async def _(scene: Scene) -> Attempt:
    await scene.party()
    return scene.leader, {"password": PASSWORD}


@case("refreshTokens", "SessionExpired")
async def _(scene: Scene) -> Attempt:
    return scene.api.anybody, {"refreshToken": "not a token"}


@case("signOut", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"sessionId": nothing("Session")}


@case("bookmarkItem", "NotFound")
@case("unbookmarkItem", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"itemId": nothing("Item")}


@case("bookmarkMarket", "NotFound")
@case("unbookmarkMarket", "NotFound")
async def _(scene: Scene) -> Attempt:
    return scene.leader, {"marketId": nothing("Market")}
