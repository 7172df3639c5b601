"""Rows, the rules that one row can check alone, and the errors of the domain."""

from models import (
    chat,
    items,
    markets,
    memberships,
    notifications,
    outbox,
    parties,
    party_events,
    penalties,
    users,
)

__all__ = [
    "chat",
    "items",
    "markets",
    "memberships",
    "notifications",
    "outbox",
    "parties",
    "party_events",
    "penalties",
    "users",
]
