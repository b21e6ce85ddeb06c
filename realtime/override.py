"""What an operator wants of a single converter for a while, in place of the plan."""

from collections.abc import Mapping
from dataclasses import dataclass

from realtime.node import Offer, PlanTargets
from realtime.tracker import Target


@dataclass(frozen=True)
class Override:
    """Net demand that a converter is to aim at until ``until_s`` (monotonic): as a target, behind the safety gate."""

    p_kw: float
    q_kvar: float
    until_s: float

    @property
    def targets(self) -> PlanTargets:
        """In place of those of the plans."""
        return PlanTargets(Offer(Target(self.p_kw, self.q_kvar, pv_share=1.0), age_s=0.0))


def standing(overrides: Mapping[str, Override], now_s: float) -> dict[str, Override]:
    """Those that have not expired."""
    return {name: override for name, override in overrides.items() if now_s < override.until_s}
