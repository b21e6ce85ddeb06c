"""Makes the record of a cycle: measurements and actions, the day's cost so far, and standing alarms."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from controller.live.site import PageSite
from controller.process.modes import Mode
from controller.record.records import CycleRecord, DevicesRecord, MpcRecord, Severity
from controller.service.alarms import AlarmLog, Finding
from controller.service.costs import Costs
from controller.service.cycle import Cycle
from controller.service.describe import Places, RecordContext, ServiceState, cycle_record, limits_record
from controller.service.plans import Plans
from controller.service.prices import prices_at
from controller.service.watch import Watch
from core.config import Config
from core.devices import Outcome, Snapshot
from core.time import Clock

JUMP_S = 1.0


class CycleRecorder:
    """Keeps what a record needs of earlier cycles.

    Attributes:
        costs: of the day so far; may be replaced by those of an earlier service.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        network, self._clock = config.grid.network(), clock
        self._zone = ZoneInfo(config.horizon.timezone)
        self._places, self._limits = Places.of(config, network), limits_record(config, network)
        self._alarms = AlarmLog(PageSite.of(config))
        self._mpc: MpcRecord | None = None
        self._last: Snapshot | None = None
        self._quality: dict[str, str] = {}
        self._unverified: dict[str, Finding] = {}
        self.costs = Costs.none(clock.now().astimezone(self._zone))

    def remember_mpc(self, record: MpcRecord) -> None:
        """Remember the last MPC run."""
        self._mpc = record

    def changed(self, watch: Watch) -> DevicesRecord | None:
        """Records of devices whose quality at a poll differs from the last record; None if there are none."""
        seen = {name: record for name, record in watch.devices().items() if self._quality.get(name) != record.quality}
        self._quality.update({name: record.quality for name, record in seen.items()})
        return DevicesRecord(self._clock.now(), seen) if seen else None

    def record(self, cycle: Cycle, plans: Plans, service: ServiceState, notices: Iterable[Finding]) -> CycleRecord:
        """The record of a cycle that has just ended; ``notices`` are conditions besides those in the record."""
        now, now_s = self._clock.now(), self._clock.monotonic_s()
        prices = prices_at(plans, now)
        self.costs = self.costs.after(cycle.at.astimezone(self._zone), _measured_kw(cycle), prices)
        context = RecordContext(prices, self.costs.chf, plans.age_s(now, now_s), service)
        record = cycle_record(cycle, self._places, self._limits, context)
        jumped, self._last = tuple(_jumped(self._last, cycle.image.snapshot)), cycle.image.snapshot
        self._quality = {name: device.quality for name, device in record.devices.items()}
        self._unverified = _unverified(self._unverified, cycle) if service.mode is Mode.ACTIVE else {}
        found = (*_cycle_findings(cycle), *self._unverified.values(), *jumped, *notices)
        standing, ended = self._alarms.after(record, self._mpc, found)
        return replace(record, alarms=standing, ended=ended)


def _measured_kw(cycle: Cycle) -> Mapping[str, float | None]:
    """By prosumer; None where nothing was measured."""
    powers = {name: node.measured for name, node in cycle.result.nodes.items()}
    powers |= {name: house.demand.power if house.demand.measured else None for name, house in cycle.houses.items()}
    return {name: power.p_kw if power else None for name, power in powers.items()}


def _cycle_findings(cycle: Cycle) -> Iterator[Finding]:
    for name, doubt in cycle.doubts.items():
        yield Finding(doubt.kind, Severity.ALARM, name, doubt.text)
    for name, voltage in cycle.believed.doubts.items():
        yield Finding(voltage.kind, Severity.ALARM, name, voltage.text)
    if undecided := cycle.believed.undecided:
        text = f"contradict each other, and nobody can tell which is wrong: {', '.join(undecided)}"
        yield Finding("voltages", Severity.ALARM, "grid", text)
    for name, override in cycle.overrides.items():
        left_s = override.until_s - cycle.image.snapshot.monotonic_s
        text = f"{override.p_kw:g} kW, {override.q_kvar:g} kvar by an operator, {left_s:.0f} s more"
        yield Finding("override", Severity.WARNING, name, text)


def _unverified(before: Mapping[str, Finding], cycle: Cycle) -> dict[str, Finding]:
    """A finding for each converter whose last write, of whatever kind, was not read back."""
    findings = {
        name: Finding("write", Severity.ALARM, name, f"{outcome}, not read back")
        for name, outcome in cycle.outcomes.items()
        if outcome is not Outcome.VERIFIED
    }
    return {name: finding for name, finding in before.items() if name not in cycle.outcomes} | findings


def _jumped(last: Snapshot | None, now: Snapshot) -> Iterator[Finding]:
    """A finding if wall clock and monotonic clock disagree about the time since the last cycle."""
    if last is None:
        return
    jump_s = (now.at - last.at).total_seconds() - (now.monotonic_s - last.monotonic_s)
    if abs(jump_s) > JUMP_S:
        yield Finding("jump", Severity.WARNING, "clock", f"the wall clock jumped by {jump_s:+.1f} s")
