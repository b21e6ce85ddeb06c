"""Intra-day MPC: the coordination once more over what is left of the day (paper A, sections 3.5 and 4.3).

Every cycle the horizon shrinks by what has passed, forecasts are corrected by what was observed, and the last cycle's
multipliers, copies and penalty start the new one. The plan in force changes only for one that is no worse: a
coordination that ran out of budget is adopted if the AC power flow finds it no further from the limits than the
running plan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from core.assets import FloatArray
from core.config import CoordinationConfig
from core.scenario import Scenario
from core.time import Clock
from mpc.coordination.outcome import Iteration, Status
from mpc.day_ahead import CoordinatedDay, coordinate
from mpc.forecast import Observed, remaining
from mpc.grid_rows import GridModel
from mpc.price import violation_price_chf_per_kwh
from mpc.quadratic_program import PIQP


@dataclass(frozen=True)
class Running:
    """The plan in force, whose first step is step ``begins`` of the day; ``computed`` the last one that was computed.

    The two differ when the last coordination was no improvement; it is still the better warm start.
    """

    begins: int
    plan: CoordinatedDay
    computed_for: int
    computed: CoordinatedDay

    def profiles(self, step: int) -> FloatArray:
        """Planned demand from ``step`` of the day on, [N, T − step, 2]."""
        agreements = self.plan.plan.agreements.values()
        return np.stack([agreement.profile.x[step - self.begins :] for agreement in agreements])


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
        ValueError: no step is left.
        SolverError, SolverLicenceError: a prosumer's solver gave no answer; the running plan stays what it was.
    """
    ahead = remaining(day, step, observed, slack_voltage_pu)
    warm = running.computed.outcome.splitting.after(step - running.computed_for) if running else None
    new = coordinate(ahead, settings, clock, solver, warm, observer)
    if running is None or _no_worse(new, running.profiles(step), settings):
        return Running(step, new, step, new)
    return Running(running.begins, running.plan, step, new)


def _no_worse(new: CoordinatedDay, planned: FloatArray, settings: CoordinationConfig) -> bool:
    """Whether the new plan may replace profiles that were planned before, [N, T, 2]."""
    profiles = [agreement.profile.x for agreement in new.plan.agreements.values()]
    if not np.isfinite(profiles).all():
        return False
    if new.outcome.status in (Status.CONVERGED, Status.INFEASIBLE):
        return True
    grid = GridModel(new.scenario, violation_price_chf_per_kwh(settings, new.scenario.tariff))
    return new.violation.worst_pu <= grid.violation(grid.flow(planned)).worst_pu
