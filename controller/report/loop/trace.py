"""Plots thousands of samples as a line that needs little storage and shows all extremes."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from controller.report.primitives.style import Look
from core.arrays import FloatArray

BUCKETS = 480
"""More buckets would be closer together than a printer's dots."""


def plot_samples(ax: Axes, hours: FloatArray, values: ArrayLike, look: Look, **options: Any) -> None:
    """Plot a sampled quantity; gaps stay visible."""
    ax.plot(*envelope(hours, np.asarray(values, float)), **look.line(), **options)


def plot_steps(ax: Axes, hours: FloatArray, values: ArrayLike, look: Look, **options: Any) -> None:
    """Plot a piecewise constant quantity: [K] values between [K + 1] ``hours``."""
    v = np.asarray(values, float)
    same = (v[1:] == v[:-1]) | (np.isnan(v[1:]) & np.isnan(v[:-1]))
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    ax.stairs(v[begins], np.append(hours[begins], hours[-1]), baseline=None, **look.line(), **options)


def envelope(hours: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most the smallest and the largest value of each of :data:`BUCKETS`, in their order of time.

    A bucket with a gap keeps one NaN, so that no line is drawn across it.
    """
    if len(values) <= 2 * BUCKETS:
        return hours, values
    kept = []
    for bucket in np.array_split(np.arange(len(values)), BUCKETS):
        known = bucket[~np.isnan(values[bucket])]
        if len(known) < len(bucket):
            kept.append(bucket[np.isnan(values[bucket])][:1])
        if len(known):
            kept.append(known[[values[known].argmin(), values[known].argmax()]])
    chosen = np.unique(np.concatenate(kept))
    return hours[chosen], values[chosen]
