"""Requests and answers, in the units of their names. None is unknown; times have their zone."""

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
    """A request body: exactly these fields, of exactly these types, and finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    @property
    def audit_text(self) -> str:
        """Text for the audit trail, on one line, without secrets."""
        return ""


class Nothing(Order):
    """No body, or an empty object."""


class Lower(Order):
    """A mode in which no device is written; takes effect at once."""

    mode: Literal["off", "monitor"]

    @property
    def audit_text(self) -> str:
        """The mode."""
        return self.mode


class Activate(Order):
    """The mode ACTIVE, with the ``nonce`` of an arming within the last 30 s."""

    mode: Literal["active"]
    nonce: Annotated[str, Field(min_length=1, max_length=64)]

    @property
    def audit_text(self) -> str:
        """The mode, without the nonce."""
        return self.mode


ModeOrder = Annotated[Lower | Activate, Field(discriminator="mode")]


class OverrideOrder(Order):
    """Net demand (positive: drawn) that a converter shall have for ``for_s``; 0 s ends the override."""

    device: Annotated[str, Field(min_length=1, max_length=64)]
    p_kw: float
    q_kvar: float
    for_s: Annotated[float, Field(ge=0.0, le=LONGEST_OVERRIDE_S)]

    @property
    def audit_text(self) -> str:
        """All values."""
        return f"{self.device!r} {self.p_kw:g} kW, {self.q_kvar:g} kvar, {self.for_s:g} s"


@dataclass(frozen=True)
class LastCycle:
    """Time and duration of the last cycle, age of the plan it followed, worst voltage excess, and active alarms."""

    time: datetime
    cycle_ms: float
    plan_age_s: float | None
    violation_pu: float | None
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True)
class GuardianState:
    """Whether a guardian lives, without which there is no ACTIVE; ``absent`` says why not, and is empty if it does."""

    living: bool
    absent: str


@dataclass(frozen=True)
class Status:
    """State of the service. ``check`` (grid model against measured voltages) and ``cycle`` are None until the first
    cycle after a change of mode. ``timezone`` is that of the plans; times in it are the local ones.
    """

    mode: Mode
    guardian: GuardianState
    missed: int
    plan_id: str | None
    check: ModelCheck | None
    cycle: LastCycle | None
    timezone: str = "UTC"


@dataclass(frozen=True)
class StandingOverride:
    """Net demand that a converter shall have for another ``left_s``."""

    p_kw: float
    q_kvar: float
    left_s: float


@dataclass(frozen=True)
class Devices:
    """Devices in the last cycle of this mode, and active overrides by converter."""

    time: datetime | None = None
    devices: Mapping[str, DeviceRecord] = field(default_factory=dict)
    overrides: Mapping[str, StandingOverride] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedProsumer:
    """Planned values by step; ``soc`` at the end of each step."""

    p_kw: tuple[float, ...]
    q_kvar: tuple[float, ...]
    battery_kw: tuple[float, ...]
    soc: tuple[float, ...] | None


@dataclass(frozen=True)
class Horizon:
    """The current plan from the current step on: start ``times`` of the steps, and prosumers by name."""

    plan_id: str
    age_s: float
    times: tuple[datetime, ...]
    prosumers: Mapping[str, PlannedProsumer]


@dataclass(frozen=True)
class PlansNow:
    """Identifiers of the available plans, and the current one."""

    intraday: str | None
    day_ahead: str | None
    tomorrow: str | None
    ruling: Horizon | None


@dataclass(frozen=True)
class Armed:
    """ACTIVE can be confirmed with ``nonce``, once, within ``expires_s``. ``warnings``: reasons against it."""

    nonce: str
    expires_s: float
    warnings: tuple[str, ...]
    check: ModelCheck | None


@dataclass(frozen=True)
class Changed:
    """The mode now, and the outcome of the release of each converter."""

    mode: Mode
    released: Mapping[str, Outcome]


@dataclass(frozen=True)
class Refused:
    """The reason, on one line."""

    error: str
