"""The page of a study of random trees: the paper's figures 3 and 4, and tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import isinf

import pandas as pd

from controller.report.primitives.amounts import UNKNOWN, magnitude
from controller.report.primitives.chapter import chapter, figure_chapter, note, origin
from controller.report.primitives.files import columns
from controller.report.primitives.markup import Markup, row, table
from controller.report.primitives.page import document, masthead
from controller.report.primitives.summary import SummaryPart, parse
from controller.report.study.tree_figures import TITLES, residuals_figure, times_figure
from controller.runs.directory import Run

COMMAND = "study tree"
TREE_COLUMNS = (
    "tree", "levels", "branches", "prosumers", "algorithm", "rounds", "reached_round", "hops_per_round",
    "distance_rel", "violation_rel", "cpu_ms_per_agent", "central_cpu_ms",
)  # fmt: skip
ROUND_COLUMNS = ("tree", "prosumers", "algorithm", "round", "primal")
RESIDUALS = """Each line is a random tree, coloured by its number of prosumers. The tree of aggregators shows the norm
    over all edges of what children answer less what their parents’ copies say, the paper’s iteration the mean over all
    limits of the difference between the leaves’ mean and its copy: compare shapes and numbers of rounds, not heights. A
    line ends where the result is certified (tree) or within 0.1 % of the central optimum and of all limits (paper’s
    iteration, which has no rule of its own to stop by). Counterpart of figure 3 of paper B."""
TIMES = """CPU time of the whole coordination over the number of prosumers, from the first signal to the end of the
    lines above, all prosumers and aggregators in one process. That of the tree contains the certificate. Counterpart of
    figure 4 of paper B."""
REACHED = """First round in which the prosumers’ own answers cost no more than 0.1 % beside the central optimum (of the
    optimum or of the turnover, whichever is larger) and hold all limits within 0.1 %. A hop is a message that waits for
    the one before it."""


class TreeStudySummary(SummaryPart):
    """summary.json of a study of trees."""

    name: str
    created_at: datetime
    version: str
    seed: int
    trees: int


@dataclass(frozen=True)
class TreeStudyRecord:
    """The data of a study: a row per tree and algorithm, and per round of each."""

    summary: TreeStudySummary
    trees: pd.DataFrame
    rounds: pd.DataFrame


def read_tree_study(run: Run) -> TreeStudyRecord:
    """Read and check the files of a study of trees.

    Raises:
        InputError: a file is missing, or not in the format of this version.
    """
    summary = parse(TreeStudySummary, run.summary, run.path)
    trees, rounds = columns(run, "trees.csv", TREE_COLUMNS), columns(run, "rounds.csv", ROUND_COLUMNS)
    return TreeStudyRecord(summary, trees, rounds)


def tree_study_page(record: TreeStudyRecord, other: TreeStudyRecord | None) -> Markup:
    """report.html of a study of trees, followed by a second one if there is one."""
    summary, records = record.summary, [record] if other is None else [record, other]
    facts = f"{summary.trees} random trees, seed {summary.seed}; {summary.created_at.isoformat()}"
    parts = [part for k, each in enumerate(records) for part in _chapters(each, f"study-{k}")]
    origins = map(_origin, records)
    return document(f"{summary.name}, {COMMAND}", masthead(COMMAND, summary.name, facts), *parts, *origins)


def _chapters(record: TreeStudyRecord, key: str) -> Iterator[Markup]:
    yield chapter("Rounds to the optimum", *_rounds(record))
    yield figure_chapter("Residuals over the rounds", residuals_figure(record.rounds), f"{key}-residuals", RESIDUALS)
    yield figure_chapter("Time per prosumer", times_figure(record.trees), f"{key}-times", TIMES)
    yield chapter("Medians by levels", _by_levels(record.trees))


def _rounds(record: TreeStudyRecord) -> Iterator[Markup]:
    head = row("th", "algorithm", "trees", "reached", "median", "90 %", "worst", "hops, median")
    rows = []
    for algorithm, title in TITLES.items():
        runs = record.trees[record.trees["algorithm"] == algorithm]
        numbers = runs["reached_round"].fillna(float("inf"))
        shown = [_quantile(numbers, share) for share in (0.5, 0.9, 1.0)]
        hops = _quantile(numbers * runs["hops_per_round"], 0.5)
        rows.append(row("td", title, len(runs), int(runs["reached_round"].notna().sum()), *shown, hops))
    yield table([head], rows)
    yield note(REACHED)


def _quantile(numbers: pd.Series, share: float) -> str:
    found = float(numbers.quantile(share, "higher"))
    return UNKNOWN if isinf(found) else f"{found:.0f}"


def _by_levels(trees: pd.DataFrame) -> Markup:
    head = row("th", "levels", "trees", "branches", "prosumers", "central program, CPU ms", *(
        f"{title}, {what}" for title in TITLES.values() for what in ("rounds", "CPU ms per prosumer")
    ))  # fmt: skip
    rows = []
    for level, of_level in trees.groupby("levels"):
        medians = of_level.groupby("algorithm")[["rounds", "cpu_ms_per_agent"]].median()
        cells = [magnitude(float(medians[what][name])) for name in TITLES for what in medians.columns]
        sizes = of_level.drop_duplicates("tree")[["branches", "prosumers", "central_cpu_ms"]].median()
        rows.append(row("td", level, of_level["tree"].nunique(), *map(magnitude, sizes), *cells))
    return table([head], rows)


def _origin(record: TreeStudyRecord) -> Markup:
    summary = record.summary
    given = {
        "version": f"gridlab {summary.version}",
        "computed": summary.created_at.isoformat(),
        "seed": f"{summary.seed}; the seed of a tree is 10000 times that, plus the number of the tree",
    }
    return origin(f"gridlab {COMMAND} --trees {summary.trees} --seed {summary.seed}", given)
