"""A day in closed loop with three states of its time series database: none, running, and killed.

The day is run in parts, and the three alternate within a part, so that a busy machine slows all of them alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.tables import ResultTable, three_digits
from controller.runs.directory import Run
from tests.support.commands import scenario_file
from tests.support.simulated_day import scenario_with, simulating
from tests.support.time_series_servers import Influxd, influx_config

NONE, UP, KILLED = "no database", "influxd up", "influxd killed after the first cycle"
PARTS = (("00:00", "06:00"), ("06:00", "12:00"), ("12:00", "18:00"), ("18:00", "24:00"))
FIRST_NS = 1


@dataclass(frozen=True)
class DayPart:
    """A part of a day: wall time of its cycles with all their recording, and the size of the telemetry."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    missed: int
    telemetry_mb: float

    @classmethod
    def of(cls, run: Run) -> "DayPart":
        """Read the summary and the telemetry of a finished run."""
        times = run.summary["realtime"]
        size = (run.path / "telemetry.sqlite").stat().st_size
        return cls(times["p50_ms"], times["p99_ms"], times["max_ms"], times["missed"], size / 1e6)


@dataclass(frozen=True)
class DayTimes:
    """All parts of a day."""

    parts: tuple[DayPart, ...]

    @property
    def telemetry_mb(self) -> float:
        """Size of the telemetry of all parts together, MB."""
        return sum(part.telemetry_mb for part in self.parts)

    def ratios_to(self, other: "DayTimes") -> tuple[float, float]:
        """Cycle times relative to ``other``, p50 and p99: medians over the parts."""
        pairs = list(zip(self.parts, other.parts, strict=True))
        return median(a.p50_ms / b.p50_ms for a, b in pairs), median(a.p99_ms / b.p99_ms for a, b in pairs)


Days = Mapping[str, DayTimes]
"""Times by state of the database."""


def measure() -> Days:
    """Run all parts with all three states."""
    rounds = [{NONE: _without(part), UP: _with(part, killed=False), KILLED: _with(part, killed=True)} for part in PARTS]
    return {label: DayTimes(tuple(each[label] for each in rounds)) for label in (NONE, UP, KILLED)}


def _without(part: tuple[str, str]) -> DayPart:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with simulating(scenario_file(folder), folder / "run", *_options(part)) as day:
            return DayPart.of(day.ended())


def _with(part: tuple[str, str], *, killed: bool) -> DayPart:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        influxd = Influxd(folder)
        with influxd.proxy():
            scenario = scenario_with(folder, influx_config(folder, influxd.proxy_port))
            with simulating(scenario, folder / "run", *_options(part)) as day:
                with influxd.running():
                    day.until(FIRST_NS)
                    if not killed:
                        return DayPart.of(day.ended())
                return DayPart.of(day.ended())


def _options(part: tuple[str, str]) -> tuple[str, ...]:
    return "--start", part[0], "--end", part[1]


def table(days: Days) -> ResultTable:
    """One row per state of the database; times are medians over the parts, the maximum is that of the day."""
    table = ResultTable(
        f"Cycle of the default day with all that it records, ms; medians of {len(PARTS)} parts",
        ["", "p50", "p99", "max", "p50 / none", "p99 / none", "missed", "telemetry.sqlite, MB"],
    )
    for label, day in days.items():
        p50_ms, p99_ms = median(part.p50_ms for part in day.parts), median(part.p99_ms for part in day.parts)
        times = map(three_digits, (p50_ms, p99_ms, max(part.max_ms for part in day.parts)))
        ratios = (f"{ratio:.2f}×" for ratio in day.ratios_to(days[NONE]))
        missed = sum(part.missed for part in day.parts)
        table.add(label, *times, *ratios, str(missed), f"{day.telemetry_mb:.1f}")
    return table
