"""The files of a run of ``gridlab solve``, checked before they are drawn."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from controller.report.primitives.files import columns
from controller.report.primitives.summary import SummaryPart, parse
from controller.runs.directory import Run
from core.errors import Fault, InputError

ROUNDS = ("round", "objective", "bound", "gap_rel", "violation", "primal", "dual", "rho")


class SolveSummary(SummaryPart):
    """summary.json; ``wall_s`` and ``cpu_s`` in seconds, the rest as :class:`controller.solve.problem.Solved`.

    ``currency`` and ``unheld_chf``, the price of what is not held, are those of trees.
    """

    command: str
    kind: str
    name: str
    created_at: datetime
    config: str
    config_sha256: str
    version: str
    algorithm: str
    status: str
    rounds: int
    objective: float | None
    bound: float | None
    gap_rel: float | None
    violation: float | None
    wall_s: float
    cpu_s: float
    hops_per_round: int
    messages: int
    bytes: int
    participants: int
    silent: tuple[str, ...]
    currency: str = ""
    unheld_chf: float = 0.0

    @property
    def total(self) -> float | None:
        """The objective with the price of what is not held: what the lower bound is for, and what rounds.csv has."""
        return None if self.objective is None else self.objective + self.unheld_chf


@dataclass(frozen=True)
class SolveRecord:
    """A run: its summary, its rounds, and the run itself for the tables of its kind."""

    summary: SolveSummary
    rounds: pd.DataFrame
    run: Run

    def table(self, file: str, *names: str) -> pd.DataFrame:
        """Some columns of a table of the kind.

        Raises:
            InputError: it is missing, or not in the format of this version.
        """
        return columns(self.run, file, names)


def read_solve(run: Run) -> SolveRecord:
    """Read and check summary and rounds.

    Raises:
        InputError: a file is missing, or not in the format of this version.
    """
    summary = parse(SolveSummary, run.summary, run.path)
    rounds = run.table("rounds.csv")
    if missing := [name for name in ROUNDS if name not in rounds]:
        raise InputError([Fault(f"{run.path}/rounds.csv", name, "no such column", "a round") for name in missing])
    return SolveRecord(summary, rounds[list(ROUNDS)], run)
