"""Meters that were exchanged: each measures the node of the other.

Single levels say little: neighbouring nodes have almost the same voltage, and the calibration error of a meter stays.
So the *changes* over many samples are compared, and the powers. With y the residuals (readings less what the model says
of their nodes) and m the differences between the power of a meter and what others say is drawn at its node, the misfit
is

    M = ½ ȳ' K₁ ȳ + 1/(2c) Σ_t ỹ_t' K₂ ỹ_t + 1/(2c) Σ_t |m_t|² / σ_t²                                             (1)

of the means ȳ, the deviations ỹ from them, and the powers. K₁ is the inverse covariance of levels, K₂ that of changes,
which have no calibration errors; c samples count as one, since errors of the model outlast a sample. M is the negative
logarithm of the likelihood. The evidence for an exchange of i and j is

    E = min(M, M without meter i, M without meter j) − M after the readings of i and j have changed places          (2)

since a single meter that is wrong for another reason explains a misfit of its own as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from mpc.grid.estimation import SLACK_STD_PU
from mpc.grid.power_flow import ComplexArray

CHANGE_STD_PU, LINE_STD = 0.0005, 0.3
POWER_STD_KVA, POWER_STD_REL = 0.1, 0.03
CORRELATED = 4.0
ENOUGH, AHEAD = 12.0, 6.0
"""Evidence that is required, and by how much more than that of any other pair."""
AT_ONCE = 7.0
"""Largest misfit of the power of one meter at one instant."""
FITS = 3.0
"""Normalised residual of either meter, in the mean and in the mean square of changes, that an exchange may leave."""
SUSPECTS = 12
"""Meters with the largest misfit of their own, among which pairs are looked for: in a large grid not all pairs. A pair
that is found must also be ahead of all others.
"""
PRESENT = 0.8
"""Readings that are missing in more than the rest of the samples are left out."""


@dataclass(frozen=True)
class ExchangeSample:
    """What is compared, at one instant. Of m readings the first M are those of meters.

    Attributes:
        residual_pu: reading less modelled voltage of its node, [m], NaN without a reading.
        modelled_pu: modelled voltage at the node of each reading, [m].
        power_kva: measured by each meter, [M], NaN without a reading.
        known_kva: what is drawn at its node as others say, [M]; NaN if unknown, then the model has it from the meter.
        drop_pu: over each line, [L].
    """

    residual_pu: FloatArray
    modelled_pu: FloatArray
    power_kva: ComplexArray
    known_kva: ComplexArray
    drop_pu: FloatArray


@dataclass(frozen=True)
class ReadingPlaces:
    """Where readings are.

    Attributes:
        below: [m, L], 1 where a reading is behind a line.
        std_pu: error of each reading, calibration included, [m].
        per_kva: change of each voltage with the demand at the node of each meter, d/dp + j d/dq, [m, M].
    """

    below: FloatArray
    std_pu: FloatArray
    per_kva: ComplexArray


@dataclass(frozen=True)
class Exchange:
    """Two meters, by position, and the evidence that they were exchanged, or, if negative, that they were not.

    ``powers``: with all that they measure; else only the wires to their voltages.
    """

    first: int
    second: int
    powers: bool
    evidence: float


@dataclass(frozen=True)
class _Misfit:
    """The first two terms of (1): in all, and the part of each reading, which is gone without it, [rows]."""

    total: float
    parts: FloatArray
    fits: NDArray[np.bool_]


class ExchangeTest:
    """(2) for pairs of meters over a ``window`` of at least one sample."""

    def __init__(self, window: Sequence[ExchangeSample], places: ReadingPlaces) -> None:
        y = np.array([one.residual_pu for one in window])
        self._rows = np.flatnonzero(np.isfinite(y).mean(axis=0) > PRESENT)
        whole = np.isfinite(y[:, self._rows]).all(axis=1)
        self._y = y[whole][:, self._rows]
        self._modelled = np.array([one.modelled_pu for one in window])[whole][:, self._rows]
        self._power = np.array([one.power_kva for one in window])[whole]
        self._known = np.array([one.known_kva for one in window])[whole]
        self._per_kva = places.per_kva[self._rows]
        self._meters = [k for k in range(self._power.shape[1]) if k in self._rows] if len(self._y) else []
        if self._meters:
            drops, below = np.array([one.drop_pu for one in window])[whole], places.below[self._rows]
            self._k_level = _inverse(below, drops.mean(axis=0) ** 2, places.std_pu[self._rows])
            self._k_change = _inverse(below, drops.var(axis=0), np.full(len(self._rows), CHANGE_STD_PU))
            self._as_read = self._misfit(self._y)

    def strongest(self) -> Exchange | None:
        """The pair with enough evidence, and clearly more of it than any other pair; None without one."""
        by_misfit = sorted(self._meters, key=lambda k: -self._as_read.parts[self._row(k)] - self._power_misfit(k, k))
        found = {pair: self.of(*pair) for pair in combinations(sorted(by_misfit[:SUSPECTS]), 2)}
        best = max(found, key=lambda pair: found[pair].evidence, default=None)
        if best is None or found[best].evidence < ENOUGH:
            return None
        rivals = found | {pair: self.of(*pair) for pair in combinations(self._meters, 2) if pair not in found}
        ahead = found[best].evidence - AHEAD
        return None if any(one.evidence > ahead for pair, one in rivals.items() if pair != best) else found[best]

    def of(self, i: int, j: int, *, powers: bool | None = None) -> Exchange:
        """The exchange of one pair of meters, with or without their powers, or the likelier of the two.

        One that would not fit either has no evidence.
        """
        if not {i, j} <= set(self._meters):
            return Exchange(i, j, powers=True, evidence=0.0)
        changed = self._exchanged(self._row(i), self._row(j))
        both = self._by_all(i, j, changed), self._by_wires(i, j, changed)
        return max((one for one in both if powers in (None, one.powers)), key=lambda one: one.evidence)

    def _by_all(self, i: int, j: int, changed: FloatArray) -> Exchange:
        """(2) if all that they measure was exchanged."""
        before, after = self._as_read, self._misfit(changed - self._moved(i, j))
        own, other = self._power_misfit(i, i), self._power_misfit(j, j)
        a, b = self._row(i), self._row(j)
        as_read = before.total + min(own + other, other - before.parts[a], own - before.parts[b])
        evidence = as_read - after.total - self._power_misfit(i, j) - self._power_misfit(j, i)
        return Exchange(i, j, powers=True, evidence=evidence if after.fits[[a, b]].all() else min(evidence, 0.0))

    def _by_wires(self, i: int, j: int, changed: FloatArray) -> Exchange:
        """(2) if only their voltages were."""
        before, after, rows = self._as_read, self._misfit(changed), [self._row(i), self._row(j)]
        evidence = before.total - float(before.parts[rows].max()) - after.total
        return Exchange(i, j, powers=False, evidence=evidence if after.fits[rows].all() else min(evidence, 0.0))

    def _row(self, reading: int) -> int:
        return int(np.flatnonzero(self._rows == reading)[0])

    def _misfit(self, y: FloatArray) -> _Misfit:
        mean, changes = y.mean(axis=0), y - y.mean(axis=0)
        level, moves = self._k_level @ mean, changes @ self._k_change
        total = (mean @ level + (moves * changes).sum() / CORRELATED) / 2
        level_squared = level**2 / np.diag(self._k_level)
        moves_squared = (moves**2 / np.diag(self._k_change)).sum(axis=0)
        fits = (level_squared <= FITS**2) & (moves_squared <= FITS**2 * len(y))
        return _Misfit(float(total), (level_squared + moves_squared / CORRELATED) / 2, fits)

    def _exchanged(self, a: int, b: int) -> FloatArray:
        """Residuals after the readings of two rows have changed places."""
        y, z = self._y.copy(), self._y + self._modelled
        y[:, a], y[:, b] = z[:, b] - self._modelled[:, a], z[:, a] - self._modelled[:, b]
        return np.asarray(y)

    def _moved(self, i: int, j: int) -> FloatArray:
        """Change of the model if the demands that it has from both meters change places, too, [samples, rows]."""
        change = np.zeros_like(self._y)
        for node, other in ((i, j), (j, i)):
            moved = np.where(np.isnan(self._known[:, node]), self._power[:, other] - self._power[:, node], 0.0)
            moved, per = np.nan_to_num(moved), self._per_kva[:, node]
            change += np.outer(moved.real, per.real) + np.outer(moved.imag, per.imag)
        return np.asarray(change)

    def _power_misfit(self, node: int, meter: int) -> float:
        """The last term of (1), if ``meter`` measures at the node of the meter ``node``."""
        known = self._known[:, node]
        std_kva = POWER_STD_KVA + POWER_STD_REL * np.abs(known)
        misfit = np.abs(self._power[:, meter] - known) ** 2 / (2 * CORRELATED * std_kva**2)
        return float(np.nansum(np.minimum(misfit, AT_ONCE)))


def _inverse(below: FloatArray, drop_squared: FloatArray, std_pu: FloatArray) -> FloatArray:
    covariance = SLACK_STD_PU**2 + (below * LINE_STD**2 * drop_squared) @ below.T + np.diag(std_pu**2)
    return np.asarray(np.linalg.inv(covariance))
