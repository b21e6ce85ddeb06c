"""Small trees of aggregators as files, and their solution as ``gridlab solve`` makes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from controller.process.clocks import WallClock
from controller.solve import tree
from controller.solve.problem import Solved, SolveRequest, SolveWatch
from core.config_hierarchy import HierarchyConfig
from core.load import load_problem, load_tree, load_yaml
from core.time import Clock
from mpc.trees.scenario import TreeScenario
from tests.support.paths import CONFIGS
from tests.support.user_data import change

FOUR_LEVELS = CONFIGS / "four_levels.yaml"


def tree_file(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """The example of four levels in steps of an hour, with changes, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    config = load_problem(FOUR_LEVELS)
    data = config.document(CONFIGS)
    for place, value in {"horizon.step_min": 60, **(changes or {})}.items():
        change(data, place, value)
    path = folder / "tree.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return path


@dataclass(frozen=True)
class TreeFile:
    """A tree that was read from a file."""

    path: Path
    config: HierarchyConfig

    @classmethod
    def read(cls, path: Path) -> "TreeFile":
        """Read it."""
        config = load_problem(path)
        assert isinstance(config, HierarchyConfig)
        return cls(path, config)

    def scenario(self) -> TreeScenario:
        """The tree for references and oracles."""
        loaded = load_tree(self.config, self.path)
        return TreeScenario(loaded.problem, loaded.sites)

    def solve(
        self,
        max_rounds: int = 300,
        budget_s: float = 60.0,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Clock | None = None,
        algorithm: str = "tree",
    ) -> Solved:
        """Solve it; nothing is written."""
        watch = SolveWatch(clock or WallClock(), budget_s, interrupted=interrupted)
        return tree.prepare(self.config, self.path).solve(SolveRequest(algorithm, max_rounds, budget_s), watch)


def by_name(frame: pd.DataFrame, key: str, column: str) -> pd.DataFrame:
    """A column of a long table, [T, names]."""
    return frame.pivot(index="time", columns=key, values=column)


def limits_of(path: Path) -> Any:
    """The branches of the file, as YAML."""
    data: Any = load_yaml(path)
    return data["branches"]
