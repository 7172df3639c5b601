"""An import as an operator sees it: a bar while it runs, a table when it is done."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.asgi import utc_now
from app.database import make_engine
from app.settings import Settings
from importers.envelopes import read_lines
from importers.items import ITEMS_CSV, import_items
from importers.markets import MARKETS_CSV, import_markets
from importers.runs import Summary

MOST_REJECTS_SHOWN = 20

SOURCES = {"items": (import_items, ITEMS_CSV), "markets": (import_markets, MARKETS_CSV)}


async def run(settings: Settings, source: str, file: Path | None, out: Console) -> int:
    """Import a CSV and show what became of it. The number of rejected lines is the answer.

    Raises:
        ImportFailed
    """
    import_rows, shipped = SOURCES[source]
    lines = list(read_lines(file or shipped))
    engine = make_engine(settings.database_url or "")
    bar = Progress(
        TextColumn(f"{source}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=out
    )
    try:
        with bar:
            task = bar.add_task(source, total=None)

            def progress(done: int, total: int | None) -> None:
                bar.update(task, completed=done, total=total)

            async with engine.begin() as connection:
                summary = await import_rows(connection, lines, utc_now(), progress)
    finally:
        await engine.dispose()
    _show(source, summary, out)
    return len(summary.rejected)


def _show(source: str, summary: Summary, out: Console) -> None:
    table = Table(title=f"Imported {source}", title_justify="left")
    for column in ("fetched", "created", "updated", "unchanged", "rejected"):
        table.add_column(column, justify="right")
    counts = (summary.fetched, summary.created, summary.updated, summary.unchanged, len(summary.rejected))
    table.add_row(*(f"{count:,}" for count in counts))
    out.print(table)
    for rejected in summary.rejected[:MOST_REJECTS_SHOWN]:
        out.print(f"line {rejected.line}: {rejected.reason}", markup=False)
    if (more := len(summary.rejected) - MOST_REJECTS_SHOWN) > 0:
        out.print(f"… and {more:,} more")
