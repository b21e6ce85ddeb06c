"""Voltages that are believed: every process image passes the check of :mod:`realtime.meters` before it is used.

A voltage in doubt counts as not measured, everywhere: limits, margin, model check, records. Of a meter that was
exchanged nothing is used. Only the supply voltage, which every plan needs, is replaced: by what the others say of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.accounts.grid_check import simultaneous
from controller.service.watch import Image
from core.config import Config
from core.devices import Measurement, OperatingState, Snapshot
from realtime.meter_doubt import MeterDoubt, MeterDoubtKind
from realtime.meters import MeterCheck, MeterPlaces, MeterVerdict

CONFIRMED = 2
"""Images in a row without a decision before it is said that voltages contradict each other."""


@dataclass(frozen=True)
class BelievedImage:
    """An image without what is not believed.

    Attributes:
        doubts: about devices' voltages, by device.
        undecided: devices of which one is wrong, for two images or more, and nobody can tell which.
        instead_pu: voltage of the slack node by the others if its own meter is not believed, by node.
    """

    image: Image
    doubts: Mapping[str, MeterDoubt] = field(default_factory=dict)
    undecided: tuple[str, ...] = ()
    instead_pu: Mapping[str, float] = field(default_factory=dict)


class MeterDoubts:
    """Keeps the memory of the check from image to image."""

    def __init__(self, config: Config) -> None:
        self._slack = config.grid.slack
        self._slack_meter = config.meter_at.get(self._slack)
        self._check = MeterCheck(meter_places(config))
        self._memory = self._check.start()
        self._undecided = 0

    def after(self, image: Image) -> BelievedImage:
        """What is believed of an image; to be called once for each."""
        readings = {name: reading for name in image.snapshot.measurements if (reading := image.fresh(name))}
        shown = without_voltage(simultaneous(readings), _off(image.snapshot))
        verdict, self._memory = self._check.after(shown, image.snapshot.monotonic_s, self._memory)
        self._undecided = self._undecided + 1 if verdict.undecided else 0
        supply = {n: v_pu for n, v_pu in verdict.believed_pu.items() if n == self._slack}
        return BelievedImage(
            replace(image, snapshot=_believed(image.snapshot, verdict)),
            verdict.doubts,
            verdict.undecided if self._undecided >= CONFIRMED else (),
            supply if self._slack_meter in verdict.withheld else {},
        )


def meter_places(config: Config) -> MeterPlaces:
    """Where the devices of a configuration are."""
    node_of = {name: p.node for p in config.prosumers for name in p.converters}
    houses = frozenset(p.node for p in config.prosumers if not p.converters)
    meters = {meter.name: meter.node for meter in config.meters.values()}
    return MeterPlaces(config.grid.network(), meters, node_of, houses)


def without_voltage(readings: Mapping[str, Measurement], names: frozenset[str]) -> dict[str, Measurement]:
    """The readings, those of ``names`` without their voltage."""
    return {name: replace(one, v_pu=None) if name in names else one for name, one in readings.items()}


def _off(snapshot: Snapshot) -> frozenset[str]:
    """Converters without power, which measure no voltage."""
    return frozenset(name for name, status in snapshot.statuses.items() if status.state is OperatingState.OFF)


def _believed(snapshot: Snapshot, verdict: MeterVerdict) -> Snapshot:
    readings = without_voltage(snapshot.measurements, verdict.withheld)
    exchanged = {name for name, doubt in verdict.doubts.items() if doubt.kind is MeterDoubtKind.EXCHANGED}
    nothing = {n: replace(readings[n], p_kw=None, q_kvar=None, i_a=None) for n in exchanged if n in readings}
    return replace(snapshot, measurements={**readings, **nothing})
