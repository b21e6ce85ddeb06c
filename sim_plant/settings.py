"""The settings of a plant, and how a configuration file becomes such settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import FloatArray
from core.config import Config
from core.config_devices import Device
from core.errors import GridlabError
from core.load import load_scenario
from core.network import Network
from sim_plant.house import House
from sim_plant.meter import Accuracy


class PlantError(GridlabError):
    """Settings or a request that the plant cannot have."""


@dataclass(frozen=True)
class SlackVoltage:
    """Voltage of the supply, linear between ``times_s`` (since the plant's start); it repeats after ``period_s``."""

    times_s: FloatArray
    v_pu: FloatArray
    period_s: float = 86_400.0

    @classmethod
    def constant(cls, v_pu: float) -> "SlackVoltage":
        """A constant voltage."""
        return cls(np.zeros(1), np.full(1, v_pu))

    def at(self, t_s: float) -> float:
        """The voltage at one time, p.u."""
        return float(np.interp(t_s, self.times_s, self.v_pu, period=self.period_s))


@dataclass(frozen=True)
class PlantConfig:
    """A plant: its grid, its devices, and how its time advances.

    Attributes:
        nodes: name of a converter → its node.
        houses: prosumers that no converter reproduces; they draw what their series say.
        start: what the devices' clocks show at t = 0 (aware).
        folder: the paths of the devices are relative to it.
        pace: plant seconds per second of wall time; None: a clock master advances it in lock step.
        free_ports: listen at free ports of this machine instead of the addresses of ``devices``.
        control_port: where the control socket listens; 0 selects a free one.
        frames: the file that the referee writes, JSON lines; None counts only.
        server_key: private key of the servers with security or TLS; the certificate is the one that ``devices`` pin.
        tau_s: time constant of the converters.
        idle_s: how long before t = 0 every converter received its last frame.
    """

    network: Network
    devices: tuple[Device, ...]
    nodes: Mapping[str, str]
    start: datetime
    slack: SlackVoltage = field(default_factory=lambda: SlackVoltage.constant(1.0))
    houses: tuple[House, ...] = ()
    folder: Path = Path()
    seed: int = 0
    pace: float | None = None
    free_ports: bool = False
    control_port: int = 0
    frames: Path | None = None
    server_key: Path | None = None
    tau_s: float = 1.0
    idle_s: float = 30.0
    accuracy: Accuracy = field(default_factory=Accuracy)


def plant_config(config: Config, path: Path, start: datetime | None = None) -> PlantConfig:
    """The plant of a configuration file, with realised supply voltage and passive houses; ``replace`` sets the rest.

    Args:
        path: the file that ``config`` was read from.
        start: aware; default: the start of the horizon. On another day than the horizon's, voltage and houses are as
            at the same time of the horizon's day.

    Raises:
        PlantError: a converter without a prosumer.
        InputError: a series cannot be read.
    """
    nodes = {name: p.node for p in config.prosumers for name in p.converters}
    unassigned = [name for name in config.converters if name not in nodes]
    if unassigned:
        raise PlantError(f"converters {', '.join(unassigned)}: at no node, allowed those of a prosumer")
    minutes = config.horizon.model_copy(update={"step_min": 1})
    scenario = load_scenario(config.model_copy(update={"horizon": minutes}), path, "realised")
    day_s = 60.0 * scenario.axis.n_steps
    clock_start = scenario.axis.start if start is None else start
    elapsed_s = (clock_start - _midnight(clock_start, config.horizon.timezone)).total_seconds()
    middles_s: FloatArray = 60 * np.arange(scenario.axis.n_steps, dtype=np.float64) + 30 - elapsed_s
    slack = SlackVoltage(middles_s, scenario.slack_voltage_pu, day_s)
    passive = config.passive
    houses = tuple(
        House(
            name=site.name,
            node=site.node,
            times_s=middles_s,
            p_kw=site.outlook.load_kw - site.outlook.pv_available_kw,
            q_kvar=site.outlook.load_kvar,
            period_s=day_s,
        )
        for site in scenario.sites
        if site.name in passive
    )
    return PlantConfig(scenario.network, config.devices, nodes, clock_start, slack, houses, path.parent)


def _midnight(instant: datetime, timezone: str) -> datetime:
    """The start of the local day of ``instant``."""
    return datetime.combine(instant.astimezone(ZoneInfo(timezone)).date(), time(), ZoneInfo(timezone))
