"""The margins to the limits: how the service learns them, and which ones a plan uses.

Whatever was learned, a plan keeps at least half of the band between two limits: a margin is at most ``LARGEST_SHARE``
of the band on each side, so that no meter can empty it.
"""

from datetime import datetime

import numpy as np

from controller.service.observation import IntervalMeans
from controller.service.plans import Plans
from core.arrays import FloatArray
from core.config import LimitsConfig
from mpc.intra_day import RunningPlan
from mpc.margin import Margin

LARGEST_SHARE = 0.25
"""Largest learned margin, as a share of the band between the limits."""


def learn_margin(margin: Margin, begin: datetime, means: IntervalMeans, plans: Plans) -> Margin:
    """The margin after the interval from ``begin`` on, from the deviations of what was measured from the plan.

    Nothing is learned if no plan reaches ``begin``, nor of what was not planned or not measured.
    """
    current = plans.plan_at(begin)
    if current is None:
        return margin
    running, step = current.running, current.day.step_of(begin)
    planned_kvar, measured_kvar = running.reactive_kvar(step), means.slack_q_kvar
    if planned_kvar is not None and measured_kvar is not None:
        margin = margin.after_reactive(planned_kvar, measured_kvar)
    return _after_voltages(margin, running, step, means)


def _after_voltages(margin: Margin, running: RunningPlan, step: int, means: IntervalMeans) -> Margin:
    """A node that was not measured gets the worst deviation of the others."""
    if all(v is None for v in means.v_pu):
        return margin
    predicted = running.voltages_pu(step)
    measured = np.array([np.nan if v is None else v for v in means.v_pu])
    worst: FloatArray = np.nanmax(np.abs(measured - predicted))
    return margin.after(predicted, np.where(np.isnan(measured), predicted + worst, measured))


def margin_pu(limits: LimitsConfig, margin: Margin) -> float | FloatArray:
    """The margin to plan with (p.u.): the learned one of each node besides the slack, or the configured one."""
    if limits.margin == "auto":
        return np.minimum(margin.margin_pu, LARGEST_SHARE * (limits.v_max_pu - limits.v_min_pu))
    return 0.0 if limits.margin == "off" else limits.margin


def reactive_margin_kvar(limits: LimitsConfig, margin: Margin) -> float:
    """The margin to the limit of reactive power at the slack to plan with (kvar): the learned or the configured one."""
    if limits.reactive_margin == "auto":
        limit_kvar = limits.limits().slack_q_max_kvar
        return min(margin.margin_kvar(limit_kvar), LARGEST_SHARE * 2 * limit_kvar)
    return 0.0 if limits.reactive_margin == "off" else limits.reactive_margin
