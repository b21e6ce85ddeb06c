"""Noise that can be repeated, and the steps of a reading."""

import numpy as np
import pytest

from sim_plant.meter import EXACT, Accuracy, MeterReading, measure, normals

TRUTH = MeterReading(v_v=401.234567, i_a=12.345678, p_kw=-3.21098, q_kvar=0.98765)


def test_the_noise_depends_on_seed_device_and_time_alone() -> None:
    again = [normals(1, "n3_meter", t) for t in (60.0, 30.0, 0.0)][::-1]
    assert [normals(1, "n3_meter", t) for t in (0.0, 30.0, 60.0)] == again
    assert len({normals(*key) for key in ((1, "a", 0.0), (2, "a", 0.0), (1, "b", 0.0), (1, "a", 0.001))}) == 4


def test_the_noise_is_the_same_on_every_machine() -> None:
    expected = (-1.1420158325, 1.3427045322, 0.2621092359, 0.6309624165)
    assert normals(0, "n3_meter", 30.0) == pytest.approx(expected, abs=1e-9)


def test_the_noise_is_standard_normal() -> None:
    sample = np.array([normals(3, "n5_meter", 30.0 * k) for k in range(4000)])
    assert np.abs(sample.mean(axis=0)).max() < 0.06
    assert np.abs(sample.std(axis=0) - 1).max() < 0.04
    assert np.abs(np.corrcoef(sample.T) - np.eye(4)).max() < 0.06


def test_a_reading_comes_in_steps() -> None:
    coarse = Accuracy(0, 0, 0, v_step_v=0.5, i_step_a=0.1, s_step_kva=0.01)
    assert measure(TRUTH, coarse, 0, "m", 0.0) == MeterReading(401.0, 12.3, -3.21, 0.99)
    assert measure(TRUTH, EXACT, 0, "m", 0.0) == TRUTH


def test_a_current_is_never_negative() -> None:
    loud = Accuracy(i_noise_a=5.0)
    assert min(measure(MeterReading(400, 0.0, 0, 0), loud, 0, "m", t).i_a for t in range(50)) == 0.0
