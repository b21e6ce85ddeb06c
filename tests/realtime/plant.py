"""A perfect converter around the 30 s layer: what it is told it does until it is told otherwise. Judges on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.devices import ConverterStatus, Measurement, OperatingState, Outcome, Quality, Snapshot
from core.resources import Battery
from realtime.cycle import CycleInputs, CycleMemory, decide, next_states
from realtime.emulation import BatteryState, InForce
from realtime.fallback import LadderState, Rung
from realtime.node import AgedTarget, NodeLimits, NodeResult, NodeState, PlanTargets
from realtime.plane import ZERO, Power
from realtime.tracker import LoadAndPv, Target

BEGIN = datetime(2018, 6, 21, tzinfo=UTC)
CYCLE_S = 30.0
NOON = LoadAndPv(1.0, 0.2, 4.0)
TARGET = Target(-2.0, 0.0, 1.0)
BEFORE = Power(-2.0, 0.1)
RUNNING = NodeState(
    BatteryState(0.5, battery_kw=-1.0),
    LadderState(Rung.USE),
    InForce(1.0, 0.2, 4.0, Power(-1.0, 0.1), 0.0),
    sent=BEFORE,
    cycle_s=970.0,
    received_s=970.0,
    amounts=NOON,
    amounts_s=970.0,
)
"""A prosumer at noon that follows its plan, in the cycle at 970 s: load and PV, target, setpoint, memory."""


@dataclass(frozen=True)
class Moment:
    """What one cycle meets."""

    amounts: LoadAndPv | None
    target: Target | None
    seen: bool = True
    s_max_kva: float | None = None


@dataclass(frozen=True)
class Record:
    """One cycle: the setpoint before and after it, and the true state of charge at its end."""

    before: Power
    after: Power
    soc: float
    result: NodeResult


def reading(converter: str, power: Power, at_s: float, quality: Quality = Quality.GOOD) -> Measurement:
    return Measurement(converter, power.p_kw, power.q_kvar, None, None, None, at_s, quality)


def status(
    held: Power | None, s_max_kva: float | None = None, state: OperatingState = OperatingState.REMOTE
) -> ConverterStatus:
    """What a converter says that holds a setpoint, or shows none."""
    p_kw, q_kvar = (held.p_kw, held.q_kvar) if held else (None, None)
    return ConverterStatus(state, s_max_kva, p_kw, q_kvar, writer_epoch=1)


def snapshot(
    at_s: float, *readings: Measurement, statuses: Mapping[str, ConverterStatus] | None = None, polls: int = 1
) -> Snapshot:
    """The process image, with so many good readings of each device since the last one."""
    at, by_device = BEGIN + timedelta(seconds=at_s), {r.device: r for r in readings}
    return Snapshot(at, at_s, by_device, statuses or {}, dict.fromkeys(by_device, polls))


def offers(target: Target | None, age_s: float = 60.0) -> PlanTargets:
    return PlanTargets(AgedTarget(target, age_s) if target else None)


def energy_into(battery: Battery, battery_kw: float, seconds: float) -> float:
    """kWh that reach the cells of a lossy battery, by hand."""
    kwh = battery_kw * seconds / 3600
    return -kwh / battery.efficiency if kwh > 0 else -kwh * battery.efficiency


def play(
    moments: Sequence[Moment], limits: NodeLimits, soc: float = 0.5, noise_kw: Sequence[float] = ()
) -> tuple[list[Record], NodeState]:
    """Run the cycles one after the other; true energies come from the converter's power alone.

    ``noise_kw`` is added to what the layer sees of it.
    """
    states = {"c": NodeState.start(limits.battery, soc)}
    held, accepted_s, records = ZERO, dict[str, float](), []
    for k, moment in enumerate(moments):
        at_s = CYCLE_S * k
        noisy = Power(held.p_kw + (noise_kw[k] if noise_kw else 0.0), held.q_kvar)
        said = {"c": status(held if moment.seen else None, moment.s_max_kva)}
        image = snapshot(at_s, *((reading("c", noisy, at_s),) if moment.seen else ()), statuses=said)
        wanted = CycleInputs({"P": moment.amounts} if moment.amounts else {}, {"P": offers(moment.target)})
        decided = decide(image, wanted, CycleMemory(states, accepted_s), {"c": limits})
        if "c" in decided.withheld:  # it keeps what it has
            states = next_states(decided, states, {})
            records.append(Record(held, held, soc, decided.nodes["P"]))
            continue
        result = decided.writes["c"]
        assert result.setpoint is not None, result.error
        states = next_states(decided, states, {"c": Outcome.VERIFIED})
        before, held = held, Power(result.setpoint.p_kw, result.setpoint.q_kvar)
        accepted_s["c"] = at_s
        in_force = result.in_force
        if in_force is not None and limits.battery is not None:
            battery_kw = in_force.load_kw - in_force.pv_kw - held.p_kw
            soc += energy_into(limits.battery, battery_kw, CYCLE_S) / limits.battery.energy_kwh
        records.append(Record(before, held, soc, result))
    return records, states["c"]
