"""Devices as their servers see them: values by canonical name to read, frames to write. Between physics and wire."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import nan

from sim_plant.converter import Frame, Mode, Rating, Refusal, State, accept, at_rest, update
from sim_plant.faults import METER_FAULTS, NO_FAULTS, DeviceFault, FaultError, Values, check_number
from sim_plant.meter import Accuracy, Reading, measure
from sim_plant.referee import Referee, Rules

SETPOINT = ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "writer_epoch", "enable")
"""What a converter can be told. It acts when ``enable`` is written; what came before is kept until then."""

FOREIGN_S, FOREIGN_SHARE, FOREIGN_LEASE_S = 30.0, 0.05, 75.0
"""A foreign writer: how often, by how much of the rating it moves the setpoint, and its lease."""


@dataclass(frozen=True)
class Bench:
    """What all devices of a plant share: time (s since ``start``), and the seed of their noise."""

    now_s: Callable[[], float]
    start: datetime
    seed: int


class Instrument:
    """The measuring part of a device: a latched reading, and faults that distort what the device says."""

    def __init__(self, name: str, accuracy: Accuracy, bench: Bench, possible: Collection[DeviceFault]) -> None:
        self.name = name
        self.faults = NO_FAULTS
        self.possible = possible
        self._accuracy, self._bench = accuracy, bench
        self._reading, self._latched_s = Reading(0.0, 0.0, 0.0, 0.0), bench.now_s()
        self._frozen: Values | None = None

    def latch(self, truth: Reading, t_s: float) -> None:
        """Take a reading of the truth at ``t_s``; it is what the device says until the next one."""
        self._reading = measure(truth, self._accuracy, self._bench.seed, self.name, t_s)
        self._latched_s = t_s

    def measured(self) -> Values:
        """The reading, and when it was taken by the device's clock (Unix seconds)."""
        reading = self._reading
        clock_s = round(self._bench.start.timestamp() + self._latched_s, 3)
        return {**vars(reading), "clock_s": clock_s}

    def said(self, values: Values) -> Values:
        """What the device says where ``values`` would be right."""
        return self.faults.distort(values) if self._frozen is None else self._frozen

    def switch(self, fault: str, values: Values, *, on: bool, number: float | None) -> None:
        """Begin or end a fault; ``values`` are those that a frozen device keeps saying.

        Raises:
            FaultError: this device cannot have it, or not with this number.
        """
        if fault not in self.possible:
            raise FaultError(f"{self.name}: asked fault {fault}, allowed {', '.join(self.possible)}")
        said = self.said(values)
        if number is not None:
            check_number(self.name, DeviceFault(fault), number)
        if fault == DeviceFault.CLOCK_STANDS:
            number = said["clock_s"]
        self.faults = self.faults.switched(DeviceFault(fault), on=on, number=number)
        self._frozen = said if DeviceFault.FROZEN in self.faults else None


class MeterStation:
    """A meter at a node."""

    def __init__(self, name: str, node: str, accuracy: Accuracy, bench: Bench) -> None:
        self.name, self.node = name, node
        self.instrument = Instrument(name, accuracy, bench, METER_FAULTS)

    def values(self) -> Values:
        """What it says."""
        return self.instrument.said(self._values())

    def switch(self, fault: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault."""
        self.instrument.switch(fault, self._values(), on=on, number=number)

    def _values(self) -> Values:
        disturbed = DeviceFault.SENTINEL in self.instrument.faults
        return {**self.instrument.measured(), "status": float(disturbed)}


class ConverterStation:
    """A converter with its referee."""

    def __init__(self, instrument: Instrument, node: str, rating: Rating, bench: Bench, referee: Referee) -> None:
        self.name, self.node, self.rating = instrument.name, node, rating
        self.instrument = instrument
        self.state: State = at_rest(bench.now_s(), rating)
        self._bench, self._referee = bench, referee
        self._foreign_s = 0.0
        self._staged: dict[str, float | None] = {}

    def advance(self, t_s: float) -> State:
        """The physics at ``t_s``."""
        lapsed_s = min(max(self.state.expires_s, self.state.t_s), t_s)
        became_s = lapsed_s if self.state.mode is Mode.REMOTE else t_s
        return self._become(update(self.state, t_s, self.rating, self.instrument.faults.inputs), became_s)

    def truth(self, v_v: float) -> Reading:
        """What a perfect meter at its terminals would read."""
        s = self.state.s_kva
        return Reading(v_v, 1e3 * abs(s) / (3**0.5 * v_v) if v_v else 0.0, s.real, s.imag)

    def values(self) -> Values:
        """What it says: of the setpoint what is in force now, with what is left of its lease; the last reading."""
        return self.instrument.said(self._values())

    def switch(self, fault: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault; what it does to the physics begins or ends now."""
        self.advance(self._bench.now_s())
        if fault == DeviceFault.FOREIGN_WRITE and number is None:
            number = self.state.epoch + 1.0
        self.instrument.switch(fault, self._values(), on=on, number=number)
        self.advance(self.state.t_s)
        self._foreign_s = self.state.t_s

    def write(self, values: Values, *, in_range: bool = True) -> Refusal | None:
        """Take what a client has written; None says that it is acknowledged, which is not yet followed.

        What is beyond its register (not ``in_range``) never gets as far as the setpoint, but is judged all the same.
        """
        staged = {**self._staged, **values}
        if in_range and "enable" not in values:
            self._staged = staged
            return None
        self._staged = {}
        state, faults = self.advance(self._bench.now_s()), self.instrument.faults
        frame = _frame({**self._setpoint(), "writer_epoch": 0.0, "enable": 1.0, **staged})
        result = accept(state, frame, self.rating, faults.inputs) if in_range else Refusal.RANGE
        refusal = result if isinstance(result, Refusal) else None
        refused = Refusal.IGNORED if faults.loses_writes else refusal
        self._referee.observe(state.t_s, frame, state.setpoint_kva, refused, self._rules())
        if faults.loses_writes:
            return None
        if isinstance(result, State):
            self._become(result, state.t_s)
        return refusal

    def _become(self, state: State, at_s: float) -> State:
        if state.mode is not self.state.mode:
            self._referee.changed(at_s, state.mode.name.lower())
        self.state = state
        return state

    def intrude(self) -> None:
        """A foreign writer, where there is one, commands it in his turn: a little inward, or outward if near zero."""
        epoch = self.instrument.faults.active.get(DeviceFault.FOREIGN_WRITE)
        if epoch is None or self.state.t_s < self._foreign_s:
            return
        self._foreign_s = self.state.t_s + FOREIGN_S
        s, s_max_kva = self.state.setpoint_kva, self.rating.s_max_kva
        s += FOREIGN_SHARE * s_max_kva * (1 if abs(s) < s_max_kva / 2 else -s / abs(s))
        powers = {"p_setpoint_kw": s.real, "q_setpoint_kvar": s.imag}
        self.write({**powers, "lease_s": FOREIGN_LEASE_S, "writer_epoch": epoch, "enable": 1.0})

    def claim(self, epoch: int) -> Refusal | None:
        """A writer says who it is, without a setpoint; one that another has replaced is refused as with any frame."""
        state = self.advance(self._bench.now_s())
        if epoch < state.epoch:
            return self.write({"writer_epoch": float(epoch), "enable": 0.0})
        self._referee.claimed(epoch)
        if not self.instrument.faults.loses_writes:
            self.state = replace(state, epoch=epoch)
        return None

    def _rules(self) -> Rules:
        rating, derated_kva = self.rating, self.instrument.faults.inputs.derated_kva
        return Rules(min(rating.s_max_kva, derated_kva), rating.ramp_kva_per_s, rating.safe_kva)

    def _setpoint(self) -> Mapping[str, float]:
        state = self.state
        return {
            "p_setpoint_kw": state.setpoint_kva.real,
            "q_setpoint_kvar": state.setpoint_kva.imag,
            "lease_s": state.lease_s,
            "writer_epoch": float(state.epoch),
            "enable": float(state.mode is Mode.REMOTE),
        }

    def _values(self) -> Values:
        state = self.state
        left_s = max(0.0, state.expires_s - self._bench.now_s()) if state.mode is Mode.REMOTE else 0.0
        return {
            **self._setpoint(),
            **self.instrument.measured(),
            "lease_s": left_s,
            "lease_given_s": state.lease_s,
            "state": float(state.mode),
            "s_max_kva": self._rules().s_max_kva,
        }


Station = ConverterStation | MeterStation


def _frame(values: Values) -> Frame:
    """A writer who does not say his epoch belongs to none; "not available" is no number."""
    p_kw, q_kvar, lease_s = (nan if (v := values[name]) is None else v for name in SETPOINT[:3])
    return Frame(complex(p_kw, q_kvar), lease_s, int(values["writer_epoch"] or 0), enable=bool(values["enable"]))
