"""Public data that comes as one CSV file, from a disk or from the web."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import httpx

from importers.envelopes import NoData, Refused, UpstreamFailed, failure_of, read_header, read_values
from importers.runs import ImportFailed
from importers.source_http import ask
from importers.sources import Raw, RowSource

ENCODINGS = ("utf-8", "cp949")
"""What the header is tried in. Korean letters in CP949 are never UTF-8, by the way their bytes begin."""


@dataclass(slots=True)
class _Index:
    """Where in a file the windows begin, so that each is found without reading those before it."""

    content: Path | bytes
    encoding: str
    header: list[str]
    #: The place in the file and the number of the line before, of the first row of each window.
    windows: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    total: int = 0


class FileSource(RowSource):
    """One file: a header, then a row a line. Lines that are blank count for nothing.

    A file on a disk is never in memory as a whole; one from the web, at most as long as an answer may be.
    """

    columns: Sequence[str]
    #: What a column is called in other versions of the file.
    other_names: Mapping[str, str] = MappingProxyType({})

    def __init__(self, at: Path | str, within_s: float = 120) -> None:
        """At a path, or at a URL."""
        self._at = at
        self._within_s = within_s
        self._index: _Index | None = None

    async def total(self, client: httpx.AsyncClient) -> int:
        """The lines that are not blank, without the header. Reads the file anew."""
        self._index = await self._read(client)
        if not self._index.total:
            raise NoData("empty", "The file has a header and no rows.")
        return self._index.total

    async def fetch(self, client: httpx.AsyncClient, first: int, last: int) -> Sequence[Raw]:
        """From the file as the total found it."""
        self._index = self._index or await self._read(client)
        return await asyncio.to_thread(self._window, self._index, first, last)

    async def _read(self, client: httpx.AsyncClient) -> _Index:
        if isinstance(self._at, Path):
            return await asyncio.to_thread(self._indexed, self._at)
        status, body = await ask(client, self._at, within_s=self._within_s)
        if status != 200:
            raise failure_of(status, body)
        return await asyncio.to_thread(self._indexed, body)

    def _indexed(self, content: Path | bytes) -> _Index:
        with _opened(content) as file:
            encoding, header = self._header(file.readline())
            index = _Index(content, encoding, header)
            place, number = file.tell(), 1
            for line in file:
                if line.strip():
                    if index.total % self.window == 0:
                        index.windows.append((place, number))
                    index.total += 1
                place += len(line)
                number += 1
            return index

    def _header(self, line: bytes) -> tuple[str, list[str]]:
        for encoding in ENCODINGS:
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError:
                continue
            return encoding, read_header(text, self.columns, self.other_names)
        raise ImportFailed("The header is neither UTF-8 nor CP949. Save the file in one of them.")

    def _window(self, index: _Index, first: int, last: int) -> list[Raw]:
        window, skipped = divmod(first - 1, self.window)
        if last > index.total:
            raise UpstreamFailed("short", f"The file has {index.total:,} rows.")
        with _opened(index.content) as file:
            start, number = index.windows[window]
            file.seek(start)
            rows = ((at, line) for at, line in enumerate(file, number + 1) if line.strip())
            these = islice(rows, skipped, skipped + last - first + 1)
            raws = [_raw(place, at, line, index) for place, (at, line) in enumerate(these, first)]
        if len(raws) != last - first + 1:
            raise UpstreamFailed("short", "The file became shorter while it was read.")
        return raws


def _raw(place: int, at: int, line: bytes, index: _Index) -> Raw:
    try:
        text = line.decode(index.encoding)
    except UnicodeDecodeError:
        shown = line.decode(index.encoding, errors="replace").strip()
        return Raw(place, {}, at, shown, f"a byte that can't be read as {index.encoding.upper()}")
    try:
        return Raw(place, read_values(text, index.header), at, text.strip())
    except Refused as refusal:
        return Raw(place, {}, at, text.strip(), str(refusal))


def _opened(content: Path | bytes) -> BinaryIO:
    if isinstance(content, bytes):
        return io.BytesIO(content)
    try:
        return content.open("rb")
    except OSError as error:
        raise ImportFailed(f"{content} can't be read: {error.strerror}.") from error
