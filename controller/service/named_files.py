"""Everything that a configuration names, read and judged: series of both variants, register maps, keys, tokens."""

from pathlib import Path
from typing import get_args

from core.config import Config
from core.config_fields import Variant
from core.errors import Fault, InputError
from core.load import load_scenario
from core.scenario import Scenario


def check_all(config: Config, path: Path) -> dict[Variant, Scenario]:
    """The scenario of each variant; ``config`` was read from ``path``.

    Raises:
        InputError: with the faults of all files, each once.
    """
    faults: list[Fault] = []
    scenarios: dict[Variant, Scenario] = {}
    for variant in get_args(Variant):
        try:
            scenarios[variant] = load_scenario(config, path, variant)
        except InputError as error:
            faults += error.faults
    if config.devices:
        from drivers.named_files import file_faults  # loads the libraries of protocols

        faults += file_faults(config.devices, path.parent)
    faults += _token_faults(config, path)
    if faults:
        raise InputError(dict.fromkeys(faults))
    return scenarios


def _token_faults(config: Config, path: Path) -> list[Fault]:
    if config.telemetry.influx is None:
        return []
    file = path.parent / config.telemetry.influx.token_file
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return [Fault(str(file), "", "no readable text", "the token of telemetry.influx")]
    return [] if token else [Fault(str(file), "", "nothing", "the token of telemetry.influx")]
