"""What the processes have logged: lines by kind, and tracebacks that no fault explains."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

EXPECTED = {
    # PostgreSQL ends a backend.
    "AdminShutdownError",
    "ConnectionDoesNotExistError",
    "InterfaceError",
    "InternalClientError",
    "DBAPIError",
    "OperationalError",
    "ConnectionResetError",
    "BrokenPipeError",
    "Unavailable",
    "ReadFailed",
    # Redis goes away, or holds its tongue.
    "ConnectionError",
    "ConnectionRefusedError",
    "FileNotFoundError",
    "BusyLoadingError",
    "TimeoutError",
    "LinkLost",
}
"""What an exception is called that a fault explains."""

REFUSED = "gonggu: Redis at"
"""What a person is told who starts a server without Redis."""

LEVELS = ("warning", "error", "critical")


class Lines:
    """Counts of warnings and errors by kind, and what is unexpected."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.unexpected: list[str] = []

    def read(self, log: Path) -> None:
        """Count what a process has written in all of its lives."""
        for line in log.read_text(errors="replace").splitlines():
            try:
                entry: Any = orjson.loads(line)
            except orjson.JSONDecodeError:
                if line.startswith(REFUSED):
                    self.kinds[REFUSED + ": " + line.rpartition(": ")[2]] += 1
                    continue
                # Whatever did not go through the log; a process that is killed leaves half a line.
                if "Traceback" in line or "Error" in line or "Warning" in line:
                    self.unexpected.append(f"{log.stem}: {line[:300]}")
                continue
            if entry["level"] in LEVELS:
                self._count(log.stem, entry)

    def _count(self, name: str, entry: dict[str, Any]) -> None:
        raised = [each["exc_type"] for each in entry.get("exception") or ()]
        event = "".join("#" if letter.isdigit() else letter for letter in entry["event"].splitlines()[0][:90])
        because = f" ({raised[-1]})" if raised else ""
        self.kinds[f"{entry['level']} {entry['logger']}: {event}{because}"] += 1
        if raised and not EXPECTED & set(raised):
            last = entry["exception"][-1]
            frames = [f"{Path(frame['filename']).name}:{frame['lineno']}" for frame in last["frames"][-4:]]
            told = f"{last['exc_type']}: {str(last['exc_value'])[:200]} at {' < '.join(reversed(frames))}"
            self.unexpected.append(f"{name}: {entry['event'][:100]}: {told}")
