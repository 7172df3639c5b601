"""Many cursors resumed at once: reads that arrive together are one query."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Generic, NamedTuple, Self, TypeAlias

from subscriptions.feed import Page, ReadAfter, ReadFailed, Row
from subscriptions.tasks import end

log = logging.getLogger(__name__)


class Cursor(NamedTuple):
    """Where a reader of a channel is."""

    channel: str
    #: It has had everything up to here. With None it only wants to know where the channel ends.
    after: int | None


_Batch: TypeAlias = dict[Cursor, list[asyncio.Future[Page[Row]]]]
ReadMany: TypeAlias = Callable[[Sequence[Cursor]], Awaitable[Mapping[Cursor, Page[Row]]]]
"""Reads a page for each of these different cursors, in one query."""


class BatchReader(Generic[Row]):
    """Collects reads for a moment and does them together: `async with BatchReader(read_many) as reader`.

    Readers of the same channel at the same place share a page.
    """

    def __init__(
        self,
        read_many: ReadMany[Row],
        *,
        window_s: float = 0.005,
        at_once: int = 1000,
        queries: int = 2,
        within_s: float = 10,
    ) -> None:
        """At most `at_once` cursors in a query, and at most so many `queries` at the same time."""
        self._read_many = read_many
        self._window_s = window_s
        self._at_once = at_once
        self._within_s = within_s
        self._turn = asyncio.Semaphore(queries)
        self._waiting: _Batch[Row] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = set[asyncio.Task[Mapping[Cursor, Page[Row]]]]()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closed = True
        self._start()
        await end(self._tasks)

    def of(self, channel: str) -> ReadAfter[Row]:
        """The reads of one channel, as `follow` wants them."""
        return partial(self.read, channel)

    async def read(self, channel: str, after: int | None) -> Page[Row]:
        """Read a page together with whoever else reads now.

        Raises:
            ReadFailed
        """
        if self._is_closed:
            raise ReadFailed("The reader is closed.")
        future: asyncio.Future[Page[Row]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(Cursor(channel, after), []).append(future)
        if len(self._waiting) >= self._at_once:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._window_s, self._start)
        return await future

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, {}
        if batch:
            task = asyncio.create_task(self._read_batch(list(batch)), name=f"reads {len(batch)} cursors")
            self._tasks.add(task)
            task.add_done_callback(partial(self._on_done, batch))

    async def _read_batch(self, cursors: Sequence[Cursor]) -> Mapping[Cursor, Page[Row]]:
        async with self._turn, asyncio.timeout(self._within_s):
            return await self._read_many(cursors)

    def _on_done(self, batch: _Batch[Row], task: asyncio.Task[Mapping[Cursor, Page[Row]]]) -> None:
        """Answer everybody in the batch, also when it was canceled before it began."""
        self._tasks.discard(task)
        pages: Mapping[Cursor, Page[Row]] = {}
        if task.cancelled():
            failure = "The reader was closed."
        elif (problem := task.exception()) is not None:
            failure = f"{type(problem).__name__}: {problem}"
            log.warning("%d cursors could not be read", len(batch), exc_info=problem)
        else:
            pages = task.result()
            failure = "The answer left this cursor out."
        for cursor, futures in batch.items():
            for future in futures:
                if future.done():
                    continue  # its reader has left
                if cursor in pages:
                    future.set_result(pages[cursor])
                else:
                    # One for each reader: shared, it would collect the frames of all of them.
                    future.set_exception(ReadFailed(failure))
