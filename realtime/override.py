"""An operator's override: a temporary target for a single converter in place of the plan's."""

from collections.abc import Mapping
from dataclasses import dataclass

from realtime.node import AgedTarget, PlanTargets
from realtime.tracker import Target


@dataclass(frozen=True)
class Override:
    """Target net demand of a converter until ``until_s`` (monotonic); the safety gate limits it like any target."""

    p_kw: float
    q_kvar: float
    until_s: float

    @property
    def targets(self) -> PlanTargets:
        """The override as a target in place of those of the plans."""
        return PlanTargets(AgedTarget(Target(self.p_kw, self.q_kvar, pv_share=1.0), age_s=0.0))


def standing(overrides: Mapping[str, Override], now_s: float) -> dict[str, Override]:
    """Overrides that have not expired."""
    return {name: override for name, override in overrides.items() if now_s < override.until_s}
