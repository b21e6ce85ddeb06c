"""report.html of a run, built from its files alone: figures in print quality, tables, and how to reproduce the run."""

from collections.abc import Callable
from pathlib import Path

from controller.report.loop.page import loop_page
from controller.report.loop.record import read_loop
from controller.report.plan.page import page
from controller.report.plan.record import read_record
from controller.report.study.page import KINDS, read_study, study_page
from controller.runs.directory import Run
from core.errors import Fault, InputError, shown

Draw = Callable[[Run, Run | None], str]


def write_report(folder: Path, other: Path | None = None) -> Path:
    """Build ``folder``/report.html, one self-contained file; the same runs always give the same bytes.

    Args:
        other: a second run of the same kind (plan, closed loop or study) to compare with that of ``folder``.

    Raises:
        InputError: a folder has no complete run of a known schema version, or the runs are of different kinds.
    """
    run, second = Run(folder), Run(other) if other else None
    html = _page_function(run, second)(run, second)
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def _plan(run: Run, other: Run | None) -> str:
    return page(read_record(run), read_record(other) if other else None)


def _loop(run: Run, other: Run | None) -> str:
    return loop_page(read_loop(run), read_loop(other) if other else None)


def _study(run: Run, other: Run | None) -> str:
    return study_page(read_study(run), read_study(other) if other else None)


PAGES: dict[str, Draw] = {"plan": _plan, "simulate": _loop, **dict.fromkeys(KINDS, _study)}


def _page_function(run: Run, other: Run | None) -> Draw:
    """The function that builds the page; both runs must be of the same kind."""
    kinds = [(each, PAGES.get(str(each.summary.get("command")))) for each in (run, other) if each]
    if unknown := [each for each, draw in kinds if draw is None]:
        raise InputError([_fault(each, f"one of {', '.join(PAGES)}") for each in unknown])
    draw = kinds[0][1]
    assert draw is not None, "unknown kinds are refused above"
    if other and kinds[1][1] is not draw:
        raise InputError([_fault(other, f"a run beside {shown(run.summary['command'])}: only runs of one kind")])
    return draw


def _fault(run: Run, allowed: str) -> Fault:
    return Fault(f"{run.path}/summary.json", "command", shown(run.summary.get("command")), allowed)
