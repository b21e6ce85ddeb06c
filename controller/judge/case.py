"""What the judge is given: the histories of a run, the limits of its site, and the faults that were injected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from controller.judge.evidence import Received, Reports, attempts_of, reports_of
from controller.judge.histories import Histories
from controller.record.audit_lines import AuditNote
from core.config import Config
from core.config_devices import Device, OpcUaConverter
from core.resources import Battery

RESTART_S = 20.0
"""What a restart may context."""
RECOVERY_S = 60.0
"""By when everything must be as before, from the end of a fault."""
MODE_NOTE = "mode"
"""Of the audit trail: a change of mode, "off → active"."""
EDGE_S = 60.0
"""A record further than this outside of the plant's own time was written by a clock that had jumped."""


class Kind(StrEnum):
    """What a fault does, as far as the judge has to know.

    LINK: no, late or garbled answers. DATA: a device's values make no sense. STALE: it repeats itself. DEVICE: it is
    off, taken at its panel, disobeys or lies. DEATH: no controller lives, or it hangs. STOP: it ends for good, or
    somebody stops it. PLANNER: no good plans. WRITER: somebody else writes. CLOCK: the wall clock jumps. DISK: nothing
    can be kept. OTHER: all that must have no effect on any device.
    """

    LINK = "link"
    DATA = "data"
    STALE = "stale"
    DEVICE = "device"
    DEATH = "death"
    STOP = "stop"
    PLANNER = "planner"
    WRITER = "writer"
    CLOCK = "clock"
    DISK = "disk"
    OTHER = "other"


FELT_BY_ALL = (Kind.DEATH, Kind.STOP, Kind.DISK, Kind.WRITER)
"""Without a device of their own these disturb every one."""


@dataclass(frozen=True)
class InjectedFault:
    """A fault as it really happened, in virtual time.

    Attributes:
        number: its row in the table of faults.
        device: the only one that it may disturb, but for LINK all behind the same address; None: :data:`FELT_BY_ALL`.
        begins, ends: aware. A death ends when the process may start again.
        shift_s: of the wall clock, ``Kind.CLOCK``; longer than the run.
        noticeable: False for one that may rightly pass unnoticed, such as a slow link.
        forgets: a death that takes the journal with it, so that there may be no plan to go on with.
    """

    name: str
    number: int
    device: str | None
    begins: datetime
    ends: datetime
    kind: Kind
    shift_s: float = 0.0
    noticeable: bool = True
    forgets: bool = False

    def covers(self, at: datetime, before_s: float = 0.0, after_s: float = 0.0) -> bool:
        """Whether it lasts at that time, or nearly."""
        return self.begins - timedelta(seconds=before_s) <= at <= self.ends + timedelta(seconds=after_s)


@dataclass(frozen=True)
class Broken:
    """An invariant that did not hold; ``device`` is None where it is of the whole."""

    invariant: int
    time: datetime
    device: str | None
    what: str


@dataclass(frozen=True)
class Limits:
    """Of a converter and the prosumer behind it."""

    prosumer: str
    s_max_kva: float
    ramp_kva_per_s: float
    battery: Battery | None


@dataclass(frozen=True)
class CaseConfig:
    """What the judge must know of the configuration.

    Attributes:
        converters: by name, those of prosumers.
        meters: node → meter.
        links: every device → those at the same host and port, itself included.
        poll_s: how often a device was read, in virtual time.
    """

    converters: Mapping[str, Limits]
    meters: Mapping[str, str]
    links: Mapping[str, frozenset[str]]
    cycle_s: float
    poll_s: float

    @classmethod
    def of(cls, config: Config, poll_s: float | None = None) -> "CaseConfig":
        """Of a configuration; without ``poll_s`` every device is read once a cycle."""
        rated = config.converters
        converters = {
            name: Limits(
                prosumer=p.name,
                s_max_kva=rated[name].s_max_kva,
                ramp_kva_per_s=rated[name].ramp_kva_per_s,
                battery=p.battery.battery() if p.battery else None,
            )
            for p in config.prosumers
            for name in p.converters
        }
        cycle_s = config.schedule.realtime_s
        return cls(converters, config.meter_at, _links(config.devices), cycle_s, poll_s or cycle_s)

    @property
    def prosumers(self) -> tuple[str, ...]:
        """Those with a converter."""
        return tuple(self.converter_of)

    @cached_property
    def converter_of(self) -> Mapping[str, str]:
        """Prosumer → converter."""
        return {limits.prosumer: device for device, limits in self.converters.items()}


@dataclass(frozen=True)
class Case:
    """A run before the judge; ``end`` is when its plant stopped, whatever had become of the controller by then."""

    histories: Histories
    site: CaseConfig
    faults: tuple[InjectedFault, ...]
    end: datetime

    @classmethod
    def of(cls, histories: Histories, site: CaseConfig, faults: Sequence[InjectedFault], end: datetime) -> "Case":
        """With the times that a jumping clock has spoilt put right."""
        return cls(_straightened(histories, faults), site, tuple(sorted(faults, key=lambda fault: fault.begins)), end)

    @cached_property
    def reports(self) -> Mapping[str, Reports]:
        """By converter: attempts, frames with the attempt that explains each, and what it held."""
        attempts = attempts_of(self.histories)
        return {device: reports_of(self.histories, device, attempts.get(device, ())) for device in self.site.converters}

    @cached_property
    def modes(self) -> tuple[tuple[datetime, str], ...]:
        """Since when which mode was in force, by the audit trail."""
        notes = (n for n in self.histories.audit if isinstance(n, AuditNote) and n.event == MODE_NOTE)
        return tuple((note.time, note.detail.rpartition(" → ")[2]) for note in notes)

    def modes_at(self, at: datetime) -> frozenset[str]:
        """In force at that time, before or after what changed at that very instant."""
        before = next((mode for since, mode in reversed(self.modes) if since < at), "off")
        return frozenset((before, *(mode for since, mode in self.modes if since == at)))

    def disturbed(self, fault: InjectedFault) -> frozenset[str]:
        """The devices that a fault may disturb."""
        if fault.device is None:
            return frozenset(self.site.links if fault.kind in FELT_BY_ALL else ())
        return self.site.links[fault.device] if fault.kind is Kind.LINK else frozenset((fault.device,))

    def during(self, at: datetime, *kinds: Kind, device: str | None = None, after_s: float = 0.0) -> bool:
        """Whether a fault of these kinds lasts then (and touches the device); from one cycle before it begins."""
        concerned = (f for f in self.faults if f.kind in kinds and (device is None or device in self.disturbed(f)))
        return any(fault.covers(at, self.site.cycle_s, after_s) for fault in concerned)

    def unattended(self, at: datetime) -> bool:
        """Whether there may have been no controller then, or none that could record."""
        return self.during(at, Kind.DEATH, Kind.STOP, Kind.DISK, after_s=RESTART_S + self.site.cycle_s)

    def spared(self, device: str, at: datetime) -> bool:
        """Whether no fault may disturb the device then, and none has lately."""
        cycle_s = self.site.cycle_s
        lasting = (fault for fault in self.faults if fault.covers(at, cycle_s, RECOVERY_S))
        return not any(device in self.disturbed(fault) for fault in lasting)

    def received(self) -> Sequence[Received]:
        """Frames of all converters, but for those of somebody else whom a fault let write."""
        return [
            received
            for device, reports in self.reports.items()
            for received in reports.received
            if received.attempt or not self.during(received.frame.time, Kind.WRITER, device=device)
        ]


def _links(devices: Sequence[Device]) -> Mapping[str, frozenset[str]]:
    addresses = {device.name: _address(device) for device in devices}
    return {name: frozenset(n for n, at in addresses.items() if at == here) for name, here in addresses.items()}


def _address(device: Device) -> tuple[str | None, int | None]:
    if isinstance(device, OpcUaConverter):
        url = urlsplit(device.url)
        return url.hostname, url.port
    return device.host, device.port


def _straightened(histories: Histories, faults: Sequence[InjectedFault]) -> Histories:
    """Records of a wall clock that had jumped lie outside of the run; they return to where the fault was."""
    jumps = [fault for fault in faults if fault.kind is Kind.CLOCK and fault.shift_s]
    if not jumps or not histories.frames:
        return histories
    edge = timedelta(seconds=EDGE_S)
    first, last = histories.frames[0].time - edge, histories.frames[-1].time + edge

    def right(at: datetime) -> datetime:
        if first <= at <= last:
            return at
        moved = ((at - timedelta(seconds=jump.shift_s), jump) for jump in jumps)
        return next((there for there, jump in moved if jump.covers(there, EDGE_S, EDGE_S)), at)

    def all_right(records: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(replace(record, time=right(record.time)) for record in records)

    written = ("devices", "nodes", "service", "alarms", "decisions", "plans")
    return replace(
        histories,
        audit=all_right(histories.audit),
        guardian=all_right(histories.guardian),
        stored_prosumers=frozenset((right(at), name) for at, name in histories.stored_prosumers),
        stored_plans=frozenset(map(right, histories.stored_plans)),
        **{name: tuple(sorted(all_right(getattr(histories, name)), key=lambda r: r.time)) for name in written},
    )
