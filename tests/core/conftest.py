"""A configuration without faults in a folder of its own, changed as a case asks."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.load import load_yaml
from tests.support.paths import BAD_INPUT


def change(data: Any, path: str, value: object = None, *, drop: bool = False) -> None:
    """Set or drop what stands at ``path``, such as ``prosumers[0].battery``; one item more lengthens a list."""
    *parents, last = (int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path))
    for part in parents:
        data = data[part]
    if drop:
        del data[last]
    elif isinstance(data, list) and last == len(data):
        data.append(value)
    else:
        data[last] = value


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes good.yaml and its files with the changes of a case (``set``, ``drop``, ``lines``)."""

    def written(case: dict[str, Any]) -> Path:
        data: Any = load_yaml(BAD_INPUT / "good.yaml")
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
