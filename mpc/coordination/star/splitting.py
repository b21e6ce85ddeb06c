"""The interface of all splittings: a state of copies and multipliers, updated once per round."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal
from mpc.grid.rows import Rows


@dataclass(frozen=True)
class Residuals:
    """(17) per prosumer, with the norms they are compared with; each [N].

    ``primal`` and ``primal_scale`` are in kW, ``dual`` and ``dual_scale`` in CHF/kW; ``size`` is the number of entries
    behind each norm. ``moved`` is the dual residual without the part of the over-relaxation: ρ times the movement of
    the copies, which vanishes even if the answers cannot move.
    """

    primal: FloatArray
    dual: FloatArray
    moved: FloatArray
    primal_scale: FloatArray
    dual_scale: FloatArray
    size: int

    @classmethod
    def at_start(cls, prosumers: int) -> "Residuals":
        """Before the first update: zero, with norms of one entry."""
        none = np.zeros(prosumers)
        return cls(none, none, none, none, none, 1)

    def within(self, eps_abs: float, eps_rel: float) -> bool:
        """Dynamic tolerances √n ε_abs + ε_rel · scale (Boyd et al. 2011, section 3.3.1), for every prosumer."""
        floor = np.sqrt(self.size) * eps_abs
        primal = self.primal <= floor + eps_rel * self.primal_scale
        dual = self.dual <= floor + eps_rel * self.dual_scale
        return bool(np.all(primal & dual))


class Splitting(Protocol):
    """State of an ADMM after its last update; immutable, each update returns the next state.

    ``RHO_REL`` is ρ_rel, the useful start of its penalty in natural units (:mod:`mpc.coordination.star.penalty`).
    """

    RHO_REL: ClassVar[float]

    @classmethod
    def start(cls, x: FloatArray, rows: Rows, rho: float) -> Self:
        """Cold start around the uncoordinated profiles x [N, T, 2], with the penalty ``rho`` in CHF/kW²."""
        ...

    @property
    def rows(self) -> Rows:
        """Linearisation of the last update."""
        ...

    @property
    def rho(self) -> float:
        """Penalty, CHF/kW²."""
        ...

    @property
    def row_prices(self) -> FloatArray:
        """Multipliers λ of the rows, [T, R], |λ| ≤ κ: they certify a lower bound."""
        ...

    @property
    def unheld(self) -> FloatArray:
        """By how much the operator's own copies violate each row, [T, R], kW; 0 if limits can be held."""
        ...

    @property
    def residuals(self) -> Residuals:
        """Residuals of the last update."""
        ...

    def update(self, x: FloatArray, rows: Rows, alpha: float) -> Self:
        """(11) and (12) for the answered profiles x [N, T, 2] with over-relaxation α."""
        ...

    def with_rho(self, rho: float) -> Self:
        """The same copies and multipliers under another penalty (scaled multipliers change accordingly)."""
        ...

    def after(self, steps: int) -> Self:
        """The state without its first ``steps`` steps: the warm start of a shrinking horizon."""
        ...

    def signals(self) -> list[PriceSignal]:
        """(13) without the tariff: the grid's part (H, g, fee) of each prosumer's signal."""
        ...


def norm_per_prosumer(array: FloatArray) -> FloatArray:
    """Euclidean norm over all but the first axis."""
    return np.asarray(np.linalg.norm(array.reshape(len(array), -1), axis=1))
