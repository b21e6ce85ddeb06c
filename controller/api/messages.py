"""What is asked and answered, in the units of the field names. None is unknown; times have their zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.accounts.model_check import ModelCheck
from controller.process.modes import LONGEST_OVERRIDE_S, Mode
from controller.record.records import Alarm, DeviceRecord
from core.devices import Outcome


class Order(BaseModel):
    """Exactly these fields, of exactly these types, and finite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    @property
    def said(self) -> str:
        """For the record, on one line, without secrets."""
        return ""


class Nothing(Order):
    """No body, or an empty object."""


class Lower(Order):
    """A mode in which no device is written; at once."""

    mode: Literal["off", "monitor"]

    @property
    def said(self) -> str:
        """The mode."""
        return self.mode


class Activate(Order):
    """ACTIVE, with the ``nonce`` of an arming of the last 30 s."""

    mode: Literal["active"]
    nonce: Annotated[str, Field(min_length=1, max_length=64)]

    @property
    def said(self) -> str:
        """The mode, not the nonce."""
        return self.mode


ModeOrder = Annotated[Lower | Activate, Field(discriminator="mode")]


class OverrideOrder(Order):
    """Net demand (positive: drawn) that a converter is to aim at for ``for_s``; 0 s ends it."""

    device: Annotated[str, Field(min_length=1, max_length=64)]
    p_kw: float
    q_kvar: float
    for_s: Annotated[float, Field(ge=0.0, le=LONGEST_OVERRIDE_S)]

    @property
    def said(self) -> str:
        """All of it."""
        return f"{self.device!r} {self.p_kw:g} kW, {self.q_kvar:g} kvar, {self.for_s:g} s"


@dataclass(frozen=True)
class LastCycle:
    """When it was, what it took, the age of the plan it followed, and what stood after it."""

    time: datetime
    cycle_ms: float
    plan_age_s: float | None
    violation_pu: float | None
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True)
class Status:
    """Of the service. ``check``, of the grid model against measured voltages, and ``cycle`` are None until the first
    cycle after a change of mode.
    """

    mode: Mode
    missed: int
    plan_id: str | None
    check: ModelCheck | None
    cycle: LastCycle | None


@dataclass(frozen=True)
class StandingOverride:
    """Net demand that a converter is told to aim at for ``left_s`` more."""

    p_kw: float
    q_kvar: float
    left_s: float


@dataclass(frozen=True)
class Devices:
    """Of the last cycle in this mode, by device; overrides that stand, by converter."""

    time: datetime | None = None
    devices: Mapping[str, DeviceRecord] = field(default_factory=dict)
    overrides: Mapping[str, StandingOverride] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedProsumer:
    """By step of the plan; ``soc`` at the end of each."""

    p_kw: tuple[float, ...]
    q_kvar: tuple[float, ...]
    battery_kw: tuple[float, ...]
    soc: tuple[float, ...] | None


@dataclass(frozen=True)
class Horizon:
    """The plan that rules now, from the current step on: the ``times`` at which steps begin, and prosumers by name."""

    plan_id: str
    age_s: float
    times: tuple[datetime, ...]
    prosumers: Mapping[str, PlannedProsumer]


@dataclass(frozen=True)
class PlansNow:
    """Names of the plans there are, and the one that rules."""

    intraday: str | None
    day_ahead: str | None
    tomorrow: str | None
    ruling: Horizon | None


@dataclass(frozen=True)
class Armed:
    """ACTIVE may be confirmed with ``nonce``, once, for ``expires_s``. ``warnings`` are what speaks against it."""

    nonce: str
    expires_s: float
    warnings: tuple[str, ...]
    check: ModelCheck | None


@dataclass(frozen=True)
class Changed:
    """The mode now, and what became of the release of each converter."""

    mode: Mode
    released: Mapping[str, Outcome]


@dataclass(frozen=True)
class Refused:
    """Why, on one line."""

    error: str
