"""The sampling times of a run, and for how long each sample is valid."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from core.arrays import FloatArray
from core.time import TimeAxis

CLOSE_H = 1e-9


@dataclass(frozen=True)
class Span:
    """Sampling times (aware, ascending), and the end of the interval that starts at the last one (may be equal to
    it).
    """

    times: pd.DatetimeIndex
    end: datetime

    @property
    def begin(self) -> datetime:
        """The first sample."""
        return pd.Timestamp(self.times[0]).to_pydatetime()

    @property
    def hours(self) -> FloatArray:
        """Time from each sample to the next one or the end (h), [K]."""
        return np.diff(self._since(self.begin), append=(self.end - self.begin) / timedelta(hours=1))

    def steps(self, axis: TimeAxis) -> tuple[int, int]:
        """The first step of ``axis`` that the span overlaps, and the one after the last.

        Raises:
            ValueError: the axis does not contain the span.
        """
        step = timedelta(minutes=axis.step_min)
        first, last = (self.begin - axis.start) // step, -((axis.start - self.end) // step)
        if not 0 <= first < last <= axis.n_steps:
            raise ValueError(f"a run from {self.begin} to {self.end} is not within {axis.start} … {axis.end}")
        return first, last

    def step_of(self, axis: TimeAxis) -> np.ndarray:
        """The step of ``axis`` that each sample lies in, [K]."""
        return np.floor(self._since(axis.start) / axis.dt_h + CLOSE_H).astype(int)

    def hours_in(self, axis: TimeAxis) -> FloatArray:
        """How much of each step of ``axis`` the span covers (h), [T]."""
        begin, end = ((t - axis.start) / timedelta(hours=1) for t in (self.begin, self.end))
        return np.diff(np.clip(axis.dt_h * np.arange(axis.n_steps + 1), begin, end))

    def _since(self, instant: datetime) -> FloatArray:
        return np.asarray((self.times - instant) / pd.Timedelta(hours=1), np.float64)
