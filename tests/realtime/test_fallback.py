"""The ladder: one move at a time as a table, then long histories."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.fallback import START, LadderInputs, LadderState, Rung, Source, step
from realtime.reasons import Reason
from realtime.timing import DAY_AHEAD_PLAN_S, FRESH_POLLS, HOLD_DATA_S, INTRADAY_PLAN_S, USE_DATA_S

USE, HOLD, SAFE = Rung.USE, Rung.HOLD, Rung.SAFE
IN_USE, HOLDING = LadderState(USE), LadderState(HOLD)
MIN, HOUR = 60.0, 3600.0


def inputs(
    age_s: float | None,
    intraday_s: float | None = 0.0,
    day_ahead_s: float | None = None,
    polls: int = 1,
    stop: bool = False,
) -> LadderInputs:
    return LadderInputs(age_s, polls, intraday_s, day_ahead_s, stop)


MOVES = {
    # state, inputs → mode, source, reasons
    "fresh": (IN_USE, inputs(0.0), USE, Source.INTRADAY, ()),
    "12 s": (IN_USE, inputs(12.0), USE, Source.INTRADAY, ()),
    "beyond 12 s": (IN_USE, inputs(12.1, polls=0), HOLD, Source.INTRADAY, (Reason.DATA_HELD,)),
    "45 s": (HOLDING, inputs(45.0, polls=0), HOLD, Source.INTRADAY, (Reason.DATA_HELD,)),
    "beyond 45 s": (HOLDING, inputs(45.1, polls=0), SAFE, Source.INTRADAY, (Reason.DATA_LOST,)),
    "never any data": (IN_USE, inputs(None, polls=0), SAFE, Source.INTRADAY, (Reason.DATA_LOST,)),
    "data of the future": (IN_USE, inputs(-1.0), SAFE, Source.INTRADAY, (Reason.DATA_LOST,)),
    "an age that is no number": (IN_USE, inputs(nan), SAFE, Source.INTRADAY, (Reason.DATA_LOST,)),
    "back from holding at once": (HOLDING, inputs(1.0), USE, Source.INTRADAY, ()),
    "10-min plan of 20 min": (IN_USE, inputs(0.0, 20 * MIN), USE, Source.INTRADAY, ()),
    "older": (IN_USE, inputs(0.0, 20.1 * MIN, 14 * HOUR), USE, Source.DAY_AHEAD, (Reason.DAY_AHEAD,)),
    "day-ahead of 36 h": (IN_USE, inputs(0.0, None, 36 * HOUR), USE, Source.DAY_AHEAD, (Reason.DAY_AHEAD,)),
    "no plan any more": (IN_USE, inputs(0.0, HOUR, 36.1 * HOUR), SAFE, Source.NONE, (Reason.NO_PLAN,)),
    "holding without a plan": (
        HOLDING, inputs(20.0, None, None, 0), SAFE, Source.NONE, (Reason.DATA_HELD, Reason.NO_PLAN),
    ),
    "stop": (IN_USE, inputs(0.0, stop=True), SAFE, Source.INTRADAY, (Reason.STOPPED,)),
    "first reading": (START, inputs(0.0), SAFE, Source.INTRADAY, (Reason.REJOINING,)),
    "third reading": (LadderState(SAFE, 2), inputs(0.0), USE, Source.INTRADAY, ()),
    "three readings at once": (START, inputs(0.0, polls=3), USE, Source.INTRADAY, ()),
    "third reading without a plan": (LadderState(SAFE, 2), inputs(0.0, None), SAFE, Source.NONE, (Reason.NO_PLAN,)),
    "third reading while stopped": (
        LadderState(SAFE, 2), inputs(0.0, stop=True), SAFE, Source.INTRADAY, (Reason.STOPPED,),
    ),
    "too old to count": (
        LadderState(SAFE, 2), inputs(13.0), SAFE, Source.INTRADAY, (Reason.DATA_HELD, Reason.REJOINING),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("state", "given_inputs", "rung", "source", "reasons"), MOVES.values(), ids=MOVES)
def test_moves(
    state: LadderState, given_inputs: LadderInputs, rung: Rung, source: Source, reasons: tuple[Reason, ...]
) -> None:
    decision, after = step(given_inputs, state)
    assert (decision.rung, decision.source, decision.reasons) == (rung, source, reasons)
    assert after.rung is rung


def test_three_fresh_readings_lead_out_of_the_safe_state() -> None:
    state, rungs = START, []
    for _ in range(4):
        decision, state = step(inputs(0.0), state)
        rungs.append(decision.rung)
    assert rungs == [SAFE, SAFE, USE, USE]


def test_counting_starts_again_after_old_data_and_after_a_fall() -> None:
    state, rungs = START, []
    for age_s in (0.0, 0.0, 30.0, 0.0, 0.0, 0.0, 60.0, 0.0, 0.0, 0.0):
        decision, state = step(inputs(age_s), state)
        rungs.append(decision.rung)
    assert rungs == [SAFE] * 5 + [USE] + [SAFE] * 3 + [USE]


def test_a_plan_that_comes_late_is_followed_at_once() -> None:
    state = START
    for _ in range(5):
        decision, state = step(inputs(0.0, None), state)
        assert decision.rung is SAFE
    assert step(inputs(0.0), state)[0].rung is USE


ages = st.one_of(st.none(), st.floats(-1, 100), st.sampled_from([nan, 0.0, USE_DATA_S, HOLD_DATA_S]))
plan_ages = st.one_of(st.none(), st.floats(0, 2 * DAY_AHEAD_PLAN_S), st.sampled_from([0.0, INTRADAY_PLAN_S]))
moves = st.builds(LadderInputs, ages, st.integers(-1, 3), plan_ages, plan_ages, st.sampled_from([False] * 5 + [True]))


@given(history=st.lists(moves, max_size=40))
def test_no_decision_on_what_is_too_old(history: list[LadderInputs]) -> None:
    state, polls = START, 0
    for now in history:
        before = state
        decision, state = step(now, before)
        fresh = now.data_age_s is not None and 0 <= now.data_age_s <= USE_DATA_S
        known = now.data_age_s is not None and 0 <= now.data_age_s <= HOLD_DATA_S
        planned = decision.source is not Source.NONE
        assert (decision.rung is not USE) or (fresh and planned and not now.stop)
        assert (decision.rung is not HOLD) or (known and planned and not now.stop and before.rung is not SAFE)
        polls = polls + max(now.new_polls, 0) if fresh and before.rung is SAFE else 0
        if before.rung is SAFE and decision.rung is not SAFE:
            assert polls >= FRESH_POLLS
