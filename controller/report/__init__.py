"""report.html of a run, built from its files alone: figures that a paper could print, tables, how to reproduce it."""

from pathlib import Path


def write_report(folder: Path) -> Path:
    """Placeholder"""
    return folder
