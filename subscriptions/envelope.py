"""What travels on a channel: a wake-up that may bring its data along."""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

VERSION = 1
LARGEST_DATA_BYTES = 8 * 1024


class Malformed(Exception):
    """What came is no envelope."""


class UnknownVersion(Exception):
    """The envelope was written by a newer server."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event on one channel. Whoever needs certainty reads the database; this only saves the reading."""

    kind: str
    channel: str
    #: Its place among the rows of the channel: 1, 2, 3 … Without one, the event is ephemeral.
    number: int | None = None
    #: JSON. None also when it was too large to travel: read it from the database.
    data: Any = None
    id: str = field(default_factory=lambda: uuid4().hex)
    #: When it was made: seconds since 1970.
    time: float = field(default_factory=time.time)

    def encode(self) -> str:
        """As JSON. More than 8 KB of data stay out."""
        data = None if self.data is None else orjson.dumps(self.data)
        if data is not None and len(data) > LARGEST_DATA_BYTES:
            data = None
        return orjson.dumps(
            {
                "v": VERSION,
                "kind": self.kind,
                "channel": self.channel,
                "number": self.number,
                "id": self.id,
                "time": self.time,
                "data": None if data is None else orjson.Fragment(data),
            }
        ).decode()

    @classmethod
    def decode(cls, text: str, channel: str) -> "Envelope":
        """Read what came on a channel.

        Raises:
            Malformed, UnknownVersion
        """
        try:
            fields = orjson.loads(text)
        except ValueError as error:
            raise Malformed(str(error)) from None
        match fields:
            case {
                "v": 1,
                "kind": str(kind),
                "channel": str(name),
                "number": int() | None as number,
                "id": str(id),
                "time": int() | float() as time,
                "data": data,
            } if name == channel:
                return cls(kind, name, number, data, id, time)
            case {"v": int(version)} if version > VERSION:
                raise UnknownVersion(str(version))
            case _:
                raise Malformed(text[:100])
