"""What a day really cost, compared with each prosumer's own optimum.

With p the measured demand, c⁺ and c⁻ the retail and feed-in tariff, Δt the time between two samples and x° the
prosumer's own optimum under the tariff, computed in hindsight from load and irradiance as they came:

    real cost      Σ_t (c⁺ max(p, 0) − c⁻ max(−p, 0)) Δt
    compensation   real cost − cost of x°                                                      (16), in hindsight

The power read at a sample is that of the interval which ends there. If a run begins later than the day, the own optimum
begins with the states of charge of its first sample; it always reaches to the end of the day, even if the run does not.
Energy left in a battery is valued at the mean tariff, so that results with different final charge are comparable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from controller.accounts.span import Span
from core.config import Config
from core.prices import Tariff
from core.resources import Battery
from core.scenario import Scenario, Site
from mpc import day_ahead
from mpc.day_ahead import DayAhead
from mpc.prosumer import participants


@dataclass(frozen=True)
class Recorded:
    """What the loop recorded over ``span``: tables [samples, prosumers]; ``soc`` is empty without a battery.

    ``last_kw`` is the demand at the very end, ``soc_final`` the last state of charge; prosumers may be missing in both.
    ``came_kw`` is what a passive house draws in the interval that begins with each sample, by its series: it stands
    where nobody has measured it. [samples, houses].
    """

    span: Span
    p_kw: pd.DataFrame
    pv_kw: pd.DataFrame
    soc: pd.DataFrame
    last_kw: Mapping[str, float]
    soc_final: Mapping[str, float]
    came_kw: pd.DataFrame = field(default_factory=pd.DataFrame)

    def demand_kw(self, name: str) -> pd.Series:
        """Demand in the interval that begins with each sample; if it was not measured, that of the interval before."""
        ahead = self.p_kw[name].shift(-1)
        ahead.iloc[-1] = self.last_kw.get(name, np.nan)
        if name in self.came_kw:
            ahead = ahead.fillna(self.came_kw[name])
        return ahead.ffill().bfill().fillna(0.0)


@dataclass(frozen=True)
class Account:
    """One prosumer's day. Money is in the currency of the configuration; a state of charge is None without a battery.

    Attributes:
        compensation_chf: (16) in hindsight; ``promised_chf`` is what the day-ahead plan promised for the same time.
        held_samples: samples at which the demand was not measured.
        available_kwh: what the PV plant could have generated; ``curtailed_kwh`` of it was not generated.
        stored_chf, own_stored_chf: value of the energy left in the battery, in reality and in the own optimum.
    """

    real_chf: float
    own_optimum_chf: float
    compensation_chf: float
    promised_chf: float
    imported_kwh: float
    exported_kwh: float
    held_samples: int
    available_kwh: float
    curtailed_kwh: float
    soc_initial: float | None
    soc_final: float | None
    own_soc_final: float | None
    stored_chf: float
    own_stored_chf: float


@dataclass(frozen=True)
class OwnOptimum:
    """A scenario and the plans by which each prosumer minimises its own cost."""

    scenario: Scenario
    day: DayAhead


def own_optimum(scenario: Scenario, recorded: Recorded, config: Config) -> OwnOptimum:
    """Each prosumer's own optimum from the begin of the run to the end of the day.

    Raises:
        SolverError, SolverLicenceError: a prosumer's solver failed.
    """
    first, _ = recorded.span.steps(scenario.axis)
    left, soc = scenario.after(first), recorded.soc.iloc[0]
    rest = replace(left, sites=tuple(site.starting_at(soc.get(site.name)) for site in left.sites))
    prosumers = participants(rest, config.solver.prosumer)
    return OwnOptimum(rest, day_ahead.uncoordinated(rest.problem, prosumers, config.coordination))


def settle(
    recorded: Recorded,
    hindsight: OwnOptimum,
    foresight: OwnOptimum,
    planned_kw: pd.DataFrame,
    stored_chf_per_kwh: float,
) -> dict[str, Account]:
    """The account of every prosumer.

    Args:
        hindsight, foresight: own optima from realised and from forecast series, see :func:`own_optimum`.
        planned_kw: demand of the day-ahead plan from the begin of the run on, [steps, prosumers].
        stored_chf_per_kwh: value of energy left in a battery.
    """
    known = (recorded, hindsight, foresight)
    return {
        site.name: _account(site, *known, planned_kw[site.name], stored_chf_per_kwh)
        for site in hindsight.scenario.sites
    }


def _account(
    site: Site,
    recorded: Recorded,
    hindsight: OwnOptimum,
    foresight: OwnOptimum,
    planned_kw: pd.Series,
    stored_chf_per_kwh: float,
) -> Account:
    name, battery, span = site.name, site.battery, recorded.span
    axis, tariff = hindsight.scenario.axis, hindsight.scenario.tariff
    steps = slice(*span.steps(axis))
    of_run, own, expected = _part(tariff, steps), hindsight.day.plan.prosumers[name], foresight.day.plan.prosumers[name]
    own_chf, expected_chf, planned_chf = (
        of_run.cost_chf(p_kw[steps], axis.dt_h) for p_kw in (own.p_kw, expected.p_kw, planned_kw.to_numpy())
    )
    kwh = recorded.demand_kw(name).to_numpy() * span.hours
    real_chf = _part(tariff, span.step_of(axis)).cost_chf(kwh, dt_h=1.0)
    available_kwh = float(site.outlook.pv_available_kw @ span.hours_in(axis))
    used_kwh = float(recorded.pv_kw[name].fillna(0.0).to_numpy() @ span.hours)
    soc_final, own_soc_final = recorded.soc_final.get(name), None if own.soc is None else float(own.soc[steps][-1])
    return Account(
        real_chf=real_chf,
        own_optimum_chf=own_chf,
        compensation_chf=real_chf - own_chf,
        promised_chf=planned_chf - expected_chf,
        imported_kwh=float(np.maximum(kwh, 0).sum()),
        exported_kwh=float(np.maximum(-kwh, 0).sum()),
        held_samples=int(recorded.p_kw[name].isna().sum()),
        available_kwh=available_kwh,
        curtailed_kwh=max(0.0, available_kwh - used_kwh),
        soc_initial=None if battery is None else float(recorded.soc[name].iloc[0]),
        soc_final=soc_final,
        own_soc_final=own_soc_final,
        stored_chf=stored_chf_per_kwh * _stored_kwh(battery, soc_final),
        own_stored_chf=stored_chf_per_kwh * _stored_kwh(battery, own_soc_final),
    )


def _part(tariff: Tariff, steps: slice | np.ndarray) -> Tariff:
    return Tariff(tariff.buy_chf_per_kwh[steps], tariff.sell_chf_per_kwh[steps])


def _stored_kwh(battery: Battery | None, soc: float | None) -> float:
    """Energy that the battery can still supply, kWh, ≥ 0."""
    if battery is None or soc is None:
        return 0.0
    return max(0.0, soc - battery.soc_min) * battery.energy_kwh * battery.efficiency
