"""One plant for all clients; each has a converter of its own."""

from collections.abc import Iterator

import pytest

from tests.independent_clients.running_plant import RunningPlant, running_plant
from tests.support.paths import CONFIG


@pytest.fixture(scope="package")
def plant() -> Iterator[RunningPlant]:
    """The default scenario."""
    with running_plant(CONFIG) as running:
        yield running
