"""The code of each kind of problem, loaded when it is used."""

from pathlib import Path
from typing import assert_never

from controller.solve.problem import Prepared
from core.config_dispatch import DispatchConfig
from core.config_hierarchy import HierarchyConfig
from core.config_kinds import AnyProblem


def prepare(config: AnyProblem, path: Path) -> Prepared:
    """The problem of a file, with the files that it names read and checked.

    Raises:
        InputError: with all faults of these.
    """
    match config:
        case DispatchConfig():
            from controller.solve import dispatch

            return dispatch.prepare(config)
        case HierarchyConfig():
            from controller.solve import tree

            return tree.prepare(config, path)
        case _:
            assert_never(config)
