"""What a day costs: worked out by hand on constant series, and bounds that hold for any run."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.accounts.own_costs import Powers
from controller.accounts.settlement import Account, Planned, Recorded, own_optimum, settle
from controller.accounts.span import Span
from core.arrays import FloatArray
from core.config import Config
from core.prices import Tariff
from core.resources import Battery, Outlook
from core.scenario import Scenario
from tests.support.synthetic import Sizes, scenario, site_with

STEP_MIN = 30
BATTERY = Battery(5.0, 10.0)
STORED_CHF_PER_KWH = 0.2


def constant(load_kw: float = 1.0, pv_kw: float = 3.0, buy: float = 0.3, sell: float = 0.1) -> Scenario:
    """One prosumer; everything stays as it is all day."""
    made = scenario(n_nodes=3, n_prosumers=1, step_min=STEP_MIN)
    steps = np.ones(made.axis.n_steps)
    outlook = Outlook(load_kw * steps, 0 * steps, pv_kw * steps)
    (site,) = made.sites
    site = site_with(site.name, site.node, outlook, BATTERY, peak_kw=max(pv_kw, 1.0))
    return replace(made, tariff=Tariff(buy * steps, sell * steps), sites=(site,))


def recorded(
    day: Scenario,
    p_kw: FloatArray,
    begin_min: float = 0,
    pv_kw: float = 3.0,
    soc: float = 0.5,
    soc_final: float = 0.5,
) -> Recorded:
    times = pd.date_range(day.axis.start + timedelta(minutes=begin_min), periods=len(p_kw), freq="30s")
    (site,) = day.sites
    name, end = site.name, (times[-1] + timedelta(seconds=30)).to_pydatetime()

    def column(values: object) -> pd.DataFrame:
        return pd.DataFrame({name: values}, index=times)

    return Recorded(
        span=Span(times, end),
        p_kw=column(p_kw),
        pv_kw=column(pv_kw),
        battery_kw=column(0.0),
        reactive_kvar=column(0.0),
        pv_kvar=column(0.0),
        soc=column(soc),
        last_kw={},
        soc_final={name: soc_final},
    )


def before(last_kw: float, run: Recorded) -> Recorded:
    """The run with what its prosumer drew in the last cycle before it."""
    return replace(run, last_kw=dict.fromkeys(run.p_kw, last_kw))


def account(day: Scenario, run: Recorded, config: Config, planned_kw: float = 0.0) -> Account:
    hindsight = own_optimum(day, run, config)
    (site,) = day.sites
    name, steps = site.name, hindsight.scenario.axis.n_steps
    idle = Powers(*np.zeros((4, steps)))
    planned = Planned(pd.DataFrame({name: np.full(steps, planned_kw)}), {name: idle})
    return settle(run, hindsight, hindsight, planned, STORED_CHF_PER_KWH)[name]


def test_a_passive_house_has_drawn_its_series_where_nobody_measured_it(gridlab9_config: Config) -> None:
    """Half an hour: 2 kW measured, then nothing; the series says 1 kW."""
    day = constant(load_kw=1.0, pv_kw=0.0)
    day = day.with_passive([site.name for site in day.sites])
    p_kw = np.full(60, 2.0)
    p_kw[31:] = np.nan
    run = recorded(day, p_kw, pv_kw=np.nan, soc=np.nan)
    (site,) = day.sites
    series = replace(run, came_kw=pd.DataFrame({site.name: 1.0}, index=run.p_kw.index), soc_final={})
    result = account(day, series, gridlab9_config)
    assert result.imported_kwh == pytest.approx((30 * 2.0 + 30 * 1.0) / 120)
    assert (result.held_samples, result.available_kwh, result.curtailed_kwh) == (29, 0.0, 0.0)
    assert (result.soc_initial, result.soc_final, result.own_soc_final) == (None, None, None)
    assert result.own_optimum_chf == pytest.approx(0.5 * 1.0 * 0.3), "nobody can shift anything"
    unseen = replace(series, p_kw=run.p_kw * np.nan)
    assert account(day, unseen, gridlab9_config).compensation_chf == pytest.approx(0.0)


def test_demand_of_an_interval_is_read_at_its_end(gridlab9_config: Config) -> None:
    """Nothing at first, then 2 kW in every reading, 8 kW at the very end: 119 intervals of 2 kW and one of 8."""
    day = constant()
    got = account(day, before(8.0, recorded(day, np.array([0.0] + [2.0] * 119))), gridlab9_config)
    assert got.imported_kwh == pytest.approx((119 * 2 + 8) / 120)
    assert got.real_chf == pytest.approx(0.3 * (119 * 2 + 8) / 120)


def test_import_and_export_have_their_own_price(gridlab9_config: Config) -> None:
    day = constant()
    got = account(day, before(1.0, recorded(day, np.array([1.0, -1.0] * 60))), gridlab9_config)
    assert (got.imported_kwh, got.exported_kwh) == (pytest.approx(0.5), pytest.approx(0.5))
    assert got.real_chf == pytest.approx(0.5 * 0.3 - 0.5 * 0.1)


def test_an_unmeasured_demand_stays_as_it_was(gridlab9_config: Config) -> None:
    day, p_kw = constant(), np.full(120, 2.0)
    p_kw[40:60] = np.nan
    got = account(day, recorded(day, p_kw), gridlab9_config)
    assert got.imported_kwh == pytest.approx(2.0)
    assert got.held_samples == 20
    assert account(day, recorded(day, np.full(120, np.nan)), gridlab9_config).imported_kwh == 0


def test_own_optimum_of_the_end_of_the_day(gridlab9_config: Config) -> None:
    """Two hours before midnight with 4 kWh above the lowest charge: the battery sells all it has, at feed-in price."""
    day = constant()
    got = account(day, recorded(day, np.full(240, -2.0), begin_min=1320), gridlab9_config)
    assert got.own_optimum_chf == pytest.approx(-0.1 * (2 * 2 + 4), rel=1e-6)
    assert got.own_soc_final == pytest.approx(0.1, abs=1e-6)
    assert got.compensation_chf == pytest.approx(0.4, rel=1e-6)


def test_own_optimum_plans_beyond_the_end_of_the_run(gridlab9_config: Config) -> None:
    """An hour from eight on; energy is dear from ten on, so the battery waits with what it has."""
    day = constant(load_kw=3.0, pv_kw=0.0, buy=0.1, sell=0.0)
    buy = day.tariff.buy_chf_per_kwh.copy()
    buy[20:] = 0.5
    dear = replace(day, tariff=Tariff(buy, day.tariff.sell_chf_per_kwh))
    got = account(dear, recorded(dear, np.full(120, 3.0), begin_min=480, pv_kw=0.0), gridlab9_config)
    assert got.own_soc_final is not None
    assert got.own_soc_final > 0.5 - 1e-6
    assert got.own_stored_chf == pytest.approx((got.own_soc_final - 0.1) * 10 * STORED_CHF_PER_KWH)
    assert got.own_optimum_chf == pytest.approx(0.1 * (3 + 10 * (got.own_soc_final - 0.5)), rel=1e-6)


def test_compensation_promised_by_the_plan(gridlab9_config: Config) -> None:
    day = constant()
    got = account(day, recorded(day, np.full(240, -2.0), begin_min=1320), gridlab9_config, planned_kw=-1.5)
    assert got.promised_chf == pytest.approx(-0.1 * 1.5 * 2 + 0.1 * 8, rel=1e-6)


def test_curtailed_energy(gridlab9_config: Config) -> None:
    day = constant()
    assert account(day, recorded(day, np.zeros(120), pv_kw=2.0), gridlab9_config).curtailed_kwh == pytest.approx(1.0)
    more = account(day, recorded(day, np.zeros(120), pv_kw=3.01), gridlab9_config)
    assert (more.available_kwh, more.curtailed_kwh) == (pytest.approx(3.0), 0)
    nothing = recorded(day, np.zeros(120))
    released = replace(nothing, pv_kw=nothing.pv_kw * np.nan)
    assert account(day, released, gridlab9_config).curtailed_kwh == pytest.approx(3.0)


def test_what_is_stored_has_a_worth(gridlab9_config: Config) -> None:
    day = constant()
    got = account(day, recorded(day, np.zeros(120), soc_final=0.6), gridlab9_config)
    assert got.stored_chf == pytest.approx(0.5 * 10 * STORED_CHF_PER_KWH)
    assert account(day, recorded(day, np.zeros(120), soc_final=0.05), gridlab9_config).stored_chf == 0


def test_without_battery(gridlab9_config: Config) -> None:
    day = scenario(n_nodes=3, n_prosumers=1, step_min=STEP_MIN, sizes=Sizes(battery=None))
    (site,) = day.sites
    run = recorded(day, np.zeros(120), soc=float("nan"))
    got = account(day, replace(run, soc_final={}), gridlab9_config)
    assert (got.soc_initial, got.soc_final, got.own_soc_final, got.stored_chf) == (None, None, None, 0)
    first = slice(0, 2)
    net_kw = site.outlook.load_kw[first] - site.outlook.pv_available_kw[first]
    assert got.own_optimum_chf == pytest.approx(float(day.tariff.buy_chf_per_kwh[first] @ net_kw) / 2)


@settings(max_examples=15, deadline=None)
@given(begin=st.integers(0, 44), soc=st.floats(0, 1))
def test_following_the_own_optimum_costs_nothing(begin: int, soc: float, gridlab9_config: Config) -> None:
    """Two hours of exactly that, from any time and state of charge; a plan of exactly that promises nothing."""
    day = scenario(n_nodes=3, n_prosumers=1, step_min=STEP_MIN)
    shell = recorded(day, np.zeros(240), begin_min=30 * begin, soc=soc)
    own = own_optimum(day, shell, gridlab9_config)
    (name, plan), *_ = own.day.plan.prosumers.items()
    demand = np.repeat(plan.p_kw[:4], 60)
    measured = pd.DataFrame({name: np.append(0.0, demand[:-1])}, index=shell.span.times)
    run = replace(shell, p_kw=measured, last_kw={name: float(demand[-1])})
    planned = Planned(pd.DataFrame({name: plan.p_kw}), {name: Powers.of(plan)})
    done = settle(run, own, own, planned, STORED_CHF_PER_KWH)[name]
    assert done.compensation_chf == pytest.approx(0, abs=1e-9)
    assert done.promised_chf == pytest.approx(0, abs=1e-9)
