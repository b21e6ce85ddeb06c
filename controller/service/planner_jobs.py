"""Jobs of a planner, from scenario, observations and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.planner.planner import DayAheadJob, ReplanJob
from controller.service.days import Day
from controller.service.margins import margin_pu, reactive_margin_kvar
from controller.service.observation import IntervalMeans
from controller.service.plans import DatedPlan
from core.config import Config
from core.scenario import Scenario, Site
from mpc.end_state import starting_at
from mpc.forecast import Observed
from mpc.margin import Margin
from realtime.node import SOC_RESERVE
from realtime.storage import usable_band


@dataclass(frozen=True)
class PlanningInputs:
    """The situation in which the rest of a day is planned.

    Attributes:
        soc: present states of charge, by prosumer; None, or no entry, is unknown.
        means: of the last interval; None if there is none yet.
        plan: the plan in force, if there is one.
    """

    at: datetime
    day: Day
    soc: Mapping[str, float | None]
    means: IntervalMeans | None
    plan: DatedPlan | None


@dataclass(frozen=True)
class PlannerJobs:
    """Makes jobs; ``coordinate`` is False for the baseline without coordination."""

    config: Config
    coordinate: bool

    def day_ahead(self, day: Day, soc: Mapping[str, float], margin: Margin) -> DayAheadJob:
        """A job to plan a whole day from ``soc``, by prosumer; without an entry a battery starts as configured."""
        dt_h = day.forecast.axis.dt_h
        sites = tuple(_observed_start(site, soc.get(site.name), dt_h) for site in day.forecast.sites)
        scenario = self._narrowed(replace(day.forecast, sites=sites), margin)
        return DayAheadJob(scenario, self.config.coordination, self.config.solver.prosumer, self.coordinate)

    def replan(self, inputs: PlanningInputs, margin: Margin) -> ReplanJob:
        """A job to plan the rest of a day; prosumers that were not observed yet are expected to be as forecast."""
        day, means, plan, step = inputs.day, inputs.means, inputs.plan, inputs.day.step_of(inputs.at)
        seen, slack_v_pu = (means.observed, means.slack_voltage_pu) if means else ({}, None)
        sites = {site.name: site for site in day.forecast.sites}
        observed = {name: seen.get(name) or _expected(site, step) for name, site in sites.items()}
        return ReplanJob(
            day=self._narrowed(day.forecast, margin),
            step=step,
            observed={name: replace(one, soc=inputs.soc.get(name, one.soc)) for name, one in observed.items()},
            slack_voltage_pu=slack_v_pu or float(day.forecast.slack_voltage_pu[step]),
            running=plan.running if plan else None,
            settings=self.config.coordination,
            solver=self.config.solver.prosumer,
            coordinate=self.coordinate,
        )

    def _narrowed(self, scenario: Scenario, margin: Margin) -> Scenario:
        """The scenario with the margins to the limits, and without the charge reserved by the real-time layer."""
        limits = self.config.limits
        return replace(
            scenario,
            sites=tuple(map(_without_reserve, scenario.sites)),
            margin_pu=margin_pu(limits, margin),
            reactive_margin_kvar=reactive_margin_kvar(limits, margin),
        )


def _observed_start(site: Site, soc: float | None, dt_h: float) -> Site:
    """The site starting from ``soc``; as configured, with its own target, if that is not known."""
    return site if soc is None else starting_at(site, soc, dt_h)


def _without_reserve(site: Site) -> Site:
    """The site with its battery's band narrowed by the reserve of the real-time layer, which plans must not use."""
    battery = site.battery
    return site if battery is None else site.with_battery(battery.within(*usable_band(battery, SOC_RESERVE)))


def _expected(site: Site, step: int) -> Observed:
    """The forecast of one step, and the state of charge with which the day begins."""
    outlook, battery = site.outlook, site.battery
    return Observed(
        float(outlook.load_kw[step]),
        float(outlook.load_kvar[step]),
        float(outlook.pv_available_kw[step]),
        battery.soc_initial if battery else None,
    )
