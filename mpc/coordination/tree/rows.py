"""Limits of a branch as rows over the powers of its children, each scaled to a largest coefficient of 1.

    l ≤ Σ_c a_c's_c ≤ u        rows 0 and 1: the power of the branch itself, a = 1 for p or q, infinite without a limit

The rows of a branch may change from round to round (:class:`RowModel`), as those of voltages do when the grid is
linearised anew, or when the voltage at the head of a feeder moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.hierarchy import ACTIVE, REACTIVE, Branch, BranchRow

SCALE_SHARE = 0.1
"""An excess is compared with the limit of its step, but with no less than this share of the row's largest limit."""
OWN = 2
"""Number of rows of the power of the branch itself."""


@dataclass(frozen=True)
class Coupling:
    """What the limits of other branches mean for the children of a branch, where rows are those of a grid.

    Attributes:
        price: of the children's powers for limits held elsewhere, CHF/kW, [C, T, 2].
        x: the powers at which it was found, [C, T, 2].
        program_price, program_shift: the price and a change of the limits (scaled, [T, R]) in the branch's own program,
            which may follow what is known in steps.
    """

    price: FloatArray
    x: FloatArray
    program_price: FloatArray
    program_shift: FloatArray

    def among(self, free: BoolArray) -> "Coupling":
        """The part of the children ``free`` [C]."""
        return Coupling(self.price[free], self.x[free], self.program_price[free], self.program_shift)


@dataclass(frozen=True)
class BranchRows:
    """Rows of R limits over C children.

    Attributes:
        a: [T, R, C, 2], scaled.
        lower, upper: [T, R], scaled; infinite without a limit.
        scale: [T, R], what an excess is compared with, scaled.
        unit: [T, R], the number by which each row was divided.
        coupling: None where no limit of another branch depends on the children.
        revision: changes with the rows, as soon as a bound by the old ones is none by the new ones.
    """

    names: tuple[str, ...]
    a: FloatArray
    lower: FloatArray
    upper: FloatArray
    scale: FloatArray
    unit: FloatArray
    coupling: Coupling | None = None
    revision: int = 0

    @property
    def in_program(self) -> "BranchRows":
        """The rows with the limits that the branch's own program has."""
        if self.coupling is None:
            return self
        shift = self.coupling.program_shift
        return replace(self, lower=self.lower + shift, upper=self.upper + shift)

    def value(self, x: FloatArray) -> FloatArray:
        """Rows at the children's powers x [C, T, 2], [T, R]."""
        value: FloatArray = np.einsum("trcd,ctd->tr", self.a, x)
        return value

    def excess(self, x: FloatArray) -> FloatArray:
        """By how much each row is violated, scaled, ≥ 0, [T, R]."""
        value = self.value(x)
        return np.maximum(np.maximum(self.lower - value, value - self.upper), 0)

    def relative(self, excess: FloatArray) -> float:
        """Largest excess relative to the scale of its row."""
        return float((excess / self.scale).max())

    def prices(self, row_prices: FloatArray) -> FloatArray:
        """A'λ, what the rows add to the price of each child, [C, T, 2]."""
        prices: FloatArray = np.einsum("trcd,tr->ctd", self.a, row_prices)
        return prices if self.coupling is None else prices + self.coupling.price

    def support(self, row_prices: FloatArray) -> float:
        """u'λ⁺ − l'λ⁻."""
        limit = np.where(row_prices > 0, self.upper, np.where(row_prices < 0, self.lower, 0.0))
        held_chf = float(np.sum(row_prices * limit))
        if self.coupling is None:
            return held_chf
        return held_chf + float(np.sum(self.coupling.price * self.coupling.x))

    def among(self, free: BoolArray, x: FloatArray) -> "BranchRows":
        """The rows over the children ``free`` [C] alone, with all others at their powers in x [C, T, 2]."""
        fixed = np.einsum("trcd,ctd->tr", self.a[:, :, ~free], x[~free])
        coupling = self.coupling and self.coupling.among(free)
        return replace(
            self, coupling=coupling, a=self.a[:, :, free], lower=self.lower - fixed, upper=self.upper - fixed
        )


class RowModel(Protocol):
    """What a branch knows of its limits, asked once per round."""

    def renewed(self, x: FloatArray, published: FloatArray | None, reported: Mapping[str, FloatArray]) -> BranchRows:
        """Rows around the last powers x [C, T, 2] of the children.

        Args:
            published: what the parent published for this branch, [T, …], such as the voltage at its head; None:
                nothing.
            reported: what child branches reported last, [T, …].
        """
        ...

    def publishes(self, x: FloatArray) -> Mapping[str, FloatArray]:
        """What the child branches are to know of this one at the children's powers x, [T, …], by child."""
        ...

    def reports(self, row_prices: FloatArray) -> FloatArray | None:
        """What the parent is to know, [T, …], after a program with the prices λ [T, R] of the rows; None: nothing."""
        ...


class FixedRows:
    """The limits and rows of a branch as declared (:class:`RowModel`)."""

    def __init__(self, branch: Branch, children: Sequence[str], steps: int) -> None:
        self._rows = branch_rows(branch, children, steps)

    def renewed(self, _x: FloatArray, _published: FloatArray | None, _reported: Mapping[str, FloatArray]) -> BranchRows:
        """Always the same rows."""
        return self._rows

    def publishes(self, _x: FloatArray) -> Mapping[str, FloatArray]:
        """Nothing."""
        return {}

    def reports(self, _row_prices: FloatArray) -> None:
        """Nothing."""


def branch_rows(branch: Branch, children: Sequence[str], steps: int) -> BranchRows:
    """The rows of a branch over its ``children``."""
    limits, ones = branch.limits, np.ones(1)
    active, reactive = ({child: np.outer(ones, side)[0] for child in children} for side in np.eye(OWN))
    rows = (
        BranchRow(ACTIVE, active, limits.p_min_kw, limits.p_max_kw),
        BranchRow(REACTIVE, reactive, limits.q_min_kvar, limits.q_max_kvar),
        *branch.rows,
    )
    none = np.zeros(2)
    a = np.stack([[np.broadcast_to(row.coefficients.get(c, none), (steps, 2)) for c in children] for row in rows])
    unit = np.abs(a).max(axis=(1, 3))
    unit = np.where(unit > 0, unit, 1.0)
    lower, upper = (
        np.stack([np.full(steps, free) if (side := getattr(row, name)) is None else side for row in rows])
        for name, free in (("lower", -np.inf), ("upper", np.inf))
    )
    scale = np.stack([_scale(row, low, high) for row, low, high in zip(rows, lower, upper, strict=True)])
    lower, upper, scale = ((series / unit).T for series in (lower, upper, scale))
    names = tuple(row.name for row in rows)
    return BranchRows(names, _by_step(a / unit[:, None, :, None]), lower, upper, scale, unit.T)


def _by_step(a: FloatArray) -> FloatArray:
    """[R, C, T, 2] → [T, R, C, 2]."""
    return np.ascontiguousarray(np.moveaxis(a, 2, 0))


def _scale(row: BranchRow, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """What an excess of the row is compared with, [T]."""
    if row.scale is not None:
        return np.full(len(lower), row.scale)
    sides = np.abs([lower, upper])
    limit = np.max(sides, axis=0, where=np.isfinite(sides), initial=0.0)
    largest = float(limit.max())
    return np.maximum(limit, SCALE_SHARE * largest) if largest > 0 else np.ones(len(lower))
