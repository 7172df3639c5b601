"""The figures of a run, as tables."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Happened, Outcome

MOST_PROBLEMS = 40
PARTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def show(outcome: Outcome, console: Console) -> None:
    """Print what went wrong on purpose, what that did, and what was not kept of the promise."""
    console.print(_faults(outcome))
    console.print(_latencies(outcome))
    report = outcome.report
    kinds = Counter(plan.habit.value for plan in (each.plan for each in report.followed))
    for title, counts in (
        ("clients", kinds),
        ("connections that ended", Counter(kind for _, kind in report.breaks)),
        ("sends that were repeated", Counter(kind for _, kind in report.repeats)),
        ("log lines", outcome.lines.kinds),
        (
            "ends of processes",
            Counter(f"{name}: {end}" for name, ends in outcome.ends.items() for end in ends),
        ),
    ):
        console.print(_counts(title, counts))
    for problem in outcome.problems[:MOST_PROBLEMS]:
        console.print(f"[red]✗[/red] {problem}", highlight=False, soft_wrap=True)
    if not outcome.problems:
        console.print(summary(outcome))


def summary(outcome: Outcome) -> str:
    """The promise, with the figures of this run."""
    report = outcome.report
    rows = sum(len(each.rows) for each in report.followed)
    acknowledged = sum(bool(each.acknowledged) for each in report.sent)
    return (
        f"✓ seed {outcome.scale.seed}: {len(report.followed)} clients have exactly the rows of the database, "
        f"in order, none twice: {rows} rows over {len(report.breaks)} broken connections. "
        f"{acknowledged} messages acknowledged, each there once; "
        f"{len(report.sent) - acknowledged} given up. At rest after {outcome.quiet_s:.1f} s."
    )


def _faults(outcome: Outcome) -> Table:
    table = Table(title=f"faults, seed {outcome.scale.seed}")
    table.add_column("at s", justify="right")
    table.add_column("what")
    for name in ("lasted s", "first delivery ms", "slowest ms", "deliveries", "breaks"):
        table.add_column(name, justify="right")
    ends = [each.began for each in outcome.happened[1:]] + [outcome.began + outcome.scale.seconds]
    for happened, end in zip(outcome.happened, ends, strict=True):
        table.add_row(
            f"{happened.began - outcome.began:.1f}",
            happened.name,
            f"{happened.done - happened.began:.1f}",
            *_figures(outcome, happened, end),
        )
    return table


def _figures(outcome: Outcome, happened: Happened, end: float) -> Sequence[str]:
    """Of the time until the next fault; the first delivery is of a row written behind the fault."""
    report, began = outcome.report, happened.began
    timed = report.steady + report.silent
    written = [(sent, came) for sent, came in timed if began <= sent < end]
    first_ms = min((1000 * (came - began) for _, came in written), default=None)
    slowest_ms = max((1000 * (came - sent) for sent, came in written), default=None)
    came = sum(began <= at < end for at in (*(came for _, came in timed), *report.others))
    breaks = sum(began <= at < end for at, _ in report.breaks)
    return [
        *("–" if each is None else f"{each:,.0f}" for each in (first_ms, slowest_ms)),
        f"{came:,}",
        f"{breaks:,}",
    ]


def _latencies(outcome: Outcome) -> Table:
    """From the transaction to the client, of steady clients, reconnecting and catching up included."""
    table = Table(title="latency of steady clients, ms")
    table.add_column("messages and notifications")
    for name in (*PARTS, "within 1 s", "deliveries"):
        table.add_column(name, justify="right")
    for title, times in (
        ("written through the API", outcome.report.steady),
        ("their writer died", outcome.report.silent),
    ):
        waited = sorted(came - sent for sent, came in times if sent >= outcome.began)
        if waited:
            cells = [waited[min(len(waited) - 1, int(part * len(waited)))] for part in PARTS.values()]
            share = bisect_left(waited, 1.0) / len(waited)
            table.add_row(
                title, *(f"{1000 * each:,.0f}" for each in cells), f"{share:.1%}", f"{len(waited):,}"
            )
    return table


def _counts(title: str, counts: Counter[str]) -> Table:
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in counts.most_common():
        table.add_row(name, f"{count:,}")
    return table
