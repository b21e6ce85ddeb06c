"""The referee catches every seeded violation, and nothing else."""

import json
from math import nan
from pathlib import Path

import pytest

from sim_plant.converter import ConverterRating, Frame, Refusal
from sim_plant.faults import CONVERTER_FAULTS
from sim_plant.meter import EXACT
from sim_plant.referee import ControlStateChange, FrameLimits, FrameLog, FrameRule, FrameVerdict, Referee
from sim_plant.stations import ConverterStation, Instrument, PlantContext
from tests.support.plant_benches import START

RATING = ConverterRating(15.0, 0.25)


class Converter:
    """A converter without sockets, and its clock."""

    def __init__(self, path: Path | None = None, name: str = "c", rating: ConverterRating = RATING) -> None:
        self.t_s = 0.0
        self.verdicts: list[FrameVerdict] = []
        bench = PlantContext(lambda: self.t_s, START, 0)
        self.changes: list[ControlStateChange] = []
        referee = Referee(name, -30.0, self._seen)
        instrument = Instrument(name, EXACT, bench, CONVERTER_FAULTS)
        self.station = ConverterStation(instrument, "N1", rating, bench, referee)

    def _seen(self, seen: FrameVerdict | ControlStateChange) -> None:
        (self.changes if isinstance(seen, ControlStateChange) else self.verdicts).append(seen)

    def commanded(
        self, t_s: float, s_kva: complex, lease_s: float = 75.0, epoch: int = 1, enable: int = 1
    ) -> FrameVerdict:
        self.t_s = t_s
        self.station.write(
            {
                "p_setpoint_kw": s_kva.real,
                "q_setpoint_kvar": s_kva.imag,
                "lease_s": lease_s,
                "writer_epoch": epoch,
                "enable": enable,
            }
        )
        return self.verdicts[-1]


def test_a_day_within_the_rules_has_no_violation() -> None:
    converter = Converter()
    for k in range(200):
        verdict = converter.commanded(30.0 * k, (7 if k % 2 else -0.5) + 0j)
        assert (verdict.refusal, verdict.violations) == (None, ())
    assert converter.commanded(6000.0, 0j, enable=0).violations == ()


def test_reactive_power_from_a_converter_without_any() -> None:
    converter = Converter(rating=ConverterRating(15.0, 0.25, reactive=False))
    assert converter.commanded(0.0, 3 + 0j).violations == ()
    verdict = converter.commanded(30.0, 3 + 1j)
    assert (verdict.violations, verdict.refusal) == ((FrameRule.CIRCLE,), Refusal.CAPABILITY)


@pytest.mark.parametrize(
    ("frame", "violation", "refusal"),
    [
        ({"s_kva": complex(nan, 0)}, FrameRule.FINITE, Refusal.NOT_FINITE),
        ({"s_kva": 11 + 11j}, FrameRule.CIRCLE, Refusal.CAPABILITY),
        ({"s_kva": -4 + 0j}, FrameRule.RAMP, None),
        ({"s_kva": 4 + 7.6j}, FrameRule.RAMP, None),
        ({"s_kva": 4 + 1j, "lease_s": 0.0}, FrameRule.LEASE, Refusal.LEASE),
        ({"s_kva": 4 + 1j, "lease_s": 300.0}, FrameRule.LEASE, None),
        ({"s_kva": 4 + 1j, "lease_s": nan}, FrameRule.LEASE, Refusal.LEASE),
        ({"s_kva": 4 + 1j, "epoch": 0}, FrameRule.WRITER, Refusal.EPOCH),
    ],
)
def test_every_seeded_violation_is_caught(
    frame: dict[str, float], violation: FrameRule, refusal: Refusal | None
) -> None:
    converter = Converter()
    converter.commanded(0.0, 4 + 0j)
    verdict = converter.commanded(30.0, **{"s_kva": 4 + 0j, **frame})  # type: ignore[arg-type]
    assert violation in verdict.violations
    assert verdict.refusal == refusal


def test_the_ramp_is_judged_over_a_burst_as_a_whole() -> None:
    converter = Converter()
    assert converter.commanded(0.0, 5 + 0j).violations == ()
    assert converter.commanded(0.5, 5 + 5.5j).violations == (), "P and Q by two requests are one command"
    assert converter.commanded(1.0, 7 + 5.5j).violations == (FrameRule.RAMP,)
    assert converter.commanded(30.0, 7 + 5.5j).violations == ()


def test_a_refused_frame_does_not_restart_the_ramp_clock() -> None:
    converter = Converter()
    converter.commanded(0.0, 0j)
    converter.commanded(29.0, 20 + 0j)
    assert converter.commanded(30.0, 7.5 + 0j).violations == ()


def test_after_a_lapse_the_ramp_begins_at_the_safe_state() -> None:
    converter = Converter()
    converter.commanded(0.0, 7 + 0j)
    assert converter.commanded(90.0, -14.9 + 0j).violations == (), "more than 60 s at 0.25 kVA/s since the last frame"
    converter.commanded(110.0, -13 + 0j)
    converter.station.switch("reboot", on=True)
    converter.station.switch("reboot", on=False)
    assert converter.commanded(140.0, 7 + 0j).violations == (), "from the safe state, not from -13 kW"


def test_after_a_release_the_ramp_begins_at_the_safe_state() -> None:
    """Also of another writer in the same moment."""
    converter = Converter()
    converter.commanded(0.0, 5 + 0j)
    converter.commanded(4.0, 0j, epoch=2, enable=0)
    assert converter.commanded(4.0, 0j, epoch=3).violations == ()
    assert converter.commanded(5.0, 0.25 + 0j, epoch=3).violations == ()
    assert converter.commanded(5.0, 5 + 0j, epoch=3).violations == (FrameRule.RAMP,)


def test_every_change_of_state_is_recorded_at_its_moment() -> None:
    converter = Converter()
    converter.commanded(0.0, 1 + 0j, lease_s=40.0)
    converter.commanded(30.0, 1 + 0j, lease_s=40.0)
    converter.commanded(200.0, 1 + 0j)
    converter.commanded(210.0, 0j, enable=0)
    assert [(c.t_s, c.state) for c in converter.changes] == [
        (0.0, "remote"), (70.0, "safe"), (200.0, "remote"), (210.0, "safe"),
    ]  # fmt: skip


def test_a_first_frame_has_thirty_seconds_of_ramp() -> None:
    assert Converter().commanded(0.0, 7.5 + 0j).violations == ()
    assert Converter().commanded(0.0, 7.6 + 0j).violations == (FrameRule.RAMP,)


def test_a_circle_that_shrinks_may_be_left_faster_than_the_ramp() -> None:
    converter = Converter()
    for k in range(3):
        converter.commanded(30.0 * k, 7 * (k + 1) * 0.7 + 0j)
    converter.station.switch("derated", on=True, number=2.0)
    assert converter.commanded(90.0, 2 + 0j).violations == ()
    assert converter.commanded(120.0, 3 + 0j).violations == (FrameRule.CIRCLE,)


def test_what_is_lost_is_judged_all_the_same() -> None:
    converter = Converter()
    converter.station.switch("ignore_writes", on=True)
    verdict = converter.commanded(30.0, 20 + 0j)
    assert verdict.refusal == "ignored"
    assert FrameRule.CIRCLE in verdict.violations
    assert converter.station.state.setpoint_kva == 0


def test_a_value_beyond_its_register_is_judged_before_the_command() -> None:
    converter = Converter()
    assert converter.station.write({"p_setpoint_kw": 99.0}, in_range=False) is Refusal.RANGE
    assert FrameRule.CIRCLE in converter.verdicts[-1].violations
    assert converter.station.write({"enable": 1.0}) is None
    assert converter.station.state.setpoint_kva == 0


def test_the_record_does_not_tell_in_which_order_devices_were_served(tmp_path: Path) -> None:
    files = []
    for k, order in enumerate((["a", "b"], ["b", "a"])):
        files.append(tmp_path / f"{k}.jsonl")
        with FrameLog(START, files[-1]) as recorder:
            for t_s in (0.0, 30.0):
                for name in order:
                    rules = FrameLimits(15.0, 0.25)
                    referee = Referee(name, -30.0, recorder.record)
                    referee.observe(t_s, Frame(complex(nan, 1), 75.0, 1), 0j, Refusal.NOT_FINITE, rules)
                recorder.flush()
            assert recorder.tally.violations.total() == 4
    assert files[0].read_bytes() == files[1].read_bytes()
    first = json.loads(files[0].read_text().splitlines()[0])
    assert first == {
        "schema_version": 1,
        "time": "2018-06-21T00:00:00+00:00",
        "device": "a",
        "p_kw": "nan",
        "q_kvar": 1.0,
        "lease_s": 75.0,
        "epoch": 1,
        "enable": True,
        "refusal": "not finite",
        "violations": ["finite"],
    }
