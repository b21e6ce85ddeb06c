"""A run as the judge examines it: its histories, the limits of its site, and the faults that were injected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from controller.judge.evidence import ConverterHistory, ExplainedFrame, attempts_of, converter_history
from controller.judge.histories import Histories, ProsumerCycle, Trail
from controller.record.audit_lines import AuditNote
from core.config import Config
from core.config_devices import Device, OpcUaConverter
from core.resources import Battery
from realtime.doubt import DoubtKind
from realtime.fallback import Rung
from realtime.reasons import Reason

RESTART_S = 20.0
"""Longest time that a restart may take."""
RECOVERY_S = 60.0
"""Time from the end of a fault by which everything must be as before."""
PANEL_STATES = ("off", "local", "fault")
"""States of a converter that nobody writes."""
MODE_NOTE = "mode"
"""Event of the audit trail: a change of mode, such as "off → active"."""
STOP_NOTE = "emergency stop"
"""Event of an audit trail: somebody asked for a stop."""
EDGE_S = 60.0
"""A record further than this outside of the plant's own times was written by a clock that had jumped."""


class Kind(StrEnum):
    """What a fault does, as far as the judge needs to know.

    LINK: answers are missing, late or garbled. DATA: a device's values make no sense. STALE: a device repeats itself.
    DEVICE: a device is off, switched to local control, disobeys or lies. VOLTAGE: a meter's voltage is not that of its
    node. DEATH: no controller lives, or it hangs. STOP: it ends for good, or an operator stops it. PLANNER: no good
    plans. WRITER: another writer interferes. CLOCK: the wall clock jumps. DISK: records cannot be kept. SUPPLY: the
    supply voltage steps, by no more than the prosumers can correct. GUARDIAN: no guardian lives, or it hangs. OTHER:
    everything that must have no effect on any device.
    """

    LINK = "link"
    DATA = "data"
    STALE = "stale"
    DEVICE = "device"
    VOLTAGE = "voltage"
    DEATH = "death"
    STOP = "stop"
    PLANNER = "planner"
    WRITER = "writer"
    CLOCK = "clock"
    DISK = "disk"
    SUPPLY = "supply"
    GUARDIAN = "guardian"
    OTHER = "other"


DISTURB_ALL = (Kind.DEATH, Kind.STOP, Kind.DISK, Kind.WRITER)
"""Faults of these kinds without a device of their own disturb every device."""


@dataclass(frozen=True)
class InjectedFault:
    """A fault as it really happened, in virtual time.

    Attributes:
        number: its row in the table of faults.
        device: the only device that it may disturb (for LINK also all behind the same address); None:
            :data:`DISTURB_ALL`.
        begins, ends: aware. A death ends when the process may start again.
        shift_s: jump of the wall clock, for ``Kind.CLOCK``; longer than the run.
        noticeable: False for a fault that may rightly pass undetected, such as a slow link.
        loses_journal: a death that deletes or damages the journal, so that there may be no plan to resume.
        other_device: the second one of two that were exchanged.
        named_within_s: time by which a lying meter must be named, for ``Kind.VOLTAGE``.
        stopped_at: when an emergency stop was asked for, whoever heard of it.
        hangs: for ``Kind.GUARDIAN``: suspended, not ended, so that its last sign of life must first grow old.
    """

    name: str
    number: int
    device: str | None
    begins: datetime
    ends: datetime
    kind: Kind
    shift_s: float = 0.0
    noticeable: bool = True
    loses_journal: bool = False
    other_device: str | None = None
    named_within_s: float | None = None
    stopped_at: datetime | None = None
    hangs: bool = False

    def covers(self, at: datetime, before_s: float = 0.0, after_s: float = 0.0) -> bool:
        """Whether ``at`` lies in the fault, extended by ``before_s`` and ``after_s``."""
        return self.begins - timedelta(seconds=before_s) <= at <= self.ends + timedelta(seconds=after_s)


@dataclass(frozen=True)
class BrokenInvariant:
    """An invariant that did not hold; ``device`` is None if it concerns the run as a whole."""

    invariant: int
    time: datetime
    device: str | None
    what: str


@dataclass(frozen=True)
class ConverterLimits:
    """Ratings of a converter, and the battery of the prosumer behind it."""

    prosumer: str
    s_max_kva: float
    ramp_kva_per_s: float
    battery: Battery | None


@dataclass(frozen=True)
class VoltageBand:
    """Limits of the voltage at every node but ``slack``, p.u."""

    v_min_pu: float
    v_max_pu: float
    slack: str

    def beyond_pu(self, node: str, v_pu: float | None) -> float:
        """By how much a voltage lies outside; 0 inside, at the slack, and if it is unknown."""
        if v_pu is None or node == self.slack:
            return 0.0
        return max(self.v_min_pu - v_pu, v_pu - self.v_max_pu, 0.0)


@dataclass(frozen=True)
class CaseConfig:
    """What the judge must know of the configuration.

    Attributes:
        converters: by name, those of prosumers.
        meters: node → meter.
        links: every device → those at the same host and port, itself included.
        cycle_s: period of the real-time loop.
        poll_s: period at which a device was read, in virtual time.
    """

    converters: Mapping[str, ConverterLimits]
    meters: Mapping[str, str]
    links: Mapping[str, frozenset[str]]
    cycle_s: float
    poll_s: float
    band: VoltageBand

    @classmethod
    def of(cls, config: Config, poll_s: float | None = None) -> "CaseConfig":
        """Extract it from a configuration; without ``poll_s`` every device is read once per cycle."""
        rated = config.converters
        converters = {
            name: ConverterLimits(
                prosumer=p.name,
                s_max_kva=rated[name].s_max_kva,
                ramp_kva_per_s=rated[name].ramp_kva_per_s,
                battery=p.battery.battery() if p.battery else None,
            )
            for p in config.prosumers
            for name in p.converters
        }
        cycle_s = config.schedule.realtime_s
        band = VoltageBand(config.limits.v_min_pu, config.limits.v_max_pu, config.grid.slack)
        return cls(converters, config.meter_at, _links(config.devices), cycle_s, poll_s or cycle_s, band)

    @property
    def prosumers(self) -> tuple[str, ...]:
        """Names of the prosumers with a converter."""
        return tuple(self.converters_of)

    @cached_property
    def converters_of(self) -> Mapping[str, tuple[str, ...]]:
        """Prosumer → its converters; a prosumer without one has no entry."""
        found: dict[str, tuple[str, ...]] = {}
        for device, limits in self.converters.items():
            found[limits.prosumer] = (*found.get(limits.prosumer, ()), device)
        return found

    def limits_of(self, prosumer: str) -> tuple[ConverterLimits, ...]:
        """Limits of all converters of a prosumer."""
        return tuple(self.converters[device] for device in self.converters_of.get(prosumer, ()))


@dataclass(frozen=True)
class Case:
    """A run to be judged; ``end`` is when its plant stopped, even if the controller had ended before."""

    histories: Histories
    site: CaseConfig
    faults: tuple[InjectedFault, ...]
    end: datetime

    @classmethod
    def of(cls, histories: Histories, site: CaseConfig, faults: Sequence[InjectedFault], end: datetime) -> "Case":
        """Correct the times that a jump of the wall clock has shifted, and sort the faults."""
        return cls(
            _without_clock_jumps(histories, faults), site, tuple(sorted(faults, key=lambda fault: fault.begins)), end
        )

    @cached_property
    def converters(self) -> Mapping[str, ConverterHistory]:
        """History of each converter, by name."""
        attempts = attempts_of(self.histories)
        return {
            device: converter_history(self.histories, device, attempts.get(device, ()))
            for device in self.site.converters
        }

    @cached_property
    def decisions(self) -> Sequence[tuple[ProsumerCycle, str]]:
        """Each row of realtime.csv with each converter of its prosumer."""
        owned = self.site.converters_of
        return [(row, device) for row in self.histories.decisions for device in owned.get(row.prosumer, ())]

    def rung(self, row: ProsumerCycle, device: str) -> str:
        """The rung of one converter of the row's prosumer, from the reason of its write.

        The row has the lowest rung of its converters, which is used for an only converter and for one that was not
        written.
        """
        if len(self.site.converters_of[row.prosumer]) == 1:
            return row.rung
        return self._written_rungs.get((row.time, device), row.rung)

    def stopped(self, row: ProsumerCycle, device: str) -> bool:
        """Whether the cycle did not write that converter, since it was under local control or in doubt.

        The row has the reasons of all converters of its prosumer together.
        """
        if Reason.STOPPED not in row.reasons or len(self.site.converters_of[row.prosumer]) == 1:
            return Reason.STOPPED in row.reasons
        return (row.time, device) in self._left_alone

    @cached_property
    def _written_rungs(self) -> Mapping[tuple[datetime, str], str]:
        writes = ((device, write) for device, history in self.converters.items() for write in history.attempts)
        return {(w.time, device): w.rung for device, w in writes if not w.guardian and w.rung in tuple(Rung)}

    @cached_property
    def _left_alone(self) -> frozenset[tuple[datetime, str]]:
        histories = self.histories
        panel = {(point.time, point.device) for point in histories.devices if point.state in PANEL_STATES}
        doubts = {f"{device} {kind}": device for device in self.site.converters for kind in DoubtKind}
        doubted = {(a.time, doubts[a.alarm]) for a in histories.alarms if a.standing and a.alarm in doubts}
        return frozenset(panel | doubted)

    @cached_property
    def modes(self) -> tuple[tuple[datetime, str], ...]:
        """Mode and the time since when it was in force, ascending, from the audit trail."""
        return modes_of_trail(self.histories.audit)

    def modes_at(self, at: datetime) -> frozenset[str]:
        """Modes in force at that time; two at the instant of a change."""
        before = next((mode for since, mode in reversed(self.modes) if since < at), "off")
        return frozenset((before, *(mode for since, mode in self.modes if since == at)))

    @cached_property
    def stops(self) -> Sequence[datetime]:
        """When emergency stops were asked for: by the injections, and by what the trails say."""
        injected = [fault.stopped_at for fault in self.faults if fault.stopped_at]
        trails = (self.histories.audit, *self.histories.stops)
        noted = [n.time for trail in trails for n in trail if isinstance(n, AuditNote) and n.event == STOP_NOTE]
        return sorted({*injected, *noted})

    def disturbed(self, fault: InjectedFault) -> frozenset[str]:
        """The devices that a fault may disturb."""
        if fault.device is None:
            return frozenset(self.site.links if fault.kind in DISTURB_ALL else ())
        if fault.kind is Kind.LINK:
            return self.site.links[fault.device]
        return frozenset(name for name in (fault.device, fault.other_device) if name)

    def during(self, at: datetime, *kinds: Kind, device: str | None = None, after_s: float = 0.0) -> bool:
        """Whether a fault of these kinds (that disturbs the device, if given) is present, counted from one cycle before
        it.
        """
        concerned = (f for f in self.faults if f.kind in kinds and (device is None or device in self.disturbed(f)))
        return any(fault.covers(at, self.site.cycle_s, after_s) for fault in concerned)

    def unattended(self, at: datetime) -> bool:
        """Whether at that time no controller may have been running, or none that could record."""
        return self.during(at, Kind.DEATH, Kind.STOP, Kind.DISK, after_s=RESTART_S + self.site.cycle_s)

    def unaffected(self, device: str, at: datetime) -> bool:
        """Whether no present or recent fault may disturb the device at that time."""
        cycle_s = self.site.cycle_s
        lasting = (fault for fault in self.faults if fault.covers(at, cycle_s, RECOVERY_S))
        return not any(device in self.disturbed(fault) for fault in lasting)

    def received(self) -> Sequence[ExplainedFrame]:
        """Frames of all converters, without those of another writer during a fault that lets it write."""
        return [
            received
            for device, history in self.converters.items()
            for received in history.received
            if received.attempt or not self.during(received.frame.time, Kind.WRITER, device=device)
        ]


def modes_of_trail(trail: Trail) -> tuple[tuple[datetime, str], ...]:
    """Mode and the time since when it was in force, ascending, from the audit trail of a service."""
    notes = (note for note in trail if isinstance(note, AuditNote) and note.event == MODE_NOTE)
    return tuple((note.time, note.detail.rpartition(" → ")[2]) for note in notes)


def _links(devices: Sequence[Device]) -> Mapping[str, frozenset[str]]:
    addresses = {device.name: _address(device) for device in devices}
    return {name: frozenset(n for n, at in addresses.items() if at == here) for name, here in addresses.items()}


def _address(device: Device) -> tuple[str | None, int | None]:
    if isinstance(device, OpcUaConverter):
        url = urlsplit(device.url)
        return url.hostname, url.port
    return device.host, device.port


def _without_clock_jumps(histories: Histories, faults: Sequence[InjectedFault]) -> Histories:
    """Shift records that lie outside of the run, since the wall clock had jumped, back to the fault."""
    jumps = [fault for fault in faults if fault.kind is Kind.CLOCK and fault.shift_s]
    if not jumps or not histories.frames:
        return histories
    edge = timedelta(seconds=EDGE_S)
    first, last = histories.frames[0].time - edge, histories.frames[-1].time + edge

    def corrected(at: datetime) -> datetime:
        if first <= at <= last:
            return at
        moved = ((at - timedelta(seconds=jump.shift_s), jump) for jump in jumps)
        return next((original for original, jump in moved if jump.covers(original, EDGE_S, EDGE_S)), at)

    def all_corrected(records: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(replace(record, time=corrected(record.time)) for record in records)

    written = ("devices", "nodes", "service", "alarms", "decisions", "plans")
    return replace(
        histories,
        audit=all_corrected(histories.audit),
        guardian=all_corrected(histories.guardian),
        stops=tuple(map(all_corrected, histories.stops)),
        stored_prosumers=frozenset((corrected(at), name) for at, name in histories.stored_prosumers),
        stored_plans=frozenset(map(corrected, histories.stored_plans)),
        **{name: tuple(sorted(all_corrected(getattr(histories, name)), key=lambda r: r.time)) for name in written},
    )
