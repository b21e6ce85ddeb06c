"""Whole days of arbitrary loads, targets and gaps with a perfect converter: the invariants of the layer."""

from dataclasses import replace
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.resources import Battery, Capability
from realtime.fallback import Rung
from realtime.node import NodeLimits
from realtime.reasons import Reason
from realtime.tracker import LoadAndPv, Target
from tests.realtime.plant import Moment, Record, play
from tests.realtime.strategies import amounts, batteries, floats, targets

DAY = 2880
BATTERY = Battery(2.5, 2.5)
WIRE_KVA = sqrt(2) * 1e-3
BATTERIES = {
    "box": BATTERY,
    "disc": replace(BATTERY, capability=Capability.DISC),
    "lossy": replace(BATTERY, efficiency=0.9),
    "tiny": Battery(2.5, 0.2),
    "strong": Battery(12.0, 3.0, efficiency=0.95),
    "full": replace(BATTERY, soc_initial=0.9),
    "empty": replace(BATTERY, soc_initial=0.1),
}


def random_day(seed: int, missing: float = 0.0, pv_kw: float = 5.0, load_kw: float = 2.5) -> list[Moment]:
    """White noise is harsher than weather: everything jumps in every cycle."""
    rng = np.random.default_rng(seed)
    day = []
    for _ in range(DAY):
        now = LoadAndPv(rng.uniform(0, load_kw), rng.uniform(-1, 1), rng.uniform(0, pv_kw))
        target = Target(rng.uniform(-6, 5), rng.uniform(-3, 3), rng.choice([1.0, rng.uniform()]))
        day.append(Moment(now if rng.uniform() >= missing else None, target, bool(rng.uniform() >= missing)))
    return day


def limits_of(battery: Battery | None, ramp_kva_per_s: float = 0.25) -> NodeLimits:
    return NodeLimits("P", battery, 15.0, ramp_kva_per_s)


def assert_setpoints_within_limits(records: list[Record], limits: NodeLimits) -> None:
    for record in records:
        assert record.after.finite
        assert record.after.s_kva <= limits.s_max_kva + 1e-9
        if Reason.RAMP_EXCEEDED not in record.result.reasons:
            assert record.after.distance_kva(record.before) <= max(limits.ramp_kva_per_s * 30, WIRE_KVA) + 1e-9
        else:
            assert record.after.s_kva <= record.before.s_kva + 1e-9


def assert_soc_within_band(records: list[Record], battery: Battery) -> None:
    socs = [record.soc for record in records]
    assert min(socs) >= battery.soc_min - 1e-9
    assert max(socs) <= battery.soc_max + 1e-9


@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["all seen", "gaps"])
@pytest.mark.parametrize("ramp", [0.25, 0.02], ids=["15 kVA per minute", "slow"])
@pytest.mark.parametrize("battery", BATTERIES.values(), ids=BATTERIES)
def test_a_day_of_noise(battery: Battery, ramp: float, missing: float) -> None:
    limits = limits_of(battery, ramp)
    records, state = play(random_day(3, missing), limits, battery.soc_initial)
    assert_setpoints_within_limits(records, limits)
    assert_soc_within_band(records, battery)
    assert state.battery is not None
    if not missing:
        assert records[-2].soc == pytest.approx(state.battery.soc, abs=1e-9)
        assert state.battery.estimated_kwh == 0


moments_of_any_kind = st.builds(
    Moment,
    st.one_of(st.none(), amounts),
    st.one_of(st.none(), targets),
    seen=st.booleans(),
    s_max_kva=st.one_of(st.none(), floats(0, 15)),
)


@settings(max_examples=40, deadline=None)
@given(
    battery=batteries,
    share=floats(0, 1),
    moments=st.lists(moments_of_any_kind, min_size=1, max_size=120),
    ramp=floats(0.001, 1.0),
)
def test_arbitrary_sequences(battery: Battery, share: float, moments: list[Moment], ramp: float) -> None:
    limits = limits_of(battery, ramp)
    soc = min(battery.soc_min + share * (battery.soc_max - battery.soc_min), battery.soc_max)
    records, _ = play(moments, limits, soc)
    assert_setpoints_within_limits(records, limits)
    assert_soc_within_band(records, battery)
    for moment, record in zip(moments, records, strict=True):
        in_force = record.result.in_force
        assert in_force is None or in_force.pv_kw >= 0
        if moment.s_max_kva is not None:
            assert record.after.s_kva <= moment.s_max_kva + 1e-9


@pytest.mark.parametrize("battery", [None, BATTERY], ids=["no battery", "battery"])
def test_a_smooth_day_is_followed(battery: Battery | None) -> None:
    """Targets that the node can reach are reached to a step of the wire; nothing stands in the way."""
    day = []
    for k in range(DAY):
        sun = max(0.0, np.sin(np.pi * (k / DAY - 0.25) * 2)) * 4
        now = LoadAndPv(1 + 0.5 * np.sin(k / 300), 0.3, sun)
        battery_kw = 0.5 * np.sin(2 * np.pi * k / DAY * 4) if battery else 0.0
        day.append(Moment(now, Target(now.load_kw - battery_kw - 0.8 * sun, 0.3, 0.8)))
    records, _ = play(day, limits_of(battery))
    assert [record.result.rung for record in records[:3]] == [Rung.SAFE, Rung.SAFE, Rung.USE]
    for moment, record in zip(day[3:], records[3:], strict=True):
        assert moment.target is not None
        assert abs(record.after.p_kw - moment.target.p_kw) <= 1e-3
        assert abs(record.after.q_kvar - moment.target.q_kvar) <= 1e-3
        assert record.result.reasons == ()


def test_while_holding_apparent_power_does_not_grow() -> None:
    records, _ = play(random_day(5, missing=0.3), limits_of(BATTERY))
    holding = [record for record in records if record.result.rung is Rung.HOLD]
    assert len(holding) > 20
    assert all(record.after.s_kva <= record.before.s_kva + 1e-9 for record in holding)


def test_the_lease_may_end_at_any_moment() -> None:
    """Invariant 8: were every setpoint the last one, its lease would still end within the band."""
    records, _ = play(random_day(7), limits_of(BATTERY))
    for before, record in pairwise(records):
        in_force = record.result.in_force
        assert in_force is not None
        reached = before.soc - in_force.battery.p_kw * 75 / 3600 / BATTERY.energy_kwh
        assert BATTERY.soc_min - 1e-9 <= reached <= BATTERY.soc_max + 1e-9


def test_the_lease_may_end_after_a_late_write() -> None:
    """The last setpoint may be written at the very deadline, while the one before still runs."""
    records, _ = play(random_day(11), replace(limits_of(BATTERY), soc_reserve=0.0))
    for before, record in pairwise(records[1:]):
        late, then = before.result.in_force, record.result.in_force
        assert late is not None
        assert then is not None
        reached = before.soc - (late.battery.p_kw * 20 + then.battery.p_kw * 75) / 3600 / BATTERY.energy_kwh
        assert BATTERY.soc_min - 1e-9 <= reached <= BATTERY.soc_max + 1e-9


def test_account_of_a_noisy_measurement() -> None:
    """30 W of noise: the emulated battery stays in its band, and its energy is the true one within 1 %."""
    noise = list(np.random.default_rng(13).normal(0, 0.03, DAY))
    records, state = play(random_day(13), limits_of(BATTERY), noise_kw=noise)
    socs = [record.result.soc for record in records if record.result.soc is not None]
    assert BATTERY.soc_min <= min(socs)
    assert max(socs) <= BATTERY.soc_max
    energies = [record.result.in_force.battery.p_kw * 30 / 3600 for record in records[:-1] if record.result.in_force]
    account = state.battery
    assert account is not None
    assert account.discharged_kwh == pytest.approx(sum(max(e, 0) for e in energies), rel=0.01)
    assert account.charged_kwh == pytest.approx(sum(max(-e, 0) for e in energies), rel=0.01)


@pytest.mark.parametrize("target_kw", [-9.0, 9.0], ids=["down", "up"])
def test_noise_does_not_push_the_battery_out_of_its_band(target_kw: float) -> None:
    """A target that pulls at the limit all the time; without the reserve the noise of a reading would carry it over."""
    noise = list(np.random.default_rng(17).normal(0, 0.03, 1000))
    records, _ = play([Moment(LoadAndPv(1, 0, 0), Target(target_kw, 0, 1))] * 1000, limits_of(BATTERY), noise_kw=noise)
    socs = [record.result.soc for record in records if record.result.soc is not None]
    assert BATTERY.soc_min <= min(socs)
    assert max(socs) <= BATTERY.soc_max
    assert min(abs(soc - limit) for soc in socs for limit in (0.1, 0.9)) < 0.003


def test_doubt_of_short_gaps_does_not_pile_up() -> None:
    """A day in which every tenth reading is missing, and the converter did as it was told."""
    day = [Moment(LoadAndPv(1, 0, 2), Target(-1 - 0.3 * np.sin(k / 50), 0, 1), bool(k % 10)) for k in range(DAY)]
    records, state = play(day, limits_of(BATTERY))
    assert state.battery is not None
    assert state.battery.estimated_kwh > 0
    assert (state.battery.below, state.battery.above) == (0, 0)
    assert state.battery.soc == pytest.approx(records[-2].soc, abs=1e-9)
