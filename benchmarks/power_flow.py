"""Power flow and sensitivities per time step: against power-grid-model, and against finite differences."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import power_grid_model

from benchmarks.measure import medians_s, stopwatches
from benchmarks.tables import ResultTable, ratio, three_digits
from core.arrays import FloatArray
from core.network import Network
from mpc.grid.power_flow import ComplexArray, Flow, PowerFlow
from tests.support.independent_flow import power_grid_model_flow
from tests.support.synthetic import radial_network

SIZES = (9, 50, 200)
STEPS, FEW_STEPS, REPEATS = 144, 16, 3
STEP_KVA = 1e-3


@dataclass(frozen=True)
class FlowCase:
    """A random grid with random demands at all nodes."""

    network: Network
    flow: PowerFlow
    p_kw: FloatArray
    q_kvar: FloatArray

    @classmethod
    def of(cls, n: int) -> "FlowCase":
        """A radial grid of ``n`` nodes with at most 20 kW and 20 kvar in all."""
        network, rng = radial_network(n, seed=1), np.random.default_rng(0)
        p_kw, q_kvar = (rng.uniform(-20 / n, 20 / n, (STEPS, n - 1)) for _ in range(2))
        return cls(network, PowerFlow(network), p_kw, q_kvar)

    @property
    def s(self) -> ComplexArray:
        """Injections, kVA, [T, nodes besides the slack]."""
        return np.asarray(-(self.p_kw + 1j * self.q_kvar))

    def solve(self) -> Flow:
        """Power flow by this project."""
        return self.flow.solve(self.s, np.ones(STEPS))

    def reference(self) -> ComplexArray:
        """Voltages by power-grid-model, p.u., [T, nodes besides the slack]."""
        return power_grid_model_flow(self.network, self.p_kw, self.q_kvar, np.ones(STEPS)).v


def run() -> Iterator[ResultTable]:
    """Yield power flow and sensitivities with respect to all nodes, one row per size of the grid."""
    cases = {n: FlowCase.of(n) for n in SIZES}
    flows = ResultTable(
        f"Power flow of {STEPS} steps, µs per step",
        ["nodes", "ours", "power-grid-model", "ours / power-grid-model", "largest difference p.u."],
    )
    for n, case in cases.items():
        flows.add(str(n), *compared_flow(case))
    yield flows
    sensitivities = ResultTable(
        "Sensitivities to P and Q of all nodes, µs per step",
        ["nodes", "|V| and slack", "with all line currents", "|V| and slack / one flow",
         "|V| by central differences", "differences / |V| and slack", "largest difference p.u./kW"],
    )  # fmt: skip
    for n, case in cases.items():
        sensitivities.add(str(n), *compared_sensitivities(case))
    yield sensitivities


def compared_flow(case: FlowCase) -> list[str]:
    """Compare with the batch calculation alone, without the time for building its model."""
    with stopwatches(batch=(power_grid_model.PowerGridModel, "calculate_power_flow")) as spent:
        ours_s = medians_s(REPEATS, ours=case.solve, theirs=case.reference)["ours"]
    theirs_s = spent["batch"].seconds / spent["batch"].calls
    difference = np.abs(case.solve().v - case.reference()).max()
    return [per_step(ours_s, STEPS), per_step(theirs_s, STEPS), ratio(ours_s, theirs_s), f"{difference:.1e}"]


def compared_sensitivities(case: FlowCase) -> list[str]:
    """Compare the linear system with central differences, which take two power flows per column, on fewer steps."""
    solved, nodes = case.solve(), np.arange(case.s.shape[1])
    seconds = medians_s(
        REPEATS,
        flow=case.solve,
        v=lambda: case.flow.sensitivities(case.s, solved, nodes, nodes[:0]),
        all_lines=lambda: case.flow.sensitivities(case.s, solved, nodes, nodes),
    )
    few = case.s[:FEW_STEPS]
    differences_s = medians_s(2, differences=lambda: differences(case.flow, few))["differences"] / FEW_STEPS * STEPS
    ours = case.flow.sensitivities(case.s, solved, nodes, nodes[:0]).v[:FEW_STEPS]
    return [
        per_step(seconds["v"], STEPS), per_step(seconds["all_lines"], STEPS), ratio(seconds["v"], seconds["flow"]),
        per_step(differences_s, STEPS), ratio(differences_s, seconds["v"]),
        f"{np.abs(differences(case.flow, few) - ours).max():.1e}",
    ]  # fmt: skip


def differences(flow: PowerFlow, s: ComplexArray) -> FloatArray:
    """∂|V|/∂(P, Q) of all demands by central differences, p.u. per kW and kvar, [T, n, m, 2]."""
    slack, columns = np.ones(len(s)), s.shape[1]
    derivative = np.empty((*s.shape, columns, 2))
    for m in range(columns):
        for k, unit in enumerate((1.0, 1.0j)):
            step = np.zeros_like(s)
            step[:, m] = STEP_KVA * unit
            above, below = (np.abs(flow.solve(s + sign * step, slack).v) for sign in (-1, 1))
            derivative[:, :, m, k] = (above - below) / (2 * STEP_KVA)
    return derivative


def per_step(seconds: float, steps: int) -> str:
    """Time per step, µs."""
    return three_digits(1e6 * seconds / steps)
