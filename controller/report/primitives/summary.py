"""summary.json as types: what a report needs of it. Keys that a later command adds are left alone."""

from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.config import TelemetryConfig
from core.config_fields import TimeZone
from core.errors import Fault, InputError, shown
from core.network import GridLimits

UNCOORDINATED = "uncoordinated"


class SummaryPart(BaseModel):
    """A section of summary.json."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Cost(SummaryPart):
    """A day under the retail tariff, in the run's currency."""

    uncoordinated: float
    coordinated: float

    @property
    def difference(self) -> float:
        """What coordination costs; > 0 where the day became dearer."""
        return self.coordinated - self.uncoordinated


class CompensatedCost(Cost):
    """The day of one prosumer."""

    compensation: float


class Ac(SummaryPart):
    """What the AC power flow says of the day."""

    v_min_pu: float
    v_max_pu: float
    violation_max_pu: float
    slack_q_violation_kvar: float
    slack_p_violation_kw: float
    line_overload_a: float


class Unheld(SummaryPart):
    """Limits that nobody can hold: by how much (comparable p.u.) and what that was priced at."""

    violation_pu: float
    cost_chf: float


class Described(SummaryPart):
    """The scenario; ``line_i_max_a`` has the lines with a limit, ``telemetry`` is the name of its database."""

    date: date
    timezone: TimeZone
    step_min: int
    currency: str
    slack: str
    v_min_pu: float
    v_max_pu: float
    slack_s_max_kva: float
    slack_pf_min: float
    line_i_max_a: dict[str, float]
    splitting: str
    gap_tol: float
    violation_tol_pu: float
    max_iterations: int
    budget_s: float
    nodes: dict[str, str]
    telemetry: Path = TelemetryConfig().sqlite

    def slack_bound(self, quantity: str) -> float:
        """Limit of ``p_kw`` or ``q_kvar`` at the slack, of either sign."""
        limits = GridLimits(self.v_min_pu, self.v_max_pu, self.slack_s_max_kva, self.slack_pf_min)
        return {"p_kw": limits.slack_p_max_kw, "q_kvar": limits.slack_q_max_kvar}[quantity]


class RunSummary(SummaryPart):
    """What every run of a day says: a plan and a closed loop alike.

    Attributes:
        status, iterations, gap_rel, ac, fee_chf: of the day-ahead plan.
        cost_chf, total_cost_chf, curtailed_kwh: of the plan, or of what was measured in a closed loop.
    """

    command: str
    name: str
    created_at: datetime
    config: str
    config_sha256: str
    version: str
    seed: int | None
    wall_s: float
    status: str
    iterations: int
    cost_chf: dict[str, CompensatedCost]
    total_cost_chf: Cost
    fee_chf: dict[str, float]
    gap_rel: float | None
    ac: Ac
    curtailed_kwh: dict[str, float]
    scenario: Described


class Summary(RunSummary):
    """The whole file of a plan."""

    relinearisations: int
    lower_bound_chf: float | None
    unheld: Unheld
    simultaneous_kw: dict[str, float]

    @property
    def coordinated(self) -> bool:
        """Whether anybody coordinated on this day."""
        return self.status != UNCOORDINATED

    @property
    def kind(self) -> str:
        """In a word or two, beside another run."""
        return f"{self.scenario.splitting} splitting" if self.coordinated else UNCOORDINATED


T = TypeVar("T", bound=SummaryPart)


def parse(kind: type[T], data: dict[str, Any], folder: Path) -> T:
    """The summary of the run in ``folder`` as ``kind``.

    Raises:
        InputError: with every key that is missing or of a wrong type.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        file = f"{folder}/summary.json"
        faults = [Fault(file, _key(e["loc"]), _got(e), e["msg"]) for e in error.errors(include_url=False)]
        raise InputError(faults) from error


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _got(error: Any) -> str:
    return "nothing" if error["type"] == "missing" else shown(error["input"])
