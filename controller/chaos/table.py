"""Results of many trials, one row per fault for terminal and page; every trial in a CSV file."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil
from pathlib import Path

from controller.chaos.trial_run import TrialResult

COLUMNS = ("#", "fault", "judged safe", "detected, s", "safe, s", "recovered, s", "broken", "points lost")
"""Times are p95 / longest of the trials; "safe" is the longest."""
CSV, PAGE = "chaos.csv", "chaos.md"


@dataclass(frozen=True)
class TrialRow:
    """All trials of one fault; times in s, empty if no trial has one."""

    number: int
    name: str
    passed: int
    trials: int
    detected_s: tuple[float, ...]
    safe_s: tuple[float, ...]
    recovered_s: tuple[float, ...]
    broken: int
    points_lost: int

    @classmethod
    def of(cls, results: Sequence[TrialResult]) -> "TrialRow":
        """Summarise the trials of one fault."""
        detected_s, safe_s, recovered_s = (
            tuple(sorted(value for value in values if value is not None))
            for values in zip(*((r.detected_s, r.safe_s, r.recovered_s) for r in results), strict=True)
        )
        return cls(
            number=results[0].number,
            name=results[0].name,
            passed=sum(result.passed for result in results),
            trials=len(results),
            detected_s=detected_s,
            safe_s=safe_s,
            recovered_s=recovered_s,
            broken=sum(len(result.broken) for result in results),
            points_lost=sum(result.points_lost for result in results),
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, see :data:`COLUMNS`."""
        return (
            str(self.number),
            self.name.replace("-", " "),
            f"{self.passed} of {self.trials}",
            _spread(self.detected_s),
            f"{self.safe_s[-1]:.0f}" if self.safe_s else "–",
            _spread(self.recovered_s),
            str(self.broken or "none"),
            str(self.points_lost or "none"),
        )


def rows(results: Iterable[TrialResult]) -> list[TrialRow]:
    """One row per fault, by number."""
    by_number: dict[int, list[TrialResult]] = {}
    for result in results:
        by_number.setdefault(result.number, []).append(result)
    return [TrialRow.of(by_number[number]) for number in sorted(by_number)]


def p95(values_s: Sequence[float]) -> float:
    """The smallest of the ascending values that at most 5 % exceed."""
    return values_s[ceil(0.95 * len(values_s)) - 1]


def write_tables(results: Sequence[TrialResult], folder: Path) -> None:
    """Write :data:`CSV` with every trial and :data:`PAGE` with every fault."""
    with (folder / CSV).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(TrialResult)])
        writer.writeheader()
        writer.writerows(
            {**asdict(r), "broken": "; ".join(r.broken), "complaints": "; ".join(r.complaints)} for r in results
        )
    lines = (COLUMNS, ("--:", ":--", *["--:"] * (len(COLUMNS) - 2)), *(row.cells for row in rows(results)))
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    (folder / PAGE).write_text(f"{text}\n", encoding="utf-8")


def _spread(values_s: Sequence[float]) -> str:
    return f"{p95(values_s):.0f} / {values_s[-1]:.0f}" if values_s else "–"
