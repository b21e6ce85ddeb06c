import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.live.feed import WAITING_MAX, Feed, FeedMessage
from controller.live.state import MPC_KEPT, LiveState
from controller.record.records import CycleRecord, DeviceRecord
from core.config import Config
from core.devices import Quality
from core.load import load_config
from tests.support.cycle_records import cycle, mpc
from tests.support.paths import CONFIG

SITE = load_config(CONFIG)
NUMBERS = st.none() | st.floats()
NAMES = st.sampled_from(["N1", "N2", "N9", "N2-N6", "elsewhere"])
RECORDS = st.builds(
    CycleRecord,
    time=st.just(cycle(0).time),
    prosumers=st.sampled_from([{}, cycle(0).prosumers]),
    nodes=st.dictionaries(NAMES, NUMBERS),
    lines=st.dictionaries(NAMES, NUMBERS),
    slack_p_kw=NUMBERS,
    slack_q_kvar=NUMBERS,
    devices=st.dictionaries(NAMES, st.builds(DeviceRecord, NUMBERS, st.sampled_from(Quality), NUMBERS)),
    limits=st.just(cycle(0).limits),
    violation_pu=NUMBERS,
    mode=st.sampled_from(["active", "monitor"]),
    cycle_ms=st.floats(),
    missed=st.integers(),
    plan_age_s=NUMBERS,
    backlog=st.integers(),
    dropped=st.integers(),
    dead_letters=st.integers(),
)


def refuse_constant(name: str):
    raise AssertionError(f"{name} is no JSON")


@given(record=RECORDS)
def test_any_record_can_be_published_and_read_as_json(record: CycleRecord):
    state = LiveState(SITE)
    state.publish(record)
    now = json.loads(state.now(), parse_constant=refuse_constant)
    assert now["mode"] == record.mode
    assert len(now["history"]) == 1


def test_a_record_that_is_none_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture):
    state = LiveState(SITE)
    state.publish(replace(cycle(0), nodes={"N2": "high"}))
    state.publish_mpc(replace(mpc(0), time=None))
    assert [record.getMessage() for record in caplog.records] == ["live page: a record was not shown"] * 2
    state.publish(cycle(1))
    assert json.loads(state.now())["cycle"]["time"] == "2018-06-21T12:00:30+02:00"


def test_nothing_is_known_before_the_first_record(gridlab9_config: Config):
    state = LiveState(gridlab9_config)
    assert state.age_s is None
    assert json.loads(state.now()) == {
        "mode": None, "cycle": None, "mpc": [], "alarms": [], "ended": [], "history": [],
    }  # fmt: skip


def test_history_and_runs_are_bounded_and_keep_the_latest(gridlab9_config: Config):
    state = LiveState(gridlab9_config)
    for k in range(400):
        state.publish(cycle(k))
        state.publish_mpc(mpc(k))
    now = json.loads(state.now())
    assert len(now["history"]) == 240
    assert now["history"][-1]["time"] == now["cycle"]["time"]
    assert len(now["mpc"]) == MPC_KEPT


def test_times_are_of_the_horizons_zone_and_the_slack_is_no_extreme(gridlab9_config: Config):
    state = LiveState(gridlab9_config)
    state.publish(replace(cycle(0), nodes={"N1": 1.2, "N2": 1.01, "N3": None, "N4": 0.99}))
    (point,) = json.loads(state.now())["history"]
    assert point["time"] == "2018-06-21T12:00:00+02:00"
    assert (point["v_low_pu"], point["v_high_pu"]) == (0.99, 1.01)


def test_off_is_said_without_a_cycle(gridlab9_config: Config):
    state = LiveState(gridlab9_config)
    state.publish(cycle(0))
    state.publish_mode("off")
    assert json.loads(state.now())["mode"] == "off"


async def test_a_client_gets_the_whole_and_then_what_is_new(gridlab9_config: Config):
    state = LiveState(gridlab9_config)
    state.publish(cycle(0))
    with state.client() as feed:
        state.publish(cycle(1))
        whole = await feed.next(1)
        assert (whole.event, len(json.loads(whole.text)["history"])) == ("now", 2)
        state.publish(cycle(2))
        state.publish_mpc(mpc(1))
        first, second = await feed.next(1), await feed.next(1)
        assert json.loads(first.text)["cycle"]["time"] == "2018-06-21T12:01:00+02:00"
        assert json.loads(second.text)["mpc"]["iterations"] == 21
        assert await feed.next(0.01) is None
    assert state.clients == 0


async def test_a_slow_client_loses_updates_and_gets_the_whole_again(gridlab9_config: Config):
    state = LiveState(gridlab9_config)
    with state.client() as slow, state.client() as quick:
        await slow.next(1)
        for k in range(10 * WAITING_MAX):
            state.publish(cycle(k))
            assert len(slow) <= WAITING_MAX
            assert await quick.next(1) is not None
        events = [(await slow.next(1)).event for _ in range(len(slow))]
        assert events[0] == "now"
        assert set(events[1:]) <= {"update"}


@given(puts=st.lists(st.sampled_from(["put", "take"]), max_size=100))
async def test_what_a_client_takes_ends_with_the_last_that_was_put(puts: list[str]):
    last = 0
    feed = Feed(lambda: FeedMessage("now", lambda: str(last)))
    seen = 0
    for number, action in enumerate(puts, 1):
        if action == "put":
            last = number
            feed.put(FeedMessage("update", lambda number=number: str(number)))
        elif len(feed):
            seen, before = int((await feed.next(1)).text), seen
            assert seen >= before
    while len(feed):
        seen = int((await feed.next(1)).text)
    assert seen == last
