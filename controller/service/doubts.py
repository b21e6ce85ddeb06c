"""Converters in doubt: another writer commands them, or the meter at their node contradicts them.

| kind | sign | consequence |
|---|---|---|
| overtaken | the device reports the fencing epoch of another writer | nothing is written any more; the service yields |
| twin | another writer of our epoch: see below | the same; the releases carry the next epoch, so that it learns of us |
| foreign | it holds a setpoint that we have not sent | it is released, and not written for :data:`HOLD_OFF_S` |
| contradicted | in two cycles in a row its power differs from that of the meter at its node | the same |

Signs of a twin, which has the same plan as we and may send the same setpoints:

- the device follows a writer of our epoch before we have written to it;
- somebody has written between the reading of a cycle and our write (:mod:`controller.service.claiming`);
- it was released and follows a foreign setpoint again within :data:`TWIN_S`;
- its lease was renewed since our last write.

A write that timed out may be executed later, so setpoints that we sent without an answer count as ours.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from controller.service.watch import Image
from core.config import Config
from core.devices import ConverterStatus, OperatingState, Outcome, Quality, Setpoint
from drivers.fencing import Fence
from realtime.doubt import HELD_TOLERANCE_KVA, Doubt, DoubtKind

HOLD_OFF_S = 45.0
"""Time since the last sign; then three fresh readings bring the converter back."""
UNKNOWN_MAX = 10
"""Setpoints of unknown outcome that are remembered per converter: those of five minutes."""
TWIN_S = 180.0
"""Time within which a second foreign setpoint is no accident: longer than a hold-off and the return after it."""
RENEWED_S = 6.0
"""Rest of a lease that cannot be explained by clocks, rounding and delays."""
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
    """Our setpoints of a converter: the last one that was read back at ``at_s``, and later ones of unknown outcome.

    ``released``: the device has been safe since, and holds no older setpoint. ``unsure_s``: when one was last sent of
    which nothing was heard, so that it may be executed late.
    """

    verified: Setpoint | None = None
    at_s: float = 0.0
    unknown: tuple[Setpoint, ...] = ()
    released: bool = False
    unsure_s: float = -inf

    def explains(self, p_kw: float, q_kvar: float) -> bool:
        """Whether a device that holds this setpoint has it from us."""
        ours = ((sent.p_kw - p_kw, sent.q_kvar - q_kvar) for sent in (self.verified, *self.unknown) if sent)
        return any(max(abs(dp), abs(dq)) <= HELD_TOLERANCE_KVA for dp, dq in ours)

    def renewed(self, left_s: float | None, now_s: float) -> bool:
        """Whether a lease of which ``left_s`` is left was not given by us; one that is whole may not count down."""
        if self.verified is None or left_s is None or now_s - self.unsure_s <= TWIN_S:
            return False
        ours_s = self.verified.lease_s - (now_s - self.at_s)
        return ours_s + RENEWED_S < left_s < self.verified.lease_s - RENEWED_S

    def __str__(self) -> str:
        sent = self.verified
        return f"sent {sent.p_kw:.3f} kW, {sent.q_kvar:.3f} kvar" if sent else "none of ours was read back"


class Doubts:
    """Checks every process image.

    Args:
        fences: of the converters that may be written, by name.

    Attributes:
        interfering: doubts that arose while the last cycle was writing, by converter.
    """

    def __init__(self, config: Config, fences: Mapping[str, Fence]) -> None:
        self._nodes, self._fences = _nodes(config), fences
        self._sent: dict[str, _SentSetpoints] = {}
        self._foreign_s: dict[str, float] = {}
        self.interfering: dict[str, Doubt] = {}
        self._signs: Counter[str] = Counter()
        self._standing: dict[str, tuple[float, Doubt]] = {}

    def after(self, image: Image) -> Mapping[str, Doubt]:
        """Doubts that stand after a new image, by converter."""
        self.interfering, now_s = {}, image.snapshot.monotonic_s
        seen = {**self._contradicted(image), **self._commanded(image)}
        self._standing.update({name: (now_s + HOLD_OFF_S, doubt) for name, doubt in seen.items()})
        self._standing = {name: kept for name, kept in self._standing.items() if kept[0] > now_s}
        return {name: doubt for name, (_, doubt) in self._standing.items()}

    def interfered(self, name: str, before: ConverterStatus | None, after: ConverterStatus | None) -> bool:
        """Whether another writer of our epoch has written to a converter between two readings of one cycle."""
        fence, sent = self._fences[name], self._sent.get(name, _SentSetpoints())
        if before is None or after is None or sent.unsure_s > -inf:
            return False
        if after.writer_epoch not in (None, fence.epoch) or not _written_between(before, after):
            return False
        self.interfering[name] = Doubt(DoubtKind.TWIN, f"another writer {fence.epoch} wrote just before us")
        return True

    def wrote(self, setpoints: Mapping[str, Setpoint], outcomes: Mapping[str, Outcome], now_s: float) -> None:
        """Remember setpoints that were sent; after a verified release no older one may reappear."""
        for name, outcome in outcomes.items():
            setpoint, sent = setpoints.get(name), self._sent.get(name, _SentSetpoints())
            if setpoint is None:
                if outcome is Outcome.VERIFIED:
                    self._became_safe(name)
            elif outcome is Outcome.VERIFIED:
                self._sent[name] = _SentSetpoints(setpoint, now_s, unsure_s=sent.unsure_s)
            else:  # also a refused one: the device may show it a moment later
                self._sent[name] = replace(sent, unknown=(*sent.unknown, setpoint)[-UNKNOWN_MAX:], unsure_s=now_s)

    def _commanded(self, image: Image) -> dict[str, Doubt]:
        """Converters that another writer commands."""
        found, now_s = {}, image.snapshot.monotonic_s
        for name, status in image.snapshot.statuses.items():
            if image.quality.get(name) is not Quality.GOOD:
                continue
            if status.state not in (None, OperatingState.REMOTE):
                self._became_safe(name)
            if (fence := self._fences.get(name)) and (doubt := self._of_writer(name, fence, status, now_s)):
                found[name] = doubt
        return found

    def _of_writer(self, name: str, fence: Fence, status: ConverterStatus, now_s: float) -> Doubt | None:
        if fence.overtaken_by(status.writer_epoch):
            text = f"writer {status.writer_epoch} has taken over from writer {fence.epoch}"
            return Doubt(DoubtKind.OVERTAKEN, text)
        sent = self._sent.get(name)
        if sent is None:
            before_us = status.state is OperatingState.REMOTE and fence.used_by_another(status.writer_epoch)
            return Doubt(DoubtKind.TWIN, f"follows a writer {fence.epoch} that is not us") if before_us else None
        if foreign := _foreign(sent, fence, status):
            return self._repeated(name, sent, foreign, now_s)
        if status.state is OperatingState.REMOTE and sent.renewed(status.lease_s, now_s):
            return Doubt(DoubtKind.TWIN, f"lease of {status.lease_s:.0f} s, ours is {now_s - sent.at_s:.0f} s old")
        return None

    def _repeated(self, name: str, sent: _SentSetpoints, foreign: Doubt, now_s: float) -> Doubt:
        """The doubt itself, or that in a twin who commands a converter again that was released for the same reason."""
        before_s, self._foreign_s[name] = self._foreign_s.get(name), now_s
        again = before_s is not None and now_s - before_s <= TWIN_S and sent.released
        return replace(foreign, kind=DoubtKind.TWIN) if again else foreign

    def _became_safe(self, name: str) -> None:
        """From now on only setpoints sent later, or sent before without an answer, are ours."""
        sent = self._sent.get(name, _SentSetpoints())
        self._sent[name] = _SentSetpoints(unknown=sent.unknown, released=True, unsure_s=sent.unsure_s)

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


def _written_between(before: ConverterStatus, after: ConverterStatus) -> bool:
    """Whether a converter that follows a setpoint has got a new one, a new writer or a new lease."""
    powers = (before.p_setpoint_kw, after.p_setpoint_kw), (before.q_setpoint_kvar, after.q_setpoint_kvar)
    moved = any(abs(now - then) > HELD_TOLERANCE_KVA for then, now in powers if then is not None and now is not None)
    left_s, then_s = after.lease_s, before.lease_s
    renewed = left_s is not None and then_s is not None and left_s > then_s + 1.0
    new = moved or renewed or before.writer_epoch != after.writer_epoch
    return after.state in (None, OperatingState.REMOTE) and new


def _foreign(sent: _SentSetpoints, fence: Fence, status: ConverterStatus) -> Doubt | None:
    """A doubt if the converter holds what only another writer can have sent; at first our predecessor may have."""
    p_kw, q_kvar = status.p_setpoint_kw, status.q_setpoint_kvar
    if p_kw is None or q_kvar is None or sent.explains(p_kw, q_kvar):
        return None
    only_ours = sent.released or status.writer_epoch == fence.epoch
    if sent.verified is None and not (status.state is OperatingState.REMOTE and only_ours):
        return None
    return Doubt(DoubtKind.FOREIGN, f"holds {p_kw:.3f} kW, {q_kvar:.3f} kvar, {sent}")


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
