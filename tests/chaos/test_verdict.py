"""A verdict that never finds anything would prove nothing."""

import random
from uuid import UUID

import pytest

from models.base import new_id
from schema import ids
from tests.chaos.faults import FAULTS, ROUND_S, schedule
from tests.chaos.plan import Followed, FollowerPlan, Habit, Report, Sent
from tests.chaos.verdict import problems
from tests.chaos.world import Stored

CHAT = "chat:one"
ROWS = [(number, new_id()) for number in range(1, 6)]
KEY = "the key of message 3"


def followed(*numbers: int, after: int = 0) -> Report:
    """One client that has received the rows with these numbers."""
    plan = FollowerPlan("token", CHAT, "party", Habit.STEADY, after)
    return Report(followed=[Followed(plan, [(each, public(ROWS[each - 1][1])) for each in numbers])])


def public(key: UUID) -> str:
    return str(ids.encode("ChatMessage", key))


def stored() -> Stored:
    return Stored({CHAT: list(ROWS)}, {KEY: [ROWS[2]]}, {CHAT: 5})


def test_everything_once_and_in_order_is_no_problem():
    assert problems(followed(1, 2, 3, 4, 5), stored()) == []
    assert problems(followed(3, 4, 5, after=2), stored()) == []


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1, 2, 4, 5), "missing [3], twice [], in order"),
        ((1, 2, 3, 4), "missing [5], twice [], in order"),
        ((1, 2, 2, 3, 4, 5), "missing [], twice [2], in order"),
        ((1, 3, 2, 4, 5), "missing [], twice [], out of order"),
    ],
    ids=["a hole", "the end", "twice", "order"],
)
def test_a_client_that_has_something_else_is_one(numbers: tuple[int, ...], words: str):
    (problem,) = problems(followed(*numbers), stored())
    assert problem.endswith(words)


def test_a_row_that_is_another_than_in_the_database_is_one():
    report = followed(1, 2, 3, 4, 5)
    report.followed[0].rows[4] = (5, public(new_id()))
    assert len(problems(report, stored())) == 1


def test_a_number_that_was_left_out_is_one():
    rows = stored()
    holed = Stored({CHAT: [*ROWS[:2], *ROWS[3:]]}, rows.keys, rows.heads)
    assert problems(followed(1, 2, 4, 5), holed) == [f"{CHAT} is not numbered 1 to 5: 4 rows"]


def test_an_acknowledged_message_has_to_be_there_as_it_was_acknowledged():
    there, elsewhere = (3, public(ROWS[2][1])), (4, public(ROWS[2][1]))
    assert problems(Report(sent=[Sent(CHAT, KEY, [there, there]), Sent(CHAT, "given up")]), stored()) == []
    assert len(problems(Report(sent=[Sent(CHAT, KEY, [there, elsewhere])]), stored())) == 1
    assert len(problems(Report(sent=[Sent(CHAT, "lost", [there])]), stored())) == 1


def test_a_refusal_is_one():
    assert problems(Report(refused=["CHAT_CLOSED"] * 2), stored()) == ["refused: CHAT_CLOSED, 2 times"]


def test_everything_breaks_once_in_each_round_and_alike_with_the_same_seed():
    twice = schedule(random.Random("1"), 2 * ROUND_S)
    assert twice == schedule(random.Random("1"), 2 * ROUND_S)
    assert sorted(name for _, name in twice) == sorted([*FAULTS, *FAULTS])
    assert [at_s for at_s, _ in twice] == sorted(at_s for at_s, _ in twice)
    assert twice[-1][0] < 2 * ROUND_S
