"""One plant for all clients; each has a converter of its own."""

from collections.abc import Iterator

import pytest

from tests.conftest import CONFIG
from tests.independent_clients.running_plant import RunningPlant, running_plant


@pytest.fixture(scope="package")
def plant() -> Iterator[RunningPlant]:
    """The default scenario."""
    with running_plant(CONFIG) as running:
        yield running
