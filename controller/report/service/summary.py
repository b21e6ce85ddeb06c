"""The figures of a span of a service, in place of the summary.json that only a finished simulation has."""

from datetime import timedelta

import numpy as np
import pandas as pd

from controller.accounts.closing import SocBand
from controller.accounts.durations import Cycles, MpcRuns
from controller.accounts.first_setpoints import judged_from
from controller.accounts.supply_quality import reactive_quality
from controller.accounts.voltage_quality import voltage_quality
from controller.process.modes import Mode
from controller.report.loop.summary import SampledSummary
from controller.report.primitives.summary import ScenarioSummary, SummaryPart
from controller.report.service.telemetry import ServiceTables
from core.arrays import FloatArray

LONGEST_CYCLES = 2
"""A longer gap between two samples, in cycles, is not filled: nobody knows what was drawn."""


class ServiceFile(SummaryPart):
    """service.json, see :mod:`controller.runs.description`."""

    command: str
    name: str
    config: str
    config_sha256: str
    version: str
    scenario: ScenarioSummary
    converters: dict[str, tuple[str, ...]]
    soc_band: dict[str, tuple[float, float]]
    realtime_s: float
    mpc_budget_s: float


class ProsumerAccount(SummaryPart):
    """A prosumer's span. Money is in the currency of the configuration; None is not measured.

    Attributes:
        cost: of the measured demand under the tariff.
        promised: compensation that the plan in force at the begin promised for the rest of its day.
        unmeasured_h: time in which its demand was not measured.
    """

    cost: float | None
    promised: float | None
    imported_kwh: float
    exported_kwh: float
    pv_kwh: float
    unmeasured_h: float
    soc_first: float | None
    soc_last: float | None


class ServiceSummary(SampledSummary):
    """The span; ``modes`` is the share of its cycles in each mode, ``silent_h`` the time without any cycle."""

    accounts: dict[str, ProsumerAccount]
    modes: dict[str, float]
    silent_h: float


def summarised(file: ServiceFile, tables: ServiceTables) -> ServiceSummary:
    """The figures of a span from its tables."""
    recording, scenario, period = tables.recording, file.scenario, timedelta(seconds=file.realtime_s)
    times, modes = recording.times, tables.service["mode"]
    rung, reasons = recording.realtime["rung"], recording.realtime["reasons"]
    judged = judged_from(rung, reasons) if modes.iloc[0] == Mode.ACTIVE else times[0].to_pydatetime()
    q_kvar = tables.service["slack_q_kvar"].astype(float).loc[judged:]
    v_pu = recording.v_pu.loc[judged:].drop(columns=scenario.slack, errors="ignore")
    gaps_s = np.diff(times.asi8) / 1e9
    hours = np.minimum(np.append(gaps_s, file.realtime_s), LONGEST_CYCLES * file.realtime_s) / 3600
    given = {name: getattr(file, name) for name in ("command", "name", "config", "config_sha256", "version")}
    return ServiceSummary(
        **given,
        start=times[0].to_pydatetime(),
        end=(times[-1] + period).to_pydatetime(),
        coordinated=True,
        scenario=scenario,
        realtime=Cycles.of(tables.service["cycle_ms"].dropna().tolist(), _missed(tables.service["missed"])),
        mpc=MpcRuns.of(recording.mpc, 1e3 * file.mpc_budget_s),
        measured=voltage_quality(v_pu, scenario.v_min_pu, scenario.v_max_pu),
        soc=_bands(file, tables),
        supply=reactive_quality(q_kvar, scenario.slack_bound("q_kvar")),
        judged_from=judged,
        accounts={name: _account(name, tables, hours, scenario.timezone) for name in file.converters},
        modes={str(mode): float(share) for mode, share in modes.value_counts(normalize=True).items()},
        silent_h=float(gaps_s[gaps_s > LONGEST_CYCLES * file.realtime_s].sum()) / 3600,
    )


def _missed(counter: pd.Series) -> int:
    """Cycles missed, from a counter that begins anew with every start of a service."""
    change = counter.astype(float).diff().fillna(0.0)
    return int(change.where(change >= 0, counter.astype(float)).sum())


def _bands(file: ServiceFile, tables: ServiceTables) -> dict[str, SocBand]:
    bands = {}
    for name, (low, high) in file.soc_band.items():
        soc = tables.recording.realtime["soc"][name].dropna()
        if len(soc):
            outside = int(((soc < low) | (soc > high)).sum())
            bands[name] = SocBand(low, high, float(soc.min()), float(soc.max()), outside)
    return bands


def _account(name: str, tables: ServiceTables, hours: FloatArray, zone: str) -> ProsumerAccount:
    realtime = tables.recording.realtime
    p_kw, soc = realtime["p_measured_kw"][name], realtime["soc"][name].dropna()
    kwh = p_kw.shift(-1).fillna(p_kw.iloc[-1]).to_numpy() * hours
    promised = tables.money["compensation_chf"][name].dropna()
    return ProsumerAccount(
        cost=_spent(tables.money["cost_chf"][name], zone),
        promised=float(promised.iloc[0]) if len(promised) else None,
        imported_kwh=float(np.nansum(np.maximum(kwh, 0))),
        exported_kwh=float(np.nansum(np.maximum(-kwh, 0))),
        pv_kwh=float(np.nansum(realtime["pv_kw"][name].to_numpy() * hours)),
        unmeasured_h=float(hours[np.isnan(kwh)].sum()),
        soc_first=float(soc.iloc[0]) if len(soc) else None,
        soc_last=float(soc.iloc[-1]) if len(soc) else None,
    )


def _spent(since_midnight: pd.Series, zone: str) -> float | None:
    """What was spent in the span, from a sum that begins anew at local midnight."""
    known = since_midnight.dropna()
    if known.empty:
        return None
    of_days = known.groupby(pd.DatetimeIndex(known.index).tz_convert(zone).date).last()
    return float(of_days.sum() - known.iloc[0])
