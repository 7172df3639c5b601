"""A circuit breaker: after some failures in a row, nothing is tried for a while."""

import time
from collections.abc import Callable


class Breaker:
    """Closed, it lets everything through. Open, nothing; after a pause one try decides."""

    def __init__(
        self, after: int = 5, pause_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._after = after
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._try_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the last tries have failed; the next one may be allowed nevertheless."""
        return self._failures >= self._after

    def allows(self) -> bool:
        """Whether to try now. Whoever is allowed says how it went, before anybody asks again."""
        return not self.is_open or self._clock() >= self._try_at

    def succeeded(self) -> None:
        """Close."""
        self._failures = 0

    def failed(self) -> None:
        """Count; open when it was one too many."""
        self._failures += 1
        if self.is_open:
            self._try_at = self._clock() + self._pause_s
