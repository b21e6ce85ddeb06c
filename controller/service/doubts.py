"""Converters in doubt: another writer commands them, or the meter at their node contradicts them.

| kind | sign | consequence |
|---|---|---|
| overtaken | the device reports a higher fencing epoch than ours | nothing is written any more; the service yields |
| foreign | it holds a setpoint that we have not sent | it is released, and not written for :data:`HOLD_OFF_S` |
| contradicted | in two cycles in a row its power differs from that of the meter at its node | the same |

A write that timed out may be executed later, so setpoints that we sent without an answer count as ours.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.service.watch import Image
from core.config import Config
from core.devices import ConverterStatus, OperatingState, Outcome, Quality, Setpoint
from realtime.doubt import Doubt, DoubtKind

HOLD_OFF_S = 45.0
"""Time since the last sign; then three fresh readings bring the converter back."""
HELD_TOLERANCE_KVA = 0.02
"""Difference between a written and a held setpoint that a coarse register map may cause."""
UNKNOWN_MAX = 10
"""Setpoints of unknown outcome that are remembered per converter: those of five minutes."""
SIGNS = 2
METER_TOLERANCE_KW, METER_TOLERANCE_REL = 0.5, 0.05
"""Difference between converter and meter, which are read at different times; the share is of the ratings at the
node.
"""


@dataclass(frozen=True)
class _Node:
    """A metered node with nothing connected but these converters."""

    meter: str
    converters: tuple[str, ...]
    tolerance_kw: float


@dataclass(frozen=True)
class _SentSetpoints:
    """Our setpoints of a converter: the last one that was read back, and later ones of unknown outcome.

    ``released``: the device has been safe since, and holds no older setpoint.
    """

    verified: Setpoint | None = None
    unknown: tuple[Setpoint, ...] = ()
    released: bool = False

    def explains(self, p_kw: float, q_kvar: float) -> bool:
        """Whether a device that holds this setpoint has it from us."""
        ours = ((sent.p_kw - p_kw, sent.q_kvar - q_kvar) for sent in (self.verified, *self.unknown) if sent)
        return any(max(abs(dp), abs(dq)) <= HELD_TOLERANCE_KVA for dp, dq in ours)

    def __str__(self) -> str:
        sent = self.verified
        return f"sent {sent.p_kw:.3f} kW, {sent.q_kvar:.3f} kvar" if sent else "none of ours was read back"


class Doubts:
    """Checks every process image.

    Args:
        epoch: our fencing epoch; None if nothing is written.
    """

    def __init__(self, config: Config, epoch: int | None) -> None:
        self._nodes, self._epoch = _nodes(config), epoch
        self._sent: dict[str, _SentSetpoints] = {}
        self._signs: Counter[str] = Counter()
        self._standing: dict[str, tuple[float, Doubt]] = {}

    def after(self, image: Image) -> Mapping[str, Doubt]:
        """Doubts that stand after a new image, by converter."""
        now_s = image.snapshot.monotonic_s
        seen = {**self._contradicted(image), **self._commanded(image)}
        self._standing.update({name: (now_s + HOLD_OFF_S, doubt) for name, doubt in seen.items()})
        self._standing = {name: kept for name, kept in self._standing.items() if kept[0] > now_s}
        return {name: doubt for name, (_, doubt) in self._standing.items()}

    def wrote(self, setpoints: Mapping[str, Setpoint], outcomes: Mapping[str, Outcome]) -> None:
        """Remember setpoints that were sent; after a verified release no older one may reappear."""
        for name, outcome in outcomes.items():
            setpoint, sent = setpoints.get(name), self._sent.get(name, _SentSetpoints())
            if setpoint is None:
                if outcome is Outcome.VERIFIED:
                    self._became_safe(name)
            elif outcome is Outcome.VERIFIED:
                self._sent[name] = _SentSetpoints(setpoint)
            else:  # also a refused one: the device may show it a moment later
                self._sent[name] = replace(sent, unknown=(*sent.unknown, setpoint)[-UNKNOWN_MAX:])

    def _commanded(self, image: Image) -> dict[str, Doubt]:
        """Converters that another writer commands."""
        found = {}
        for name, status in image.snapshot.statuses.items():
            if image.quality.get(name) is not Quality.GOOD:
                continue
            if status.state not in (None, OperatingState.REMOTE):
                self._became_safe(name)
            if self._epoch is not None and status.writer_epoch is not None and status.writer_epoch > self._epoch:
                text = f"writer {status.writer_epoch} has taken over from writer {self._epoch}"
                found[name] = Doubt(DoubtKind.OVERTAKEN, text)
            elif foreign := self._foreign(name, status):
                found[name] = foreign
        return found

    def _foreign(self, name: str, status: ConverterStatus) -> Doubt | None:
        sent, p_kw, q_kvar = self._sent.get(name), status.p_setpoint_kw, status.q_setpoint_kvar
        if self._epoch is None or sent is None or p_kw is None or q_kvar is None or sent.explains(p_kw, q_kvar):
            return None
        if sent.verified is None and not (status.state is OperatingState.REMOTE and self._only_ours(sent, status)):
            return None
        return Doubt(DoubtKind.FOREIGN, f"holds {p_kw:.3f} kW, {q_kvar:.3f} kvar, {sent}")

    def _only_ours(self, sent: _SentSetpoints, status: ConverterStatus) -> bool:
        """Whether only we can have sent what it holds; otherwise our predecessor may have."""
        return sent.released or status.writer_epoch == self._epoch

    def _became_safe(self, name: str) -> None:
        """From now on only setpoints sent later, or sent before without an answer, are ours."""
        self._sent[name] = _SentSetpoints(unknown=self._sent.get(name, _SentSetpoints()).unknown, released=True)

    def _contradicted(self, image: Image) -> dict[str, Doubt]:
        """Converters whose meter measures a different power."""
        found = {}
        for node in self._nodes:
            meter, readings = image.fresh(node.meter), [image.fresh(name) for name in node.converters]
            powers = [reading.p_kw for reading in readings if reading is not None and reading.p_kw is not None]
            if meter is None or meter.p_kw is None or len(powers) < len(node.converters):
                continue
            apart_kw = abs(meter.p_kw - sum(powers))
            self._signs[node.meter] = self._signs[node.meter] + 1 if apart_kw > node.tolerance_kw else 0
            if self._signs[node.meter] >= SIGNS:
                text = f"says {sum(powers):.3f} kW, {node.meter} {meter.p_kw:.3f} kW"
                found.update(dict.fromkeys(node.converters, Doubt(DoubtKind.CONTRADICTED, text)))
        return found


def _nodes(config: Config) -> Sequence[_Node]:
    """Metered nodes at which all prosumers have a converter."""
    converters, found = config.converters, []
    for meter in config.meters.values():
        there = [p.converters for p in config.prosumers if p.node == meter.node]
        names = tuple(name for owned in there for name in owned)
        if names and all(there):
            rated_kva = sum(converters[name].s_max_kva for name in names)
            found.append(_Node(meter.name, names, METER_TOLERANCE_KW + METER_TOLERANCE_REL * rated_kva))
    return tuple(found)
