"""Whether everybody has what the database has, once and in order."""

from collections.abc import Iterator
from itertools import groupby

import strawberry

from schema import ids
from tests.chaos.plan import Followed, Habit, Report, Sent
from tests.chaos.world import Stored


def problems(report: Report, stored: Stored) -> list[str]:
    """Each promise that was not kept, in words."""
    return [
        *(f"refused: {code}, {len(list(some))} times" for code, some in groupby(sorted(report.refused))),
        *_holes(stored),
        *(problem for each in report.followed if (problem := _of_follower(each, stored))),
        *(problem for each in report.sent for problem in _of_message(each, stored)),
    ]


def _holes(stored: Stored) -> Iterator[str]:
    """Numbers are 1, 2, 3 … up to the head."""
    for channel, head in stored.heads.items():
        numbers = [number for number, _ in stored.rows.get(channel, [])]
        if numbers != list(range(1, head + 1)):
            yield f"{channel} is not numbered 1 to {head}: {len(numbers)} rows"


def _of_follower(followed: Followed, stored: Stored) -> str | None:
    plan = followed.plan
    kind = "Notification" if plan.habit is Habit.NOTIFIED else "ChatMessage"
    received = [(number, ids.decode(kind, strawberry.ID(id))) for number, id in followed.rows]
    owed = [row for row in stored.rows.get(plan.channel, []) if row[0] > plan.after]
    if received == owed:
        return None
    numbers = [number for number, _ in received]
    missing = sorted({number for number, _ in owed} - set(numbers))
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    return (
        f"{plan.habit} client of {plan.channel} after {plan.after}: {len(received)} rows of {len(owed)}, "
        f"missing {missing[:10]}, twice {twice[:10]}, "
        f"{'in' if numbers == sorted(numbers) else 'out of'} order"
    )


def _of_message(sent: Sent, stored: Stored) -> Iterator[str]:
    """Acknowledged: there, once, as acknowledged. Else there or not, but not twice."""
    rows = stored.keys.get(sent.key, [])
    if len(rows) > 1:
        yield f"the message {sent.key} is stored {len(rows)} times"
    for number, id in sent.acknowledged:
        if (number, ids.decode("ChatMessage", strawberry.ID(id))) not in rows:
            yield f"the message {sent.key} was acknowledged as {number} of {sent.channel} and is not there"
