"""What a day really cost, compared with each prosumer's own optimum.

With p the measured demand, c⁺ and c⁻ the retail and feed-in tariff, Δt the time between two samples and x° the
prosumer's own optimum under the tariff, computed in hindsight from load and irradiance as they came:

    real cost      Σ_t (c⁺ max(p, 0) − c⁻ max(−p, 0)) Δt
    own costs      losses of converters and wear                         :mod:`controller.accounts.own_costs`
    compensation   real cost and own costs − those of x°                                       (16), in hindsight

The power read at a sample is that of the interval which ends there. If a run begins later than the day, the own optimum
begins with the states of charge of its first sample; it always reaches to the end of the day, even if the run does not.
Energy left in a battery is valued at the mean tariff, so that results with different final charge are comparable.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pandas as pd

from controller.accounts.own_costs import OwnCosts, Powers, own_costs
from controller.accounts.span import Span
from core.arrays import FloatArray
from core.config import Config
from core.prices import Tariff
from core.resources import Battery
from core.scenario import Scenario, Site
from mpc import day_ahead
from mpc.day_ahead import DayAhead
from mpc.end_state import starting_at
from mpc.prosumer import participants


@dataclass(frozen=True)
class Recorded:
    """What the loop recorded over ``span``: tables [samples, prosumers]; ``soc`` is empty without a battery.

    ``battery_kw`` is the discharge, ``reactive_kvar`` the reactive power that the converters supplied besides the load,
    ``pv_kvar`` that of it from PV plants.

    ``last_kw`` is the demand at the very end, ``soc_final`` the last state of charge; prosumers may be missing in both.
    ``came_kw`` is what a passive house draws in the interval that begins with each sample, by its series: it stands
    where nobody has measured it. [samples, houses].
    """

    span: Span
    p_kw: pd.DataFrame
    pv_kw: pd.DataFrame
    battery_kw: pd.DataFrame
    reactive_kvar: pd.DataFrame
    pv_kvar: pd.DataFrame
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

    def powers(self, name: str) -> Powers:
        """What battery and PV of a prosumer supplied."""
        tables = (self.battery_kw, self.reactive_kvar - self.pv_kvar, self.pv_kw, self.pv_kvar)
        return Powers(*(table[name].to_numpy(float) for table in tables))


@dataclass(frozen=True)
class Account:
    """One prosumer's day. Money is in the currency of the configuration; a state of charge is None without a battery.

    Attributes:
        real_chf, own_optimum_chf: the bill, in reality and by the own optimum.
        compensation_chf: (16) in hindsight, own costs included; ``promised_chf`` is what the day-ahead plan promised
            for the same time.
        held_samples: samples at which the demand was not measured.
        available_kwh: what the PV plant could have generated; ``curtailed_kwh`` of it was not generated.
        stored_chf, own_stored_chf: value of the energy left in the battery, in reality and in the own optimum.
        loss_kwh, loss_chf, throughput_kwh, wear_chf: see :class:`controller.accounts.own_costs.OwnCosts`;
            ``own_loss_chf`` and ``own_wear_chf`` are those of the own optimum.
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
    loss_kwh: float = 0.0
    loss_chf: float = 0.0
    throughput_kwh: float = 0.0
    wear_chf: float = 0.0
    own_loss_chf: float = 0.0
    own_wear_chf: float = 0.0


@dataclass(frozen=True)
class Planned:
    """The day-ahead plan from the begin of the run on: demand [steps, prosumers], and powers by prosumer, [steps]."""

    p_kw: pd.DataFrame
    powers: Mapping[str, Powers]

    def of(self, name: str) -> tuple[FloatArray, Powers]:
        """Demand and powers of a prosumer."""
        return self.p_kw[name].to_numpy(float), self.powers[name]


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
    rest = replace(left, sites=tuple(starting_at(site, soc.get(site.name), left.axis.dt_h) for site in left.sites))
    prosumers = participants(rest, config.solver.prosumer)
    return OwnOptimum(rest, day_ahead.uncoordinated(rest.problem, prosumers, config.coordination))


def settle(
    recorded: Recorded,
    hindsight: OwnOptimum,
    foresight: OwnOptimum,
    planned: Planned,
    stored_chf_per_kwh: float,
) -> dict[str, Account]:
    """The account of every prosumer.

    Args:
        hindsight, foresight: own optima from realised and from forecast series, see :func:`own_optimum`.
        stored_chf_per_kwh: value of energy left in a battery.
    """
    known = (recorded, hindsight, foresight, planned, stored_chf_per_kwh)
    return {site.name: _account(site, *known) for site in hindsight.scenario.sites}


def _account(
    site: Site,
    recorded: Recorded,
    hindsight: OwnOptimum,
    foresight: OwnOptimum,
    planned: Planned,
    stored_chf_per_kwh: float,
) -> Account:
    name, battery, span = site.name, site.battery, recorded.span
    axis, tariff = hindsight.scenario.axis, hindsight.scenario.tariff
    own, expected = (each.day.plan.prosumers[name] for each in (hindsight, foresight))
    schedules = (own.p_kw, Powers.of(own)), (expected.p_kw, Powers.of(expected)), planned.of(name)
    (own_chf, of_own), (expected_chf, of_expected), (planned_chf, of_planned) = (
        _scheduled(hindsight.scenario, site, span, *schedule) for schedule in schedules
    )
    kwh = recorded.demand_kw(name).to_numpy() * span.hours
    real = own_costs(site, recorded.powers(name), span.hours, tariff.value_chf_per_kwh)
    real_chf = _part(tariff, span.step_of(axis)).cost_chf(kwh, dt_h=1.0)
    available_kwh = float(site.outlook.pv_available_kw @ span.hours_in(axis))
    used_kwh = float(recorded.pv_kw[name].fillna(0.0).to_numpy() @ span.hours)
    soc_final, last = recorded.soc_final.get(name), span.steps(axis)[1] - 1
    own_soc_final = None if own.soc is None else float(own.soc[last])
    return Account(
        real_chf=real_chf,
        own_optimum_chf=own_chf,
        compensation_chf=real_chf + real.total_chf - own_chf - of_own.total_chf,
        promised_chf=planned_chf + of_planned.total_chf - expected_chf - of_expected.total_chf,
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
        **asdict(real),
        own_loss_chf=of_own.loss_chf,
        own_wear_chf=of_own.wear_chf,
    )


def _scheduled(scenario: Scenario, site: Site, span: Span, p_kw: FloatArray, powers: Powers) -> tuple[float, OwnCosts]:
    """The bill and the own costs of a schedule, [T], in the steps of the run."""
    axis, tariff, steps = scenario.axis, scenario.tariff, slice(*span.steps(scenario.axis))
    own = own_costs(site, powers.within(steps), axis.dt_h, tariff.value_chf_per_kwh)
    return _part(tariff, steps).cost_chf(p_kw[steps], axis.dt_h), own


def _part(tariff: Tariff, steps: slice | np.ndarray) -> Tariff:
    return Tariff(tariff.buy_chf_per_kwh[steps], tariff.sell_chf_per_kwh[steps])


def _stored_kwh(battery: Battery | None, soc: float | None) -> float:
    """Energy that the battery can still supply, kWh, ≥ 0."""
    if battery is None or soc is None:
        return 0.0
    return max(0.0, soc - battery.soc_min) * battery.energy_kwh * battery.efficiency
