"""Tells what a branch changes for clients: `schema_changes.py BASE [--breaking-allowed]`.

BASE is the schema file of the branch that it shall be merged into. Ends with 1 when something that clients
may use is taken away, or an input needs more than before, unless that is allowed.
"""

import difflib
import sys
from pathlib import Path

from graphql import build_schema
from graphql.utilities import find_breaking_changes

SCHEMA = Path(__file__).parents[1] / "schema" / "schema.graphql"


def main(base_file: str, *options: str) -> int:
    """Print the difference and what in it breaks clients."""
    base = Path(base_file).read_text("utf-8") if Path(base_file).exists() else ""
    ours = SCHEMA.read_text("utf-8")
    lines = difflib.unified_diff(base.splitlines(), ours.splitlines(), "base", "branch", lineterm="", n=3)
    say("\n".join(lines) or "The schema stays as it is.")
    if not base.strip():
        return 0
    broken = find_breaking_changes(build_schema(base), build_schema(ours))
    for change in broken:
        say(f"breaking: {change.description}")
    if broken and "--breaking-allowed" not in options:
        say("Clients would break. Keep what they use, or give the pull request the label `breaking`.")
        return 1
    return 0


def say(text: str) -> None:
    """One or more lines for the log."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
