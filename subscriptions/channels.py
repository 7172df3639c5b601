"""The names of channels. They are made here and nowhere else."""

from uuid import UUID


def chat(party_id: UUID) -> str:
    """Carries the messages of a party's chat, numbered."""
    return f"chat:{party_id}"


def notifications(user_id: UUID) -> str:
    """Carries what one person is told, numbered per receiver."""
    return f"notifications:{user_id}"


def party(party_id: UUID) -> str:
    """Says that a party has changed; who listens reads it again."""
    return f"party:{party_id}"


def region(cell: str) -> str:
    """Carries the changes of parties whose radius touches a coarse cell of the map (H3, resolution 5).

    One change goes to several cells: receivers drop what they have had, by its id.
    """
    return f"region:{cell}"


def presence(party_id: UUID) -> str:
    """Says who is present in a party's chat and who types. Nothing of it is kept."""
    return f"presence:{party_id}"


def rider(rider_id: UUID) -> str:
    """Carries the rider's newest position, about once a second."""
    return f"rider:{rider_id}:position"


def session(session_id: UUID) -> str:
    """Says that a session has ended, so that its open streams end too."""
    return f"session:{session_id}"
