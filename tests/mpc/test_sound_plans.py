"""The check of every plan (tests/support/watched_prosumers.py) finds what it is for: faults, each sown alone."""

from collections.abc import Callable

import pytest

import mpc.prosumer
from core.scenario import Scenario
from mpc.prosumer import participants
from mpc.resources.battery import BatteryBlock
from tests.mpc.test_feasible_plans import small_laboratory
from tests.support.synthetic import with_losses


def burn(patch: pytest.MonkeyPatch) -> None:
    """The relaxation is the answer, which charges and discharges at once."""
    patch.setattr(mpc.prosumer, "pairs", lambda _variables: [])


def leave_to_chance(patch: pytest.MonkeyPatch) -> None:
    """Nothing decides between optima that cost the same."""
    patch.setattr(mpc.prosumer, "TIE_REL", 0.0)


def exceed_the_band(patch: pytest.MonkeyPatch) -> None:
    """A battery moves one percent more than its state of charge allows."""
    honest = BatteryBlock._discharge_kw
    patch.setattr(BatteryBlock, "_discharge_kw", lambda block, soc: 1.01 * honest(block, soc))


SOWN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = {
    "burns energy": (burn, "respond", "03 negative tariff"),
    "cycles without a reason": (leave_to_chance, "plan", "lossless"),
    "leaves its band": (exceed_the_band, "plan", "lossless"),
}


@pytest.mark.parametrize("name", SOWN)
def test_a_sown_fault_is_found(
    name: str, gridlab9: Scenario, faults_of_plans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sow, question, day_of = SOWN[name]
    day = with_losses(gridlab9, 0.0) if day_of == "lossless" else small_laboratory(day_of)
    retail = day.tariff.signal(day.axis.dt_h)
    getattr(participants(day)[0], question)(retail)
    assert not faults_of_plans
    sow(monkeypatch)
    with pytest.raises(AssertionError):
        getattr(participants(day)[0], question)(retail)
    assert len(faults_of_plans) == 1
    faults_of_plans.clear()
