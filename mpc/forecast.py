"""The rest of a day as expected now: forecasts corrected by the latest observations (paper A, section 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.resources import Load, Pv, Resource
from core.scenario import Scenario, Site
from mpc.end_state import starting_at


@dataclass(frozen=True)
class Observed:
    """Means of the last interval over all resources of one prosumer, and its state of charge now (None without a
    battery).
    """

    load_kw: float
    load_kvar: float
    pv_available_kw: float
    soc: float | None


def remaining(day: Scenario, step: int, observed: Mapping[str, Observed], slack_voltage_pu: float) -> Scenario:
    """The scenario from ``step`` to the end of the day.

    The first step of every load and PV series takes the last observation, later steps are the forecast; the slack
    voltage keeps its last observation throughout. Batteries start from their observed state, moved into its band if
    outside; their final state is one that they can reach.

    Raises:
        ValueError: no step is left.
        KeyError: a prosumer was not observed.
    """
    if not 0 <= step < day.axis.n_steps:
        raise ValueError(f"step {step} is not within the day of {day.axis.n_steps} steps")
    left = day.after(step)
    return replace(
        left,
        slack_voltage_pu=np.full(left.axis.n_steps, slack_voltage_pu),
        sites=tuple(_from_now(site, observed[site.name], left.axis.dt_h) for site in left.sites),
    )


def _from_now(site: Site, seen: Observed, dt_h: float) -> Site:
    expected = site.outlook
    plants, loads = len(site.each(Pv)), len(site.each(Load))

    def now(resource: Resource) -> Resource:
        match resource:
            case Load():
                return Load(
                    _persisting(resource.p_kw, seen.load_kw * _share(resource.p_kw, expected.load_kw, loads)),
                    _persisting(resource.q_kvar, seen.load_kvar * _share(resource.q_kvar, expected.load_kvar, loads)),
                )
            case Pv():
                share = _share(resource.available_kw, expected.pv_available_kw, plants)
                now_kw = min(seen.pv_available_kw * share, resource.power_box_kw)
                return replace(resource, available_kw=_persisting(resource.available_kw, now_kw))
        return resource

    resources = {name: now(resource) for name, resource in site.resources.items()}
    return starting_at(replace(site, resources=resources), seen.soc, dt_h)


def _share(own: FloatArray, total: FloatArray, count: int) -> float:
    """Share of the observed total that belongs to one of ``count`` resources: its share of the forecast total."""
    return float(own[0] / total[0]) if total[0] else 1 / count


def _persisting(forecast: FloatArray, now: float) -> FloatArray:
    return np.concatenate([[now], forecast[1:]])
