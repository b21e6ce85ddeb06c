"""The nine-node grid."""

import pytest

from core.config import Config
from core.network import Network


@pytest.fixture(scope="session")
def gridlab9_network(gridlab9_config: Config) -> Network:
    return gridlab9_config.grid.network()
