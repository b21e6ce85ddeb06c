"""Passive houses of the service: what they draw in a cycle, measured at their node or assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.service.days import Day
from controller.service.watch import Image
from core.config import Config
from realtime.houses import HouseDemand, attributed
from realtime.plane import Power


@dataclass(frozen=True)
class _HouseNode:
    """A node with passive ``houses``, and what is known of it: a meter, if there is one, and ``converters``."""

    houses: tuple[str, ...]
    meter: str | None
    converters: tuple[str, ...]


class PassiveHouses:
    """The prosumers of a configuration that have no converter."""

    def __init__(self, config: Config) -> None:
        self._nodes = tuple(_nodes(config))

    def seen(self, image: Image, day: Day) -> Mapping[str, HouseDemand]:
        """What each of them draws, by name; who has no forecast at the time of the image is missing."""
        forecast = day.forecast_of([name for node in self._nodes for name in node.houses], image.snapshot.at)
        demands: dict[str, HouseDemand] = {}
        for node in self._nodes:
            converters = [_power(image, name) for name in node.converters]
            expected = {name: forecast[name] for name in node.houses if name in forecast}
            demands |= attributed(_power(image, node.meter), converters, expected) if expected else {}
        return demands


def _nodes(config: Config) -> Sequence[_HouseNode]:
    found = []
    for place in dict.fromkeys(p.node for p in config.prosumers if not p.converters):
        here = [prosumer for prosumer in config.prosumers if prosumer.node == place]
        houses = tuple(prosumer.name for prosumer in here if not prosumer.converters)
        converters = tuple(name for prosumer in here for name in prosumer.converters)
        found.append(_HouseNode(houses, config.meter_at.get(place), converters))
    return found


def _power(image: Image, device: str | None) -> Power | None:
    reading = image.fresh(device)
    if reading is None or reading.p_kw is None or reading.q_kvar is None:
        return None
    return Power(reading.p_kw, reading.q_kvar)
