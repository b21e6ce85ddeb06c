"""Settings of a service beyond its configuration, and the constants of its converters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from controller.live.state import LiveState
from controller.process.guardian_life import YOUNG_S
from controller.process.stop_signals import StopSignals
from controller.service.state_files import StateFiles
from controller.stop.order import StopSwitch
from core.config import Config
from realtime.node import NodeLimits
from realtime.plants import Inverter
from realtime.shares import shares_by_rating
from realtime.timing import REQUEST_TIMEOUT_S


def never() -> bool:
    """Of a wall clock about which nothing is known."""
    return False


@dataclass(frozen=True)
class Setup:
    """Configuration, folders and mode of operation of a service.

    Attributes:
        path: file of ``config``.
        folder: of the run: audit trail, telemetry, tables.
        state: folder of what is kept between runs: the journal, and the heartbeat that the guardian watches.
        tables: whether to write the CSV tables of a simulated run.
        coordinate: False for the baseline without coordination.
        patience_s: real time that a cycle waits for readings, so that a slow device delays no other. In a simulated run
            every device answers within it, so that runs are repeatable.
        live: state of a live page, if there is one.
        boot: of this computer, see :func:`controller.process.heartbeat.boot_id`; None in virtual time.
        synchronised: whether the wall clock can be trusted, see :mod:`controller.process.age`.
        planner: socket of a planner that is a service of its own; None for a child process.
        stops: emergency stops of this process.
        signals: those that end this process.
        files: of the state folder, to be watched; None: those that the service writes.
        guardian_s: age up to which the guardian's last sign of life counts. It gives one every second; in virtual time
            only when the clock master lets it look.
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
    synchronised: Callable[[], bool] = never
    planner: Path | None = None
    stops: StopSwitch = field(default_factory=StopSwitch)
    signals: StopSignals = field(default_factory=StopSignals)
    files: StateFiles | None = None
    guardian_s: float = YOUNG_S


def node_limits(config: Config) -> dict[str, NodeLimits]:
    """Constants of every converter of a prosumer, by name."""
    converters, limits = config.converters, dict[str, NodeLimits]()
    for prosumer in config.prosumers:
        battery = prosumer.battery.battery() if prosumer.battery else None
        shares = shares_by_rating({name: converters[name].s_max_kva for name in prosumer.converters})
        limits |= {
            name: NodeLimits(
                prosumer=prosumer.name,
                battery=battery,
                s_max_kva=converters[name].s_max_kva,
                ramp_kva_per_s=converters[name].ramp_kva_per_s,
                share=share,
                inverters=tuple(Inverter(plant.s_max_kva, plant.capability) for plant in prosumer.plants.values()),
                cycle_s=config.schedule.realtime_s,
                reactive=converters[name].reactive,
                priority=converters[name].priority,
            )
            for name, share in shares.items()
        }
    return limits
