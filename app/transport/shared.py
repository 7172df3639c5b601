"""What an event came to for one subscriber, for all others who ask the same of it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from weakref import WeakValueDictionary

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    VariableNode,
)
from graphql.language import Node

from app.transport.answers import Answer
from app.transport.limits import MIB

Execute: TypeAlias = Callable[[], Awaitable[Answer]]
"""Gives an answer, with its payload when it is the same for everybody who asks the same."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Question:
    """What many subscribers ask of every event in the same words. It lives as long as one of them."""

    personal_until: float = 0.0
    """Until then nobody tries to share its answers, because one of them was for its subscriber alone."""


@dataclass(slots=True)
class _Kept:
    answer: Answer
    size: int
    useless_at: float


_Key: TypeAlias = tuple[Question, Hashable]


class SharedAnswers:
    """The encoded answers of the last seconds, bounded in number and in bytes. One for all sockets.

    Whoever asks first about an event executes, and who comes meanwhile waits for that. In doubt nothing is
    shared: an answer with an error, or one that depends on who asks, is for its subscriber alone.
    """

    def __init__(
        self,
        *,
        max_answers: int = 1000,
        max_bytes: int = 8 * MIB,
        useless_after_s: float = 5.0,
        personal_for_s: float = 10.0,
        wait_s: float = 2.0,
    ) -> None:
        """Make an empty store.

        Args:
            max_answers: Answers that are kept.
            max_bytes: Of all kept answers together.
            useless_after_s: What a slower subscriber sees may be read again.
            personal_for_s: How long a question isn't tried again that can't be shared.
            wait_s: For somebody else's execution; after that, everybody executes by himself.
        """
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._useless_after_s = useless_after_s
        self._personal_for_s = personal_for_s
        self._wait_s = wait_s
        self._questions = WeakValueDictionary[Hashable, Question]()
        self._kept = OrderedDict[_Key, _Kept]()
        self._pending: dict[_Key, asyncio.Future[None]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def question(self, key: Hashable) -> Question:
        """The question with this key: all that an answer may depend on, beside the event and the viewer."""
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = Question()
        return question

    def find(self, question: Question, event: Hashable) -> Answer | None:
        """The answer, when somebody has it already."""
        kept = self._kept.get((question, event))
        return kept.answer if kept is not None and kept.useless_at > time.monotonic() else None

    async def get(self, question: Question, event: Hashable, execute: Execute) -> Answer:
        """Somebody else's answer, or else our own, for the others too when it may be."""
        key = (question, event)
        if (pending := self._pending.get(key)) is not None:
            await asyncio.wait((pending,), timeout=self._wait_s)
        if (answer := self.find(question, event)) is not None:
            return answer
        if key in self._pending or question.personal_until > time.monotonic():
            return await execute()
        done = self._pending[key] = asyncio.get_running_loop().create_future()
        try:
            answer = await execute()
            if answer.payload is not None:
                self._keep(key, answer, len(answer.payload))
            else:
                question.personal_until = time.monotonic() + self._personal_for_s
        finally:
            del self._pending[key]
            done.set_result(None)
        return answer

    def _keep(self, key: _Key, answer: Answer, size: int) -> None:
        self._drop(key)
        self._kept[key] = _Kept(answer, size, time.monotonic() + self._useless_after_s)
        self._bytes += size
        # All are useful equally long, so the oldest is the first to be useless.
        while len(self._kept) > self._max_answers or self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._bytes -= kept.size


def variables_below_root(document: DocumentNode, operation: OperationDefinitionNode) -> frozenset[str]:
    """The variables an answer may depend on: all that are used, but for arguments of the root field.

    Those choose the events, and which event it is is known otherwise.
    """
    fragments = {
        part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)
    }
    found = set[str]()
    seen = set[tuple[str, bool]]()
    to_see: list[tuple[Node, bool]] = [(operation.selection_set, True)]
    to_see += [(directive, False) for directive in operation.directives or ()]
    while to_see:
        node, is_root = to_see.pop()
        if isinstance(node, VariableNode):
            found.add(node.name.value)
        elif isinstance(node, FragmentSpreadNode) and (node.name.value, is_root) not in seen:
            seen.add((node.name.value, is_root))
            to_see.append((fragments[node.name.value], is_root))
        is_field = isinstance(node, FieldNode)
        without = "arguments" if is_root and is_field else None
        to_see += [(child, is_root and not is_field) for child in _children(node, without)]
    return frozenset(found)


def _children(node: Node, without: str | None) -> Iterator[Node]:
    for name in node.keys:
        if name != without:
            value: Any = getattr(node, name, None)
            children = cast("tuple[Any, ...]", value) if isinstance(value, list | tuple) else (value,)
            yield from (child for child in children if isinstance(child, Node))
