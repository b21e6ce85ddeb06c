"""Cases of data as users have them: a folder of files each, and changes of configurations."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.load import load_yaml
from tests.support.paths import BAD_INPUT, USER_DATA


def cases(file: str) -> Any:
    """The cases of a file of bad input as parameters with their names."""
    loaded: Any = load_yaml(BAD_INPUT / file)
    return [pytest.param(case, id=case["name"]) for case in loaded]


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


def written(case: dict[str, Any], folder: Path) -> Path:
    """The configuration of a case with its files, in a folder of its own."""
    for source in (USER_DATA / "base", USER_DATA / case["name"]):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    path = folder / "config.yaml"
    if "set" in case:
        data: Any = load_yaml(path)
        for place in case.get("drop", []):
            change(data, place, drop=True)
        for place, value in case["set"].items():
            change(data, place, value)
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path
