"""A copy of the ``run`` of each module of tests."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """To be tampered with."""
    return Path(shutil.copytree(run, tmp_path / "copy"))
