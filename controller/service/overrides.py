"""What an operator wants of single converters for a while, in place of the plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

from controller.process.modes import LONGEST_OVERRIDE_S
from core.errors import Fault, InputError, shown
from realtime.node import Offer, PlanTargets
from realtime.tracker import Target

PLAN_ID = "override"


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


def checked(device: str, p_kw: float, q_kvar: float, for_s: float, rated_kva: Mapping[str, float]) -> None:
    """Refuse what no converter of ``rated_kva`` (by name) may be told.

    Raises:
        InputError: all that is wrong with it.
    """
    faults = []
    if device not in rated_kva:
        faults.append(Fault("override", "device", shown(device), f"one of {', '.join(rated_kva)}"))
    elif not hypot(p_kw, q_kvar) <= rated_kva[device]:
        faults.append(Fault("override", "power", f"{p_kw:g} kW, {q_kvar:g} kvar", f"within {rated_kva[device]:g} kVA"))
    if not 0 <= for_s <= LONGEST_OVERRIDE_S:
        faults.append(Fault("override", "for_s", f"{for_s:g} s", f"0 … {LONGEST_OVERRIDE_S:g} s"))
    if faults:
        raise InputError(faults)


def standing(overrides: Mapping[str, Override], now_s: float) -> dict[str, Override]:
    """Those that have not expired."""
    return {name: override for name, override in overrides.items() if now_s < override.until_s}
