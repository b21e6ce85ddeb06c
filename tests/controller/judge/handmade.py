"""A run written by hand: two prosumers, a meter, a cycle every 30 s; tests spoil one thing and ask the judge."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from controller.judge.case import Case, CaseConfig, ConverterLimits, InjectedFault, Kind, VoltageBand
from controller.judge.histories import (
    AlarmPoint,
    DevicePoint,
    Histories,
    NodePoint,
    PlanRun,
    ProsumerCycle,
    ReceivedFrame,
    ServicePoint,
)
from controller.judge.invariants import violations
from controller.record.audit_lines import AuditNote, AuditWrite
from core.resources import Battery

START = datetime(2018, 6, 21, 10, tzinfo=UTC)
BATTERY = Battery(s_max_kva=2.5, energy_kwh=2.5)
SITE = CaseConfig(
    converters={"a": ConverterLimits("A", 15.0, 0.25, BATTERY), "b": ConverterLimits("B", 15.0, 0.25, None)},
    meters={"n": "m"},
    links={"a": frozenset("a"), "b": frozenset("b"), "m": frozenset("m")},
    cycle_s=30.0,
    poll_s=30.0,
    band=VoltageBand(0.95, 1.05, "slack"),
)
WANTED_KVA = 1.0 - 0.5j
PLAN = "mpc 2018-06-21T10:00:00+00:00"
T = TypeVar("T")


def at(k: float) -> datetime:
    """The time of a cycle."""
    return START + timedelta(seconds=30.0 * k)


def fault(kind: Kind, begins: float, ends: float, device: str | None = None, **more: float) -> InjectedFault:
    """From one cycle to another."""
    return InjectedFault(kind.value, 1, device, at(begins), at(ends), kind, **more)


def changed(records: Iterable[T], which: Callable[[T], bool], **values: object) -> tuple[T, ...]:
    """With other values in some records."""
    return tuple(replace(r, **values) if which(r) else r for r in records)  # type: ignore[type-var]


def numbers(histories: Histories, *faults: InjectedFault, cycles: int = 20) -> set[int]:
    """Which invariants the judge finds broken."""
    return {broken.invariant for broken in violations(Case.of(histories, SITE, faults, at(cycles)))}


class Writer:
    """Writes the histories of a controller that starts in cycle 0 and may die."""

    def __init__(self) -> None:
        self.frames: list[ReceivedFrame] = []
        self.audit: list[AuditWrite | AuditNote] = []
        self.devices: list[DevicePoint] = []
        self.nodes: list[NodePoint] = []
        self.service: list[ServicePoint] = []
        self.decisions: list[ProsumerCycle] = []
        self.seq, self.epoch = 0, 0

    def number(self) -> int:
        self.seq += 1
        return self.seq

    def note(self, k: int, change: str) -> None:
        self.audit.append(AuditNote(self.number(), at(k), "mode", change))

    def cycle(self, k: int, rung: str, s_kva: complex) -> None:
        for device in SITE.converters:
            prosumer = SITE.converters[device].prosumer
            write = AuditWrite(
                self.number(), at(k), device, s_kva.real, s_kva.imag, f"{rung} intraday", PLAN, "attempted"
            )
            self.audit += [write, replace(write, outcome="verified")]
            self.frames.append(ReceivedFrame(at(k), device, s_kva, 75.0, self.epoch, True, None, ()))
            self.decisions.append(ProsumerCycle(at(k), prosumer, 1.0, -0.5, s_kva.real, 0.1, 0.5, rung, ()))
        self.devices += [DevicePoint(at(k), device, 4.0, "good", 0.0, None) for device in SITE.links]
        self.nodes.append(NodePoint(at(k), "n", 1.0))
        self.service.append(ServicePoint(at(k), "active", 20.0, 0.0))

    def release(self, k: int) -> None:
        for device in SITE.converters:
            write = AuditWrite(self.number(), at(k), device, None, None, "stop", "", "attempted")
            self.audit += [write, replace(write, outcome="verified")]
            self.frames.append(ReceivedFrame(at(k), device, WANTED_KVA, 75.0, self.epoch, False, None, ()))

    def histories(self) -> Histories:
        return Histories(
            frames=tuple(self.frames),
            audit=tuple(self.audit),
            devices=tuple(self.devices),
            nodes=tuple(self.nodes),
            service=tuple(self.service),
            stored_prosumers=frozenset((d.time, d.prosumer) for d in self.decisions),
            stored_plans=frozenset({START}),
            decisions=tuple(self.decisions),
            plans=(PlanRun(START, "converged", 1e-4, 1e-5, adopted=True),),
        )


def cut_off(begins: int, heals: int, cycles: int = 20) -> Histories:
    """A run in which converter a does not answer in some cycles: held, then safe, back after three good readings."""
    run = calm(cycles)

    def rung(time: datetime) -> str:
        if not at(begins) <= time < at(heals + 2):
            return ""
        return "hold" if time < at(begins + 1) else "safe"

    def written(record: AuditWrite | AuditNote) -> AuditWrite | AuditNote:
        if not isinstance(record, AuditWrite) or record.device != "a" or not rung(record.time):
            return record
        outcome = "unknown" if record.outcome == "verified" and record.time < at(heals) else record.outcome
        power = {"p_kw": 0.0, "q_kvar": 0.0} if rung(record.time) == "safe" else {}
        return replace(record, reason=f"{rung(record.time)} intraday", outcome=outcome, **power)

    def decided(decision: ProsumerCycle) -> ProsumerCycle:
        if decision.prosumer != "A" or not rung(decision.time):
            return decision
        measured = None if decision.time < at(heals) else 0.0
        return replace(decision, rung=rung(decision.time), p_measured_kw=measured)

    def read(point: DevicePoint) -> DevicePoint:
        age_s = (point.time - at(begins - 1)).total_seconds()
        lost = point.device == "a" and at(begins) <= point.time < at(heals)
        return replace(point, quality="invalid", age_s=age_s, latency_ms=None) if lost else point

    alarms = tuple(AlarmPoint(at(k), "a write", True, "unknown") for k in range(begins, heals))

    def arrived(frame: ReceivedFrame) -> bool:
        return frame.device != "a" or not at(begins) <= frame.time < at(heals)

    back = changed(run.frames, lambda f: f.device == "a" and rung(f.time) == "safe", s_kva=0j)
    return replace(
        run,
        frames=tuple(filter(arrived, back)),
        audit=tuple(map(written, run.audit)),
        decisions=tuple(map(decided, run.decisions)),
        devices=tuple(map(read, run.devices)),
        alarms=alarms,
    )


def calm(cycles: int = 20, dead: range = range(0)) -> Histories:
    """A run in which nothing is wrong; no controller lives in the cycles of ``dead``.

    A controller comes back with the setpoint that the device holds, after more than a lease from the safe state.
    """
    writer, safe_until, lived = Writer(), 2, False
    for k in (k for k in range(cycles) if k not in dead):
        if not lived or k == dead.stop:
            writer.epoch += 1
            writer.note(k, "off → active")
            lapsed = len(dead) * 30 >= 75
            safe_until, lived = k + 2 if not lived or lapsed else 0, True
        safe = k < safe_until
        writer.cycle(k, "safe" if safe else "use", 0j if safe else WANTED_KVA)
    writer.release(cycles)
    writer.note(cycles, "active → off")
    return writer.histories()
