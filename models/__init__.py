"""Rows, the rules that one row can check alone, and the errors of the domain."""

from models import items, markets, memberships, parties, party_events, users

__all__ = ["items", "markets", "memberships", "parties", "party_events", "users"]
