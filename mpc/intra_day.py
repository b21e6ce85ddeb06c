"""Intra-day MPC: the coordination once more over what is left of the day (paper A, sections 3.5 and 4.3).

Every cycle the horizon shrinks by what has passed, forecasts are corrected by what was observed, and the last cycle's
multipliers and copies start the new one, on rows of the grid as it is expected now. The plan in force changes only for
one that is no worse: a coordination that ran out of budget is adopted if the AC power flow finds it no further from the
limits than the running plan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.config import CoordinationConfig
from core.plan import Plan
from core.scenario import Scenario
from core.time import Clock
from mpc.coordination.outcome import Iteration, Status
from mpc.coordination.star.splitting import Splitting
from mpc.day_ahead import Bill, CoordinatedDay, DayAhead, coordinate, uncoordinated
from mpc.forecast import Observed, remaining
from mpc.grid.rows import GridModel
from mpc.price import marginal_price_chf_per_kwh, violation_price_chf_per_kwh
from mpc.solvers.quadratic import PIQP


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

    def warm_start(self, step: int, grid: GridModel) -> Splitting | None:
        """The last coordination without the steps before ``step``, one update further on the rows of ``grid``.

        Its own rows know neither the margin nor the supply voltage of this moment. ρ is that of its first round: what
        (18) then made of it served that cycle, and would drift from one to the next.

        Raises:
            ValueError: it was computed for a later step.
        """
        if self.computed is None:
            return None
        passed, outcome = step - self.computed_for, self.computed.outcome
        if passed < 0:
            raise ValueError(f"step {step} lies before step {self.computed_for}, for which was planned already")
        x = np.stack([agreement.profile.x[passed:] for agreement in outcome.best.agreements.values()])
        splitting = outcome.splitting.after(passed).with_rho(outcome.iterations[0].rho)
        return splitting.update(x, grid.linearise(x), alpha=1.0)


def replan(
    day: Scenario,
    step: int,
    observed: Mapping[str, Observed],
    slack_voltage_pu: float,
    running: Running | None,
    settings: CoordinationConfig,
    clock: Clock,
    solver: str = PIQP,
    observer: Callable[[Iteration], None] | None = None,
) -> Running:
    """Coordinate the rest of ``day`` from ``step`` on and decide what is in force then.

    Raises:
        ValueError: no step is left, or the running plan does not reach this step.
        KeyError: a prosumer was not observed.
        SolverError, SolverLicenceError: a prosumer's solver gave no answer; the running plan stays what it was.
    """
    ahead = remaining(day, step, observed, slack_voltage_pu)
    if running is None:
        return Running.of(coordinate(ahead, settings, clock, solver, observer=observer), step)
    grid = GridModel(ahead, violation_price_chf_per_kwh(settings, ahead.tariff))
    planned, warm = running.profiles(step), running.warm_start(step, grid)
    new = coordinate(ahead, settings, clock, solver, warm, observer)
    if _no_worse(new, planned, grid):
        return Running.of(new, step)
    return replace(running, computed_for=step, computed=new)


def replan_uncoordinated(
    day: Scenario,
    step: int,
    observed: Mapping[str, Observed],
    slack_voltage_pu: float,
    settings: CoordinationConfig,
    solver: str = PIQP,
) -> Running:
    """The baseline: from ``step`` on everybody minimises their own bill under the tariff alone.

    Raises:
        ValueError, KeyError, SolverError, SolverLicenceError: as :func:`replan`.
    """
    return Running.of(uncoordinated(remaining(day, step, observed, slack_voltage_pu), settings, solver), step)


def _no_worse(new: CoordinatedDay, planned: FloatArray, grid: GridModel) -> bool:
    """Whether the new plan may replace profiles that were planned before, [N, T, 2]."""
    profiles = [agreement.profile.x for agreement in new.plan.agreements.values()]
    if not np.isfinite(profiles).all():
        return False
    if new.outcome.status in (Status.CONVERGED, Status.INFEASIBLE):
        return True
    return new.violation.worst_pu <= grid.violation(grid.flow(planned)).worst_pu
