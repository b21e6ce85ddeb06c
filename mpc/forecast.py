"""What is left of the day, as it looks from here: forecasts corrected by what was just observed (paper A, 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.prices import Tariff
from core.resources import Outlook
from core.scenario import Scenario, Site


@dataclass(frozen=True)
class Observed:
    """Means of the last interval at one prosumer, and its state of charge now (None without a battery)."""

    load_kw: float
    load_kvar: float
    pv_available_kw: float
    soc: float | None


def remaining(day: Scenario, step: int, observed: Mapping[str, Observed], slack_voltage_pu: float) -> Scenario:
    """The scenario from ``step`` to the end of the day.

    The first step of every load and PV series persists (the last observation), later ones are the forecast; the slack
    voltage persists throughout. Batteries start from their observed state, moved into its band if it has left it.

    Raises:
        ValueError: no step is left.
        KeyError: a prosumer was not observed.
    """
    if not 0 <= step < day.axis.n_steps:
        raise ValueError(f"step {step} is not within the day of {day.axis.n_steps} steps")
    axis = day.axis.after(step)
    return replace(
        day,
        axis=axis,
        slack_voltage_pu=np.full(axis.n_steps, slack_voltage_pu),
        tariff=Tariff(day.tariff.buy_chf_per_kwh[step:], day.tariff.sell_chf_per_kwh[step:]),
        sites=tuple(_from_now(site, step, observed[site.prosumer.name]) for site in day.sites),
    )


def _from_now(site: Site, step: int, seen: Observed) -> Site:
    prosumer, outlook = site.prosumer, site.outlook
    battery = prosumer.battery
    if battery is not None and seen.soc is not None:
        soc = min(max(seen.soc, battery.soc_min), battery.soc_max)
        prosumer = replace(prosumer, battery=replace(battery, soc_initial=soc))
    ahead = Outlook(
        load_kw=_persisting(outlook.load_kw[step:], seen.load_kw),
        load_kvar=_persisting(outlook.load_kvar[step:], seen.load_kvar),
        pv_available_kw=_persisting(outlook.pv_available_kw[step:], seen.pv_available_kw),
    )
    return Site(prosumer, ahead)


def _persisting(forecast: FloatArray, now: float) -> FloatArray:
    return np.concatenate([[now], forecast[1:]])
