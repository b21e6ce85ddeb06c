"""Damaged configurations, register maps and series: they load and make sense, or every fault has its line."""

import csv
import random
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.config import Config
from core.errors import InputError
from core.load import config_of, load_config, load_scenario, load_yaml
from drivers.registers import load_registers
from tests.support.fuzz.findings import Findings
from tests.support.fuzz.mutants import HOSTILE, altered, as_yaml, torn, torn_table
from tests.support.fuzz.sense import doubts_about_config, doubts_about_registers, kept
from tests.support.paths import BAD_INPUT, CONFIGS

SOURCES = (BAD_INPUT / "good.yaml", CONFIGS / "gridlab9.yaml", CONFIGS / "gridlab9-household.yaml")
MAPS = tuple(sorted((CONFIGS / "registers").glob("*.yaml")))
COLUMNS = {"p": 2.5, "q": 2.5, "pv": 5.0, "price": 1.0, "v_pu": 1.0}
"""Column of day.csv → factor by which good.yaml's largest value is above the largest number of the file."""


def fuzz_configs(rng: random.Random, mutants: int, folder: Path) -> Findings:
    """Configurations of the repository, one of three damaged as text, the others in their structure."""
    found = Findings()
    for name in ("profiles", "registers"):
        (folder / name).symlink_to(CONFIGS / name)
    for name in ("day.csv", "registers.yaml"):
        (folder / name).symlink_to(BAD_INPUT / name)
    documents = {source: load_yaml(source) for source in SOURCES}
    path = folder / "mutant.yaml"
    for _ in range(mutants):
        source = rng.choice(SOURCES)
        data = None if rng.random() < 0.33 else altered(rng, documents[source])
        content = torn(rng, source.read_text(encoding="utf-8")) if data is None else as_yaml(data).encode()
        path.write_bytes(content)
        _judge_config(path, data, found, content)
    return found


def fuzz_hostile(folder: Path) -> Findings:
    """Documents made to do harm, as configuration and as register map."""
    found = Findings()
    for name, text in HOSTILE.items():
        path = folder / "hostile.yaml"
        path.write_text(text, encoding="utf-8")
        for load in (partial(load_config, path), partial(load_registers, path)):
            if _loaded(load, path, found, name) is not None:
                found.wrong_value(f"{name}: loaded")
    return found


def fuzz_registers(rng: random.Random, mutants: int, folder: Path) -> Findings:
    """Register maps of the repository."""
    found = Findings()
    documents = {source: load_yaml(source) for source in MAPS}
    path = folder / "mutant.yaml"
    for _ in range(mutants):
        source = rng.choice(MAPS)
        data = None if rng.random() < 0.33 else altered(rng, documents[source])
        content = torn(rng, source.read_text(encoding="utf-8")) if data is None else as_yaml(data).encode()
        path.write_bytes(content)
        registers = _loaded(lambda: load_registers(path), path, found, content)
        if registers is not None:
            for doubt in (*doubts_about_registers(registers), *(kept(data, registers) if data is not None else ())):
                found.wrong_value(f"{doubt}: {content!r}")
    return found


def fuzz_series(rng: random.Random, mutants: int, folder: Path) -> Findings:
    """The series of good.yaml; an accepted series lies between the least and the largest number of its column."""
    found = Findings()
    path = folder / "good.yaml"
    path.write_bytes((BAD_INPUT / "good.yaml").read_bytes())
    (folder / "registers.yaml").symlink_to(BAD_INPUT / "registers.yaml")
    config, text = load_config_in(folder, path), (BAD_INPUT / "day.csv").read_text(encoding="utf-8")
    for _ in range(mutants):
        content = torn_table(rng, text)
        (folder / "day.csv").write_bytes(content)
        scenario = _loaded(lambda: load_scenario(config, path, "realised"), path, found, content)
        if scenario is None:
            continue
        outlook = scenario.sites[1].outlook
        series = {"p": outlook.load_kw, "price": scenario.tariff.buy_chf_per_kwh, "v_pu": scenario.slack_voltage_pu}
        for column, values in series.items():
            if not _within(values, _numbers(content, column)):
                found.wrong_value(f"{column}: {values.tolist()} from {content!r}")
    return found


def load_config_in(folder: Path, path: Path) -> Config:
    """Load good.yaml with its table in ``folder``."""
    (folder / "day.csv").write_bytes((BAD_INPUT / "day.csv").read_bytes())
    return load_config(path)


def _judge_config(path: Path, data: Any, found: Findings, content: bytes) -> None:
    config = _loaded(lambda: load_config(path), path, found, content)
    if config is None:
        return
    for doubt in (*doubts_about_config(config), *(kept(data, config) if data is not None else ())):
        found.wrong_value(f"{doubt}: {content!r}")
    if config_of(config.document(), path) != config:
        found.wrong_value(f"a document of another configuration: {content!r}")
    if found.accepted % 3 == 0:
        found.tried -= 1
        found.accepted -= 1
        scenario = _loaded(lambda: load_scenario(config, path), path, found, content)
        found.accepted += scenario is None
        if scenario is not None and not all(np.isfinite(site.outlook.load_kw).all() for site in scenario.sites):
            found.wrong_value(f"series that are not finite: {content!r}")


def _loaded(load: Callable[[], Any], path: Path, found: Findings, content: object) -> Any:
    """The loaded object, None if it was refused with a proper error."""
    found.tried += 1
    try:
        loaded = load()
    except InputError as error:
        for problem in _improper_faults(error, path):
            found.wrong_value(f"{problem}: {error}: {content!r}")
        return None
    except Exception as error:
        found.crash(f"{error!r}: {content!r}")
        return None
    found.accepted += 1
    return loaded


def _improper_faults(error: InputError, path: Path) -> Iterator[str]:
    lines = str(error).split("\n")
    if len(lines) != len(error.faults) or not error.faults:
        yield "not one line per fault"
    for line in lines:
        if not line.startswith(str(path.parent)) or ": got " not in line or "; allowed: " not in line:
            yield "a line without file, value or allowed"
        if len(line) > 1500:
            yield "a line that nobody reads"


def _numbers(content: bytes, column: str) -> list[float]:
    """All numbers below the column names; what is no number may only be a comment, or the names again."""
    rows = [row for row in csv.reader(StringIO(content.decode("utf-8-sig"), newline="")) if any(map(str.strip, row))]
    header = next(k for k, row in enumerate(rows) if column in [cell.strip() for cell in row])
    place = [cell.strip() for cell in rows[header]].index(column)
    return [float(row[place]) for row in rows[header + 1 :] if not row[0].startswith("#") and row != rows[header]]


def _within(values: FloatArray, numbers: list[float]) -> bool:
    finite = all(map(isfinite, numbers)) and bool(np.isfinite(values).all())
    slack = 1e-9 * max(1.0, *map(abs, numbers))
    return finite and min(numbers) - slack <= values.min() and values.max() <= max(numbers) + slack
