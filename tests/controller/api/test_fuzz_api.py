"""Requests made up from the description of the API: nothing crashes, and nothing changes without the operator's token.

``python -m benchmarks.fuzz_api`` is the same with 10⁴ cases and more.
"""

import pytest

from controller.api.endpoints import ENDPOINTS, Endpoint
from controller.api.tokens import Role
from controller.process.modes import Mode
from tests.support.api import ServiceUnderTest
from tests.support.fuzz.requests import fuzz, fuzz_bytes

CASES = 60


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_made_up_requests(api: ServiceUnderTest, endpoint: Endpoint) -> None:
    tally = fuzz(api, endpoint, CASES, number=1)
    assert tally.broken == []
    assert tally.total >= CASES // 2
    assert api.ask("GET", "/api/v1/status", role=Role.VIEWER).status == 200


def test_bytes_that_are_no_requests(api: ServiceUnderTest) -> None:
    tally = fuzz_bytes(api, 2 * CASES, number=1)
    assert tally.broken == []
    assert tally.of(4) > CASES
    assert api.service.mode is Mode.MONITOR
