"""Rounds of every splitting to two accuracies, and how much dearer its result is than the AC-consistent optimum."""

from collections.abc import Iterator

from benchmarks.cases import coordinate, grid_of, scenario, with_band
from benchmarks.tables import ResultTable, milliseconds
from core.algorithms import SplittingName
from mpc.coordination.outcome import CoordinationStatus
from mpc.reference import CentralisedProblem

ACCURACIES = ((5e-3, 5e-4), (1e-3, 1e-4))
BANDS_PU = (0.05, 0.04)


def run() -> Iterator[ResultTable]:
    """Yield one table: a row per voltage limits and accuracy, all splittings side by side."""
    table = ResultTable(
        "Rounds to a certified gap and an AC violation",
        ["limits", "gap", "violation p.u.",
         *(heading for name in SplittingName for heading in (f"{name}: rounds", "ms", "dearer than AC optimum")),
         "constraint / profile"],
    )  # fmt: skip
    for band_pu in BANDS_PU:
        case = with_band(scenario(), band_pu)
        optimum_chf = CentralisedProblem(case).ac_optimum(grid_of(case)).cost_chf
        for gap_tol, violation_tol_pu in ACCURACIES:
            cells, rounds = [], {}
            for splitting in SplittingName:
                outcome = coordinate(
                    case, splitting=splitting, gap_tol=gap_tol, violation_tol_pu=violation_tol_pu
                ).outcome
                rounds[splitting] = len(outcome.iterations)
                cells += [
                    f"{rounds[splitting]}"
                    if outcome.status is CoordinationStatus.CONVERGED
                    else f"> {rounds[splitting]}",
                    milliseconds(outcome.iterations[-1].wall_ms / 1e3),
                    f"{(outcome.best.cost_chf - optimum_chf) / abs(optimum_chf):+.1e}",
                ]
            table.add(
                f"± {100 * band_pu:g} %",
                f"{100 * gap_tol:g} %",
                f"{violation_tol_pu:.0e}",
                *cells,
                f"{rounds[SplittingName.CONSTRAINT] / rounds[SplittingName.PROFILE]:.1f}×",
            )
    yield table
