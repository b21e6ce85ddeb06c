"""Intra-day MPC: the coordination once more over what is left of the day (paper A, sections 3.5 and 4.3).

Every cycle the horizon shrinks by what has passed, forecasts are corrected by what was observed, and the last cycle's
multipliers and copies start the new one, on rows of the grid as it is expected now. The plan in force changes only for
one that is no worse: a coordination that ran out of budget is adopted if the AC power flow finds it no further from the
limits than the running plan.
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
from mpc.day_ahead import Bill, CoordinatedDay, DayAhead, coordinate, uncoordinated
from mpc.forecast import Observed, remaining
from mpc.grid.rows import GridModel
from mpc.price import marginal_price_chf_per_kwh, violation_price_chf_per_kwh
from mpc.prosumer import participants
from mpc.solvers.quadratic import PIQP


@dataclass(frozen=True)
class Situation:
    """What is known at a step of a day.

    Attributes:
        day: the whole day as forecast, with the voltage margin as it is now.
        step: step of the day that begins now.
        observed: load, PV and state of charge of each prosumer, by name.
        slack_voltage_pu: supply voltage as last observed.
    """

    day: Scenario
    step: int
    observed: Mapping[str, Observed]
    slack_voltage_pu: float

    def ahead(self) -> Scenario:
        """What is left of the day.

        Raises:
            ValueError: no step is left.
            KeyError: a prosumer was not observed.
        """
        return remaining(self.day, self.step, self.observed, self.slack_voltage_pu)


@dataclass(frozen=True)
class Running:
    """The plan in force, and the last coordination that was computed: the next warm start.

    The two differ when the last coordination was no improvement. Everything but ``computed`` is plain numbers by name,
    enough to resume from: the next coordination then starts cold, but still has to be no worse than the plan.

    Attributes:
        begins: step of the day at which the plan begins.
        plan: over the T steps from there to the end of the day.
        v_pu: planned voltages, [T, nodes besides the slack], in the order of ``network.nodes``; 0 where the power flow
            has collapsed.
        bills: what the plan promises each prosumer for these T steps.
        computed_for: step of the day for which the last plan was computed, adopted or not.
        computed: None after a restart, and where nobody coordinates.
    """

    begins: int
    plan: Plan
    v_pu: FloatArray
    bills: Mapping[str, Bill]
    computed_for: int
    computed: CoordinatedDay | None

    @classmethod
    def of(cls, day: DayAhead, begins: int = 0) -> "Running":
        """A plan that was just computed for step ``begins`` of the day and all after it."""
        computed = day if isinstance(day, CoordinatedDay) else None
        return cls(begins, day.plan, np.abs(day.flow.v), day.bills, begins, computed)

    @property
    def adopted(self) -> bool:
        """Whether the plan that was computed last is the one in force."""
        return self.begins == self.computed_for

    def row(self, step: int) -> int:
        """Where the plan's arrays hold ``step`` of the day.

        Raises:
            ValueError: the plan does not contain this step.
        """
        row, steps = step - self.begins, len(self.v_pu)
        if not 0 <= row < steps:
            raise ValueError(f"step {step} is not within the plan of steps {self.begins} to {self.begins + steps - 1}")
        return row

    def voltages_pu(self, step: int) -> FloatArray:
        """Planned voltages of one step of the day, [nodes besides the slack].

        Raises:
            ValueError: the plan does not contain this step.
        """
        return np.asarray(self.v_pu[self.row(step)])

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
        """Planned demand from ``step`` of the day on, [N, T − step, 2].

        Raises:
            ValueError: the plan does not contain this step.
        """
        row = self.row(step)
        return np.stack([agreement.profile.x[row:] for agreement in self.plan.agreements.values()])

    def warm_start(self, step: int, grid: GridModel) -> WarmStart | None:
        """Where the coordination from ``step`` on may begin, for ``grid`` as it is expected now; None: cold.

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
    running: Running | None,
    settings: CoordinationConfig,
    clock: Clock,
    solver: str = PIQP,
    carry: Carrier = rounds.run,
) -> Running:
    """Coordinate the rest of the day and decide what is in force then.

    Raises:
        ValueError: no step is left, or the running plan does not reach this step.
        KeyError: a prosumer was not observed.
        CoordinationError, SolverError, SolverLicenceError: as :func:`mpc.day_ahead.coordinate`; the running plan stays
            what it was.
    """
    ahead, step = now.ahead(), now.step
    prosumers = participants(ahead, solver)
    if running is None:
        return Running.of(coordinate(ahead.problem, prosumers, settings, clock, carry), step)
    grid = GridModel(ahead.problem, violation_price_chf_per_kwh(settings, ahead.tariff))
    planned, warm = running.profiles(step), running.warm_start(step, grid)
    new = coordinate(ahead.problem, prosumers, settings, clock, carry, warm)
    if _no_worse(new, planned, grid):
        return Running.of(new, step)
    return replace(running, computed_for=step, computed=new)


def replan_uncoordinated(now: Situation, settings: CoordinationConfig, solver: str = PIQP) -> Running:
    """The baseline: from now on everybody minimises their own bill under the tariff alone.

    Raises:
        ValueError, KeyError, SolverError, SolverLicenceError: as :func:`replan`.
    """
    ahead = now.ahead()
    return Running.of(uncoordinated(ahead.problem, participants(ahead, solver), settings), now.step)


def _no_worse(new: CoordinatedDay, planned: FloatArray, grid: GridModel) -> bool:
    """Whether the new plan may replace profiles that were planned before, [N, T, 2]."""
    profiles = [agreement.profile.x for agreement in new.plan.agreements.values()]
    if not np.isfinite(profiles).all():
        return False
    if new.outcome.status in (CoordinationStatus.CONVERGED, CoordinationStatus.INFEASIBLE):
        return True
    return new.violation.worst_pu <= grid.violation(grid.flow(planned)).worst_pu
