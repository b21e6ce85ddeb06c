"""Thousands of samples as a line that is small to store and hides nothing."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from controller.report.primitives.style import Look
from core.arrays import FloatArray

BUCKETS = 480
"""More would be closer together than a printer's dots."""


def trace(ax: Axes, hours: FloatArray, values: ArrayLike, look: Look, **options: Any) -> None:
    """A sampled quantity; gaps stay gaps."""
    ax.plot(*thinned(hours, np.asarray(values, float)), **look.line(), **options)


def held(ax: Axes, hours: FloatArray, values: ArrayLike, look: Look, **options: Any) -> None:
    """A quantity that keeps its value until it changes; [K] values between [K + 1] ``hours``."""
    v = np.asarray(values, float)
    same = (v[1:] == v[:-1]) | (np.isnan(v[1:]) & np.isnan(v[:-1]))
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    ax.stairs(v[begins], np.append(hours[begins], hours[-1]), baseline=None, **look.line(), **options)


def thinned(hours: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most the least and the largest value of each of :data:`BUCKETS`, in the order in which they came.

    A bucket with a gap keeps one, so that no line is drawn over it.
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
