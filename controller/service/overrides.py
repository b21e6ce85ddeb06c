"""Limits of an operator's overrides (:mod:`realtime.override`), and their name in the audit trail."""

from collections.abc import Mapping
from math import hypot

from controller.process.modes import LONGEST_OVERRIDE_S
from core.errors import Fault, InputError, shown

PLAN_ID = "override"


def check_override(device: str, p_kw: float, q_kvar: float, for_s: float, rated_kva: Mapping[str, float]) -> None:
    """Refuse an override that no converter of ``rated_kva`` (by name) may be given.

    Raises:
        InputError: with all faults.
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
