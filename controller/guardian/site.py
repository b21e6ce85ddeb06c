"""The converters that may hold a setpoint of this state folder, with everything that a release of them needs.

``converters.json`` is written before a service becomes ACTIVE. A release that finds no service, or one that has not
read its configuration yet, takes the converters from there: those that were commanded, whatever the configuration says
by now. It names files of keys and register maps, and contains none.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.process.failures import recording
from controller.process.files import replace_file
from controller.stop.wire import SITE
from core.config import Config
from core.config_devices import Converter


class ReleaseSite(BaseModel):
    """``folder``: to which the paths of files are relative; ``voltage_v``: line-to-line voltage of 1 p.u."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    voltage_v: float
    converters: tuple[Annotated[Converter, Field(discriminator="kind")], ...]
    schema_version: Literal[1] = 1

    @classmethod
    def of(cls, config: Config, path: Path) -> "ReleaseSite":
        """Of a configuration that was read from ``path``."""
        return cls(
            folder=path.parent.resolve(),
            voltage_v=config.grid.voltage_v,
            converters=tuple(config.converters.values()),
        )

    @classmethod
    def read(cls, state: Path) -> "ReleaseSite | None":
        """That of a state folder; None if there is none, or none that is complete and of this version."""
        try:
            return cls.model_validate_json((state / SITE).read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, state: Path) -> None:
        """Replace that of a state folder.

        Raises:
            RecordError: it cannot be written.
        """
        with recording(state / SITE):
            replace_file(state / SITE, self.model_dump_json().encode(), durable=True)
