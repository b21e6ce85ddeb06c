"""State estimation of a radial grid from voltage readings of which some may be wrong, with bad-data detection.

Weighted least squares with the largest normalised residual (Abur & Expósito, Power System State Estimation, ch. 5).
Unknown are the slack voltage, the demands, and by how much the impedance of each line is off. Linearised at the AC
power flow V(s) of the measured demands s, reading i at node n(i) is

    z_i = V_n(i)(s) + v0 + Σ_l D_nl κ_l + J_n ε + e_i                                                             (1)

with e ~ N(0, σ²), ε ~ N(0, Σ) the errors of the demands, v0 ~ N(0, τ²) without any prior worth the name, and
κ ~ N(κ̂, P). A line whose impedance is off by κ_l changes all voltages behind it by κ_l times its own voltage drop,
which is D_nl. The residual r = z − V(s) − D κ̂ has the covariance

    R = diag(σ²) + τ² 1 1' + D P D' + J Σ J'                                                                      (2)

and, with K = R⁻¹, everything that least squares has to say about a single reading is in K r:

    δ_i = (K r)_i / K_ii          the reading less what all others say it should be                             (3)
    ν_i = (K r)_i / √K_ii         the same in standard deviations: the normalised residual                       (4)
    χ²  = r' K r                  with one degree of freedom per reading but one                                 (5)

Without a wrong reading, max |ν| stays below ``LARGEST``. Otherwise the reading with the largest one is set aside and
the rest is looked at again. If setting aside another one would do as well, nobody can tell which of them is wrong.
Lines are learned only from samples whose χ² is plausible.

Symbols: m readings, n nodes (the slack first), L lines; voltages p.u., demands kVA.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.network import Network
from mpc.grid.power_flow import ComplexArray, PowerFlow
from mpc.grid.tree import GridTree

SLACK_STD_PU = 0.1
LINE_STD = 0.15
"""Error of a line's impedance, as a share: ± 30 % is two standard deviations."""
LARGEST = 5.0
SMALLEST_PU = 0.006
"""A difference below this is nobody's fault, however sure it is."""
EVEN = 9.0
"""Difference of ν² below which two explanations are as good as each other."""
CHI_QUANTILE = 3.72
"""Quantile of the normal distribution at 1 − 10⁻⁴."""
CORRELATED = 120
"""Samples that count as one for the lines' factors, since calibration errors stay: an hour."""
FACTOR_DRIFT = 0.02**2 / CORRELATED
"""Growth of P per sample: 2 % in an hour."""


@dataclass(frozen=True)
class LineFactors:
    """κ̂ [L] and P [L, L]: what is known of the errors of the lines' impedances."""

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def unknown(cls, lines: int) -> "LineFactors":
        """Before any sample."""
        return cls(np.zeros(lines), LINE_STD**2 * np.eye(lines))


@dataclass(frozen=True)
class GridSample:
    """Readings of one instant.

    Attributes:
        v_pu: [m], NaN where there is no reading.
        demand_kva: P + jQ of every node besides the slack, [n − 1].
        demand_std_kva: how far it may be off, per component, [n − 1].
    """

    v_pu: FloatArray
    demand_kva: ComplexArray
    demand_std_kva: FloatArray


@dataclass(frozen=True)
class Estimate:
    """Result of a sample.

    Attributes:
        node_v_pu: believed voltage of each node, [n].
        off_pu: δ of each reading with respect to those that are not set aside, [m]; NaN without a reading.
        std_pu: standard deviation of ``off_pu`` if the reading is honest, [m].
        residual_pu: r of each reading, [m].
        modelled_pu: voltage of each node by the model alone, V(s) + D κ̂, [n].
        wrong: readings that were set aside.
        undecided: readings of which one is wrong, and nobody can tell which.
        explained: χ² of the readings that are left is plausible.
        slack_kva: power drawn from the upper grid by the model.
        factors: for the next sample.
    """

    node_v_pu: FloatArray
    off_pu: FloatArray
    std_pu: FloatArray
    residual_pu: FloatArray
    modelled_pu: FloatArray
    wrong: tuple[int, ...]
    undecided: tuple[int, ...]
    explained: bool
    slack_kva: complex
    factors: LineFactors

    def is_wrong(self, reading: int) -> bool:
        """Whether a reading is further from the others than an honest one can be."""
        off_pu = abs(float(self.off_pu[reading]))
        return off_pu >= SMALLEST_PU and off_pu > LARGEST * float(self.std_pu[reading])


@dataclass(frozen=True)
class _Linear:
    """Residuals r and their covariance R without diag(σ²), of nodes; ``at`` is the node of each reading."""

    at: NDArray[np.intp]
    std_pu: FloatArray
    drops: FloatArray
    node_v_pu: FloatArray
    node_cov: FloatArray
    residual: FloatArray
    slack_kva: complex

    @cached_property
    def reading_cov(self) -> FloatArray:
        """R [m, m] (2)."""
        return self.node_cov[np.ix_(self.at, self.at)] + np.diag(self.std_pu**2)


@dataclass(frozen=True)
class _Fit:
    """Largest normalised residuals of the readings ``kept``: δ, ν (3, 4) and χ² (5)."""

    kept: NDArray[np.intp]
    weighted: FloatArray
    normalised: FloatArray
    off_pu: FloatArray
    chi_square: float

    @classmethod
    def of(cls, linear: _Linear, kept: NDArray[np.intp]) -> "_Fit":
        k = np.linalg.inv(linear.reading_cov[np.ix_(kept, kept)])
        weighted, diagonal = k @ linear.residual[kept], np.diag(k)
        chi_square = float(linear.residual[kept] @ weighted)
        return cls(kept, weighted, weighted / np.sqrt(diagonal), weighted / diagonal, chi_square)

    @property
    def suspicious(self) -> FloatArray:
        """|ν| of readings that are off by more than ``SMALLEST_PU``, 0 for the others."""
        return np.where(np.abs(self.off_pu) >= SMALLEST_PU, np.abs(self.normalised), 0.0)

    @property
    def clean(self) -> bool:
        return bool((self.suspicious <= LARGEST).all())

    @property
    def explained(self) -> bool:
        """χ² below its quantile, by the approximation of Wilson and Hilferty."""
        freedom = len(self.kept) - 1
        if freedom < 1:
            return True
        part = 2.0 / (9.0 * freedom)
        return self.chi_square <= freedom * float(1.0 - part + CHI_QUANTILE * part**0.5) ** 3


class GridEstimator:
    """Estimator of one network; built once.

    Args:
        at: node of each reading.
        std_pu: error of each honest reading, calibration and noise, [m].
    """

    def __init__(self, network: Network, at: Sequence[str], std_pu: FloatArray) -> None:
        self._flow, self._at = PowerFlow(network), np.array([network.index(node) for node in at], dtype=np.intp)
        self._std_pu = std_pu
        self._tree = GridTree.of(network)
        lines = network.lines
        self._ends = np.array([[network.index(line.from_node), network.index(line.to_node)] for line in lines]).T
        self._ratio = np.array([line.ratio for line in lines])

    @property
    def places(self) -> tuple[FloatArray, ComplexArray]:
        """[n, L], 1 where a node is behind a line; [n, n], change of |V| with demands, d/dp + j d/dq, without load."""
        others = np.arange(len(self._tree.behind) - 1)
        no_load = np.zeros((1, len(others)), complex)
        flow = self._flow.solve(no_load, np.ones(1))
        v = self._flow.sensitivities(no_load, flow, others, np.empty(0, np.intp)).v[0]
        per_kva = np.zeros((len(self._tree.behind),) * 2, complex)
        per_kva[1:, 1:] = v[:, :, 0] + 1j * v[:, :, 1]
        return self._tree.behind, per_kva

    def estimate(self, sample: GridSample, factors: LineFactors, distrusted: Collection[int] = ()) -> Estimate | None:
        """The estimate of a sample; None with fewer than two readings, or where the power flow has no solution.

        Readings that are ``distrusted`` are set aside from the beginning; they do not count as ``wrong``.
        """
        read = np.flatnonzero(np.isfinite(sample.v_pu))
        linear = self._linear(sample, read, factors) if len(read) > 1 else None
        if linear is None:
            return None
        trusted = np.flatnonzero(~np.isin(read, list(distrusted)))
        if len(trusted) < 2:
            return None
        wrong, undecided = _set_aside(linear, trusted)
        kept = np.setdiff1d(trusted, wrong)
        fit = _Fit.of(linear, kept)
        nodes = linear.node_v_pu + linear.node_cov[:, linear.at[kept]] @ fit.weighted
        off, std = np.full(len(sample.v_pu), np.nan), np.full(len(sample.v_pu), np.nan)
        off[read], std[read] = _against_the_others(linear, kept)
        residual = np.full(len(sample.v_pu), np.nan)
        residual[read] = linear.residual
        sound = fit.explained and not undecided
        return Estimate(
            node_v_pu=nodes,
            off_pu=off,
            std_pu=std,
            residual_pu=residual,
            modelled_pu=linear.node_v_pu,
            wrong=tuple(read[list(wrong)].tolist()),
            undecided=tuple(read[list(undecided)].tolist()),
            explained=fit.explained,
            slack_kva=linear.slack_kva,
            factors=self._learned(linear, kept, factors) if sound else factors,
        )

    def _linear(self, sample: GridSample, read: NDArray[np.intp], factors: LineFactors) -> _Linear | None:
        """(1) and (2) at the power flow; its slack voltage is the median of what the readings say of it."""
        at, z = self._at[read], sample.v_pu[read]
        s = -sample.demand_kva[None, :]
        v_slack_pu, per_slack = 1.0, 1 / self._tree.scale
        for _ in range(2):
            flow = self._flow.solve(s, np.array([v_slack_pu]))
            if not flow.solved.all():
                return None
            modelled = np.abs(np.concatenate([flow.v_slack, flow.v[0]]))
            v_slack_pu = float(np.median((z - modelled[at]) / per_slack[at]) + v_slack_pu)
        modelled = modelled + (v_slack_pu - modelled[0]) * per_slack
        drops = self._drops(modelled)
        others = np.arange(len(sample.demand_kva))
        sensitivity = self._flow.sensitivities(s, flow, others, np.empty(0, np.intp)).v[0]
        j = np.zeros((len(modelled), 2 * len(others)))
        j[1:] = sensitivity.reshape(len(others), -1)
        node_cov = SLACK_STD_PU**2 * np.outer(per_slack, per_slack) + drops @ factors.covariance @ drops.T
        node_cov = node_cov + (j * np.repeat(sample.demand_std_kva**2, 2)) @ j.T
        believed = modelled + drops @ factors.mean
        return _Linear(at, self._std_pu[read], drops, believed, node_cov, z - believed[at], complex(flow.s_slack[0]))

    def _drops(self, v_pu: FloatArray) -> FloatArray:
        """D [n, L]: what a line adds to the voltages behind it."""
        first, last = v_pu[self._ends]
        drop = np.where(self._tree.outward, 1, -1) * (last - first / self._ratio)
        return np.asarray(self._tree.behind * drop * self._tree.line_scale / self._tree.scale[:, None])

    def _learned(self, linear: _Linear, kept: NDArray[np.intp], factors: LineFactors) -> LineFactors:
        """Kalman's update of κ̂ and P with the readings ``kept``, of which ``CORRELATED`` samples count as one."""
        drops, p = linear.drops[linear.at[kept]], factors.covariance
        known = drops @ p @ drops.T
        s = known + CORRELATED * (linear.reading_cov[np.ix_(kept, kept)] - known)
        gain = np.linalg.solve(s, drops @ p).T
        mean = factors.mean + gain @ linear.residual[kept]
        covariance = p - gain @ drops @ p + FACTOR_DRIFT * np.eye(len(p))
        shrink = np.sqrt(np.minimum(1.0, LINE_STD**2 / np.diag(covariance)))
        return LineFactors(mean, covariance * np.outer(shrink, shrink))


def _set_aside(linear: _Linear, trusted: NDArray[np.intp]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Readings that are wrong, at most a third, and, if that cannot be decided, those of which one is."""
    kept, wrong = trusted, list[int]()
    fit = _Fit.of(linear, kept)
    while not fit.clean and len(wrong) < len(trusted) // 3:
        largest = float(fit.suspicious.max())
        close = kept[fit.suspicious**2 > largest**2 - EVEN]
        if len(close) > 1 and len(equal := [k for k in close if _Fit.of(linear, kept[kept != k]).clean]) > 1:
            return tuple(wrong), tuple(int(k) for k in equal)
        worst = int(kept[fit.suspicious.argmax()])
        wrong.append(worst)
        kept = kept[kept != worst]
        fit = _Fit.of(linear, kept)
    return (tuple(wrong), ()) if fit.clean else ((), tuple(trusted.tolist()))


def _against_the_others(linear: _Linear, kept: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """δ of every reading, and its standard deviation, from the readings ``kept`` without itself."""
    off, std = np.empty(len(linear.at)), np.empty(len(linear.at))
    inverse = np.linalg.inv(linear.reading_cov[np.ix_(kept, kept)])
    weighted = inverse @ linear.residual[kept]
    off[kept], std[kept] = weighted / np.diag(inverse), 1.0 / np.sqrt(np.diag(inverse))
    for k in np.setdiff1d(np.arange(len(linear.at)), kept):
        across = linear.reading_cov[k, kept]
        off[k] = linear.residual[k] - across @ weighted
        std[k] = np.sqrt(linear.reading_cov[k, k] - across @ inverse @ across)
    return off, std
