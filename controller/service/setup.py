"""What a service is made of."""

from dataclasses import dataclass
from pathlib import Path

from controller.live.state import LiveState
from core.config import Config
from realtime.node import NodeLimits
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
    """What does not change, of every prosumer with a converter."""
    converters = config.converters
    return {
        p.name: NodeLimits(
            converter=name,
            battery=p.battery.battery() if p.battery else None,
            s_max_kva=converters[name].s_max_kva,
            ramp_kva_per_s=converters[name].ramp_kva_per_s,
            cycle_s=config.schedule.realtime_s,
        )
        for p in config.prosumers
        for name in p.converters
    }
