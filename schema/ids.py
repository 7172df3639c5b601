"""Opaque ids: what a thing is and which one it is, in one text that clients pass back as they got it."""

import base64
import binascii
from typing import Literal, get_args
from uuid import UUID

import strawberry

from schema.faults import BadInput

Kind = Literal[
    "User",
    "Session",
    "Item",
    "Market",
    "Party",
    "Membership",
    "Chat",
    "ChatMessage",
    "Notification",
    "Penalty",
    "Objection",
]
_KINDS: dict[str, Kind] = {kind.lower(): kind for kind in get_args(Kind)}


def encode(kind: Kind, key: UUID) -> strawberry.ID:
    """The id of a thing, the same for ever."""
    return strawberry.ID(base64.urlsafe_b64encode(f"{kind}:{key.hex}".encode()).decode().rstrip("="))


def decode(kind: Kind, given: strawberry.ID) -> UUID:
    """The key behind an id that must name a thing of this kind.

    Raises:
        BadInput
    """
    actual, key = split(given)
    if actual != kind:
        raise BadInput(f"This is the id of a {actual}, not of a {kind}.")
    return key


def decode_all(kind: Kind, given: list[strawberry.ID] | None) -> list[UUID] | None:
    """The keys behind several ids; None stays None.

    Raises:
        BadInput
    """
    if given is None:
        return None
    if len(given) > 100:
        raise BadInput("Give 100 ids at most.")
    return [decode(kind, one) for one in given]


def kind_named(word: str) -> Kind:
    """The kind of id for the domain's word: party gives Party."""
    return _KINDS[word]


def split(given: strawberry.ID) -> tuple[str, UUID]:
    """What an id names, and its key.

    Raises:
        BadInput
    """
    try:
        padded = given + "=" * (-len(given) % 4)
        kind, _, key = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        return kind, UUID(hex=key)
    except (binascii.Error, ValueError) as problem:
        raise BadInput("This is not an id that the API has given out.") from problem
