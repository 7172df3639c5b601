"""What many ask for at once is asked for together."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

from resolvers.transaction import Unavailable
from subscriptions.tasks import end

log = logging.getLogger(__name__)

AnswerT = TypeVar("AnswerT")

MOST_AT_ONCE = 1000


class Turn(Generic[AnswerT]):
    """One question for the many who wait for it."""

    __slots__ = ("answer", "ids", "is_answered")

    def __init__(self) -> None:
        self.ids = set[UUID]()
        self.answer: Mapping[UUID, AnswerT] | None = None
        self.is_answered = asyncio.Event()

    async def result(self) -> Mapping[UUID, AnswerT]:
        """What was answered, about everybody in the turn.

        Raises:
            Unavailable
        """
        await self.is_answered.wait()
        if self.answer is None:
            raise Unavailable
        return self.answer


class Turns(Generic[AnswerT]):
    """So many turns run at the same time; who comes meanwhile shares the next one.

    Nobody joins a turn that has begun: it may have been answered before they asked.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, AnswerT]]],
        *,
        turns: int,
        within_s: float,
    ) -> None:
        self._ask = ask
        self._turns = turns
        self._within_s = within_s
        self._waiting = deque[Turn[AnswerT]]()
        self._tasks = set[asyncio.Task[None]]()
        self._is_called = False
        self._is_closed = False

    def join(self, ids: Sequence[UUID]) -> Turn[AnswerT]:
        """Ask for at most 1,000 soon. Before this returns nothing has been asked."""
        if not self._waiting or len(self._waiting[-1].ids) + len(ids) > MOST_AT_ONCE:
            self._waiting.append(Turn())
        turn = self._waiting[-1]
        turn.ids.update(ids)
        if self._is_closed:
            self._let_go()
        elif not self._is_called:
            # Not yet: others ask in the same moment.
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._start)
        return turn

    async def of(self, ids: Sequence[UUID]) -> dict[UUID, AnswerT]:
        """The answers about these.

        Raises:
            Unavailable
        """
        answers: dict[UUID, AnswerT] = {}
        turns = [(some, self.join(some)) for some in in_batches(ids)]
        for some, turn in turns:
            answer = await turn.result()
            answers.update((each, answer[each]) for each in some)
        return answers

    async def close(self) -> None:
        """End what runs; who waits is told that there is no answer."""
        self._is_closed = True
        self._let_go()
        await end(self._tasks)

    def _let_go(self) -> None:
        while self._waiting:
            self._waiting.popleft().is_answered.set()

    def _start(self) -> None:
        self._is_called = False
        while self._waiting and len(self._tasks) < self._turns:
            turn = self._waiting.popleft()
            task = asyncio.create_task(self._run(turn), name=f"penalties of {len(turn.ids)}")
            self._tasks.add(task)
            task.add_done_callback(partial(self._on_done, turn))

    async def _run(self, turn: Turn[AnswerT]) -> None:
        try:
            async with asyncio.timeout(self._within_s):
                turn.answer = await self._ask(list(turn.ids))
        except Exception:
            log.warning("The penalties of %d are not known", len(turn.ids), exc_info=True)

    def _on_done(self, turn: Turn[AnswerT], task: asyncio.Task[None]) -> None:
        """Also when it was canceled before it began."""
        self._tasks.discard(task)
        turn.is_answered.set()
        self._start()


def in_batches(ids: Sequence[UUID]) -> Iterable[Sequence[UUID]]:
    """No more at once than go into a turn."""
    return (ids[start : start + MOST_AT_ONCE] for start in range(0, len(ids), MOST_AT_ONCE))
