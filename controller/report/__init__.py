"""report.html of a run, built from its files alone: figures that a paper could print, tables, how to reproduce it."""

from pathlib import Path

from controller.report.loop.page import loop_page
from controller.report.loop.record import read_loop
from controller.report.page import page
from controller.report.record import read_record
from controller.run_directory import Run
from core.errors import Fault, InputError, shown

CLOSED_LOOP = "simulate"


def write_report(folder: Path, other: Path | None = None) -> Path:
    """Build ``folder``/report.html, one self-contained file; the same runs always give the same bytes.

    Args:
        other: a second closed-loop run to stand beside that of ``folder``.

    Raises:
        InputError: there is no complete run of a known schema in a folder, or one of two is no closed-loop run.
    """
    run, second = Run(folder), Run(other) if other else None
    if second is None and run.summary.get("command") != CLOSED_LOOP:
        html = page(read_record(run))
    else:
        _require_loops(run, second)
        html = loop_page(read_loop(run), read_loop(second) if second else None)
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def _require_loops(*runs: Run | None) -> None:
    told = [(f"{run.path}/summary.json", run.summary.get("command")) for run in runs if run]
    if wrong := [
        Fault(file, "command", shown(command), f"{CLOSED_LOOP}: only closed-loop runs stand side by side")
        for file, command in told
        if command != CLOSED_LOOP
    ]:
        raise InputError(wrong)
