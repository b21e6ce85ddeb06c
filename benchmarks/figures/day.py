"""The default day: voltages, one prosumer, and prices."""

from functools import cache

import numpy as np
from matplotlib.figure import Figure

from benchmarks.cases import coordinate, scenario
from benchmarks.figures.style import AFTER, BEFORE, BLUE, ORANGE, clock, edges, limit, panels, stairs
from controller.report.primitives.style import COLOURS, GRID, INK
from core.config_coordination import CoordinationConfig
from mpc.day_ahead import CoordinatedDay, DayAhead
from mpc.price import average_price_chf_per_kwh, marginal_price_chf_per_kwh
from tests.support.coordination import uncoordinated

LAST = "N9"


@cache
def both() -> tuple[DayAhead, CoordinatedDay]:
    """The default scenario without and with coordination."""
    return uncoordinated(scenario(), CoordinationConfig()), coordinate(scenario())


def voltages() -> Figure:
    """Range of all nodal voltages, and reactive power at the slack."""
    case = scenario()
    figure, (top, bottom) = panels(2, 1, 3.8, sharex=True, height_ratios=(3, 2))
    for day, look, label in zip(both(), (BEFORE, AFTER), ("without coordination", "with"), strict=True):
        v = np.abs(day.flow.v)
        top.fill_between(edges(case.axis)[:-1], v.min(axis=1), v.max(axis=1), step="post", color=look["color"],
                         alpha=0.25, linewidth=0)  # fmt: skip
        stairs(top, case.axis, v.max(axis=1), **look, label=label)
        stairs(top, case.axis, v.min(axis=1), **look)
        stairs(bottom, case.axis, day.flow.s_slack.imag, **look)
    limit(top, case.limits.v_min_pu, case.limits.v_max_pu)
    limit(bottom, -case.limits.slack_q_max_kvar, case.limits.slack_q_max_kvar)
    top.set(ylabel="p.u.", title="Lowest to highest voltage of N2 … N9")
    top.legend(loc="upper right")
    bottom.set(ylabel="kvar", title="Reactive power drawn at the slack N1")
    clock(bottom, case.axis)
    return figure


def prosumer() -> Figure:
    """PV, battery and state of charge of the prosumer at the end of the feeder."""
    case = scenario()
    figure, axes = panels(3, 1, 4.4, sharex=True)
    available = both()[0].plan.prosumers[LAST].pv_available_kw
    axes[0].stairs(available, edges(case.axis), fill=True, color=GRID, label="available")
    for day, look, label in zip(both(), (BEFORE, AFTER), ("without coordination", "with"), strict=True):
        plan = day.plan.prosumers[LAST]
        assert plan.soc is not None
        stairs(axes[0], case.axis, plan.pv_kw, **look, label=label)
        stairs(axes[1], case.axis, plan.battery_kw, **look)
        axes[2].plot(edges(case.axis)[1:], plan.soc, linewidth=1.2, **look)
    axes[0].set(ylabel="kW", title=f"PV of {LAST}")
    axes[0].legend(loc="upper right")
    battery = next(site.battery for site in case.sites if site.name == LAST)
    assert battery is not None
    limit(axes[1], -battery.power_box_kw, battery.power_box_kw)
    axes[1].set(ylabel="kW", title="Battery, discharge positive")
    limit(axes[2], battery.soc_min, battery.soc_max)
    axes[2].set(ylabel="SoC", ylim=(0, 1), title="State of charge at the end of the step")
    clock(axes[2], case.axis)
    return figure


def prices() -> Figure:
    """Marginal prices of all prosumers over the tariff; below, marginal and average price of the last one."""
    case, (_, day) = scenario(), both()
    tariff, dt_h = case.tariff.buy_chf_per_kwh, case.axis.dt_h
    figure, (top, bottom) = panels(2, 1, 4.2, sharex=True, sharey=True)
    for (name, agreement), colour in zip(day.plan.agreements.items(), COLOURS, strict=False):
        price = marginal_price_chf_per_kwh(agreement.signal, agreement.profile.x, dt_h)
        stairs(top, case.axis, price, color=colour, label=name, linewidth=1.0)
    agreement = day.plan.agreements[LAST]
    marginal, average = (
        price(agreement.signal, agreement.profile.x, dt_h)
        for price in (marginal_price_chf_per_kwh, average_price_chf_per_kwh)
    )
    stairs(bottom, case.axis, average, color=ORANGE, label="average (14)", linestyle=(0, (4, 1.5)))
    stairs(bottom, case.axis, marginal, color=BLUE, label="marginal")
    for ax in (top, bottom):
        stairs(ax, case.axis, tariff, color=INK, linewidth=0.9, linestyle=(0, (1, 1.2)), label="tariff")
        ax.set(ylabel="CHF/kWh")
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    top.set(title="Marginal price of each prosumer")
    bottom.set(title=f"{LAST}: the average price departs from the tariff even where no limit binds")
    clock(bottom, case.axis)
    return figure
