"""The promise of live events, kept while everything behind it dies."""

import sys

import pytest
from rich.console import Console

from tests.chaos.report import show, summary
from tests.chaos.run import Scale, run

SCALE = Scale(seed=1, seconds=45, clients=200, chats=12)


def _ignore(progress: str) -> None:
    """Nobody watches."""


@pytest.mark.skipif(sys.platform == "win32", reason="signals and the embedded Redis are of Unix")
async def test_whatever_dies_everybody_has_every_message_once_and_in_order(fresh_url: str):
    outcome = await run(fresh_url, SCALE, _ignore)
    show(outcome, Console(width=140))
    assert outcome.problems == []
    assert len(outcome.happened) == 12
    assert summary(outcome).startswith("✓")
