"""How long is waited for the cached penalty count, and how long what it rests on lasts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tempo:
    """All in seconds."""

    #: For one round trip to Redis.
    answer_within_s: float = 0.15
    #: For the database, the place in its pool included.
    rows_within_s: float = 10
    #: After some failures in a row Redis is left alone for so long.
    rest_s: float = 1
    #: Nothing is cached for longer.
    kept_s: float = 24 * 60 * 60
    #: Who finds nothing may fill it in within so long …
    lease_s: float = 3
    #: … and who finds that somebody else is about to looks once more after so long.
    look_again_after_s: float = 0.01
    #: No transaction lives longer once it has blocked a count: it is idle then, and PostgreSQL ends it after
    #: 60 s (`idle_in_transaction_session_timeout`). The rest is for the commit itself.
    life_s: float = 90
    #: Redis is believed for so long after a look at the database has found no doubt. Who raises one waits.
    believe_s: float = 2
