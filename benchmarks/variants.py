"""Coordinations with one ingredient changed: settings, constants of modules, and rules that were tried or given up."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from benchmarks.cases import coordinate
from core.algorithms import SplittingName
from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.scenario import Scenario
from mpc import day_ahead
from mpc.coordination.star import operator, penalty, profile_splitting
from mpc.coordination.star.algorithms import splitting_named
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import StarOutcome
from mpc.coordination.star.splitting import Residuals
from mpc.grid.rows import GridModel, Rows

MOST_ROUNDS = 600
Patch = tuple[Any, str, Any]
LINEARISE: Callable[[GridModel, FloatArray], Rows] = GridModel.linearise


@dataclass(frozen=True)
class Variant:
    """A change of settings and of constants in modules."""

    label: str
    settings: dict[str, Any] = field(default_factory=dict)
    patches: Sequence[Patch] = ()

    def coordinate(self, case: Scenario) -> StarOutcome:
        """Coordinate ``case`` under the change."""
        with ExitStack() as stack:
            for target, name, value in self.patches:
                stack.enter_context(patch.object(target, name, value))
            return coordinate(case, **{"max_iterations": MOST_ROUNDS, **self.settings}).outcome


class EveryFifth(GridOperator):
    """Linearises again in every fifth round; used together with a tolerance that asks for it in every round."""

    def _linearise(self, x: FloatArray) -> Rows:
        if self._splitting is not None and self._round % 5:
            return self._splitting.rows
        return super()._linearise(x)


def by_absolute_residuals(rho: float, residuals: Residuals) -> float:
    """(18) exactly as in the paper, comparing kW with CHF/kW."""
    primal, dual = residuals.primal.max(), residuals.moved.max()
    if primal > penalty.NU * dual:
        return rho * penalty.TAU
    return rho / penalty.TAU if dual > penalty.NU * primal else rho


def by_whole_dual_residual(rho: float, residuals: Residuals) -> float:
    """(18) with the dual residual of the stopping rule, which includes the part due to over-relaxation."""
    return penalty.adapted(rho, replace(residuals, moved=residuals.dual))


def linearise_without_scaling(grid: GridModel, x: FloatArray) -> Rows:
    """Rows in comparable p.u. without equilibration; κ keeps its price per kWh."""
    rows = LINEARISE(grid, x)
    n = rows.norm
    return Rows(
        a=rows.a * n[:, :, None], lower=rows.lower * n, upper=rows.upper * n,
        norm=n / n, offset=rows.offset * n, kappa=rows.kappa / n,
    )  # fmt: skip


def constant(label: str, target: Any, name: str, values: Sequence[float]) -> list[Variant]:
    """One variant per value of a module's constant; the default itself is omitted, since it has a row of its own."""
    default = getattr(target, name)
    return [Variant(f"{label} {value:g} (default {default:g})", {}, ((target, name, value),))
            for value in values if value != default]  # fmt: skip


def relaxation(values: Sequence[float]) -> list[Variant]:
    """One variant per value of the over-relaxation α; the default is omitted."""
    default = CoordinationConfig().relaxation
    return [Variant(f"over-relaxation α = {value:g} (default {default:g})", {"relaxation": value})
            for value in values if value != default]  # fmt: skip


def start(value: float, splitting: SplittingName = SplittingName.PROFILE) -> Patch:
    """Let the penalty start at ``value`` times its natural scale."""
    return splitting_named(splitting), "RHO_REL", value


AT_ANY_ERROR: Patch = (operator, "ERROR_PER_VIOLATION", 0.0)
EVERY_FIFTH: tuple[Patch, ...] = (AT_ANY_ERROR, (day_ahead, "GridOperator", EveryFifth))
ON_WHOLE_DUAL: Patch = (operator, "adapted", by_whole_dual_residual)
ON_ABSOLUTE_RESIDUALS: Patch = (operator, "adapted", by_absolute_residuals)
CERTIFY_ALWAYS: Patch = (operator, "CERTIFY_WITHIN", 1e9)
EQUAL_WEIGHT: Patch = (profile_splitting, "REACTIVE_WEIGHT", 1.0)
UNSCALED_ROWS: Patch = (GridModel, "linearise", linearise_without_scaling)
