"""AC power flow of a radial grid with exact sensitivities, for all time steps at once.

Problem (method.md, section 2). With s_n = −(p_n + j q_n) the injections, v0 the slack voltage, Z the inverse of
the non-slack block of Ybus and w = −Z Y_{n0} (all ones without line charging):

    V = w v0 + Z conj(s / V)                                                  (F)

solved by fixed-point iteration, which contracts for every grid that is not near collapse. Differentiating (F),

    dV + Z diag(conj(s) / conj(V)²) conj(dV) = Z diag(1 / conj(V)) conj(ds)   (S)

is one real 2n × 2n system per step; |V|, line currents and slack power follow by the chain rule.

Symbols: T steps, n nodes besides the slack, L lines, m columns (nodes with prosumers). Internally p.u. of 1 kVA
(three-phase) and the nominal voltage, so that powers are the plain numbers in kW and kvar.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.network import Network

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
        n_all, n_lines = len(network.nodes), len(network.lines)
        z_base_ohm = network.voltage_v**2 / 1e3
        y_series = np.array([z_base_ohm / complex(line.r_ohm, line.x_ohm) for line in network.lines])
        y_shunt = np.array([0.5e-6j * line.b_us * z_base_ohm for line in network.lines])
        begin = np.array([network.index(line.from_node) for line in network.lines])
        end = np.array([network.index(line.to_node) for line in network.lines])
        lines = np.arange(n_lines)

        at_begin = np.zeros((n_lines, n_all), complex)
        at_begin[lines, begin] += y_series + y_shunt
        at_begin[lines, end] -= y_series
        at_end = np.zeros_like(at_begin)
        at_end[lines, end] += y_series + y_shunt
        at_end[lines, begin] -= y_series
        ybus = np.zeros((n_all, n_all), complex)
        np.add.at(ybus, begin, at_begin)
        np.add.at(ybus, end, at_end)

        self.network = network
        self._z = np.linalg.inv(ybus[1:, 1:]).astype(complex)
        self._w = -self._z @ ybus[1:, 0]
        self._y_slack = ybus[0]
        self._y_line_a = at_begin * (1e3 / (sqrt(3) * network.voltage_v))

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
        v_all: ComplexArray = np.column_stack([v_slack_pu, v])
        s_slack = v_slack_pu * np.conj(v_all @ self._y_slack)
        return Flow(v=v, v_slack=v_slack_pu, i=v_all @ self._y_line_a.T, s_slack=s_slack, solved=solved)

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
        flat = dv.reshape(len(dv), n, 2 * m)
        return Sensitivities(
            v=direction.real[:, :, None, None] * dv.real - direction.imag[:, :, None, None] * dv.imag,
            i=(self._y_line_a[lines, 1:] @ flat).reshape(len(dv), len(lines), m, 2),
            s_slack=flow.v_slack[:, None, None] * np.conj(self._y_slack[1:] @ flat).reshape(len(dv), m, 2),
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
