"""Disk space that telemetry leaves free for what control depends on: the audit trail and the journal."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from controller.process.failures import RecordError, recording


@dataclass(frozen=True)
class DiskReserve:
    """``reserve_mb`` (10⁶ bytes) of the disk of ``folder`` are to stay free."""

    folder: Path
    reserve_mb: float

    def require(self) -> None:
        """Check the free space.

        Raises:
            RecordError: less than the reserve is free, or the free space is unknown.
        """
        with recording(self.folder):
            free_mb = shutil.disk_usage(self.folder).free / 1e6
        if free_mb < self.reserve_mb:
            kept = f"{self.reserve_mb:g} MB are kept for audit trail and journal"
            raise RecordError(f"{self.folder}: {free_mb:.0f} MB free, {kept} (telemetry.reserve_mb)")
