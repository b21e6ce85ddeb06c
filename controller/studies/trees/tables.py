"""The tables of a study of trees, and its summary."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from controller.studies.trees.one_tree import StudiedRun, StudiedTree
from core.algorithms import TreeAlgorithm


def trees_frame(trees: Sequence[StudiedTree]) -> pd.DataFrame:
    """A row per tree and algorithm; ``reached_round`` and ``gap_rel`` may be empty."""
    return pd.DataFrame(
        [
            {
                "tree": tree.tree,
                "seed": tree.seed,
                "levels": tree.levels,
                "branches": tree.branches,
                "prosumers": tree.leaves,
                "optimum": tree.optimum_chf,
                "turnover": tree.turnover_chf,
                "central_cpu_ms": tree.central_cpu_ms,
                "algorithm": str(run.algorithm),
                "status": run.status,
                "rounds": len(run.rounds),
                "reached_round": run.reached,
                "hops_per_round": run.hops,
                "distance_rel": run.distance_rel,
                "gap_rel": run.gap_rel,
                "violation_rel": run.violation_rel,
                "bound_above_optimum": run.above_optimum_chf,
                "cpu_ms_per_agent": run.cpu_ms_per_agent,
                "impossible": run.impossible,
            }
            for tree in trees
            for run in tree.runs
        ]
    ).astype({"reached_round": "Int64"})


def rounds_frame(trees: Sequence[StudiedTree]) -> pd.DataFrame:
    """A row per tree, algorithm and round."""
    frames = [
        pd.DataFrame(
            {
                "tree": tree.tree,
                "prosumers": tree.leaves,
                "algorithm": str(run.algorithm),
                "round": np.arange(1, len(run.rounds) + 1),
                "primal": [each.primal for each in run.rounds],
                "distance_rel": [each.distance_rel for each in run.rounds],
                "violation_rel": [each.violation_rel for each in run.rounds],
            }
        )
        for tree in trees
        for run in tree.runs
    ]
    return pd.concat(frames, ignore_index=True)


def study_summary(trees: Sequence[StudiedTree]) -> dict[str, Any]:
    """Rounds by algorithm, their ratios, and CPU time per prosumer by level."""
    return {
        "trees": len(trees),
        "algorithms": {str(each): _of_algorithm(trees, each) for each in TreeAlgorithm},
        "rounds_ratio": {str(each): _ratio(trees, each) for each in TreeAlgorithm if each is not TreeAlgorithm.TREE},
    }


def runs_of(trees: Sequence[StudiedTree], algorithm: TreeAlgorithm) -> list[StudiedRun]:
    """The runs of an algorithm, in the order of the trees."""
    return [run for tree in trees for run in tree.runs if run.algorithm is algorithm]


def _of_algorithm(trees: Sequence[StudiedTree], algorithm: TreeAlgorithm) -> dict[str, Any]:
    runs = runs_of(trees, algorithm)
    reached = [np.inf if run.reached is None else run.reached for run in runs]
    levels = sorted({tree.levels for tree in trees})
    return {
        "reached": sum(run.reached is not None for run in runs),
        "converged": sum(run.status == "converged" for run in runs),
        "reached_round": _quantiles(reached),
        "rounds": _quantiles([len(run.rounds) for run in runs]),
        "violation_rel": max(run.violation_rel for run in runs),
        "distance_rel": max(run.distance_rel for run in runs),
        "bound_above_optimum": max((b for run in runs if (b := run.above_optimum_chf) is not None), default=None),
        "impossible": sum(run.impossible for run in runs),
        "cpu_ms_per_agent": {
            str(level): float(np.median([r.cpu_ms_per_agent for r in runs_of(_at(trees, level), algorithm)]))
            for level in levels
        },
    }


def _ratio(trees: Sequence[StudiedTree], algorithm: TreeAlgorithm) -> float | None:
    """Median over the trees of the rounds of an algorithm, relative to those of the tree of aggregators."""
    pairs = zip(runs_of(trees, algorithm), runs_of(trees, TreeAlgorithm.TREE), strict=True)
    ratios = [(r.reached or np.inf) / t.reached for r, t in pairs if t.reached is not None]
    return _finite(float(np.median(ratios))) if ratios else None


def _at(trees: Sequence[StudiedTree], level: int) -> list[StudiedTree]:
    return [tree for tree in trees if tree.levels == level]


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """Median, 90 % and largest value; None: beyond the rounds that were tried."""
    ordered = np.sort(np.asarray(values, float))
    return {
        name: _finite(float(ordered[min(int(share * len(ordered)), len(ordered) - 1)]))
        for name, share in (("median", 0.5), ("p90", 0.9), ("worst", 1.0))
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
