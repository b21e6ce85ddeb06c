"""Physics of a four-quadrant converter: a pure function of time, exact for any step length.

The drawn power S = P + jQ (demand positive) follows its target S* by

    dS/dt = clip((S* − S) / τ)      with |dS/dt| ≤ r,

so it moves along the straight segment from S to S*: first at the ramp limit r while the distance is above r τ, then
exponentially. Both parts have a closed form, as has the energy ∫ S dt, so the result does not depend on the step
length. The capability circle |S| ≤ S_max is convex and contains both ends of the segment, hence the whole segment.

A setpoint is valid for its lease; then the converter returns to its safe state by itself. This timer is independent of
communication faults.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from math import exp, inf, isfinite

from core.epochs import later
from core.errors import GridlabError


class ControlState(IntEnum):
    """State of the converter, with the values of its ``state`` register."""

    OFF = 0
    SAFE = 1
    REMOTE = 2
    LOCAL = 3
    FAULT = 4


class Refusal(StrEnum):
    """Why a frame is refused."""

    NOT_FINITE = "not finite"
    CAPABILITY = "outside the capability circle"
    LEASE = "no lease"
    EPOCH = "older epoch"
    STATE = "not in remote"
    RANGE = "outside the range of a register"
    IGNORED = "ignored"


class ConverterError(GridlabError):
    """A rating that no converter can have."""


@dataclass(frozen=True)
class ConverterRating:
    """Limits of the converter, and the power of its safe state, where it goes without a valid setpoint.

    ``tau_s``: time constant with which the power approaches its target below the ramp limit. ``reactive``: whether it
    has reactive power; it refuses any if not.
    """

    s_max_kva: float
    ramp_kva_per_s: float
    tau_s: float = 1.0
    safe_kva: complex = 0j
    reactive: bool = True

    def __post_init__(self) -> None:
        if not all(value > 0 for value in (self.s_max_kva, self.ramp_kva_per_s, self.tau_s)):
            raise ConverterError(f"converter: asked {self}, allowed limits and time constant > 0")
        if abs(self.safe_kva) > self.s_max_kva:
            raise ConverterError(f"converter: safe state {self.safe_kva} kVA, allowed at most {self.s_max_kva} kVA")


@dataclass(frozen=True)
class Inputs:
    """External influences on the physics.

    ``panel``: the state that the local panel or the converter's own protection holds it in: OFF, LOCAL or FAULT.
    ``stuck``: the output power stays constant. ``derated_kva``: apparent power that is available at its temperature.
    ``plain_epochs``: its firmware is another maker's, which refuses the lower of two epochs, also in a release.
    """

    panel: ControlState | None = None
    stuck: bool = False
    derated_kva: float = inf
    plain_epochs: bool = False


UNDISTURBED = Inputs()


@dataclass(frozen=True)
class Frame:
    """A setpoint as received in one command. ``enable`` False is a release: the command to go to the safe state."""

    s_kva: complex
    lease_s: float
    epoch: int
    enable: bool = True


@dataclass(frozen=True)
class State:
    """The converter at ``t_s``. ``setpoint_kva``: the last accepted setpoint, or the safe state once it has expired.

    ``energy_kvah``: ∫ S dt since the start (kWh + j kvarh), as a perfect meter would count it.
    """

    t_s: float
    s_kva: complex
    setpoint_kva: complex
    mode: ControlState = ControlState.SAFE
    lease_s: float = 0.0
    expires_s: float = -inf
    epoch: int = 0
    energy_kvah: complex = 0j


def initial_state(t_s: float, rating: ConverterRating) -> State:
    """Powered on, in the safe state."""
    return State(t_s, rating.safe_kva, rating.safe_kva)


def update(state: State, t_s: float, rating: ConverterRating, inputs: Inputs = UNDISTURBED) -> State:
    """The state at ``t_s``. A time before that of ``state`` applies a change of the panel, but moves nothing."""
    state = _with_panel(state, rating, inputs)
    t_s = max(t_s, state.t_s)
    if state.mode is ControlState.REMOTE and state.expires_s <= t_s:
        at_expiry = _moved_to(state, max(state.expires_s, state.t_s), rating, inputs)
        state = _without_setpoint(at_expiry, ControlState.SAFE, rating)
    return _moved_to(state, t_s, rating, inputs)


def accept(state: State, frame: Frame, rating: ConverterRating, inputs: Inputs = UNDISTURBED) -> State | Refusal:
    """The state just after the frame, or why it is refused. A release is accepted from every writer."""
    fenced = superseded(frame.epoch, state.epoch, plain=inputs.plain_epochs)
    if fenced and (frame.enable or inputs.plain_epochs):
        return Refusal.EPOCH
    current = state if fenced else replace(state, epoch=frame.epoch)
    if not frame.enable:
        return _without_setpoint(current, ControlState.SAFE, rating) if state.mode is ControlState.REMOTE else current
    if state.mode not in (ControlState.SAFE, ControlState.REMOTE):
        return Refusal.STATE
    if not (isfinite(frame.s_kva.real) and isfinite(frame.s_kva.imag)):
        return Refusal.NOT_FINITE
    beyond = abs(frame.s_kva) > min(rating.s_max_kva, inputs.derated_kva) * (1 + 1e-6)
    if beyond or (not rating.reactive and frame.s_kva.imag != 0):
        return Refusal.CAPABILITY
    if frame.lease_s > 0 and isfinite(frame.lease_s):
        expires_s = state.t_s + frame.lease_s
        return replace(
            current, setpoint_kva=frame.s_kva, mode=ControlState.REMOTE, lease_s=frame.lease_s, expires_s=expires_s
        )
    return _without_setpoint(current, ControlState.SAFE, rating) if frame.s_kva == rating.safe_kva else Refusal.LEASE


def superseded(epoch: int, current: int, *, plain: bool = False) -> bool:
    """Whether a writer of the ``current`` epoch has replaced that of ``epoch``; ``plain``: the lower is the older."""
    return epoch < current if plain else later(current, epoch)


def _with_panel(state: State, rating: ConverterRating, inputs: Inputs) -> State:
    """Apply the panel's state or its end. A converter that comes back from OFF has lost its writer's epoch."""
    if inputs.panel is None:
        if state.mode in (ControlState.SAFE, ControlState.REMOTE):
            return state
        return replace(state, mode=ControlState.SAFE, epoch=0 if state.mode is ControlState.OFF else state.epoch)
    return state if state.mode is inputs.panel else _without_setpoint(state, inputs.panel, rating)


def _without_setpoint(state: State, mode: ControlState, rating: ConverterRating) -> State:
    return replace(state, mode=mode, setpoint_kva=rating.safe_kva, lease_s=0.0, expires_s=-inf)


def _moved_to(state: State, t_s: float, rating: ConverterRating, inputs: Inputs) -> State:
    """Follow the target from ``state.t_s`` to ``t_s``, with no other event in between."""
    dt_s, s = t_s - state.t_s, state.s_kva
    if state.mode in (ControlState.OFF, ControlState.FAULT):
        return replace(state, t_s=t_s, s_kva=0j)
    target = s if inputs.stuck else _limited(state.setpoint_kva, inputs.derated_kva)
    ramp, tau = rating.ramp_kva_per_s, rating.tau_s
    distance = abs(target - s)
    velocity = ramp * (target - s) / distance if distance else 0j
    ramped_s = min(dt_s, max(0.0, distance / ramp - tau))
    knee = s + velocity * ramped_s
    rest_s, gap = dt_s - ramped_s, target - knee
    decay = exp(-rest_s / tau)
    integral = (s + knee) / 2 * ramped_s + target * rest_s - gap * tau * (1 - decay)
    return replace(state, t_s=t_s, s_kva=target - gap * decay, energy_kvah=state.energy_kvah + integral / 3600)


def _limited(s_kva: complex, s_max_kva: float) -> complex:
    return s_kva if abs(s_kva) <= s_max_kva else s_kva * (s_max_kva / abs(s_kva))
