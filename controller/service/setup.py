"""What a service is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.live.state import LiveState
from core.config import Config
from realtime.node import NodeLimits
from realtime.shares import by_rating, share_of
from realtime.timing import REQUEST_TIMEOUT_S


@dataclass(frozen=True)
class Setup:
    """See the module.

    Attributes:
        path: where ``config`` was read from.
        folder: of the run: audit trail, telemetry, tables.
        state: folder of what outlives a run: the journal, the heartbeat that the guardian watches.
        tables: whether to write the CSV tables of a simulated run.
        coordinate: False for the selfish baseline.
        patience_s: real time that a cycle waits for readings, so that a slow device delays no other. In a simulated
            run every device answers within it, for the sake of repeatability.
        live: what a live page shows, if there is one.
        boot: of this computer, see :func:`controller.process.heartbeat.boot_id`; None in virtual time.
        planner: socket of a planner that is a service of its own; None keeps one as a child process.
    """

    config: Config
    path: Path
    folder: Path
    state: Path
    tables: bool = False
    coordinate: bool = True
    patience_s: float = REQUEST_TIMEOUT_S
    live: LiveState | None = None
    boot: str | None = None
    planner: Path | None = None


def node_limits(config: Config) -> dict[str, NodeLimits]:
    """What does not change, of every converter that a prosumer has, by name."""
    converters, limits = config.converters, dict[str, NodeLimits]()
    for prosumer in config.prosumers:
        battery = prosumer.battery.battery() if prosumer.battery else None
        shares = by_rating({name: converters[name].s_max_kva for name in prosumer.converters})
        limits |= {
            name: NodeLimits(
                prosumer=prosumer.name,
                battery=share_of(battery, share) if battery else None,
                s_max_kva=converters[name].s_max_kva,
                ramp_kva_per_s=converters[name].ramp_kva_per_s,
                share=share,
                cycle_s=config.schedule.realtime_s,
            )
            for name, share in shares.items()
        }
    return limits


def rated_kva(config: Config) -> Mapping[str, float]:
    """What the converters of each prosumer can do together, by prosumer; a passive house has no entry."""
    converters = config.converters
    return {p.name: sum(converters[name].s_max_kva for name in p.converters) for p in config.prosumers if p.converters}
