"""What the plans of a day are drawn on."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from controller.report.primitives.participants import Participants
from core.time import TimeAxis

Plan = Mapping[str, pd.DataFrame]
"""By quantity as named in plan.csv, [T, prosumers]; ``soc`` is empty without a battery."""


@dataclass(frozen=True)
class Drawing:
    """Who is drawn, on which time axis, and all plans and voltages that share one scale.

    Attributes:
        v_pu: [T, nodes] each; none where voltages are not known.
    """

    participants: Participants
    axis: TimeAxis
    plans: tuple[Plan, ...]
    v_pu: tuple[pd.DataFrame, ...] = ()
