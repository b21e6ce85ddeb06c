"""AC power flow of a radial grid with exact sensitivities, for all time steps at once.

With s_n = −(p_n + j q_n) the injections, v0 the slack voltage, z_l the series impedances, B_nl = 1 where node n is
behind line l, y_n the shunts at node n (with half the charging of each line that ends there), τ the ratios of
transformers on the way from the slack (:mod:`mpc.grid.tree`), and D = diag(1 / τ):

    Z0 = D B diag(τ_l² z_l) B' D,   Z = (I + Z0 diag(y))⁻¹ Z0,   w = (I + Z0 diag(y))⁻¹ D 1               (Z)
    V = w v0 + Z conj(s / V)                                                                             (F)

so w is all ones without shunts and ratios. No impedance is inverted: z_l may be zero (a coupler) or tiny. (F) is
solved by fixed-point iteration, which contracts for every grid that is not near collapse. Differentiating (F),

    dV + Z diag(conj(s) / conj(V)²) conj(dV) = Z diag(1 / conj(V)) conj(ds)                              (S)

is one real 2n × 2n system per step. The current through line l is the sum of the currents c = −conj(s / V) + y V that
are drawn behind it, J_l = τ_l Σ_n B_nl c_n / τ_n, and slack power and derivatives follow.

Symbols: T steps, n nodes besides the slack, L lines, m columns (nodes with prosumers). Internally p.u. of 1 kVA
(three-phase) and the nominal voltage, so that powers are the plain numbers in kW and kvar.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.network import Network
from mpc.grid.tree import GridTree

ComplexArray = NDArray[np.complex128]
IndexArray = NDArray[np.intp]

TOLERANCE_PU = 1e-12
MAX_SWEEPS = 200
BLOCK_BYTES = 32 * 2**20
"""Size of the systems (S) that are set up at once; more would leave the processor's cache."""


@dataclass(frozen=True)
class Flow:
    """State of the grid over T steps. A step without a solution has collapsed: its voltages are 0.

    Attributes:
        v: complex voltages of the non-slack nodes, [T, n], p.u.
        i: complex currents at the from-end of each line, [T, L], A.
        s_slack: power drawn from the upper grid, [T], kVA (P + jQ; P > 0 imports).
        v_slack: voltage of the slack node, [T], p.u., real.
        solved: [T], False where (F) has no solution.
    """

    v: ComplexArray
    v_slack: FloatArray
    i: ComplexArray
    s_slack: ComplexArray
    solved: NDArray[np.bool_]


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives with respect to the demands (p, q) of m nodes; the last axis is (d/dp, d/dq), per kW and kvar.

    Attributes:
        v: of |V|, [T, n, m, 2], p.u.
        i: of the complex currents at the from-end of the L lines asked for, [T, L, m, 2], A.
        s_slack: of P + jQ at the slack, [T, m, 2], kVA.
    """

    v: FloatArray
    i: ComplexArray
    s_slack: ComplexArray


class PowerFlow:
    """Power flow of one network; factorised once, solved for many profiles."""

    def __init__(self, network: Network) -> None:
        z_base_ohm = network.voltage_v**2 / 1e3
        ampere = 1e3 / (sqrt(3) * network.voltage_v)
        tree = GridTree.of(network)
        lines = network.lines
        z = np.array([complex(line.r_ohm, line.x_ohm) for line in lines]) / z_base_ohm
        ratio = np.array([line.ratio for line in lines])
        half = np.array([0.5e-6j * line.b_us * z_base_ohm for line in lines])
        begin = np.array([network.index(line.from_node) for line in lines])
        y = np.zeros(len(network.nodes), complex)
        np.add.at(y, begin, half / ratio**2)
        np.add.at(y, [network.index(line.to_node) for line in lines], half)
        for shunt in network.shunts:
            y[network.index(shunt.node)] += 1e-6 * complex(shunt.g_us, shunt.b_us) * z_base_ohm

        share = tree.behind[1:] / tree.scale[1:, None]
        z0 = (share * (tree.line_scale**2 * z)) @ share.T
        shunted = np.eye(len(z0)) + z0 * y[1:]
        direction = np.where(tree.outward, 1, -1) * tree.line_scale / ratio
        charging = np.zeros((len(lines), len(y)), complex)
        charging[np.arange(len(lines)), begin] = half / ratio**2
        by_current = direction[:, None] * share.T

        self.network = network
        self._z: ComplexArray = np.linalg.solve(shunted, z0).astype(complex)
        self._w: ComplexArray = np.linalg.solve(shunted, 1 / tree.scale[1:]).astype(complex)
        self._slack_share = 1 / tree.scale[1:]
        self._y_of_slack = y / tree.scale
        self._i_by_current = by_current * ampere
        self._i_by_voltage = (np.insert(by_current * y[1:], 0, 0, axis=1) + charging) * ampere

    def solve(self, s: ComplexArray, v_slack_pu: FloatArray) -> Flow:
        """Solve (F) for the injections s [T, n] (kVA, the negative of the demand) and slack voltages [T]."""
        no_load = np.multiply(v_slack_pu[:, None], self._w, dtype=complex)
        v: ComplexArray = no_load
        step = np.full(len(s), np.inf)
        with np.errstate(all="ignore"):
            for _ in range(MAX_SWEEPS):
                v_next: ComplexArray = np.add(no_load, np.conj(s / v) @ self._z.T, dtype=complex)
                step = np.abs(v_next - v).max(axis=1)
                v = v_next
                if not np.any(step > TOLERANCE_PU):
                    break
            solved = step <= 1e3 * TOLERANCE_PU
            v[~solved] = 0
            load = np.where(solved[:, None], -np.conj(s / v), 0)
        v_all: ComplexArray = np.column_stack([v_slack_pu * solved, v])
        i_slack: ComplexArray = load @ self._slack_share + v_all @ self._y_of_slack
        i: ComplexArray = load @ self._i_by_current.T + v_all @ self._i_by_voltage.T
        s_slack = np.multiply(v_slack_pu, np.conj(i_slack), dtype=complex)
        return Flow(v=v, v_slack=v_slack_pu, i=i, s_slack=s_slack, solved=solved)

    def sensitivities(self, s_kva: ComplexArray, flow: Flow, columns: IndexArray, lines: IndexArray) -> Sensitivities:
        """Solve (S) at a solved ``flow`` of the injections ``s_kva`` [T, n].

        Args:
            columns: the m nodes (0 … n−1, without the slack) with respect to whose demands is differentiated.
            lines: the L lines whose currents are wanted.

        Raises:
            ValueError: ``flow`` has steps without a solution.
        """
        if not flow.solved.all():
            raise ValueError("no sensitivities where the power flow has no solution")
        n, m = len(self._z), len(columns)
        blocks = np.array_split(np.arange(len(s_kva)), -(-len(s_kva) * 8 * (2 * n) ** 2 // BLOCK_BYTES))
        dv = np.concatenate([self._voltage_derivative(s_kva[t], flow.v[t], columns) for t in blocks])
        direction = np.conj(flow.v) / np.abs(flow.v)
        flat, load = dv.reshape(len(dv), n, 2 * m), _load_derivative(s_kva, flow.v, dv, columns)
        i = self._i_by_current[lines] @ load + self._i_by_voltage[lines, 1:] @ flat
        i_slack = self._slack_share @ load + self._y_of_slack[1:] @ flat
        return Sensitivities(
            v=direction.real[:, :, None, None] * dv.real - direction.imag[:, :, None, None] * dv.imag,
            i=i.reshape(len(dv), len(lines), m, 2),
            s_slack=flow.v_slack[:, None, None] * np.conj(i_slack).reshape(len(dv), m, 2),
        )

    def _voltage_derivative(self, s: ComplexArray, v: ComplexArray, columns: IndexArray) -> ComplexArray:
        """dV/d(p, q), [T, n, m, 2], from the real form of (S)."""
        n, m = len(self._z), len(columns)
        coupling = self._z * (np.conj(s) / np.conj(v) ** 2)[:, None, :]
        system = np.empty((len(s), 2 * n, 2 * n))
        identity = np.eye(n)
        system[:, :n, :n] = identity + coupling.real
        system[:, :n, n:] = system[:, n:, :n] = coupling.imag
        system[:, n:, n:] = identity - coupling.real
        per_p = -self._z[:, columns] / np.conj(v[:, None, columns])
        rhs = np.empty((len(s), 2 * n, m, 2))
        rhs[:, :n, :, 0], rhs[:, n:, :, 0] = per_p.real, per_p.imag
        rhs[:, :n, :, 1], rhs[:, n:, :, 1] = per_p.imag, -per_p.real
        solution = np.linalg.solve(system, rhs.reshape(len(s), 2 * n, 2 * m)).reshape(rhs.shape)
        dv = np.empty((len(s), n, m, 2), complex)
        dv.real, dv.imag = solution[:, :n], solution[:, n:]
        return dv


def _load_derivative(s: ComplexArray, v: ComplexArray, dv: ComplexArray, columns: IndexArray) -> ComplexArray:
    """Derivative of the currents −conj(s / V) that the nodes draw, [T, n, 2m], for the dV [T, n, m, 2] of (S)."""
    load: ComplexArray = (np.conj(s) / np.conj(v) ** 2)[:, :, None, None] * np.conj(dv)
    own = 1 / np.conj(v[:, columns])
    places = np.arange(len(columns))
    load[:, columns, places, 0] += own
    load[:, columns, places, 1] -= 1j * own
    return load.reshape(*load.shape[:2], -1)
