"""Programs that tests run and that Python packages do not provide."""

import os
import shutil

import pytest


def tool(name: str, package: str) -> str:
    """Path of a program. If it is missing the test is skipped; under CI, which has to install it, the test fails."""
    path = shutil.which(name)
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"{name}: not found, allowed when installed, as by the Debian package {package}")
    return path
