"""How a source is asked over HTTP: with a key that nobody sees, and with an end to all waiting."""

import asyncio
import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote

import httpx

from importers.envelopes import Page, SourceError, UpstreamFailed, Values
from importers.sources import Raw, RowSource

MAX_BYTES = 32 * 1024 * 1024
"""The longest answer that is read. A window of 1,000 rows is a hundredth of it."""

PLACE_OF_KEY = "_KEY_"
"""Stands in a URL where the key belongs. What is logged and raised shows this, never the key."""

_ESCAPED = re.compile("%[0-9A-F]{2}")


class Key:
    """What a source is asked with. It shows itself to nobody but the source."""

    def __init__(self, value: str) -> None:
        # data.go.kr hands its keys out percent-encoded, too: encoded twice they are wrong.
        self._value = unquote(value.strip())

    def __repr__(self) -> str:
        return "Key(…)"

    @property
    def in_url(self) -> str:
        """The key as a part of a path or a query."""
        return quote(self._value, safe="")

    def hidden_in(self, text: str) -> str:
        """The text without the key, in whatever spelling."""
        if not self._value:
            return text
        encoded = {self.in_url, quote(self._value)}
        small = {_ESCAPED.sub(lambda found: found[0].lower(), spelling) for spelling in encoded}
        for spelling in {self._value} | encoded | small:
            text = text.replace(spelling, "…")
        return text


NO_KEY = Key("")


async def ask(
    client: httpx.AsyncClient, url: str, key: Key = NO_KEY, *, within_s: float
) -> tuple[int, bytes]:
    """The status and the body that a source answers with. The URL has PLACE_OF_KEY where the key belongs.

    The key goes to the connection alone, so that neither the client's log nor its errors can show it.

    Raises:
        UpstreamFailed: No connection, a broken or endless answer, or none within that many seconds.
    """
    shown = httpx.URL(url)
    target = shown.raw_path.replace(PLACE_OF_KEY.encode(), key.in_url.encode())
    try:
        async with (
            asyncio.timeout(within_s),
            client.stream("GET", shown, timeout=within_s, extensions={"target": target}) as response,
        ):
            return response.status_code, await _bounded(response)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamFailed("timeout", f"No answer within {within_s:g} s.") from error
    except httpx.HTTPError as error:
        raise UpstreamFailed(type(error).__name__, key.hidden_in(str(error))) from error


async def page_of(
    client: httpx.AsyncClient,
    url: str,
    decode: Callable[[int, bytes], Page],
    key: Key = NO_KEY,
    *,
    within_s: float,
) -> Page:
    """What a source answers with, decoded.

    Raises:
        SourceError: Never with the key in it, though some sources repeat it.
    """
    try:
        return decode(*await ask(client, url, key, within_s=within_s))
    except SourceError as error:
        error.code, error.words = key.hidden_in(error.code), key.hidden_in(error.words)
        raise


def exactly(rows: Sequence[Values], first: int, last: int) -> list[Raw]:
    """The rows of a page, numbered from first on.

    Raises:
        UpstreamFailed: They are not as many as were asked for.
    """
    if len(rows) != (asked := last - first + 1):
        raise UpstreamFailed("short", f"{len(rows):,} rows came instead of {asked:,}.")
    return [Raw(line, values) for line, values in enumerate(rows, first)]


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_BYTES:
            raise UpstreamFailed("long", f"The answer is longer than {MAX_BYTES:,} bytes.")
    return bytes(body)


class PagedSource(RowSource):
    """A source that is asked for rows from one number to another, and tells how many there are."""

    def __init__(self, key: str, host: str, within_s: float) -> None:
        self._key = Key(key)
        self._host = host.rstrip("/")
        self._within_s = within_s

    async def total(self, client: httpx.AsyncClient) -> int:
        """By the source's own count."""
        return (await self._page(client, 1, 1)).total

    async def fetch(self, client: httpx.AsyncClient, first: int, last: int) -> Sequence[Raw]:
        """In one call."""
        return exactly((await self._page(client, first, last)).rows, first, last)

    def url(self, first: int, last: int) -> str:
        """What to ask for these rows."""
        raise NotImplementedError

    def decode(self, status: int, body: bytes) -> Page:
        """The rows of an answer."""
        raise NotImplementedError

    async def _page(self, client: httpx.AsyncClient, first: int, last: int) -> Page:
        url = self.url(first, last)
        return await page_of(client, url, self.decode, self._key, within_s=self._within_s)
