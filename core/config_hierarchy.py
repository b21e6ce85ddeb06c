"""A configuration file of kind ``tree``: prosumers under aggregators under aggregators (paper B)."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from core.algorithms import TreeAlgorithm
from core.arrays import FloatArray
from core.config import HorizonConfig, TariffConfig
from core.config_common_rules import horizon_rules, repeated, resource_rules
from core.config_fields import Constant, Currency, Name, NotNegative, Number, Positive, Section, Series
from core.config_problem import ProblemConfig
from core.config_resources import ANY, Means, SiteConfig
from core.errors import shown
from core.hierarchy import Branch, BranchRow, Hierarchy, PowerLimits
from core.hierarchy_faults import hierarchy_faults
from core.rules import BrokenRule, known

OWN_ROWS = ("p_kw", "q_kvar")
"""Names of the rows of a branch's own power."""
UNKNOWN = 1e18
"""In place of a limit from a file, which the rules do not read: no limit at all."""


class ObjectiveConfig(Section):
    """What the root minimises besides the costs of the prosumers: γ/2 Σ (P − target)², γ per step."""

    peak_weight_per_kw2: Annotated[NotNegative, Field(description="a number ≥ 0, currency per kW²")] = 0.0
    target_kw: Series = 0.0


class CoefficientConfig(Section):
    """What a kW and a kvar of a child add to a row."""

    p: Number = 0.0
    q: Number = 0.0


class RowConfig(Section):
    """A limit lower ≤ Σ a_c's_c ≤ upper over the powers s_c = (p, q) of the children, such as a voltage deviation.

    A coefficient that is a number is one of p.
    """

    name: Name
    lower: Series | None = None
    upper: Series | None = None
    coefficients: Annotated[
        Mapping[Name, Number | CoefficientConfig],
        Field(description="a section {child: number of p, or {p, q}}"),
    ]

    @property
    def by_child(self) -> dict[str, FloatArray]:
        """Child → a_c, of kW and kvar, [2]."""
        return {
            child: np.array([a.p, a.q] if isinstance(a, CoefficientConfig) else [a, 0.0])
            for child, a in self.coefficients.items()
        }

    def row(self, means: Means) -> BranchRow:
        """The row with its series."""
        return BranchRow(self.name, self.by_child, _series(self.lower, means), _series(self.upper, means))


class AggregatorConfig(Section):
    """A branch of the tree; its parent is another branch, or null for the root."""

    name: Name
    parent: Annotated[Name | None, Field(description="the name of a branch, or null for the root")]
    p_min_kw: Series | None = None
    p_max_kw: Series | None = None
    q_min_kvar: Series | None = None
    q_max_kvar: Series | None = None
    rows: Annotated[tuple[RowConfig, ...], Field(description="a list of rows {name, lower, upper, coefficients}")] = ()

    def branch(self, means: Means) -> Branch:
        """The branch with its series."""
        own = (self.p_min_kw, self.p_max_kw, self.q_min_kvar, self.q_max_kvar)
        limits = PowerLimits(*(_series(each, means) for each in own))
        return Branch(self.name, self.parent, limits, tuple(row.row(means) for row in self.rows))


class MemberConfig(SiteConfig):
    """A prosumer under a branch."""

    branch: Annotated[Name, Field(description="the name of a branch")]


class HierarchyConfig(ProblemConfig):
    """The whole file."""

    ALGORITHMS: ClassVar[type[StrEnum]] = TreeAlgorithm

    kind: Annotated[Literal["tree"], Field(description="tree")]
    horizon: HorizonConfig
    currency: Currency = "CHF"
    tariff: TariffConfig
    objective: ObjectiveConfig = ObjectiveConfig()
    violation_price_chf_per_kwh: Annotated[
        Literal["auto"] | Positive, Field(description="auto, or a number > 0 per kWh")
    ] = "auto"
    branches: Annotated[tuple[AggregatorConfig, ...], Field(description="a list of branches {name, parent, …}")]
    prosumers: Annotated[tuple[MemberConfig, ...], Field(description="a list of prosumers {name, branch, load, …}")]

    def hierarchy(self, means: Means) -> Hierarchy:
        """The tree with its series."""
        leaves = {prosumer.name: prosumer.branch for prosumer in self.prosumers}
        return Hierarchy(tuple(branch.branch(means) for branch in self.branches), leaves)

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Every rule between keys that does not hold; series are checked when they are read."""
        if known(self, "horizon"):
            yield from horizon_rules(self.horizon)
        if known(self, "prosumers"):
            yield from resource_rules(self.prosumers)
            yield from repeated("prosumers", "name", self.prosumers)
        if not known(self, "branches"):
            return
        for k, branch in enumerate(self.branches):
            yield from _row_names(f"branches[{k}].rows", getattr(branch, "rows", ()))
        if (tree := _skeleton(self)) is not None:
            for fault in hierarchy_faults(tree, 1, ""):
                yield BrokenRule(fault.key, fault.value, fault.allowed)


def _series(series: Series | None, means: Means) -> FloatArray | None:
    return None if series is None else means(series, ANY)


def _row_names(path: str, rows: tuple[RowConfig, ...]) -> Iterator[BrokenRule]:
    yield from repeated(path, "name", rows)
    for k, row in enumerate(rows):
        if getattr(row, "name", None) in OWN_ROWS:
            allowed = f"a name other than {' and '.join(OWN_ROWS)}, which are the rows of the branch's own power"
            yield BrokenRule(f"{path}[{k}].name", shown(row.name), allowed)


def _skeleton(config: HierarchyConfig) -> Hierarchy | None:
    """The tree with the limits that are constants, over one step; None if a fault hides who is whose child."""
    prosumers = getattr(config, "prosumers", ())
    named = all(known(branch, "name", "parent") for branch in config.branches)
    if not (known(config, "prosumers") and named and all(known(each, "name", "branch") for each in prosumers)):
        return None
    leaves = {prosumer.name: prosumer.branch for prosumer in prosumers}
    if len(leaves) < len(prosumers):
        return None
    return Hierarchy(tuple(_branch(branch) for branch in config.branches), leaves)


def _branch(branch: AggregatorConfig) -> Branch:
    limits = {
        name: _bound(getattr(branch, name, None), upper="max" in name) for name in PowerLimits.__dataclass_fields__
    }
    rows = tuple(_row(row) for row in getattr(branch, "rows", ()) if known(row, *RowConfig.model_fields))
    return Branch(branch.name, branch.parent, PowerLimits(**limits), rows)


def _row(row: RowConfig) -> BranchRow:
    return BranchRow(row.name, row.by_child, _bound(row.lower, upper=False), _bound(row.upper, upper=True))


def _bound(series: object, *, upper: bool) -> FloatArray | None:
    match series:
        case None:
            return None
        case float():
            return np.full(1, series)
        case Constant() if known(series, "constant"):
            return np.full(1, series.constant)
        case _:
            return np.full(1, UNKNOWN if upper else -UNKNOWN)
