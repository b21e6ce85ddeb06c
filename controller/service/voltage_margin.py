"""The margin to the voltage limits: how the service learns it, and which one a plan uses.

Whatever was learned, a plan keeps at least half of the band between the limits: a margin is at most ``LARGEST_SHARE``
of the band on each side, so that no meter can empty it.
"""

from datetime import datetime

import numpy as np

from controller.service.observation import IntervalMeans
from controller.service.plans import Plans
from core.arrays import FloatArray
from core.config import LimitsConfig
from mpc.margin import Margin

LARGEST_SHARE = 0.25
"""Largest learned margin, as a share of the band between the voltage limits."""


def learn_margin(margin: Margin, begin: datetime, means: IntervalMeans, plans: Plans) -> Margin:
    """The margin after the interval from ``begin`` on, from the deviations of its voltages from the planned ones.

    A node that was not measured gets the worst deviation of the others. Nothing is learned if no plan reaches ``begin``
    or no voltage was measured.
    """
    current = plans.plan_at(begin)
    if current is None or all(v is None for v in means.v_pu):
        return margin
    predicted = current.running.voltages_pu(current.day.step_of(begin))
    measured = np.array([np.nan if v is None else v for v in means.v_pu])
    worst: FloatArray = np.nanmax(np.abs(measured - predicted))
    return margin.after(predicted, np.where(np.isnan(measured), predicted + worst, measured))


def margin_pu(limits: LimitsConfig, margin: Margin) -> float | FloatArray:
    """The margin to plan with (p.u.): the learned one of each node besides the slack, or the configured one."""
    if limits.margin == "auto":
        return np.minimum(margin.margin_pu, LARGEST_SHARE * (limits.v_max_pu - limits.v_min_pu))
    return 0.0 if limits.margin == "off" else limits.margin
