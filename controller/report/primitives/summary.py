"""The parts of summary.json that reports use, as types; other keys are ignored."""

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
    """Cost of a day under the retail tariff, in the run's currency."""

    uncoordinated: float
    coordinated: float

    @property
    def difference(self) -> float:
        """The cost of coordination; > 0 if the day became more expensive."""
        return self.coordinated - self.uncoordinated


class CompensatedCost(Cost):
    """Cost of a day of one prosumer."""

    compensation: float


class AcResult(SummaryPart):
    """Results of the AC power flow of the day."""

    v_min_pu: float
    v_max_pu: float
    violation_max_pu: float
    slack_q_violation_kvar: float
    slack_p_violation_kw: float
    line_overload_a: float


class Unheld(SummaryPart):
    """Limits that cannot be held: by how much (comparable p.u.) and at what cost."""

    violation_pu: float
    cost_chf: float


class AggregatorSummary(SummaryPart):
    """An aggregator: its parent (None: the operator), its nodes, and the limits of the power at its head."""

    parent: str | None
    nodes: tuple[str, ...]
    p_min_kw: float | None
    p_max_kw: float | None


class ScenarioSummary(SummaryPart):
    """The scenario; ``line_i_max_a``: lines with a limit, ``telemetry``: file name of its database, ``feed_in``:
    whether feed-in is remunerated by a tariff of its own, ``teams``: the converters of prosumers that have several.
    """

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
    feed_in: bool = False
    aggregators: dict[str, AggregatorSummary] = {}
    teams: dict[str, tuple[str, ...]] = {}

    def slack_bound(self, quantity: str) -> float:
        """Limit of ``p_kw`` or ``q_kvar`` at the slack, for both signs."""
        limits = GridLimits(self.v_min_pu, self.v_max_pu, self.slack_s_max_kva, self.slack_pf_min)
        return {"p_kw": limits.slack_p_max_kw, "q_kvar": limits.slack_q_max_kvar}[quantity]


class RunSummary(SummaryPart):
    """Keys that plans and closed loops share.

    Attributes:
        status, iterations, gap_rel, ac, fee_chf: of the day-ahead plan.
        cost_chf, total_cost_chf, curtailed_kwh: planned, or measured in a closed loop.
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
    ac: AcResult
    curtailed_kwh: dict[str, float]
    scenario: ScenarioSummary
    own_cost_chf: dict[str, Cost] = {}

    @property
    def compensation_chf(self) -> float:
        """The compensation of all prosumers."""
        return sum(cost.compensation for cost in self.cost_chf.values())

    @property
    def own_costs(self) -> Cost:
        """What converters lose and batteries wear, of all prosumers; zero in a run of an older version."""
        costs = self.own_cost_chf.values()
        return Cost(
            uncoordinated=sum(cost.uncoordinated for cost in costs), coordinated=sum(cost.coordinated for cost in costs)
        )


class Summary(RunSummary):
    """summary.json of a plan."""

    relinearisations: int
    lower_bound_chf: float | None
    unheld: Unheld
    simultaneous_kw: dict[str, float]

    @property
    def coordinated(self) -> bool:
        """Whether the plan was coordinated."""
        return self.status != UNCOORDINATED

    @property
    def kind(self) -> str:
        """A short name of the kind of plan, for comparisons."""
        return f"{self.scenario.splitting} splitting" if self.coordinated else UNCOORDINATED


T = TypeVar("T", bound=SummaryPart)


def parse(kind: type[T], data: dict[str, Any], folder: Path) -> T:
    """The summary of the run in ``folder`` as ``kind``.

    Raises:
        InputError: lists every key that is missing or of a wrong type.
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
