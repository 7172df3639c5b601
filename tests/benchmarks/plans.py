"""What PostgreSQL does with the statement that nearbyParties really sends."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from resolvers.near import Around
from resolvers.nearby import NearbyParty, PartyFilter, nearby_parties
from resolvers.pages import Page, PageOf
from resolvers.transaction import Transaction

Plan = dict[str, Any]
Kind = Literal["custom", "generic"]
"""Planned with the values in sight, or once for all values: after five executions PostgreSQL chooses."""

SCANS = ("Seq Scan", "Bitmap Heap Scan", "Bitmap Index Scan", "Index Scan", "Index Only Scan")


class Sent(NamedTuple):
    """A statement as the driver gets it, and its values."""

    statement: str
    values: Sequence[Any]


async def ask(
    connection: AsyncConnection, now: datetime, around: Around, wanted: PartyFilter, page: PageOf
) -> tuple[Page[NearbyParty], Sent]:
    """A page of parties nearby, and the one statement it took."""
    sent: list[Sent] = []

    def keep(_connection: Any, _cursor: Any, statement: str, values: Sequence[Any], *_: Any) -> None:
        sent.append(Sent(statement, values))

    event.listen(connection.sync_connection, "before_cursor_execute", keep)
    try:
        async with AsyncSession(connection) as session:
            found = await nearby_parties(Transaction(session, now), around, wanted, page)
    finally:
        event.remove(connection.sync_connection, "before_cursor_execute", keep)
    (only,) = sent
    return found, only


async def explain(connection: AsyncConnection, sent: Sent, kind: Kind) -> Plan:
    """How PostgreSQL goes about a statement. Nothing is executed."""
    await connection.execute(text(f"SET plan_cache_mode = force_{kind}_plan"))
    # Prepared by name, as the driver does it: EXPLAIN with values alone would never show the generic plan.
    await connection.exec_driver_sql(f"PREPARE asked AS {sent.statement}")
    try:
        values = ", ".join(map(_literal, sent.values))
        found = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE asked({values})")
        plan: Any = found.scalar_one()
        return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    finally:
        await connection.exec_driver_sql("DEALLOCATE asked")
        await connection.execute(text("RESET plan_cache_mode"))


def scans_of_parties(plan: Plan) -> list[str]:
    """Each way in which the plan looks for parties, one line each; looking one up by its key is none.

    Stopping early reads so: `Limit < Index Scan using ix_parties_position_open, ordered`.
    """
    return sorted(
        _line(above, node)
        for above, node in _nodes(plan)
        if node["Node Type"] in SCANS
        and (node.get("Relation Name") == "parties" or node.get("Index Name", "").startswith("ix_parties"))
        and node.get("Index Name") != "pk_parties"
    )


def stops_early(status: str) -> str:
    """The line of `scans_of_parties` for one status, when all is well."""
    return f"Limit < Index Scan using ix_parties_position_{status.lower()}, ordered"


def _line(above: Plan | None, node: Plan) -> str:
    parent = f"{above['Node Type']} < " if above else ""
    index = f" using {node['Index Name']}" if "Index Name" in node else ""
    return f"{parent}{node['Node Type']}{index}{', ordered' if 'Order By' in node else ''}"


def _nodes(plan: Plan, above: Plan | None = None) -> Iterator[tuple[Plan | None, Plan]]:
    yield above, plan
    for child in plan.get("Plans", []):
        yield from _nodes(child, plan)


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = "{" + ",".join(map(str, cast(Sequence[Any], value))) + "}"
    return "'" + str(value).replace("'", "''") + "'"
