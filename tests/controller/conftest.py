"""One service for all tests that speak to it over HTTP: planning and connecting take seconds."""

from collections.abc import Iterator

import pytest

from controller.process.modes import Mode
from tests.support.api import ServiceUnderTest, running


@pytest.fixture(scope="session")
def _shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    with running(tmp_path_factory.mktemp("service")) as here:
        yield here


@pytest.fixture
def api(_shared_service: ServiceUnderTest) -> ServiceUnderTest:
    """It, in MONITOR, nothing armed; how long it has run, and how old its plan is, the tests before have left."""
    _shared_service.set_mode(Mode.OFF)
    _shared_service.set_mode(Mode.MONITOR)
    _shared_service.wait(60.0)
    return _shared_service
