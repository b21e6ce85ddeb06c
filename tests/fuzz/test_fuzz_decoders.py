"""A few thousand frames, registers and samples; ``python -m benchmarks.fuzz`` tries a million."""

import random
from collections.abc import Callable

import pytest

from tests.support.fuzz.findings import Findings, dice
from tests.support.fuzz.mapped_devices import fuzz_converter, fuzz_meter
from tests.support.fuzz.opcua_samples import fuzz_opcua
from tests.support.fuzz.register_values import fuzz_register_values
from tests.support.fuzz.sunspec_devices import fuzz_sunspec

SEED = 5
CAMPAIGNS: dict[Callable[[random.Random, int], Findings], int] = {
    fuzz_meter: 1500,
    fuzz_converter: 1200,
    fuzz_sunspec: 150,
    fuzz_register_values: 60,
    fuzz_opcua: 300,
}


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.__name__)
def test_nothing_wrong_is_accepted_and_nothing_crashes(campaign: Callable[[random.Random, int], Findings]) -> None:
    found = campaign(dice(SEED, campaign.__name__), CAMPAIGNS[campaign])
    assert found.clean, found.examples
    assert found.tried >= CAMPAIGNS[campaign]
    assert 0 < found.accepted < found.tried
