"""Converters that are not to be believed: another writer commands them, or the meter at their node contradicts them.

| kind | sign | what is done |
|---|---|---|
| overtaken | the device reports a higher fencing epoch than ours | nothing is written any more; the service yields |
| foreign | it holds a setpoint that we have not sent | it is released and left alone for :data:`HOLD_OFF_S` |
| contradicted | two cycles in a row its power is not that of the meter at its node | the same |

A write that timed out may be executed later, so what we sent without an answer is ours too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.service.watch import Image
from core.config import Config
from core.devices import ConverterStatus, OperatingState, Outcome, Quality, Setpoint
from realtime.doubt import Doubt, DoubtKind

HOLD_OFF_S = 45.0
"""Since the last sign; three fresh readings bring the converter back then."""
HELD_TOLERANCE_KVA = 0.02
"""Between what was written and what is held: the resolution of a coarse register map."""
UNKNOWN_MAX = 10
"""Setpoints of unknown fate that are remembered, of each converter: those of five minutes."""
SIGNS = 2
METER_TOLERANCE_KW, METER_TOLERANCE_REL = 0.5, 0.05
"""Between converter and meter; the share is of the ratings at the node: they are not read at the same instant."""


@dataclass(frozen=True)
class _Node:
    """A metered node at which nothing but these converters is connected."""

    meter: str
    converters: tuple[str, ...]
    tolerance_kw: float


@dataclass(frozen=True)
class _Sent:
    """Of ours: the last setpoint that was read back, and those after it of unknown fate.

    ``released``: the device was safe since, and holds nothing of before.
    """

    verified: Setpoint | None = None
    unknown: tuple[Setpoint, ...] = ()
    released: bool = False

    def explains(self, p_kw: float, q_kvar: float) -> bool:
        """Whether a device that holds this has it from us."""
        ours = ((sent.p_kw - p_kw, sent.q_kvar - q_kvar) for sent in (self.verified, *self.unknown) if sent)
        return any(max(abs(dp), abs(dq)) <= HELD_TOLERANCE_KVA for dp, dq in ours)

    def __str__(self) -> str:
        sent = self.verified
        return f"sent {sent.p_kw:.3f} kW, {sent.q_kvar:.3f} kvar" if sent else "none of ours was read back"


class Doubts:
    """Judges every image.

    Args:
        epoch: our fencing epoch; None where nothing is written.
    """

    def __init__(self, config: Config, epoch: int | None) -> None:
        self._nodes, self._epoch = _nodes(config), epoch
        self._sent: dict[str, _Sent] = {}
        self._signs: Counter[str] = Counter()
        self._standing: dict[str, tuple[float, Doubt]] = {}

    def after(self, image: Image) -> Mapping[str, Doubt]:
        """By converter, what stands after a new image."""
        now_s = image.snapshot.monotonic_s
        seen = {**self._contradicted(image), **self._commanded(image)}
        self._standing.update({name: (now_s + HOLD_OFF_S, doubt) for name, doubt in seen.items()})
        self._standing = {name: kept for name, kept in self._standing.items() if kept[0] > now_s}
        return {name: doubt for name, (_, doubt) in self._standing.items()}

    def wrote(self, setpoints: Mapping[str, Setpoint], outcomes: Mapping[str, Outcome]) -> None:
        """Remember what was sent; after a verified release nothing of it may come back."""
        for name, outcome in outcomes.items():
            setpoint, sent = setpoints.get(name), self._sent.get(name, _Sent())
            if setpoint is None:
                if outcome is Outcome.VERIFIED:
                    self._became_safe(name)
            elif outcome is Outcome.VERIFIED:
                self._sent[name] = _Sent(setpoint)
            else:  # also of what was answered: the device may show it only a moment later
                self._sent[name] = replace(sent, unknown=(*sent.unknown, setpoint)[-UNKNOWN_MAX:])

    def _commanded(self, image: Image) -> dict[str, Doubt]:
        """Of converters that somebody else commands."""
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
        if sent.verified is None and not (status.state is OperatingState.REMOTE and self._knows(sent, status)):
            return None
        return Doubt(DoubtKind.FOREIGN, f"holds {p_kw:.3f} kW, {q_kvar:.3f} kvar, {sent}")

    def _knows(self, sent: _Sent, status: ConverterStatus) -> bool:
        """Whether all that it may hold has been sent by us; else it may be our predecessor's."""
        return sent.released or status.writer_epoch == self._epoch

    def _became_safe(self, name: str) -> None:
        """What it holds from now on is ours only if it is sent from now on, or was and nothing was heard of it."""
        self._sent[name] = _Sent(unknown=self._sent.get(name, _Sent()).unknown, released=True)

    def _contradicted(self, image: Image) -> dict[str, Doubt]:
        """Of converters whose meter measures something else."""
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
    """Nodes of which all prosumers have a converter."""
    converters, found = config.converters, []
    for meter in config.meters.values():
        there = [p.converters for p in config.prosumers if p.node == meter.node]
        names = tuple(name for owned in there for name in owned)
        if names and all(there):
            rated_kva = sum(converters[name].s_max_kva for name in names)
            found.append(_Node(meter.name, names, METER_TOLERANCE_KW + METER_TOLERANCE_REL * rated_kva))
    return tuple(found)
