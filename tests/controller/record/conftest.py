"""A telemetry file with the queue of a forwarder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.record.telemetry import Telemetry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.sqlite"


@pytest.fixture
def telemetry(path: Path) -> Iterator[Telemetry]:
    with Telemetry(path, outbox=True) as telemetry:
        yield telemetry
