"""The key figures at the top of a page about sampled data: voltages, power at the supply, durations."""

from controller.accounts.supply_quality import ReactiveQuality
from controller.accounts.voltage_quality import VoltageQuality
from controller.report.loop.summary import SampledSummary
from controller.report.primitives.amounts import NOT_MEASURED, UNKNOWN, magnitude, number, percent
from controller.report.primitives.markup import Markup
from controller.report.primitives.page import tile


def quality(summary: SampledSummary) -> str:
    """What was measured of voltages and of the reactive power at the supply, in sentences."""
    measured, supply = summary.measured, summary.supply
    if not measured.means_10min:
        return "No voltage was measured."
    share = percent(measured.outside_10min / measured.means_10min)
    words = (
        f"{share} of the 10-min mean voltages lie outside the limits, the worst by "
        f"{magnitude(measured.worst_mean_pu)} p.u.; single samples by at most {magnitude(measured.worst_pu)} p.u."
    )
    if supply is None or not supply.outside_10min:
        return words
    outside = percent(supply.outside_10min / supply.means_10min)
    return (
        f"{words} Of the reactive power at the supply {outside} do, the worst by {magnitude(supply.worst_kvar)} kvar."
    )


def reached(measured: VoltageQuality) -> str:
    """The lowest and the highest voltage."""
    low, high = measured.v_min_pu, measured.v_max_pu
    return NOT_MEASURED if low is None or high is None else f"{low:.4f} … {high:.4f}"


def counted(means: VoltageQuality | ReactiveQuality) -> str:
    """How many ten-minute means are outside."""
    return f"{means.outside_10min} of {means.means_10min}" if means.means_10min else NOT_MEASURED


def supply_tile(summary: SampledSummary, without: ReactiveQuality | None = None) -> list[Markup]:
    """The reactive power at the supply, beside that of the day ``without`` coordination if there is one."""
    if summary.supply is None:
        return []
    beyond = f"limit {number(summary.supply.limit_kvar, 2)} kvar, worst beyond {magnitude(summary.supply.worst_kvar)}"
    if without is not None:
        beyond = f"without coordination: {counted(without)}; {beyond}"
    return [tile("10-min means of reactive power outside", counted(summary.supply), beyond)]


def durations(summary: SampledSummary) -> list[Markup]:
    """How long cycles and runs of the MPC took."""
    mpc, realtime = summary.mpc, summary.realtime
    times = f"median {_ms(realtime.p50_ms)}, longest {_ms(realtime.max_ms)}; {realtime.missed} missed"
    tiles = [tile("Cycle, 99 %", _ms(realtime.p99_ms), times)]
    if summary.coordinated and mpc.runs:
        times = f"median {_ms(mpc.p50_ms)}, 95 % {_ms(mpc.p95_ms)}, longest {_ms(mpc.max_ms)}"
        tiles.insert(0, tile("MPC runs converged", f"{mpc.converged} of {mpc.runs}", times))
    return tiles


def _ms(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{number(value / 1e3, 2)} s" if value >= 1e3 else f"{number(value, 0 if value >= 10 else 1)} ms"
