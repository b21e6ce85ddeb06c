"""Room on the disk that telemetry leaves to what control cannot do without: the audit trail and the journal."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from controller.process.failures import RecordError, recording


@dataclass(frozen=True)
class Room:
    """The disk of a folder, of which ``reserve_mb`` (10⁶ bytes) stay free."""

    folder: Path
    reserve_mb: float

    def require(self) -> None:
        """Nothing.

        Raises:
            RecordError: less than the reserve is free, or the disk does not say.
        """
        with recording(self.folder):
            free_mb = shutil.disk_usage(self.folder).free / 1e6
        if free_mb < self.reserve_mb:
            kept = f"{self.reserve_mb:g} MB are kept for audit trail and journal"
            raise RecordError(f"{self.folder}: {free_mb:.0f} MB free, {kept} (telemetry.reserve_mb)")
