"""Whole days of the closed loop under faults: with many deaths of the service, with none, and several days in a row."""

import asyncio
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np

from controller.chaos.faulted_run import FaultedRun, open_faulted_run
from controller.chaos.injection import ProcessResources, TrialContext
from controller.chaos.injections.deaths import MID_CYCLE_S, OUTAGE_S
from controller.chaos.trial_run import fresh_folder
from controller.judge.case import BrokenInvariant, Case, CaseConfig, InjectedFault, Kind
from controller.judge.cycles import lost_points
from controller.judge.histories import Histories, read_histories
from controller.judge.invariants import violations
from controller.process.answers import RefereeCounts, Truth
from controller.process.modes import Mode
from controller.record.audit_check import TrailCheck, check_run
from controller.record.audit_lines import AuditWrite
from controller.simulation.master import SimulationJob
from core.config import Config
from core.load import load_config, load_scenario
from realtime.timing import CYCLE_S, POLL_S
from tests.support.commands import scenario_file
from tests.support.coordination import uncoordinated
from tests.support.paths import CONFIGS

DAY_S = 86_400.0
SHORTLY_S = 1e-3
GRID_ALARMS = frozenset({"voltage", "current", "P", "Q"})
"""Kinds of alarm that the grid itself may cause, also without faults: limits bind, and the supply voltage moves."""
START_S, WARM_S, DAY_AHEAD_S = 120.0, 3660.0, 3600.0
GROWING = ("audit", "telemetry", "journal")
AHEAD = "day-ahead"
PV_FILE = "pv_clearsky_sion_1min"
CYCLE_LASTS_S = 1.0
"""A death within this time after the start of a cycle counts as during the cycle."""


@dataclass(frozen=True)
class EnduranceDay:
    """Results of one day.

    Attributes:
        cost_chf: true energy of each step at its tariff, less what the batteries still hold at the mean tariff.
        own_optimum_chf: cost of the uncoordinated plan for the realised day, same deduction.
        alarms: how often each kind was raised.
        armed: how often an operator had to give ACTIVE back.
    """

    cost_chf: float
    own_optimum_chf: float
    referee: RefereeCounts
    broken: tuple[BrokenInvariant, ...]
    points_lost: int
    deaths: int
    armed: int
    alarms: Mapping[str, int]

    @property
    def false_alarms(self) -> Mapping[str, int]:
        """Alarms of kinds that the grid itself does not cause."""
        return {kind: n for kind, n in self.alarms.items() if kind not in GRID_ALARMS}


def day(path: Path, journal: Path, folder: Path, kills: int = 0, seed: int = 0) -> EnduranceDay:
    """Run the configuration's day, polled as in ``serve``, with ``kills`` deaths of the service at random moments.

    Each death is followed by an outage of up to a minute.
    """
    fresh_folder(folder, journal)
    return asyncio.run(_day(path, folder, kills, Random(seed)))


@dataclass(frozen=True)
class ThreeDays:
    """Three days in one process, over two midnights; the third has no files of its own.

    Attributes:
        warm, end: resources an hour after the start, and at the end.
        grown_mb: by file, growth of each day, MB.
        plans: identifiers of the day-ahead plans that converters followed.
        alarms: how often each kind was raised, besides those of the grid.
        trail: what the verification of the audit trail says.
    """

    warm: ProcessResources
    end: ProcessResources
    grown_mb: Mapping[str, Sequence[float]]
    plans: tuple[str, ...]
    alarms: Mapping[str, int]
    broken: tuple[BrokenInvariant, ...]
    points_lost: int
    trail: TrailCheck


def three_days(path: Path, journal: Path, folder: Path, day_s: float = DAY_S) -> ThreeDays:
    """Run three days and a minute, with a day-ahead plan for the next day at 23:00; ``path``: see :func:`dated`."""
    fresh_folder(folder, journal)
    return asyncio.run(_three_days(path, folder, day_s))


def dated(folder: Path) -> Path:
    """The default scenario with one PV file per day, for the first two days only."""
    one, daily = f"file: {CONFIGS}/profiles/{PV_FILE}.csv", f'file: "{folder}/{PV_FILE}_{{date}}.csv"'
    path = scenario_file(folder, (one, daily))
    first = load_config(path).horizon.date
    text = (CONFIGS / "profiles" / f"{PV_FILE}.csv").read_text(encoding="utf-8")
    for date in (first, first + timedelta(days=1)):
        series = text.replace(first.isoformat(), date.isoformat())
        (folder / f"{PV_FILE}_{date}.csv").write_text(series, encoding="utf-8")
    return path


class _MeteredRun:
    """Advances a run, and reads the plant's energy meters at the end of every step of the horizon."""

    def __init__(self, faulted: FaultedRun, step_s: float) -> None:
        self._faulted, self._step_s, self._next_s = faulted, step_s, step_s
        self.energies_kwh: list[Mapping[str, float]] = []

    async def advance(self, t_s: float) -> None:
        while (read_s := self._next_s - SHORTLY_S) <= t_s:
            await self._faulted.run_until(read_s)
            await self.read()
            self._next_s += self._step_s
        await self._faulted.run_until(t_s)

    async def read(self) -> None:
        truth = Truth.model_validate(await self._faulted.plant.ask({"ask": "truth"}))
        self.energies_kwh.append({name: converter.energy_kwh for name, converter in truth.converters.items()})


async def _day(path: Path, folder: Path, kills: int, random: Random) -> EnduranceDay:
    config = load_config(path)
    job, site = _job(config, path), CaseConfig.of(config, poll_s=POLL_S)
    faults: list[InjectedFault] = []
    async with open_faulted_run(job, folder) as faulted:
        metered, armed = _MeteredRun(faulted, 60.0 * config.horizon.step_min), 0
        await metered.read()
        for moment_s in _kill_times_s(kills, random):
            cycle_s = CYCLE_S * (moment_s // CYCLE_S)
            await metered.advance(cycle_s - SHORTLY_S)
            armed += await _given_back(faulted)
            amid = moment_s - cycle_s < CYCLE_LASTS_S
            faults.append(await _kill_and_restart(faulted, metered, cycle_s if amid else moment_s, random))
        await metered.advance(DAY_S - SHORTLY_S)
        soc = {name: kept["soc"] for name, kept in (await faulted.stop())["books"].items() if kept}
        referee = RefereeCounts.model_validate(await faulted.plant.ask({"ask": "referee"}))
        end = faulted.now
    histories = read_histories(folder)
    case = Case.of(histories, site, faults, end)
    cost_chf, own_chf = _costs(config, path, metered.energies_kwh, soc)
    return EnduranceDay(
        cost_chf, own_chf, referee, violations(case), len(lost_points(case)), len(faults), armed, _raised(histories)
    )


def _kill_times_s(kills: int, random: Random) -> list[float]:
    """One random time in each of ``kills`` equal parts of the day, s; outages do not overlap, the first minutes are
    spared.
    """
    share = (DAY_S - 2 * OUTAGE_S) / max(kills, 1)
    latest = share - 2 * OUTAGE_S
    return [k * share + 2 * OUTAGE_S + random.uniform(0, latest) for k in range(kills)]


async def _kill_and_restart(faulted: FaultedRun, metered: _MeteredRun, at_s: float, random: Random) -> InjectedFault:
    """Kill during the cycle if ``at_s`` is the start of one, else between cycles; restart after a random outage."""
    if at_s % CYCLE_S:
        await metered.advance(at_s)
        await faulted.kill()
    else:
        await faulted.signal_in_cycle(at_s, signal.SIGKILL, random.uniform(0.0, MID_CYCLE_S))
    begins = faulted.now
    await metered.advance(faulted.now_s + random.uniform(0.0, OUTAGE_S))
    ends = faulted.now
    await faulted.restart()
    return InjectedFault("kill -9", 1, None, begins, ends, Kind.DEATH)


async def _given_back(faulted: FaultedRun) -> bool:
    """Let the operator give ACTIVE back if the service lost it by dying too often; whether that was necessary."""
    if faulted.state.mode in (None, Mode.ACTIVE):
        return False
    await faulted.activate()
    await faulted.run_until(faulted.now_s + 4 * CYCLE_S)
    return True


def _costs(
    config: Config, path: Path, energies_kwh: Sequence[Mapping[str, float]], soc: Mapping[str, float]
) -> tuple[float, float]:
    """Real cost of the prosumers with a converter together, and their cost if each had planned alone."""
    scenario = load_scenario(config, path, "realised")
    tariff, dt_h = scenario.tariff, scenario.axis.dt_h
    stored = float(tariff.buy_chf_per_kwh.mean())
    own, cost_chf = uncoordinated(scenario, config.coordination, config.solver.prosumer), 0.0
    own_chf = 0.0
    for prosumer in (p for p in config.prosumers if p.converters):
        read_kwh = [sum(energies[name] for name in prosumer.converters) for energies in energies_kwh]
        drawn_kwh = np.diff(read_kwh)
        cost_chf += tariff.cost_chf(drawn_kwh / dt_h, dt_h)
        plan = own.plan.prosumers[prosumer.name]
        own_chf += tariff.cost_chf(plan.p_kw, dt_h)
        if prosumer.battery and plan.soc is not None:
            cost_chf -= stored * prosumer.battery.energy_kwh * soc[prosumer.name]
            own_chf -= stored * prosumer.battery.energy_kwh * float(plan.soc[-1])
    return cost_chf, own_chf


async def _three_days(path: Path, folder: Path, day_s: float) -> ThreeDays:
    config = load_config(path)
    job, site = _job(config, path), CaseConfig.of(config)
    sizes = [_sizes_mb(folder)]
    async with open_faulted_run(job, folder, CYCLE_S) as faulted:
        context = TrialContext(29, 0, faulted, site, Random(0))
        await faulted.run_until(WARM_S)
        warm = await context.resources()
        for number in (1, 2, 3):
            await faulted.run_until(number * day_s - DAY_AHEAD_S)
            await faulted.running_controller.ask({"ask": "tomorrow"})
            await faulted.run_until(number * day_s)
            sizes.append(_sizes_mb(folder))
        await faulted.run_until(3 * day_s + WARM_S % 3600.0)
        end = await context.resources()
        await faulted.stop()
        ended = faulted.now
    histories = read_histories(folder)
    case = Case.of(histories, site, [], ended)
    plans = sorted({w.plan_id for w in histories.audit if isinstance(w, AuditWrite) and w.plan_id.startswith(AHEAD)})
    raised = {kind: n for kind, n in _raised(histories).items() if kind not in GRID_ALARMS}
    grown = {name: [after[name] - before[name] for before, after in pairwise(sizes)] for name in sizes[0]}
    (trail,) = check_run(folder, folder)
    return ThreeDays(warm, end, grown, tuple(plans), raised, violations(case), len(lost_points(case)), trail)


def _sizes_mb(folder: Path) -> Mapping[str, float]:
    """Sizes of the records that grow, with their parts and logs, 10⁶ bytes."""
    return {name: sum(path.stat().st_size for path in folder.glob(f"{name}*")) / 1e6 for name in GROWING}


def _raised(histories: Histories) -> Mapping[str, int]:
    """How often each kind of alarm was raised after ``START_S``: until then prosumers are safe for want of readings."""
    standing, raised = set[str](), Counter[str]()
    started = histories.decisions[0].time + timedelta(seconds=START_S)
    for point in histories.alarms:
        if point.standing and point.alarm not in standing and point.time > started:
            raised[point.alarm.rpartition(" ")[2]] += 1
        (standing.add if point.standing else standing.discard)(point.alarm)
    return raised


def _job(config: Config, path: Path) -> SimulationJob:
    start: datetime = config.horizon.axis().times[0]
    return SimulationJob(config, path, start, start + timedelta(seconds=DAY_S))
