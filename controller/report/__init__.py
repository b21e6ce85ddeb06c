"""report.html of a run, built from its files alone: figures that a paper could print, tables, how to reproduce it."""

from pathlib import Path

from controller.report.page import page
from controller.report.record import read_record
from controller.run_directory import Run


def write_report(folder: Path) -> Path:
    """Build ``folder``/report.html, one self-contained file; the same run always gives the same bytes.

    Raises:
        InputError: there is no complete run of a known schema in ``folder``.
    """
    path = folder / "report.html"
    path.write_text(page(read_record(Run(folder))), encoding="utf-8")
    return path
