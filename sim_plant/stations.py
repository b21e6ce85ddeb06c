"""Devices as their servers see them, between physics and protocol: values by canonical name, and setpoint frames."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import nan

from core.epochs import successor
from sim_plant.converter import (
    ControlState,
    ConverterRating,
    Frame,
    Refusal,
    State,
    accept,
    initial_state,
    superseded,
    update,
)
from sim_plant.faults import METER_FAULTS, NO_FAULTS, DeviceFault, FaultError, Values, check_number
from sim_plant.meter import Accuracy, MeterReading, measure
from sim_plant.referee import FrameLimits, Referee

SETPOINT = ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "writer_epoch", "enable")
"""Values that can be written to a converter. It acts when ``enable`` is written; the others are kept until then."""

FOREIGN_S, FOREIGN_SHARE, FOREIGN_LEASE_S = 30.0, 0.05, 75.0
"""A foreign writer: interval of its writes (s), step of the setpoint as a share of the rating, and lease (s)."""

_STANDING = {DeviceFault.CLOCK_STANDS: "clock_s", DeviceFault.VOLTAGE_FROZEN: "v_v"}
"""The value that stands, by fault."""


@dataclass(frozen=True)
class PlantContext:
    """What all devices of a plant share: time (s since ``start``), and the seed of their noise."""

    now_s: Callable[[], float]
    start: datetime
    seed: int


class Instrument:
    """The measuring part of a device: a latched reading, and faults that distort the reported values."""

    def __init__(self, name: str, accuracy: Accuracy, context: PlantContext, possible: Collection[DeviceFault]) -> None:
        self.name = name
        self.faults = NO_FAULTS
        self.possible = possible
        self._accuracy, self._context = accuracy, context
        self._reading, self._latched_s = MeterReading(0.0, 0.0, 0.0, 0.0), context.now_s()
        self._frozen: Values | None = None

    def latch(self, truth: MeterReading, t_s: float) -> None:
        """Measure the true values at ``t_s``; the reading is reported until the next one."""
        self._reading = measure(truth, self._accuracy, self._context.seed, self.name, t_s)
        self._latched_s = t_s

    def measured(self) -> Values:
        """The reading, and its time by the device's clock (Unix seconds)."""
        reading = self._reading
        clock_s = round(self._context.start.timestamp() + self._latched_s, 3)
        return {**vars(reading), "clock_s": clock_s}

    def reported(self, values: Values) -> Values:
        """The values as the device reports them with its faults; ``values`` are the right ones."""
        return self.faults.distort(values) if self._frozen is None else self._frozen

    def switch(self, fault: str, values: Values, *, on: bool, number: float | None) -> None:
        """Begin or end a fault; ``values`` are those that a frozen device keeps reporting.

        Raises:
            FaultError: this device cannot have it, or not with this number.
        """
        if fault not in self.possible:
            raise FaultError(f"{self.name}: asked fault {fault}, allowed {', '.join(self.possible)}")
        reported = self.reported(values)
        if number is not None:
            check_number(self.name, DeviceFault(fault), number)
        if fault in _STANDING:
            number = reported[_STANDING[DeviceFault(fault)]]
        self.faults = self.faults.switched(DeviceFault(fault), on=on, number=number)
        self._frozen = reported if DeviceFault.FROZEN in self.faults else None


class MeterStation:
    """A meter at a node; ``nodes`` are those of the grid, any of which it may measure once it is swapped."""

    def __init__(
        self, name: str, node: str, accuracy: Accuracy, context: PlantContext, nodes: Sequence[str] = ()
    ) -> None:
        self.name, self.node = name, node
        self.instrument = Instrument(name, accuracy, context, METER_FAULTS)
        self._nodes = nodes

    @property
    def measured_node(self) -> str:
        """The node that it measures."""
        position = self.instrument.faults.active.get(DeviceFault.SWAPPED)
        return self.node if position is None else self._nodes[int(position) - 1]

    def values(self) -> Values:
        """The reported values, by canonical name."""
        return self.instrument.reported(self._values())

    def switch(self, fault: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault.

        Raises:
            FaultError: it cannot have it, or not with this number.
        """
        if fault == DeviceFault.SWAPPED and on and (number is None or not 1 <= number <= len(self._nodes)):
            raise FaultError(f"{self.name}: asked fault {fault} with {number}, allowed a node 1 … {len(self._nodes)}")
        self.instrument.switch(fault, self._values(), on=on, number=number)

    def _values(self) -> Values:
        disturbed = DeviceFault.SENTINEL in self.instrument.faults
        return {**self.instrument.measured(), "status": float(disturbed)}


class ConverterStation:
    """A converter with its referee."""

    def __init__(
        self, instrument: Instrument, node: str, rating: ConverterRating, context: PlantContext, referee: Referee
    ) -> None:
        self.name, self.node, self.rating = instrument.name, node, rating
        self.instrument = instrument
        self.state: State = initial_state(context.now_s(), rating)
        self._context, self._referee = context, referee
        self._foreign_s = 0.0
        self._staged: dict[str, float | None] = {}

    def advance(self, t_s: float) -> State:
        """The state at ``t_s``."""
        expired_s = min(max(self.state.expires_s, self.state.t_s), t_s)
        changed_s = expired_s if self.state.mode is ControlState.REMOTE else t_s
        return self._enter(update(self.state, t_s, self.rating, self.instrument.faults.inputs), changed_s)

    def truth(self, v_v: float) -> MeterReading:
        """The values that a perfect meter at its terminals would read, for a line-to-line voltage in V."""
        s = self.state.s_kva
        return MeterReading(v_v, 1e3 * abs(s) / (3**0.5 * v_v) if v_v else 0.0, s.real, s.imag)

    def values(self) -> Values:
        """The reported values: the valid setpoint, the rest of its lease (s), and the last reading."""
        return self.instrument.reported(self._values())

    def switch(self, fault: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault, with its effect on the physics from now on."""
        self.advance(self._context.now_s())
        if fault == DeviceFault.FOREIGN_WRITE and number is None:
            number = float(successor(self.state.epoch))
        self.instrument.switch(fault, self._values(), on=on, number=number)
        self.advance(self.state.t_s)
        self._foreign_s = self.state.t_s

    def write(self, values: Values, *, in_range: bool = True) -> Refusal | None:
        """Apply values that a client has written; None: acknowledged, which does not mean followed.

        With ``in_range`` False a value is outside the range of its register: it is refused, but the referee judges it
        all the same.
        """
        staged = {**self._staged, **values}
        if in_range and "enable" not in values:
            self._staged = staged
            return None
        self._staged = {}
        state, faults = self.advance(self._context.now_s()), self.instrument.faults
        frame = _frame({**self._setpoint(), "writer_epoch": 0.0, "enable": 1.0, **staged})
        result = accept(state, frame, self.rating, faults.inputs) if in_range else Refusal.RANGE
        refusal = result if isinstance(result, Refusal) else None
        refused = Refusal.IGNORED if faults.loses_writes else refusal
        self._referee.observe(state.t_s, frame, state.setpoint_kva, refused, self._limits())
        if faults.loses_writes:
            return None
        if isinstance(result, State):
            self._enter(result, state.t_s)
        return refusal

    def _enter(self, state: State, at_s: float) -> State:
        if state.mode is not self.state.mode:
            self._referee.state_changed(at_s, state.mode.name.lower())
        self.state = state
        return state

    def run_foreign_writer(self) -> None:
        """If ``foreign_write`` is active and due, write as another client: a small step inward, or outward if near
        zero.
        """
        epoch = self.instrument.faults.active.get(DeviceFault.FOREIGN_WRITE)
        if epoch is None or self.state.t_s < self._foreign_s:
            return
        self._foreign_s = self.state.t_s + FOREIGN_S
        s, s_max_kva = self.state.setpoint_kva, self.rating.s_max_kva
        s += FOREIGN_SHARE * s_max_kva * (1 if abs(s) < s_max_kva / 2 else -s / abs(s))
        powers = {"p_setpoint_kw": s.real, "q_setpoint_kvar": s.imag}
        self.write({**powers, "lease_s": FOREIGN_LEASE_S, "writer_epoch": epoch, "enable": 1.0})

    def claim(self, epoch: int) -> Refusal | None:
        """A writer announces its epoch without a setpoint; that of a writer who has been replaced is refused, and put
        on record as a release that was.
        """
        state = self.advance(self._context.now_s())
        if superseded(epoch, state.epoch, plain=self.instrument.faults.inputs.plain_epochs):
            announced = Frame(state.setpoint_kva, 0.0, epoch, enable=False)
            self._referee.observe(state.t_s, announced, state.setpoint_kva, Refusal.EPOCH, self._limits())
            return Refusal.EPOCH
        self._referee.epoch_claimed(epoch, self._limits())
        if not self.instrument.faults.loses_writes:
            self.state = replace(state, epoch=epoch)
        return None

    def _limits(self) -> FrameLimits:
        rating, inputs = self.rating, self.instrument.faults.inputs
        s_max_kva = min(rating.s_max_kva, inputs.derated_kva)
        return FrameLimits(s_max_kva, rating.ramp_kva_per_s, rating.safe_kva, inputs.plain_epochs, rating.reactive)

    def _setpoint(self) -> Mapping[str, float]:
        state = self.state
        return {
            "p_setpoint_kw": state.setpoint_kva.real,
            "q_setpoint_kvar": state.setpoint_kva.imag,
            "lease_s": state.lease_s,
            "writer_epoch": float(state.epoch),
            "enable": float(state.mode is ControlState.REMOTE),
        }

    def _values(self) -> Values:
        state = self.state
        left_s = max(0.0, state.expires_s - self._context.now_s()) if state.mode is ControlState.REMOTE else 0.0
        return {
            **self._setpoint(),
            **self.instrument.measured(),
            "lease_s": left_s,
            "lease_given_s": state.lease_s,
            "state": float(state.mode),
            "s_max_kva": self._limits().s_max_kva,
        }


Station = ConverterStation | MeterStation


def _frame(values: Values) -> Frame:
    """A writer without an epoch gets epoch 0; "not available" becomes NaN."""
    p_kw, q_kvar, lease_s = (nan if (v := values[name]) is None else v for name in SETPOINT[:3])
    return Frame(complex(p_kw, q_kvar), lease_s, int(values["writer_epoch"] or 0), enable=bool(values["enable"]))
