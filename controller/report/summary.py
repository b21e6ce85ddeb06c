"""summary.json as types: what a report needs of it. Keys that a later command adds are left alone."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.config_fields import TimeZone
from core.errors import Fault, InputError, shown
from core.network import GridLimits

UNCOORDINATED = "uncoordinated"


class Part(BaseModel):
    """A section of summary.json."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Cost(Part):
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


class Ac(Part):
    """What the AC power flow says of the day."""

    v_min_pu: float
    v_max_pu: float
    violation_max_pu: float
    slack_q_violation_kvar: float
    slack_p_violation_kw: float
    line_overload_a: float


class Unheld(Part):
    """Limits that nobody can hold: by how much (comparable p.u.) and what that was priced at."""

    violation_pu: float
    cost_chf: float


class Described(Part):
    """The scenario; ``line_i_max_a`` has the lines with a limit."""

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

    def slack_bound(self, quantity: str) -> float:
        """Limit of ``p_kw`` or ``q_kvar`` at the slack, of either sign."""
        limits = GridLimits(self.v_min_pu, self.v_max_pu, self.slack_s_max_kva, self.slack_pf_min)
        return {"p_kw": limits.slack_p_max_kw, "q_kvar": limits.slack_q_max_kvar}[quantity]


class Summary(Part):
    """The whole file."""

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
    relinearisations: int
    cost_chf: dict[str, CompensatedCost]
    total_cost_chf: Cost
    fee_chf: dict[str, float]
    lower_bound_chf: float | None
    gap_rel: float | None
    unheld: Unheld
    ac: Ac
    curtailed_kwh: dict[str, float]
    simultaneous_kw: dict[str, float]
    scenario: Described

    @property
    def coordinated(self) -> bool:
        """Whether anybody coordinated on this day."""
        return self.status != UNCOORDINATED


def parse_summary(data: dict[str, Any], folder: str) -> Summary:
    """The summary of the run in ``folder``.

    Raises:
        InputError: this is a study, or with every key that is missing or of a wrong type.
    """
    file = f"{folder}/summary.json"
    if str(data.get("command")).startswith("study"):
        raise InputError([Fault(file, "command", shown(data["command"]), "plan: a study has its own figure")])
    try:
        return Summary.model_validate(data)
    except ValidationError as error:
        raise InputError(faults(error, file)) from error


def faults(error: ValidationError, file: str) -> list[Fault]:
    """What pydantic found, one fault for every key."""
    return [Fault(file, _key(e["loc"]), _got(e), e["msg"]) for e in error.errors(include_url=False)]


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _got(error: Any) -> str:
    return "nothing" if error["type"] == "missing" else shown(error["input"])
