"""The constant data of the page: drawing of the grid, limits, names and units."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.live.layout import NodePosition, layout, outward_ends
from core.config import Config
from core.network import GridLimits
from mpc.grid.rows import PU_PER_RATING
from realtime.timing import CYCLE_DEADLINE_S, USE_DATA_S

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Colours of prosumers in the order of the configuration; same as in the report, which needs matplotlib."""


@dataclass(frozen=True)
class SiteLine:
    """A line, from the end nearer to the slack; ``i_max_a`` None: no limit is configured."""

    name: str
    parent: str
    child: str
    i_max_a: float | None


@dataclass(frozen=True)
class SiteProsumer:
    """A prosumer; ``dashed`` counts how often the colours have repeated before it. None: it has no such asset."""

    name: str
    node: str
    colour: str
    dashed: int
    battery_kwh: float | None
    soc_min: float | None
    soc_max: float | None
    pv_peak_kw: float | None


@dataclass(frozen=True)
class PageSite:
    """The constant data. ``places``: columns and rows of the nodes in the drawing; ``zone``: time zone of all times.

    A voltage counts as outside if it is more than ``v_tol_pu`` beyond its band, a power or current if it exceeds its
    limit by more than the share ``rating_tol`` of its rating: the tolerances of the coordination, as in the report.
    """

    name: str
    zone: str
    currency: str
    voltage_v: float
    slack: str
    limits: GridLimits
    v_tol_pu: float
    rating_tol: float
    slack_p_max_kw: float
    slack_q_max_kvar: float
    places: Mapping[str, NodePosition]
    lines: tuple[SiteLine, ...]
    prosumers: tuple[SiteProsumer, ...]
    cycle_s: float
    deadline_ms: float
    stale_s: float
    mpc_every_s: float
    mpc_budget_ms: float
    gap_tol: float

    @classmethod
    def of(cls, config: Config) -> "PageSite":
        """Extract the site from a configuration."""
        network, limits, schedule = config.grid.network(), config.limits.limits(), config.schedule
        ends, tolerance_pu = outward_ends(network), config.coordination.violation_tol_pu
        return cls(
            name=config.name,
            zone=str(config.horizon.timezone),
            currency=config.currency,
            voltage_v=network.voltage_v,
            slack=network.slack,
            limits=limits,
            v_tol_pu=tolerance_pu,
            rating_tol=tolerance_pu / PU_PER_RATING,
            slack_p_max_kw=limits.slack_p_max_kw,
            slack_q_max_kvar=limits.slack_q_max_kvar,
            places=layout(network),
            lines=tuple(SiteLine(line.name, *ends[line.name], line.i_max_a) for line in network.lines),
            prosumers=_prosumers(config),
            cycle_s=schedule.realtime_s,
            deadline_ms=1e3 * CYCLE_DEADLINE_S,
            stale_s=USE_DATA_S,
            mpc_every_s=60.0 * config.mpc_period_min,
            mpc_budget_ms=1e3 * schedule.mpc_budget_s,
            gap_tol=config.coordination.gap_tol,
        )


def _prosumers(config: Config) -> tuple[SiteProsumer, ...]:
    return tuple(
        SiteProsumer(
            name=p.name,
            node=p.node,
            colour=COLOURS[k % len(COLOURS)],
            dashed=k // len(COLOURS),
            battery_kwh=battery.energy_kwh if battery else None,
            soc_min=battery.soc_min if battery else None,
            soc_max=battery.soc_max if battery else None,
            pv_peak_kw=sum(plant.peak_kw for plant in plants) if plants else None,
        )
        for k, p in enumerate(config.prosumers)
        for battery, plants in [(p.battery, p.plants.values()) if p.converters else (None, ())]
    )
