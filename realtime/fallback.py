"""The fallback ladder: use the data, hold the last setpoint, or go to the safe state.

| data age | ≤ 12 s | ≤ 45 s | older or none |
|---|---|---|---|
| with a valid plan | USE | HOLD: last setpoint, |S| may not grow | SAFE |
| without | SAFE | SAFE | SAFE |

A 10-min plan is valid for 20 min, then the day-ahead plan is used up to 36 h after it was made. SAFE means: flexible
resources at zero (net load and PV only), and P = Q = 0 if load and PV are unknown too. Every node begins there. It
leaves only with a valid plan and after three fresh readings, between which the data were never older than 12 s.
"""

from dataclasses import dataclass
from enum import StrEnum

from realtime.reasons import Reason
from realtime.timing import DAY_AHEAD_PLAN_S, FRESH_POLLS, HOLD_DATA_S, INTRADAY_PLAN_S, USE_DATA_S


class Rung(StrEnum):
    """What a node may still do."""

    USE = "use"
    HOLD = "hold"
    SAFE = "safe"


class Source(StrEnum):
    """The plan whose target applies."""

    INTRADAY = "intraday"
    DAY_AHEAD = "day_ahead"
    NONE = "none"


@dataclass(frozen=True)
class LadderInputs:
    """Ages in seconds, None for what does not exist; an age that is negative or NaN counts as none.

    ``new_polls`` are the valid readings since the last step, ``stop`` an emergency stop or local control.
    """

    data_age_s: float | None
    new_polls: int
    intraday_age_s: float | None = None
    day_ahead_age_s: float | None = None
    stop: bool = False


@dataclass(frozen=True)
class LadderState:
    """The present rung, and the number of fresh readings so far on the way out of the safe state."""

    rung: Rung = Rung.SAFE
    fresh_polls: int = 0


START = LadderState()
"""Initial state of every node."""


@dataclass(frozen=True)
class Decision:
    """The rung and the plan that apply now, and the reasons if it is not simply the 10-min plan on fresh data."""

    rung: Rung
    source: Source
    reasons: tuple[Reason, ...]


def step(inputs: LadderInputs, state: LadderState) -> tuple[Decision, LadderState]:
    """One step of the state machine."""
    fresh, known = _within(inputs.data_age_s, USE_DATA_S), _within(inputs.data_age_s, HOLD_DATA_S)
    source = _source(inputs)
    reasons = _reasons(inputs, source, fresh, known)
    may_act = known and source is not Source.NONE and not inputs.stop
    if state.rung is not Rung.SAFE:
        rung = Rung.SAFE if not may_act else Rung.USE if fresh else Rung.HOLD
        return Decision(rung, source, reasons), LadderState(rung)
    fresh_polls = min(state.fresh_polls + inputs.new_polls, FRESH_POLLS) if fresh else 0
    if may_act and fresh_polls >= FRESH_POLLS:
        return Decision(Rung.USE, source, reasons), LadderState(Rung.USE)
    if fresh_polls < FRESH_POLLS:
        reasons = (*reasons, Reason.REJOINING)
    return Decision(Rung.SAFE, source, reasons), LadderState(Rung.SAFE, fresh_polls)


def _within(age_s: float | None, limit_s: float) -> bool:
    return age_s is not None and 0 <= age_s <= limit_s


def _source(inputs: LadderInputs) -> Source:
    if _within(inputs.intraday_age_s, INTRADAY_PLAN_S):
        return Source.INTRADAY
    return Source.DAY_AHEAD if _within(inputs.day_ahead_age_s, DAY_AHEAD_PLAN_S) else Source.NONE


def _reasons(inputs: LadderInputs, source: Source, fresh: bool, known: bool) -> tuple[Reason, ...]:
    applies = {
        Reason.STOPPED: inputs.stop,
        Reason.DATA_HELD: known and not fresh,
        Reason.DATA_LOST: not known,
        Reason.DAY_AHEAD: source is Source.DAY_AHEAD,
        Reason.NO_PLAN: source is Source.NONE,
    }
    return tuple(reason for reason, yes in applies.items() if yes)
