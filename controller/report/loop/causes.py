"""The cause of a voltage violation, as text."""

from collections.abc import Iterator

from controller.accounts.voltage_events import DAY_AHEAD, Event
from controller.report.loop.summary import LoopSummary
from controller.report.primitives.amounts import number
from mpc.coordination.outcome import CoordinationStatus

SHARE = 0.5
"""A plan beyond the limit by more than this share of the excess is the cause."""
PART = 0.1
"""Saturated batteries are named if deviating demand caused more than this share of the excess."""


def cause(summary: LoopSummary, event: Event) -> str:
    """The largest contribution, and the circumstances."""
    return " ".join((_main_cause(summary, event), *_circumstances(summary, event)))


def _main_cause(summary: LoopSummary, event: Event) -> str:
    scenario, parts, side = summary.scenario, event.parts, event.side
    if parts.planned_pu is None or parts.supply_pu is None or parts.off_target_pu is None or parts.rest_pu is None:
        return "Unknown, since a demand or the supply was not measured."
    beyond_pu = side * (parts.planned_pu - (scenario.v_max_pu if side > 0 else scenario.v_min_pu))
    if beyond_pu > SHARE * event.beyond_pu:
        if not summary.coordinated:
            return "Nobody coordinates; this is what the plans of all add up to."
        return f"The plan itself lay beyond the limit by {number(beyond_pu, 4)}."
    contributions = {
        f"The supply voltage {'rose' if side > 0 else 'fell'} after the plan was made.": side * parts.supply_pu,
        f"Prosumers drew {'less' if side > 0 else 'more'} than planned.": side * parts.off_target_pu,
        "Model and meters differ.": side * parts.rest_pu,
    }
    return max(contributions, key=contributions.__getitem__)


def _circumstances(summary: LoopSummary, event: Event) -> Iterator[str]:
    if summary.coordinated and event.mpc not in (CoordinationStatus.CONVERGED, DAY_AHEAD):
        yield f"The MPC run for this interval had not converged ({event.mpc})."
    if not event.adopted:
        yield "An older plan was in force."
    if event.not_used:
        yield f"{_names(event.not_used)} did not follow the plan."
    if event.saturated and event.side * (event.parts.off_target_pu or 0.0) > PART * event.beyond_pu:
        batteries = "battery" if len(event.saturated) == 1 else "batteries"
        yield f"The {batteries} of {_names(event.saturated)} could do no more."


def _names(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
