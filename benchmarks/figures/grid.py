"""The grid: power flow and its tangents, the polygon of currents, and limits that cannot be held."""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon

from benchmarks.cases import coordinate, grid_of, scenario
from benchmarks.figures.style import BLUE, GREEN, ORANGE, clock, limit, panels, stairs
from controller.report.primitives.style import INK, LIMIT, QUIET
from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.scenario import Scenario
from mpc.grid.rows import DIRECTIONS, INSIDE_DISC
from tests.support.coordination import uncoordinated
from tests.support.synthetic import random_demand

I_MAX_A = 16.0
"""Rating of the first line, A, chosen so that it binds; the default scenario has none."""


def power_flow() -> Figure:
    """Left: |V| over the load with tangents, up to collapse. Right: the error of the rows is of second order."""
    case = scenario()
    grid = grid_of(case)
    figure, (left, right) = panels(1, 2, 2.6)

    load = np.linspace(-8, 12, case.axis.n_steps)
    everywhere = np.stack([np.column_stack([load, np.zeros_like(load)])] * len(case.sites))
    flow = grid.flow(everywhere)
    v = np.where(flow.solved, np.abs(flow.v[:, -1]), np.nan)
    left.plot(load, v, color=BLUE, label="AC power flow")
    for at, colour in ((0.0, ORANGE), (4.0, GREEN)):
        x = np.stack([np.tile([at, 0.0], (case.axis.n_steps, 1))] * len(case.sites))
        rows = grid.linearise(x)
        linear = (rows.value(everywhere) - rows.offset) * rows.norm
        last = v.shape[0], grid.flow(x).v.shape[1] - 1
        left.plot(load, linear[:, last[1]], color=colour, linewidth=0.9, linestyle=(0, (4, 1.5)),
                  label=f"tangent at {at:g} kW")  # fmt: skip
        left.plot(at, np.abs(grid.flow(x).v[0, -1]), "o", color=colour, markersize=3.5)
    end = load[flow.solved][-1]
    left.axvspan(end, load[-1], color="#eeeeee")
    left.text((end + load[-1]) / 2, 1.12, "collapse", color=QUIET, ha="center", fontsize=7)
    left.set(xlim=load[[0, -1]], ylim=(0.45, 1.2), xlabel="demand of each of the five prosumers, kW",
             ylabel="voltage at N9, p.u.", title="Power flow and two tangents")  # fmt: skip
    left.legend(loc="lower left")

    x, direction = random_demand(case, 1, 1.0, 0.3), random_demand(case, 2, 1.0, 0.3)
    rows = grid.linearise(x)
    distance = np.logspace(-3, 0.7, 20)
    error = [grid.linearisation_error_pu(rows, y, grid.flow(y)) for y in (x + d * direction for d in distance)]
    right.loglog(distance, error, "o", color=BLUE, markersize=3, label="largest |linear − AC|, (19)")
    right.loglog(distance, error[8] * (distance / distance[8]) ** 2, color=QUIET, linewidth=0.9, label="slope 2")
    right.axhline(1e-5, color=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2)))
    right.annotate("linearisation_tol_pu", (distance[0], 1.4e-5), color=LIMIT, fontsize=7)
    right.set(xlabel="largest change of a demand since linearising, kW", ylabel="error, comparable p.u.",
              title="The error of the rows is of second order")  # fmt: skip
    right.legend(loc="lower right")
    return figure


def current_polygon() -> Figure:
    """The current of the first line through the day, without and with coordination, in disc and polygon."""
    case = with_rated_line(scenario())
    selfish, agreed = uncoordinated(case, CoordinationConfig()), coordinate(case)
    figure, (whole, detail) = panels(1, 2, 3.0)
    angles = np.pi * (np.arange(16) + 0.5) / 8
    corners = I_MAX_A * np.column_stack([np.cos(angles), np.sin(angles)])
    for ax in (whole, detail):
        ax.add_patch(Circle((0, 0), I_MAX_A, fill=False, edgecolor=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2))))
        ax.add_patch(Polygon(corners, fill=False, edgecolor=INK, linewidth=0.9))
        for day, colour, marker, label in (
            (selfish, ORANGE, "x", "without coordination"),
            (agreed, BLUE, "o", "with"),
        ):
            i = day.flow.i[:, 0]
            ax.plot(i.real, i.imag, marker, color=colour, markersize=2.6, markeredgewidth=0.8, linestyle="none",
                    label=label)  # fmt: skip
        ax.set_aspect("equal")
        ax.set(xlabel="real part of the current N1–N2, A", ylabel="imaginary part, A")
    for d in DIRECTIONS:
        whole.plot(*np.column_stack([[-d.real, -d.imag], [d.real, d.imag]]) * INSIDE_DISC * I_MAX_A, color=QUIET,
                   linewidth=0.5)  # fmt: skip
    whole.set(xlim=(-32, 22), ylim=(-20, 20), title=f"Limit of {I_MAX_A:g} A: disc, 16-gon, its 8 directions")
    whole.legend(loc="upper left")
    detail.set(xlim=(-17, -13), ylim=(-6, -2), title="Where it binds: inside the disc by at most 2 %")
    detail.set_xticks(range(-17, -12))
    return figure


def elastic() -> Figure:
    """A dip of the supply voltage in the evening for which the batteries cannot compensate."""
    case = scenario()
    hour = np.array([t.hour + t.minute / 60 for t in case.axis.times])
    supply: FloatArray = 1 - 0.07 * np.exp(-(((hour - 20) / 2.5) ** 4))
    case = replace(case, slack_voltage_pu=supply)
    agreed = coordinate(case)
    outcome = agreed.outcome
    figure, (top, bottom) = panels(2, 1, 3.4, sharex=True)
    stairs(top, case.axis, supply, color=QUIET, label="supply, N1")
    stairs(top, case.axis, np.abs(agreed.flow.v).min(axis=1), color=BLUE, label="lowest voltage of N2 … N9")
    limit(top, case.limits.v_min_pu)
    title = f"A limit that nobody can hold: {outcome.status} after {len(outcome.iterations)} rounds"
    top.set(ylabel="p.u.", title=f"{title}, {outcome.best.unheld_pu:.3f} p.u. unheld")
    top.legend(loc="upper right")
    rows = outcome.splitting.rows
    share = np.abs(outcome.splitting.row_prices / np.where(rows.kappa > 0, rows.kappa, 1)).max(axis=1)
    stairs(bottom, case.axis, share, color=ORANGE)
    limit(bottom, 1.0)
    bottom.set(ylabel="largest |λ| / κ", ylim=(0, 1.08), title="Row prices rise to their cap κ and stop there")
    clock(bottom, case.axis)
    return figure


def with_rated_line(case: Scenario) -> Scenario:
    """The scenario with its first line limited to ``I_MAX_A``."""
    first, *others = case.network.lines
    return replace(case, network=replace(case.network, lines=(replace(first, i_max_a=I_MAX_A), *others)))
