"""Intra-day MPC: the coordination repeated for the rest of the day (paper A, sections 3.5 and 4.3).

In every cycle the horizon is shorter by the time that has passed, forecasts are corrected by observations, and the last
cycle's multipliers and copies start the new one, with rows of the grid as expected now. A plan replaces the one in
force only if it is no worse: a coordination that ran out of budget is adopted if under AC power flow it violates limits
no more than the running plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.plan import Plan
from core.scenario import Scenario
from core.time import Clock
from mpc.coordination import rounds
from mpc.coordination.outcome import CoordinationStatus, WarmStart
from mpc.coordination.rounds import Carrier
from mpc.day_ahead import AgreedDay, Bill, DayAhead, agree, uncoordinated
from mpc.forecast import Observed, remaining
from mpc.grid.rows import GridModel
from mpc.price import marginal_price_chf_per_kwh, violation_price_chf_per_kwh
from mpc.prosumer import participants
from mpc.solvers.quadratic import PIQP


@dataclass(frozen=True)
class Situation:
    """Knowledge at a step of a day.

    Attributes:
        day: the whole day as forecast, with the present margins.
        step: step of the day that begins now.
        observed: load, PV and state of charge of each prosumer, by name.
        slack_voltage_pu: supply voltage as last observed.
    """

    day: Scenario
    step: int
    observed: Mapping[str, Observed]
    slack_voltage_pu: float

    def ahead(self) -> Scenario:
        """The scenario of the rest of the day.

        Raises:
            ValueError: no step is left.
            KeyError: a prosumer was not observed.
        """
        return remaining(self.day, self.step, self.observed, self.slack_voltage_pu)


@dataclass(frozen=True)
class RunningPlan:
    """The plan in force, and the last coordination that was computed, which starts the next one.

    The two differ if the last coordination was no improvement. Everything but ``computed`` is plain data, from which a
    service can resume: the next coordination then starts cold, and still has to be no worse than the plan.

    Attributes:
        begins: step of the day at which the plan begins.
        plan: over the T steps from there to the end of the day.
        v_pu: planned voltages, [T, nodes besides the slack], in the order of ``network.nodes``; 0 in steps in which the
            power flow has no solution.
        slack_q_kvar: planned reactive power at the slack, [T]; of no meaning in such steps. None is unknown: the plan
            is from the journal of an older version.
        bills: costs of each prosumer that the plan expects for these T steps.
        computed_for: step of the day for which the last plan was computed, adopted or not.
        computed: None after a restart, and without coordination.
    """

    begins: int
    plan: Plan
    v_pu: FloatArray
    slack_q_kvar: FloatArray | None
    bills: Mapping[str, Bill]
    computed_for: int
    computed: AgreedDay | None

    @classmethod
    def of(cls, day: DayAhead, begins: int = 0) -> "RunningPlan":
        """A plan that was just computed for the steps from ``begins`` of the day on."""
        computed = day if isinstance(day, AgreedDay) else None
        return cls(begins, day.plan, np.abs(day.flow.v), day.flow.s_slack.imag, day.bills, begins, computed)

    @property
    def adopted(self) -> bool:
        """Whether the plan that was computed last is the one in force."""
        return self.begins == self.computed_for

    def row(self, step: int) -> int:
        """Index of ``step`` of the day in the plan's arrays.

        Raises:
            ValueError: the plan does not contain this step.
        """
        row, steps = step - self.begins, len(self.v_pu)
        if not 0 <= row < steps:
            raise ValueError(f"step {step} is not within the plan of steps {self.begins} to {self.begins + steps - 1}")
        return row

    def voltages_pu(self, step: int) -> FloatArray:
        """Planned voltages of one step of the day, p.u., [nodes besides the slack].

        Raises:
            ValueError: the plan does not contain this step.
        """
        return np.asarray(self.v_pu[self.row(step)])

    def reactive_kvar(self, step: int) -> float | None:
        """Planned reactive power at the slack in one step of the day, kvar; None is unknown.

        Raises:
            ValueError: the plan does not contain this step.
        """
        row = self.row(step)
        return None if self.slack_q_kvar is None else float(self.slack_q_kvar[row])

    def prices_chf_per_kwh(self, step: int) -> dict[str, float]:
        """Each prosumer's marginal price in one step of the day.

        Raises:
            ValueError: the plan does not contain this step.
        """
        row, dt_h = self.row(step), self.plan.axis.dt_h
        return {
            name: float(marginal_price_chf_per_kwh(agreement.signal, agreement.profile.x, dt_h)[row])
            for name, agreement in self.plan.agreements.items()
        }

    def profiles(self, step: int) -> FloatArray:
        """Planned demand from ``step`` of the day on, kW and kvar, [N, T − step, 2].

        Raises:
            ValueError: the plan does not contain this step.
        """
        row = self.row(step)
        return np.stack([agreement.profile.x[row:] for agreement in self.plan.agreements.values()])

    def warm_start(self, step: int, grid: GridModel) -> WarmStart | None:
        """Start of the coordination from ``step`` on, with ``grid`` as expected now; None for a cold start.

        Raises:
            ValueError: the last coordination was computed for a later step.
        """
        if self.computed is None:
            return None
        passed = step - self.computed_for
        if passed < 0:
            raise ValueError(f"step {step} lies before step {self.computed_for}, for which was planned already")
        return self.computed.outcome.warm_start.shifted(passed, grid)


def replan(
    now: Situation,
    running: RunningPlan | None,
    settings: CoordinationConfig,
    clock: Clock,
    solver: str = PIQP,
    carry: Carrier = rounds.run,
) -> RunningPlan:
    """Coordinate the rest of the day, and decide whether the new plan replaces the running one.

    Raises:
        ValueError: no step is left, or the running plan does not reach this step.
        KeyError: a prosumer was not observed.
        CoordinationError, SolverError, SolverLicenceError: as :func:`mpc.day_ahead.coordinate`; the running plan is
            unaffected.
    """
    ahead, step = now.ahead(), now.step
    prosumers = participants(ahead, solver)
    if running is None:
        return RunningPlan.of(agree(ahead.problem, prosumers, settings, clock, carry), step)
    grid = GridModel(ahead.problem, violation_price_chf_per_kwh(settings, ahead.tariff))
    planned, warm = running.profiles(step), running.warm_start(step, grid)
    new = agree(ahead.problem, prosumers, settings, clock, carry, warm)
    if _no_worse(new, planned, grid):
        return RunningPlan.of(new, step)
    return replace(running, computed_for=step, computed=new)


def replan_uncoordinated(now: Situation, settings: CoordinationConfig, solver: str = PIQP) -> RunningPlan:
    """The baseline: from now on every prosumer minimises its own bill under the tariff alone.

    Raises:
        ValueError, KeyError, SolverError, SolverLicenceError: as :func:`replan`.
    """
    ahead = now.ahead()
    return RunningPlan.of(uncoordinated(ahead.problem, participants(ahead, solver), settings), now.step)


def _no_worse(new: AgreedDay, planned: FloatArray, grid: GridModel) -> bool:
    """Whether the new plan may replace the profiles ``planned`` before, [N, T, 2]."""
    profiles = [agreement.profile.x for agreement in new.plan.agreements.values()]
    if not np.isfinite(profiles).all():
        return False
    if new.outcome.status in (CoordinationStatus.CONVERGED, CoordinationStatus.INFEASIBLE):
        return True
    return new.violation.worst_pu <= grid.violation(grid.flow(planned)).worst_pu
