"""report.html of a run, built from its files alone: figures in print quality, tables, and how to reproduce the run."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

from controller.report.loop.page import loop_page
from controller.report.loop.record import read_loop
from controller.report.plan.page import page
from controller.report.plan.record import read_record
from controller.report.primitives.markup import Markup
from controller.report.service.page import service_page
from controller.report.service.record import read_service
from controller.report.service.span import AskedSpan
from controller.report.solve.page import solve_page
from controller.report.solve.record import read_solve
from controller.report.study.page import KINDS, read_study, study_page
from controller.report.study.tree_page import COMMAND, read_tree_study, tree_study_page
from controller.runs.directory import Run
from core.errors import Fault, InputError, shown

Draw = Callable[[Run, Run | None], Markup]
NAME, FIGURES = "report.html", "figures"


def write_report(folder: Path, other: Path | None = None) -> Path:
    """Build a report in ``folder``: one self-contained file, and its figures as SVG and PNG files beside it.

    The same runs always give the same bytes. An earlier report that is another one stays: the new one is report-2.html
    with figures-2.

    Args:
        other: a second run of the same kind (plan, closed loop or study) to compare with that of ``folder``.

    Raises:
        InputError: a folder has no complete run of a known schema version, or the runs are of different kinds.
    """
    run, second = Run(folder), Run(other) if other else None
    return save_report(_page_function(run, second)(run, second), folder)


def write_service_report(folder: Path, asked: AskedSpan) -> Path:
    """Build the report of a span of a run of ``serve``, from its telemetry and audit trail; as :func:`write_report`.

    Raises:
        InputError: there is no such run, or nothing of it in the span.
        RecordError: the audit trail cannot be read.
    """
    return save_report(service_page(read_service(folder, asked)), folder)


def save_report(page: Markup, folder: Path) -> Path:
    """Write a page and its figures under the first name that is free, or has the same page already."""
    html = page.encode()
    number = next(
        k for k in count(1) if not (path := _numbered(folder / NAME, k)).exists() or path.read_bytes() == html
    )
    path, figures = _numbered(folder / NAME, number), _numbered(folder / FIGURES, number)
    path.write_bytes(html)
    figures.mkdir(exist_ok=True)
    for drawn in page.figures:
        (figures / f"{drawn.key}.svg").write_text(drawn.svg, encoding="utf-8")
        (figures / f"{drawn.key}.png").write_bytes(drawn.png)
    return path


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def _plan(run: Run, other: Run | None) -> Markup:
    return page(read_record(run), read_record(other) if other else None)


def _loop(run: Run, other: Run | None) -> Markup:
    return loop_page(read_loop(run), read_loop(other) if other else None)


def _study(run: Run, other: Run | None) -> Markup:
    return study_page(read_study(run), read_study(other) if other else None)


def _solve(run: Run, other: Run | None) -> Markup:
    return solve_page(read_solve(run), read_solve(other) if other else None)


def _tree_study(run: Run, other: Run | None) -> Markup:
    return tree_study_page(read_tree_study(run), read_tree_study(other) if other else None)


PAGES: dict[str, Draw] = {
    "plan": _plan, "simulate": _loop, "solve": _solve, COMMAND: _tree_study, **dict.fromkeys(KINDS, _study),
}  # fmt: skip


def _page_function(run: Run, other: Run | None) -> Draw:
    """The function that builds the page; both runs must be of the same kind."""
    kinds = [(each, PAGES.get(str(each.summary.get("command")))) for each in (run, other) if each]
    if unknown := [each for each, draw in kinds if draw is None]:
        raise InputError([_fault(each, "command", f"one of {', '.join(PAGES)}") for each in unknown])
    draw = kinds[0][1]
    assert draw is not None, "unknown kinds are refused above"
    if other:
        differs = "command" if kinds[1][1] is not draw else "kind"
        if differs == "command" or other.summary.get("kind") != run.summary.get("kind"):
            allowed = f"a run beside {shown(run.summary.get(differs))}: only runs of one kind"
            raise InputError([_fault(other, differs, allowed)])
    return draw


def _fault(run: Run, key: str, allowed: str) -> Fault:
    return Fault(f"{run.path}/summary.json", key, shown(run.summary.get(key)), allowed)
