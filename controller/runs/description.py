"""service.json: what the report of a run of ``serve`` must know of its configuration, which telemetry does not hold."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from controller.process.files import replace_file
from controller.runs.directory import SCHEMA_VERSION
from controller.runs.summaries import config_summary
from core.config import Config

SERVICE = "service.json"


@dataclass(frozen=True)
class ServiceDescription:
    """The content of the file. ``started_at`` is the last start of a service in this folder, ``config_sha256`` the hash
    of its configuration file alone.
    """

    command: str
    name: str
    config: str
    config_sha256: str
    version: str
    started_at: str
    scenario: dict[str, Any]
    converters: dict[str, tuple[str, ...]]
    soc_band: dict[str, tuple[float, float]]
    realtime_s: float
    mpc_budget_s: float


def described(config: Config, path: Path, at: datetime) -> ServiceDescription:
    """The description of a service that starts ``at`` with a configuration read from ``path``.

    Raises:
        OSError: the file is gone.
    """
    batteries = {p.name: p.battery for p in config.prosumers if p.battery is not None}
    return ServiceDescription(
        command="serve",
        name=config.name,
        config=str(path),
        config_sha256=sha256(path.read_bytes()).hexdigest(),
        version=version("gridlab"),
        started_at=at.isoformat(timespec="seconds"),
        scenario=config_summary(config),
        converters=dict(config.converters_of),
        soc_band={name: (battery.soc_min, battery.soc_max) for name, battery in batteries.items()},
        realtime_s=config.schedule.realtime_s,
        mpc_budget_s=config.schedule.mpc_budget_s,
    )


def write_description(folder: Path, description: ServiceDescription) -> None:
    """Write the file; that of an earlier start is replaced.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(description)}, indent=2, ensure_ascii=False)
    replace_file(folder / SERVICE, text.encode(), durable=False)
