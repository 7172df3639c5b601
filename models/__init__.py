"""Rows, the rules that one row can check alone, and the errors of the domain."""

from models import items, markets, parties, users

__all__ = ["items", "markets", "parties", "users"]
