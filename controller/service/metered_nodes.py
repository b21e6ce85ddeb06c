"""What meters tell the real-time layer of the nodes: what passive houses draw, and the voltage at each converter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from controller.service.houses import PassiveHouses
from controller.service.watch import Image
from core.config import Config


class NodeVoltages:
    """Where the voltage of each converter's node is measured: by the meter there, without one by the converter itself.

    A meter that is silent or in doubt is not replaced by the converter. Nothing is seen with ``voltage_slope: off``.
    """

    def __init__(self, config: Config) -> None:
        meters = config.meter_at
        self._sources = {
            name: meters.get(prosumer.node, name)
            for prosumer in config.prosumers
            for name in prosumer.converters
            if config.realtime.voltage_slope != "off"
        }

    def seen(self, image: Image) -> Mapping[str, float]:
        """Voltage (p.u.) at the node of each converter, by its name; only fresh and good ones."""
        readings = {name: image.fresh(source) for name, source in self._sources.items()}
        return {name: r.v_pu for name, r in readings.items() if r is not None and r.v_pu is not None}


@dataclass(frozen=True)
class MeteredNodes:
    """Passive houses and voltages of a configuration."""

    houses: PassiveHouses
    voltages: NodeVoltages

    @classmethod
    def of(cls, config: Config) -> Self:
        """Those of ``config``."""
        return cls(PassiveHouses(config), NodeVoltages(config))
