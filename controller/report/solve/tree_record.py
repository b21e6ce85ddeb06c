"""The files of a solved tree, checked before they are drawn."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pandas as pd

from controller.report.day.files import plan_axis
from controller.report.primitives.summary import CompensatedCost, Cost, SummaryPart, parse
from controller.report.solve.record import SolveRecord
from controller.runs.directory import Run
from core.config_fields import TimeZone
from core.errors import Fault, InputError
from core.time import TimeAxis

BRANCHES = (
    "p_kw", "lower_kw", "upper_kw", "price_per_kwh", "unheld_kw",
    "q_kvar", "lower_kvar", "upper_kvar", "unheld_kvar", "uncoordinated_kw", "uncoordinated_kvar",
)  # fmt: skip
ROWS = ("value", "lower", "upper", "multiplier", "unheld", "uncoordinated")
PLAN = ("soc", "price_chf_per_kwh")


class PeakKw(SummaryPart):
    """Largest |P| of a branch, kW."""

    uncoordinated: float
    coordinated: float


class BranchSummary(SummaryPart):
    """A branch in the tree."""

    parent: str | None
    level: int
    prosumers: int
    peak_kw: PeakKw


class TreeSummary(SummaryPart):
    """Keys of summary.json of a tree besides those of all kinds."""

    date: date
    timezone: TimeZone
    step_min: int
    currency: str
    branches: dict[str, BranchSummary]
    branch_of: dict[str, str]
    cost_chf: dict[str, CompensatedCost]
    total_cost_chf: Cost
    peak_weight_per_kw2: float
    unheld_chf: float


@dataclass(frozen=True)
class TreeRecord:
    """A solved tree.

    Attributes:
        branches: branches.csv of each branch by name, rows by step.
        rows: rows.csv by branch and row, likewise.
        plan: column of plan.csv → [T, prosumers].
    """

    summary: TreeSummary
    axis: TimeAxis
    branches: dict[str, pd.DataFrame]
    rows: dict[tuple[str, str], pd.DataFrame]
    plan: dict[str, pd.DataFrame]

    @property
    def priced(self) -> bool:
        """Whether the algorithm has prices of branches."""
        return not any(table["price_per_kwh"].isna().any() for table in self.branches.values())

    @property
    def charged(self) -> bool:
        """Whether any prosumer has a battery."""
        return bool(self.plan["soc"].notna().any(axis=None))

    @cached_property
    def with_rows(self) -> list[str]:
        """Branches with rows over their children."""
        return list(dict.fromkeys(branch for branch, _ in self.rows))


def read_tree(record: SolveRecord) -> TreeRecord:
    """Read and check the files of the kind.

    Raises:
        InputError: one is missing, or not in the format of this version.
    """
    run = record.run
    summary = parse(TreeSummary, run.summary, run.path)
    axis = plan_axis(run, summary.step_min, summary.timezone)
    branches = _by_name(_table(run, "branches.csv", ("branch",), BRANCHES), ["branch"], axis, run, "branches.csv")
    rows = _by_name(_table(run, "rows.csv", ("branch", "row"), ROWS), ["branch", "row"], axis, run, "rows.csv")
    if missing := sorted(set(summary.branches) ^ {name for (name,) in branches}):
        allowed = "the branches of summary.json"
        raise InputError([Fault(f"{run.path}/branches.csv", "branch", ", ".join(missing), allowed)])
    plan = _table(run, "plan.csv", ("prosumer",), PLAN)
    wide = {quantity: plan.pivot(index="time", columns="prosumer", values=quantity) for quantity in PLAN}
    return TreeRecord(
        summary=summary,
        axis=axis,
        branches={name: table for (name,), table in branches.items()},
        rows={(branch, row): table for (branch, row), table in rows.items()},
        plan=wide,
    )


def _table(run: Run, file: str, names: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    """Some columns of a table; limits may be empty cells."""
    table, path = run.table(file), f"{run.path}/{file}"
    wanted = ("time", *names, *numbers)
    if missing := [name for name in wanted if name not in table]:
        raise InputError([Fault(path, name, "no such column", "a table as gridlab writes it") for name in missing])
    if words := [name for name in numbers if len(table) and not pd.api.types.is_numeric_dtype(table[name])]:
        raise InputError([Fault(path, name, "text", "numbers") for name in words])
    return table[list(wanted)].astype(dict.fromkeys(names, str))


def _by_name(
    table: pd.DataFrame, keys: list[str], axis: TimeAxis, run: Run, file: str
) -> dict[tuple[str, ...], pd.DataFrame]:
    """The rows of each name in the order of time."""
    found = {tuple(map(str, name)): rows.sort_values("time") for name, rows in table.groupby(keys, sort=False)}
    if any(len(rows) != axis.n_steps for rows in found.values()):
        allowed = f"each {' and '.join(keys)} once in each of the {axis.n_steps} steps of plan.csv"
        raise InputError([Fault(f"{run.path}/{file}", "time", "missing or repeated rows", allowed)])
    return found
