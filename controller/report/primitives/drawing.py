"""The common data of the figures of a day."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from controller.report.primitives.participants import Participants
from core.time import TimeAxis

Plan = Mapping[str, pd.DataFrame]
"""Quantity as named in plan.csv → [T, prosumers]; ``soc`` is NaN without a battery."""


@dataclass(frozen=True)
class Drawing:
    """The participants and time axis of figures, and all plans and voltages that share one scale.

    Attributes:
        v_pu: [T, nodes] each; empty if voltages are unknown.
    """

    participants: Participants
    axis: TimeAxis
    plans: tuple[Plan, ...]
    v_pu: tuple[pd.DataFrame, ...] = ()
