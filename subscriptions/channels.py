"""The names of channels. They are made here and nowhere else."""

from uuid import UUID


def chat(party_id: UUID | str) -> str:
    """Carries the messages of a party's chat, numbered. Of "", what all of these begin with."""
    return f"chat:{party_id}"


def notifications(user_id: UUID | str) -> str:
    """Carries what one person is told, numbered per receiver. Of "", what all of these begin with."""
    return f"notifications:{user_id}"


def party(party_id: UUID | str) -> str:
    """Says that a party has changed; numbered by its version. Of "", what all of these begin with."""
    return f"party:{party_id}"


def region(cell: str) -> str:
    """Carries the changes of parties in a coarse cell of the map (H3, resolution 5).

    A party that moves is announced in two cells: receivers drop what they have had, by its version.
    """
    return f"region:{cell}"


def presence(party_id: UUID) -> str:
    """Says who is present in a party's chat and who types. Nothing of it is kept."""
    return f"presence:{party_id}"


def rider(rider_id: UUID) -> str:
    """Carries the rider's newest position, about once a second."""
    return f"rider:{rider_id}:position"


def session_ends() -> str:
    """Says which sessions have ended, so that their open streams end too. One for the whole installation."""
    return "session-ends"


def link() -> str:
    """Carries nothing: who listens is told, by a gap, that events come again."""
    return "link"
