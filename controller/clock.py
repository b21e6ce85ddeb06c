"""The clock of real life."""

import time
from datetime import UTC, datetime


class WallClock:
    """See :class:`core.time.Clock`."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds since some moment before the program began."""
        return time.monotonic()
