"""A file without faults in a folder of its own, changed as a case asks."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.load import load_yaml
from tests.support.paths import BAD_INPUT
from tests.support.user_data import change


@pytest.fixture
def source() -> str:
    """The file without faults."""
    return "good.yaml"


@pytest.fixture
def write(tmp_path: Path, source: str) -> Callable[[dict[str, Any]], Path]:
    """Writes ``source`` and the files that it names with the changes of a case (``set``, ``drop``, ``lines``)."""

    def written(case: dict[str, Any]) -> Path:
        data: Any = load_yaml(BAD_INPUT / source)
        for path, value in case.get("set", {}).items():
            change(data, path, value)
        for path in case.get("drop", []):
            change(data, path, drop=True)
        shutil.copy(BAD_INPUT / "registers.yaml", tmp_path)
        lines = dict(enumerate((BAD_INPUT / "day.csv").read_text().splitlines(), start=1)) | case.get("lines", {})
        (tmp_path / "day.csv").write_text("\n".join(line for line in lines.values() if line is not None))
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
        return config

    return written
