"""Tables, summary and report of a finished study of trees."""

from importlib.metadata import version
from typing import Any

from controller.report import write_report
from controller.runs.directory import write_summary, write_table
from controller.studies.trees.campaign import TreeStudy
from controller.studies.trees.tables import rounds_frame, study_summary, trees_frame
from core.time import Clock


def finish(study: TreeStudy, clock: Clock) -> dict[str, Any]:
    """Write what belongs to all trees together beside them, and return the summary.

    Raises:
        InputError: a tree is not as this version writes it.
    """
    trees, folder = list(study.finished()), study.folder
    write_table(folder / "trees.csv", trees_frame(trees))
    write_table(folder / "rounds.csv", rounds_frame(trees))
    summary = {
        "command": "study tree",
        "name": "random trees",
        "created_at": clock.now().isoformat(timespec="seconds"),
        "version": version("gridlab"),
        "seed": study.asked.seed,
        **study_summary(trees),
    }
    write_summary(folder, summary)
    write_report(folder)
    return summary
