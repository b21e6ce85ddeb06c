"""The page of a study of the penalty: figure 6 or 7 of paper A, or both."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from shlex import quote

import pandas as pd

from controller.report.primitives.amounts import UNKNOWN, magnitude
from controller.report.primitives.chapter import chapter, figure_chapter, origin
from controller.report.primitives.files import columns
from controller.report.primitives.guide import guide
from controller.report.primitives.markup import Markup, joined, row, table
from controller.report.primitives.page import document, masthead
from controller.report.primitives.summary import SummaryPart, parse
from controller.report.study.figures import CURRENCY, PRICE_RESPONSE, RHO, Panels, study_figure
from controller.runs.directory import Run

UNKNOWN_CONFIG = "CONFIG"


@dataclass(frozen=True)
class StudyKind:
    """A kind of study: its files, its figure in the paper, and the explanation."""

    command: str
    paper: str
    file: str
    panels: Panels
    title: str
    reading: str


KINDS = {
    "study rho": StudyKind(
        command="study rho",
        paper="figure 6",
        file="rho.csv",
        panels=RHO,
        title="Residuals over a constant penalty",
        reading="""Each point is a coordination of its own that keeps its penalty and ends after the same number of
            rounds, 80 as in the paper. A larger penalty holds the grid operator’s copy closer to the profile (primal)
            and moves the prices in larger steps (dual); between the two lies what is closest to the optimum. The axis
            is relative to the natural scale of the scenario, where 1 is the start of every coordination. Counterpart
            of figure 6 of the paper.""",
    ),
    "study price_response": StudyKind(
        command="study price-response",
        paper="figure 7",
        file="price_response.csv",
        panels=PRICE_RESPONSE,
        title="What the penalty in the price signal does",
        reading="""The coordination has converged; then everybody minimises the advertised price of another penalty,
            alone. Without a penalty the price says nothing of where to stop, so that many profiles cost the same and
            the grid’s limits are left; from about half of its natural scale on it reproduces the agreed profiles.
            The penalty moves money between price and fee only. Counterpart of figure 7 of the paper.""",
    ),
}


class StudySummary(SummaryPart):
    """summary.json of a study; older versions lack configuration, version and currency."""

    command: str
    name: str
    created_at: datetime
    config_sha256: str
    config: str | None = None
    version: str | None = None
    currency: str = CURRENCY


@dataclass(frozen=True)
class StudyRecord:
    """The data of a study: a row per splitting and penalty."""

    summary: StudySummary
    kind: StudyKind
    points: pd.DataFrame


def read_study(run: Run) -> StudyRecord:
    """Read and check the files of a study whose command is one of :data:`KINDS`.

    Raises:
        InputError: a file is missing, or not in the format of this version.
    """
    summary = parse(StudySummary, run.summary, run.path)
    kind = KINDS[summary.command]
    quantities = (quantity for quantity, _ in kind.panels)
    return StudyRecord(summary, kind, columns(run, kind.file, ("splitting", "rho_rel", "rho", *quantities)))


def study_page(record: StudyRecord, other: StudyRecord | None) -> Markup:
    """report.html of a study, followed by a second one if there is one."""
    summary, records = record.summary, [record] if other is None else [record, other]
    splittings = " and ".join(record.points["splitting"].unique())
    facts = f"{len(record.points)} points, splittings: {splittings}; {summary.created_at.isoformat()}"
    head = masthead(record.kind.command, summary.name, facts)
    parts = [part for k, each in enumerate(records) for part in _chapters(each, f"study-{k}")]
    here = {each.kind.paper: f"study-{k}" for k, each in enumerate(records)}
    paper = chapter("The figures of the paper", *guide(here, summary.config or UNKNOWN_CONFIG))
    return document(f"{summary.name}, {record.kind.command}", head, *parts, paper, *map(_origin, records))


def _chapters(record: StudyRecord, key: str) -> Iterator[Markup]:
    kind = record.kind
    yield figure_chapter(
        kind.title, study_figure(record.points, kind.panels, record.summary.currency), key, kind.reading
    )
    titles = ("ρ (currency/kW²)", *(title.replace("|", "") for _, title in kind.panels))
    head = row("th", "splitting", "ρ, relative", *(each.replace(CURRENCY, record.summary.currency) for each in titles))
    rows = [
        row("td", splitting, *map(_number_or_unknown, numbers))
        for splitting, *numbers in record.points.itertuples(index=False, name=None)
    ]
    yield chapter(f"{kind.title}: all points", joined(table([head], rows)))


def _number_or_unknown(value: float) -> str:
    return UNKNOWN if pd.isna(value) else magnitude(value)


def _origin(record: StudyRecord) -> Markup:
    summary = record.summary
    version = "not recorded" if summary.version is None else f"gridlab {summary.version}"
    given = {
        "configuration": f"SHA-256 {summary.config_sha256} of the configuration with all series that it names",
        "version": version,
        "computed": summary.created_at.isoformat(),
        "seed": "none, nothing is random",
    }
    return origin(f"gridlab {record.kind.command} {quote(summary.config or UNKNOWN_CONFIG)}", given)
