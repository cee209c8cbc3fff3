"""Rate limit: so many tries a key in a sliding window. Takes a key and a clock, yields yes or no.

Catches: guessing of passwords and floods from one address or session. Does not catch: floods from many addresses; and
each server process counts for itself.
"""

from collections import deque
from datetime import datetime, timedelta
from threading import Lock

MOST_KEYS = 10_000


class RateLimit:
    """At most `limit` tries a key within `window`."""

    def __init__(self, limit: int, window: timedelta) -> None:
        self._limit = limit
        self._window = window
        self._tries: dict[str, deque[datetime]] = {}
        self._lock = Lock()

    def allows(self, key: str, *, now: datetime) -> bool:
        """Whether one more try is let through; a try that is refused is not counted."""
        with self._lock:
            tries = self._tries.pop(key, deque())
            while tries and tries[0] <= now - self._window:
                tries.popleft()
            is_allowed = len(tries) < self._limit
            if is_allowed:
                tries.append(now)
            self._tries[key] = tries  # the key that was used last stands last
            if len(self._tries) > MOST_KEYS:
                del self._tries[next(iter(self._tries))]
            return is_allowed
