"""A scenario: everything a price computation needs, as numbers on one time axis."""

from dataclasses import dataclass

from core.arrays import FloatArray
from core.network import GridLimits, Network
from core.prices import Tariff
from core.resources import Outlook, Prosumer
from core.time import TimeAxis


@dataclass(frozen=True)
class Site:
    """A prosumer with what it expects over the horizon."""

    prosumer: Prosumer
    outlook: Outlook


@dataclass(frozen=True)
class Scenario:
    """Grid, limits, tariff and prosumers over ``axis``; ``slack_voltage_pu`` is [T].

    ``margin_pu`` narrows the voltage band on both sides: one number, or one per node besides the slack, in the order of
    ``network.nodes``.
    """

    name: str
    axis: TimeAxis
    network: Network
    limits: GridLimits
    slack_voltage_pu: FloatArray
    tariff: Tariff
    sites: tuple[Site, ...]
    margin_pu: float | FloatArray = 0.0
