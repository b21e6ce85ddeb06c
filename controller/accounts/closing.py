"""Accounts of a finished closed-loop run, in the keys of summary.json."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from controller.accounts.baseline import baseline, write_hindsight
from controller.accounts.durations import Cycles, MpcRuns
from controller.accounts.energy_balance import EnergyBalance, energy_balance
from controller.accounts.first_setpoints import judged_from
from controller.accounts.own_costs import Powers
from controller.accounts.settlement import Account, OwnOptimum, Planned, Recorded, own_optimum, settle
from controller.accounts.span import Span
from controller.accounts.supply_quality import reactive_quality
from controller.accounts.voltage_events import Circumstances, Event, events
from controller.accounts.voltage_parts import Demand, predicted_supply, voltage_parts
from controller.accounts.voltage_quality import voltage_quality
from controller.process.answers import BatteryAccount, RefereeCounts, Truth
from controller.runs.recording import Recording, columns
from core.config import Config
from core.config_fields import Variant
from core.load import load_scenario
from core.resources import Battery
from core.scenario import Scenario

VARIANTS: tuple[Variant, Variant] = ("forecast", "realised")


@dataclass(frozen=True)
class FinishedRun:
    """What the clock master knows when a run is over, beside the tables in its folder.

    Attributes:
        config_path: file from which ``config`` was read.
        end: aware; end of the interval that begins with the last cycle.
        before, last, after: truth of the plant at the first cycle, at the last one, and at ``end``.
        batteries: account of every battery, by prosumer.
        cycle_ms: wall time of each cycle; ``missed`` is the number of cycles that did not take place.
    """

    config: Config
    config_path: Path
    end: datetime
    before: Truth
    last: Truth
    after: Truth
    batteries: Mapping[str, BatteryAccount]
    cycle_ms: Sequence[float]
    missed: int
    referee: RefereeCounts


@dataclass(frozen=True)
class SocBand:
    """Band and extremes of a state of charge, and the number of samples outside the band."""

    soc_min: float
    soc_max: float
    lowest: float
    highest: float
    outside: int


def close_accounts(folder: Path, run: FinishedRun) -> dict[str, Any]:
    """Close the accounts from the tables in ``folder`` and the plant's truth; also write the own optima there.

    Raises:
        InputError: a series of the configuration, or a table, cannot be read.
        SolverError, SolverLicenceError: a prosumer's solver failed.
    """
    config, recording = run.config, Recording.read(folder, "pv_kvar")
    forecast, realised = (load_scenario(config, run.config_path, v).with_passive(config.passive) for v in VARIANTS)
    zone = ZoneInfo(forecast.axis.timezone)
    came_kva = _came_kva(recording, realised, config.passive)
    recorded = _recorded(run, recording, realised, came_kva)
    hindsight = own_optimum(realised, recorded, config)
    write_hindsight(folder, hindsight)
    accounts = _accounts(config, recording, forecast, recorded, hindsight)
    return {
        **_judged(folder, recording, forecast, recorded, hindsight),
        "cost_chf": {name: _costs(account) for name, account in accounts.items()},
        "total_cost_chf": {
            "uncoordinated": sum(account.own_optimum_chf for account in accounts.values()),
            "coordinated": sum(account.real_chf for account in accounts.values()),
        },
        "own_cost_chf": {
            name: {
                "uncoordinated": account.own_loss_chf + account.own_wear_chf,
                "coordinated": account.loss_chf + account.wear_chf,
            }
            for name, account in accounts.items()
        },
        "throughput_kwh": {name: account.throughput_kwh for name, account in accounts.items()},
        "loss_kwh": {name: account.loss_kwh for name, account in accounts.items()},
        "curtailed_kwh": {name: account.curtailed_kwh for name, account in accounts.items()},
        "settlement": {name: asdict(account) for name, account in accounts.items()},
        "realtime": asdict(Cycles.of(run.cycle_ms, run.missed)),
        "mpc": asdict(MpcRuns.of(recording.mpc, 1e3 * config.schedule.mpc_budget_s)),
        "events": [_local(asdict(event), zone) for event in _events(recording, forecast, config, came_kva)],
        "soc": {name: asdict(band) for name, band in _bands(recording, forecast).items()},
        "energy_books": {name: asdict(book) for name, book in _energy_balances(run, recording).items()},
        "referee": run.referee.model_dump(),
    }


def _judged(
    folder: Path, recording: Recording, forecast: Scenario, recorded: Recorded, hindsight: OwnOptimum
) -> dict[str, Any]:
    """Voltages and reactive power at the supply, of the run and of the day without coordination."""
    limits, begin = forecast.limits, _begin(recording)
    v_pu = recording.v_pu.loc[begin:].drop(columns=forecast.network.slack)
    q_kvar = columns(folder, "slack.csv", ("time", "q_kvar")).set_index("time")["q_kvar"].loc[begin:]
    return {
        "judged_from": begin.astimezone(ZoneInfo(forecast.axis.timezone)).isoformat(),
        "measured": asdict(voltage_quality(v_pu, limits.v_min_pu, limits.v_max_pu)),
        "supply": asdict(reactive_quality(q_kvar, limits.slack_q_max_kvar)),
        "baseline": asdict(baseline(hindsight, recorded, v_pu)),
    }


def _begin(recording: Recording) -> datetime:
    """The first sample that is judged."""
    return judged_from(recording.realtime["rung"], recording.realtime["reasons"])


def _came_kva(recording: Recording, realised: Scenario, passive: Collection[str]) -> pd.DataFrame:
    """What passive houses drew by their series: complex demand P + jQ at each sample, [samples, houses]."""
    steps = Span(recording.times, realised.axis.end).step_of(realised.axis)
    loads = {site.name: site.outlook for site in realised.sites if site.name in passive}
    came = {name: load.load_kw[steps] + 1j * load.load_kvar[steps] for name, load in loads.items()}
    return pd.DataFrame(came, index=recording.times)


def _recorded(run: FinishedRun, recording: Recording, realised: Scenario, came_kva: pd.DataFrame) -> Recorded:
    drawn, houses = run.after.converters, run.after.houses
    last_kw = {name: sum(drawn[c].p_kw for c in names) for name, names in run.config.converters_of.items() if names}
    return Recorded(
        span=Span(recording.times, run.end),
        p_kw=recording.realtime["p_measured_kw"],
        pv_kw=recording.realtime["pv_kw"],
        battery_kw=recording.realtime["battery_kw"],
        reactive_kvar=_reactive_kvar(recording, realised),
        pv_kvar=recording.realtime["pv_kvar"],
        soc=recording.realtime["soc"],
        last_kw=last_kw | {name: house.p_kw for name, house in houses.items()},
        soc_final={name: account.soc for name, account in run.batteries.items()},
        came_kw=came_kva.apply(np.real),
    )


def _accounts(
    config: Config, recording: Recording, forecast: Scenario, recorded: Recorded, hindsight: OwnOptimum
) -> dict[str, Account]:
    expected = own_optimum(forecast, recorded, config)
    planned = _planned(recording, pd.DatetimeIndex(expected.scenario.axis.times).tz_convert("UTC"))
    return settle(recorded, hindsight, expected, planned, float(forecast.tariff.buy_chf_per_kwh.mean()))


def _planned(recording: Recording, times: pd.DatetimeIndex) -> Planned:
    """The steps of the day-ahead plan that begin at ``times``."""
    plan = {quantity: table.loc[times] for quantity, table in recording.plan.items()}
    supplied = [plan[quantity] for quantity in ("battery_kw", "battery_kvar", "pv_kw", "pv_kvar")]
    powers = {str(name): Powers(*(table[name].to_numpy(float) for table in supplied)) for name in plan["p_kw"]}
    return Planned(plan["p_kw"], powers)


def _reactive_kvar(recording: Recording, realised: Scenario) -> pd.DataFrame:
    """Reactive power of each prosumer's load by its series, less the measured one, [samples, prosumers]."""
    steps = Span(recording.times, realised.axis.end).step_of(realised.axis)
    load_kvar = {site.name: site.outlook.load_kvar[steps] for site in realised.sites}
    return pd.DataFrame(load_kvar, index=recording.times) - recording.realtime["q_measured_kvar"]


def _costs(account: Account) -> dict[str, float]:
    return {
        "uncoordinated": account.own_optimum_chf,
        "coordinated": account.real_chf,
        "compensation": account.compensation_chf,
    }


def _events(recording: Recording, forecast: Scenario, config: Config, came_kva: pd.DataFrame) -> tuple[Event, ...]:
    realtime, mpc, span = recording.realtime, recording.mpc, Span(recording.times, forecast.axis.end)
    expected = pd.Series(forecast.slack_voltage_pu[span.step_of(forecast.axis)], recording.times)
    adopted = pd.DatetimeIndex(mpc.loc[mpc["adopted"].astype(bool), "time"])
    measured = realtime["p_measured_kw"] + 1j * realtime["q_measured_kvar"]
    parts = voltage_parts(
        forecast.network,
        recording.v_pu,
        predicted_supply(recording.v_pu[forecast.network.slack], expected, adopted),
        Demand(
            target=realtime["p_target_kw"] + 1j * realtime["q_target_kvar"],
            measured=measured.fillna(came_kva) if len(came_kva.columns) else measured,
        ),
        {prosumer.name: prosumer.node for prosumer in config.prosumers},
    )
    then = Circumstances(realtime["rung"], realtime["reasons"], mpc)
    judged_parts = replace(parts, measured=parts.measured.loc[_begin(recording) :])
    return events(judged_parts, forecast.limits.v_min_pu, forecast.limits.v_max_pu, then)


def _bands(recording: Recording, forecast: Scenario) -> dict[str, SocBand]:
    batteries = {site.name: site.battery for site in forecast.sites if site.battery is not None}
    return {name: _band(recording.realtime["soc"][name], battery) for name, battery in batteries.items()}


def _band(soc: pd.Series, battery: Battery) -> SocBand:
    outside = int(((soc < battery.soc_min) | (soc > battery.soc_max)).sum())
    return SocBand(battery.soc_min, battery.soc_max, float(soc.min()), float(soc.max()), outside)


def _energy_balances(run: FinishedRun, recording: Recording) -> dict[str, EnergyBalance]:
    until_last = Span(recording.times, recording.times[-1].to_pydatetime()).hours
    converters, balances = run.config.converters_of, {}
    for name in run.batteries:
        load_kwh, pv_kwh = (
            float(recording.realtime[quantity][name].fillna(0.0).to_numpy() @ until_last)
            for quantity in ("load_kw", "pv_kw")
        )
        before_kwh, last_kwh = (
            sum(truth.converters[device].energy_kwh for device in converters[name]) for truth in (run.before, run.last)
        )
        balances[name] = energy_balance(run.batteries[name], load_kwh, pv_kwh, last_kwh - before_kwh)
    return balances


def _local(event: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Format times as ISO 8601 in local time."""
    return {k: v.astimezone(zone).isoformat() if isinstance(v, datetime) else v for k, v in event.items()}
