"""Physics of a four-quadrant converter: pure, exact at any step.

The drawn power S = P + jQ (demand positive) follows its target S* by

    dS/dt = clip((S* − S) / τ)      with |dS/dt| ≤ r,

so it moves along the straight segment from S to S*: first at the ramp limit r while the distance is above r τ, then
exponentially. Both pieces have a closed form, as has the energy ∫ S dt, so that no step size enters. The capability
circle |S| ≤ S_max is convex and holds both ends of the segment, hence all of it.

A setpoint lives for its lease; then the converter returns to its safe state by itself. The electronics that enforce
this stand outside of whatever a fault does to the communication.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from math import exp, inf, isfinite

from core.errors import GridlabError


class Mode(IntEnum):
    """Who commands the converter; the numbers of its ``state`` register."""

    OFF = 0
    SAFE = 1
    REMOTE = 2
    LOCAL = 3
    FAULT = 4


class Refusal(StrEnum):
    """Why a frame is not followed."""

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
class Rating:
    """What the converter can do, and where it goes when nobody commands it."""

    s_max_kva: float
    ramp_kva_per_s: float
    tau_s: float = 1.0
    safe_kva: complex = 0j

    def __post_init__(self) -> None:
        if not all(value > 0 for value in (self.s_max_kva, self.ramp_kva_per_s, self.tau_s)):
            raise ConverterError(f"converter: asked {self}, allowed limits and time constant > 0")
        if abs(self.safe_kva) > self.s_max_kva:
            raise ConverterError(f"converter: safe state {self.safe_kva} kVA, allowed at most {self.s_max_kva} kVA")


@dataclass(frozen=True)
class Inputs:
    """What is done to the converter at its place.

    ``panel`` is the mode that somebody, or its own protection, holds it in: OFF, LOCAL or FAULT. ``stuck`` output stays
    where it is. ``derated_kva`` is what the heat leaves of its apparent power.
    """

    panel: Mode | None = None
    stuck: bool = False
    derated_kva: float = inf


UNDISTURBED = Inputs()


@dataclass(frozen=True)
class Frame:
    """A setpoint as received, judged as one; not ``enable`` is the command to go to the safe state."""

    s_kva: complex
    lease_s: float
    epoch: int
    enable: bool = True


@dataclass(frozen=True)
class State:
    """The converter at ``t_s``. ``setpoint_kva`` is what it was last told, or the safe state where that has lapsed.

    ``energy_kvah`` is ∫ S dt since the start, kWh + j kvarh, what a perfect meter would have counted.
    """

    t_s: float
    s_kva: complex
    setpoint_kva: complex
    mode: Mode = Mode.SAFE
    lease_s: float = 0.0
    expires_s: float = -inf
    epoch: int = 0
    energy_kvah: complex = 0j


def at_rest(t_s: float, rating: Rating) -> State:
    """Powered on, in its safe state."""
    return State(t_s, rating.safe_kva, rating.safe_kva)


def update(state: State, t_s: float, rating: Rating, inputs: Inputs = UNDISTURBED) -> State:
    """The state at ``t_s``; a time that is past already changes nothing but who commands."""
    state = _commanded(state, rating, inputs)
    t_s = max(t_s, state.t_s)
    if state.mode is Mode.REMOTE and state.expires_s <= t_s:
        until = _moved(state, max(state.expires_s, state.t_s), rating, inputs)
        state = _dropped(until, Mode.SAFE, rating)
    return _moved(state, t_s, rating, inputs)


def accept(state: State, frame: Frame, rating: Rating, inputs: Inputs = UNDISTURBED) -> State | Refusal:
    """The state just after the frame, or why it is refused. A release is refused only to a writer of an older epoch."""
    if frame.epoch < state.epoch:
        return Refusal.EPOCH
    known = replace(state, epoch=frame.epoch)
    if not frame.enable:
        return _dropped(known, Mode.SAFE, rating) if state.mode is Mode.REMOTE else known
    if state.mode not in (Mode.SAFE, Mode.REMOTE):
        return Refusal.STATE
    if not (isfinite(frame.s_kva.real) and isfinite(frame.s_kva.imag)):
        return Refusal.NOT_FINITE
    if abs(frame.s_kva) > min(rating.s_max_kva, inputs.derated_kva) * (1 + 1e-6):
        return Refusal.CAPABILITY
    if frame.lease_s > 0 and isfinite(frame.lease_s):
        expires_s = state.t_s + frame.lease_s
        return replace(known, setpoint_kva=frame.s_kva, mode=Mode.REMOTE, lease_s=frame.lease_s, expires_s=expires_s)
    return _dropped(known, Mode.SAFE, rating) if frame.s_kva == rating.safe_kva else Refusal.LEASE


def _commanded(state: State, rating: Rating, inputs: Inputs) -> State:
    """Somebody at the panel takes the converter, or gives it back; power that comes back has forgotten the epoch."""
    if inputs.panel is None:
        if state.mode in (Mode.SAFE, Mode.REMOTE):
            return state
        return replace(state, mode=Mode.SAFE, epoch=0 if state.mode is Mode.OFF else state.epoch)
    return state if state.mode is inputs.panel else _dropped(state, inputs.panel, rating)


def _dropped(state: State, mode: Mode, rating: Rating) -> State:
    return replace(state, mode=mode, setpoint_kva=rating.safe_kva, lease_s=0.0, expires_s=-inf)


def _moved(state: State, t_s: float, rating: Rating, inputs: Inputs) -> State:
    """Follow the target from ``state.t_s`` to ``t_s`` with nothing happening in between."""
    dt_s, s = t_s - state.t_s, state.s_kva
    if state.mode in (Mode.OFF, Mode.FAULT):
        return replace(state, t_s=t_s, s_kva=0j)
    target = s if inputs.stuck else _within(state.setpoint_kva, inputs.derated_kva)
    ramp, tau = rating.ramp_kva_per_s, rating.tau_s
    distance = abs(target - s)
    velocity = ramp * (target - s) / distance if distance else 0j
    ramped_s = min(dt_s, max(0.0, distance / ramp - tau))
    knee = s + velocity * ramped_s
    rest_s, gap = dt_s - ramped_s, target - knee
    decay = exp(-rest_s / tau)
    integral = (s + knee) / 2 * ramped_s + target * rest_s - gap * tau * (1 - decay)
    return replace(state, t_s=t_s, s_kva=target - gap * decay, energy_kvah=state.energy_kvah + integral / 3600)


def _within(s_kva: complex, s_max_kva: float) -> complex:
    return s_kva if abs(s_kva) <= s_max_kva else s_kva * (s_max_kva / abs(s_kva))
