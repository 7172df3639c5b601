"""Who asks: the one place where a token becomes a viewer, for every transport."""

import asyncio
from collections.abc import Mapping, Sequence

from starlette.requests import HTTPConnection

from app.addresses import Network, client_address
from models.errors import Language
from resolvers.sessions import Keys, Viewer, viewer_behind
from resolvers.tokens import InvalidToken
from resolvers.transaction import Transactions
from schema.context import SESSION_ENDED, Context
from schema.live import Live


class ContextMaker:
    """Makes the context of one HTTP request, or of one whole WebSocket."""

    def __init__(
        self,
        transactions: Transactions,
        keys: Keys,
        live: Live,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._transactions = transactions
        self._keys = keys
        self._live = live
        self._trusted_proxies = trusted_proxies

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, object]) -> Context:
        """Read the token from the header, or from `authorization` in the connection's parameters.

        A token that is not good makes nobody the viewer: what is open to anyone stays open, so that a client
        whose token has just ended can refresh it. What needs a viewer says what is wrong with the token.
        """
        viewer, problem = await self._viewer(_bearer(connection, params))
        headers = connection.headers
        return Context(
            transactions=self._transactions,
            keys=self._keys,
            live=self._live,
            who=viewer,
            seen_at=asyncio.get_running_loop().time(),
            token_problem=problem,
            language=language_of(str(params.get("acceptLanguage") or headers.get("accept-language", ""))),
            user_agent=headers.get("user-agent"),
            address=client_address(connection, self._trusted_proxies),
        )

    async def _viewer(self, bearer: str | None) -> tuple[Viewer | None, str | None]:
        if bearer is None:
            return None, None
        try:
            token = self._keys.tokens.read_access(bearer, self._transactions.clock())
        except InvalidToken as problem:
            return None, str(problem)
        async with self._transactions.read() as tx:
            viewer = await viewer_behind(tx, token)
        return viewer, None if viewer else SESSION_ENDED


def language_of(accepted: str) -> Language:
    """Korean or English, whichever an Accept-Language header ranks higher; Korean when in doubt."""
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accepted.split(",")[:20]):
        tag, _, parameters = part.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        if primary in ("ko", "en"):
            ranked.append((-_weight(parameters), place, "ko" if primary == "ko" else "en"))
    if not ranked or min(ranked)[0] == 0:
        return "ko"
    return min(ranked)[2]


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0


def _bearer(connection: HTTPConnection, params: Mapping[str, object]) -> str | None:
    given = params.get("authorization") or params.get("Authorization")
    value = given if isinstance(given, str) else connection.headers.get("authorization")
    if value is None:
        return None
    scheme, _, token = value.partition(" ")
    # Anything else than a bearer token is as good as a broken one, and is told so.
    return token.strip() if scheme.lower() == "bearer" else ""
