"""The profiles of Hypothesis have to be known before pytest chooses one."""

import pytest

from tests.state_machine import profiles

profiles.register()


def pytest_itemcollected(item: pytest.Item) -> None:
    """A proof takes as long as it takes."""
    proof = item.config.getoption("--hypothesis-profile") == profiles.PROOF
    item.add_marker(pytest.mark.timeout(0 if proof else profiles.SHORT_S))
