"""The invariants, as far as they can be seen from outside after every operation. Each raises what breaks it."""

from math import inf, isfinite

from controller.guardian.watching import SILENCE_S
from controller.process.heartbeat import Heartbeat, read_heartbeat
from controller.process.modes import Mode
from controller.record.records import CycleRecord, ProsumerRecord
from core.devices import Outcome, Quality
from core.epochs import NOBODY, later
from realtime.fallback import Rung
from realtime.storage import soc_change
from realtime.timing import FRESH_POLLS, HOLD_DATA_S, LEASE_S, S_PER_H, USE_DATA_S
from sim_plant.converter import ControlState, Refusal
from sim_plant.faults import DeviceFault
from sim_plant.referee import FrameRule
from sim_plant.stations import ConverterStation
from tests.state_machine.ledger import CONVERTERS, LATE_S, Ledger
from tests.state_machine.witness import WIRE_KVA, Sighting
from tests.state_machine.world import CYCLE_S, World

DEATH_S = 90.0
"""By when a device is safe after the death of whatever commanded it."""
SETTLED_S = 150.0
"""By when whatever disturbed a device is forgotten: hold-off, and three readings."""
SOC_TOLERANCE = 1e-6
EXCUSED = {
    Refusal.EPOCH: frozenset((FrameRule.WRITER,)),
    Refusal.STATE: frozenset((FrameRule.RAMP,)),
}
"""What is no violation where the device did not follow: the fence at work, a device that went safe a moment ago."""


def frames_allowed(world: World, ledger: Ledger, before: Mode, *, changes_mode: bool) -> None:
    """1, 2, 4, 5, 6, 15: what arrived at converters in the operation that began in mode ``before``."""
    for sighting in world.witness.sightings:
        if sighting.verdict.frame.enable:
            _setpoint_allowed(world, ledger, sighting, before)
        else:
            _release_allowed(world, ledger, sighting, before, changes_mode=changes_mode)
    ledger.unwritten -= {attempt.device for attempt in world.witness.announced}


def _setpoint_allowed(world: World, ledger: Ledger, sighting: Sighting, before: Mode) -> None:
    verdict, frame = sighting.verdict, sighting.verdict.frame
    device = verdict.device
    rested = verdict.t_s <= ledger.released.get(device, -inf)
    if verdict.refusal is None and rested and frame.epoch != ledger.fenced.get(device):
        ledger.released[device] = verdict.t_s
    if not sighting.by_service:
        foreign = world.plant.laboratory.converters[device].instrument.faults.active.get(DeviceFault.FOREIGN_WRITE)
        assert foreign == frame.epoch, f"6: {device}: {verdict} announced by nobody"
        if verdict.refusal is None:
            ledger.intruded[device] = frame.epoch
        return
    excused = EXCUSED.get(verdict.refusal, frozenset()) if verdict.refusal else frozenset()
    missed = {FrameRule.WRITER} if device in world.witness.deaf else set()
    broken = set(verdict.violations) - excused - missed
    assert not broken, f"1, 2, 4, 5: {device}: {verdict}, before {sighting.before_kva}"
    assert before is Mode.ACTIVE or device in world.witness.late, f"15: {device}: {verdict} in {before}"
    stopped = ledger.commanded is not Mode.ACTIVE and device not in world.witness.late
    assert not stopped, f"16: {device}: {verdict}, commanded is {ledger.commanded}"
    assert 0 < frame.lease_s <= LEASE_S, f"4: {device}: {verdict}"
    if device in world.witness.late or verdict.refusal is Refusal.IGNORED:
        return
    stalled = ledger.shaken_s == world.at_s  # a busy machine may have made it look silent
    unknowing = device in ledger.blind_since() or stalled  # what it says beside no good reading is not believed
    replaced = device not in ledger.intruded or later(frame.epoch, ledger.intruded[device])
    assert replaced or unknowing, f"5: {device}: {verdict}, it follows somebody else"
    if device in ledger.unwritten and not rested:
        grows_kva = abs(frame.s_kva) - abs(sighting.before_kva)
        assert grows_kva <= 2 * WIRE_KVA, f"10: {device}: {verdict}, it held {sighting.before_kva}"
    if device not in ledger.epochs:
        before_us = ledger.latest.get(device, NOBODY)
        assert later(frame.epoch, before_us), f"5: {device}: {verdict}, epoch {before_us} was used before"
        ledger.epochs[device] = ledger.latest[device] = frame.epoch
    assert frame.epoch == ledger.epochs[device], f"5: {device}: {verdict}, the writer's epoch is {ledger.epochs}"


def _release_allowed(world: World, ledger: Ledger, sighting: Sighting, before: Mode, *, changes_mode: bool) -> None:
    verdict = sighting.verdict
    device = verdict.device
    another = sighting.by_guardian and verdict.frame.epoch != ledger.epochs.get(device)
    if verdict.refusal is None and (another or not sighting.by_service):
        ledger.released[device] = inf
        ledger.fenced[device] = _later_of(ledger.fenced.get(device, NOBODY), verdict.frame.epoch)
    if verdict.refusal is None and sighting.by_guardian and not sighting.by_service:
        ledger.latest[device] = _later_of(ledger.latest.get(device, NOBODY), verdict.frame.epoch)
    excused = verdict.refusal is Refusal.EPOCH or world.disk_bytes is not None or device in world.witness.late
    assert excused or sighting.by_service or sighting.by_guardian, f"6: {device}: {verdict} announced by nobody"
    if before is not Mode.ACTIVE and not changes_mode and world.disk_bytes is None:
        assert sighting.by_guardian or device in world.witness.late, f"15: {device}: {verdict} in {before}"


def _later_of(before: int, epoch: int) -> int:
    """What a device remembers: a release of an older writer lets it not back."""
    return before if later(before, epoch) else epoch


def mode_commanded(world: World, ledger: Ledger) -> None:
    """16: the mode is no more than what was last commanded, whatever has happened since."""
    assert ledger.commanded.allows(world.mode), f"16: {world.mode}, commanded is {ledger.commanded}"


def devices_safe(world: World, ledger: Ledger) -> None:
    """1, 4: what converters hold, and that they hold it for no longer than somebody attends to them."""
    for name, station in world.plant.laboratory.converters.items():
        state = station.state
        setpoint = state.setpoint_kva
        assert isfinite(setpoint.real), f"1: {name}: {state}"
        assert isfinite(setpoint.imag), f"1: {name}: {state}"
        assert abs(setpoint) <= station.rating.s_max_kva * (1 + 1e-6), f"1: {name}: {state}"
        if state.mode is not ControlState.REMOTE:
            continue
        assert 0 < state.expires_s - world.at_s <= LEASE_S, f"4: {name}: {state} at {world.at_s} s"
        alone_s = world.at_s - ledger.attended_s
        assert alone_s <= DEATH_S or ledger.foreign(name, world.at_s), (
            f"4: {name}: {state}, nobody attends to it for {alone_s} s"
        )


def guarded(world: World) -> None:
    """The guardian stands in for a service that has been silent for too long, by the heartbeat that both know."""
    beat = read_heartbeat(world.setup.state)
    if isinstance(beat, Heartbeat) and beat.mode is Mode.ACTIVE and world.at_s - beat.monotonic_s >= SILENCE_S:
        assert world.guardian.is_writer, f"4: no guardian at {world.at_s} s, {beat}"


def charge_in_band(world: World, ledger: Ledger) -> None:
    """8: of every battery whose converter has always been honest."""
    if world.service is None:
        return
    for prosumer in world.setup.config.prosumers:
        battery = world.service.batteries[prosumer.name]
        if prosumer.battery is None or battery is None or any(map(ledger.lied, prosumer.converters)):
            continue
        low, high = prosumer.battery.soc_min - SOC_TOLERANCE, prosumer.battery.soc_max + SOC_TOLERANCE
        assert low <= battery.soc <= high, f"8: {prosumer.name}: {battery.soc} outside {low} … {high}"


def record_true(world: World, ledger: Ledger, record: CycleRecord) -> None:
    """3, 7, 8, 13, 14: what a cycle says that it knew, decided and did."""
    blind = ledger.blind_since()
    for device, told in record.devices.items():
        if device in blind and (alone_s := world.at_s - blind[device]) > 0:
            assert told.quality != Quality.GOOD, f"3: {device}: {told}, blind for {alone_s} s"
            late_s = LATE_S if ledger.stalled_about(world.at_s - alone_s) else 0.0
            assert told.age_s is None or told.age_s >= alone_s - late_s, f"3: {device}: {told}, blind for {alone_s} s"
    for node, v_pu in record.nodes.items():
        meter = f"{node.lower()}_meter"
        if world.at_s - blind.get(meter, world.at_s) > USE_DATA_S:
            assert v_pu is None, f"3: {node}: {v_pu} p.u. from a blind meter"
    for device, name in CONVERTERS.items():
        prosumer = record.prosumers[name]
        _decided_on_data(world, ledger, record, device)
        _measured_right(world, ledger, record, device)
        _charge_at_lapse(world, prosumer, name)
        _done(world, ledger, record, device)
        _undisturbed(world, ledger, record, device)
        ledger.rungs[device] = prosumer.rung


def _decided_on_data(world: World, ledger: Ledger, record: CycleRecord, device: str) -> None:
    rung, before = record.prosumers[CONVERTERS[device]].rung, ledger.rungs.get(device)
    blind_s = world.at_s - ledger.blind_since().get(device, world.at_s)
    allowed = {Rung.USE: USE_DATA_S, Rung.HOLD: HOLD_DATA_S}
    if rung in allowed:
        assert blind_s <= allowed[Rung(rung)], f"3: {device}: {rung}, blind for {blind_s} s"
    if (before, rung) == (Rung.SAFE, Rung.USE) and not ledger.struck(device, world.at_s):
        polls = ledger.healthy_polls.get(device, 0)
        assert polls >= FRESH_POLLS, f"14: {device}: safe → use after {polls} readings"


def _measured_right(world: World, ledger: Ledger, record: CycleRecord, device: str) -> None:
    """An honest converter's power is what it measured at this instant, or unknown."""
    p_kw, said = record.prosumers[CONVERTERS[device]].p_measured_kw, record.devices[device]
    if said.quality != Quality.GOOD:
        since_the_last_cycle = said.age_s is not None and said.age_s <= CYCLE_S
        assert p_kw is None or since_the_last_cycle, f"3: {device}: {p_kw} kW from {said}"
    elif not any(fault.device == device for fault in ledger.faults):
        true_kw = _station(world, device).instrument.measured()["p_kw"]
        assert p_kw is not None, f"3: {device}: unknown in spite of {said}"
        assert true_kw is not None, device
        assert abs(p_kw - true_kw) <= WIRE_KVA, f"3: {device}: {p_kw} kW, measured {true_kw} kW"


def _charge_at_lapse(world: World, prosumer: ProsumerRecord, name: str) -> None:
    """Wherever the charge is, a lease never takes it further out of its band."""
    config = next(p.battery for p in world.setup.config.prosumers if p.name == name)
    if config is None or prosumer.soc is None:
        return
    low, high = config.soc_min - SOC_TOLERANCE, config.soc_max + SOC_TOLERANCE
    then = prosumer.soc + soc_change(config.battery(), prosumer.battery_kw or 0.0, LEASE_S / S_PER_H)
    assert min(low, prosumer.soc) <= then <= max(high, prosumer.soc), f"8: {name}: {prosumer.soc} → {then}"


def _done(world: World, ledger: Ledger, record: CycleRecord, device: str) -> None:
    """What is called verified has happened; a frozen device shows what it showed before."""
    attempts = [attempt for attempt in world.witness.announced if attempt.device == device]
    yielded, said = world.mode is not Mode.ACTIVE, record.devices[device].outcome
    excused = ledger.has(device, "frozen", "late_write") or ledger.struck(device, world.at_s)
    if said != Outcome.VERIFIED or yielded or excused:
        return
    state = _station(world, device).state
    assert attempts or world.disk_bytes is not None, f"6: {device}: verified without an attempt"
    s_kva = attempts[-1].s_kva if attempts else None  # a full disk keeps nobody from releasing
    if s_kva is None:
        assert state.mode is not ControlState.REMOTE, f"7: {device}: released, but {state}"
    else:
        assert state.mode is ControlState.REMOTE, f"7: {device}: verified, but {state}"
        assert abs(state.setpoint_kva - s_kva) <= 2 * WIRE_KVA, f"7: {device}: {attempts[-1]}, but {state}"


def _undisturbed(world: World, ledger: Ledger, record: CycleRecord, device: str) -> None:
    """13: a device that no fault has touched for long follows its plan, whatever happens to others."""
    if ledger.active_s is None or world.at_s - ledger.active_s < SETTLED_S:
        return
    if ledger.calm_s(device, world.at_s) >= SETTLED_S:
        rung, outcome = record.prosumers[CONVERTERS[device]].rung, record.devices[device].outcome
        assert (rung, outcome) == (Rung.USE, Outcome.VERIFIED), f"13: {device}: {rung}, {outcome}: {record}"


def _station(world: World, device: str) -> ConverterStation:
    return world.plant.laboratory.converters[device]
