"""Convergence of an algorithm: the same figure for all kinds of problems."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.report.primitives.style import COLOURS, DASHES, WIDTH_IN, Legend, Look, handle, log_scale, styled
from controller.report.solve.record import SolveRecord
from core.arrays import FloatArray

OBJECTIVE, BOUND = Look(COLOURS[0]), Look(COLOURS[4], DASHES[1])
PRIMAL, DUAL, GAP, VIOLATION = Look(COLOURS[0]), Look(COLOURS[1], DASHES[1]), Look(COLOURS[2]), Look(COLOURS[3])


@styled
def convergence_figure(record: SolveRecord) -> Figure:
    """Objective and bound; gap, violation and residuals on a logarithmic axis; the penalty. By rounds."""
    rounds = record.rounds
    figure = Figure(figsize=(WIDTH_IN, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, rounds["round"].to_numpy(float), {
        "objective": (rounds["objective"].to_numpy(float), OBJECTIVE),
        "lower bound": (rounds["bound"].to_numpy(float), BOUND),
    })  # fmt: skip
    left.set_title("objective of the best answers so far")
    sizes = {
        "gap": (rounds["gap_rel"], GAP), "violation": (rounds["violation"], VIOLATION),
        "primal residual": (rounds["primal"], PRIMAL), "dual residual": (rounds["dual"], DUAL),
    }  # fmt: skip
    shown = {name: (_positive(values.to_numpy(float)), look) for name, (values, look) in sizes.items()}
    _panel(right, rounds["round"].to_numpy(float), shown)
    right.set_title("gap, violation and residuals; what is 0 is not drawn")
    if any(np.isfinite(values).any() for values, _ in shown.values()):
        log_scale(right)
    for ax in (left, right):
        ax.set_xlabel("round")
    return figure


def _panel(ax: Axes, x: FloatArray, lines: dict[str, tuple[FloatArray, Look]]) -> None:
    legend = Legend()
    for name, (values, look) in lines.items():
        if np.isfinite(values).any():
            ax.plot(x, values, **look.line())
            legend.add(name, handle(look))
    if legend.entries:
        ax.legend(list(legend.entries.values()), list(legend.entries), loc="upper right")


def _positive(values: FloatArray) -> FloatArray:
    """The values, NaN where they are not positive."""
    return np.where(values > 0, values, np.nan)
