"""Runs at midday with a meter that lies: when it is named, what becomes of the true voltages, and what it costs."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from benchmarks.tables import ResultTable, Targets
from controller.chaos.faulted_run import open_faulted_run
from controller.chaos.trial_run import fresh_folder, prepare
from controller.judge.histories import read_histories
from controller.simulation.master import SimulationJob
from core.config import Config
from core.load import load_config, load_scenario
from realtime.meter_doubt import MeterDoubtKind
from realtime.timing import CYCLE_S

START_H, HOURS, BEGINS_S, ENDS_S = 11, 3.0, 3600.0, 3600.0 + 110 * 60
MEAN_CYCLES = 20
WORSE_MEANS = 1
"""Ten-minute means that may be outside beyond those of the undisturbed run."""
Lie = tuple[tuple[str, str, float | None], ...]
"""Faults of the plant: fault, device, number."""
LIES: Mapping[str, Lie] = {
    "none": (),
    "N9 + 3 %": (("voltage_scale", "n9_meter", 1.03),),
    "N9 + 10 %": (("voltage_scale", "n9_meter", 1.1),),
    "N9 − 3 %": (("voltage_scale", "n9_meter", 0.97),),
    "N9 to neutral": (("voltage_scale", "n9_meter", 3**-0.5),),
    "N9 frozen": (("voltage_frozen", "n9_meter", None),),
    "N1 + 3 %": (("voltage_scale", "n1_meter", 1.03),),
    "N7, N9 exchanged": (("swapped", "n7_meter", 9.0), ("swapped", "n9_meter", 7.0)),
}


@dataclass(frozen=True)
class LyingRun:
    """One run: time until the last lying meter was named, others that were named, true voltages, cost."""

    named_s: float | None
    others: tuple[str, ...]
    outside: int
    means: int
    worst_pu: float
    cost_chf: float


def lying_meters(config_path: Path, console: Console) -> Iterator[ResultTable]:
    """One run for each lie, and one without."""
    config = load_config(config_path)
    with TemporaryDirectory() as scratch:
        journal = prepare(config_path, Path(scratch))
        runs = {}
        for k, (name, lie) in enumerate(LIES.items()):
            console.print(f"{name} …")
            fresh_folder(Path(scratch) / str(k), journal)
            runs[name] = asyncio.run(_run(config, config_path, Path(scratch) / str(k), lie))
    columns = (
        "lie",
        "named after, s",
        "others named",
        "true means outside",
        "worst true mean beyond, p.u.",
        "cost, CHF",
    )
    table = ResultTable("A meter lies at midday", columns)
    for name, run in runs.items():
        named = "–" if run.named_s is None else f"{run.named_s:.0f}"
        others = ", ".join(run.others) or "none"
        outside = f"{run.outside} of {run.means}"
        table.add(name, named, others, outside, f"{run.worst_pu:.4f}", f"{run.cost_chf:.3f}")
    yield table
    yield _targets(runs)


def _targets(runs: Mapping[str, LyingRun]) -> ResultTable:
    targets, honest = Targets(), runs["none"]
    lying = {name: run for name, run in runs.items() if name != "none"}
    named = sum(run.named_s is not None for run in lying.values())
    targets.check(f"lying meters named: {len(lying)} of {len(lying)}", str(named), named == len(lying))
    others = sum(len(run.others) for run in runs.values())
    targets.check("honest devices named: 0", str(others), not others)
    more = max(run.outside for run in lying.values()) - honest.outside
    asked = f"true means outside, beyond those of the undisturbed run: at most {WORSE_MEANS}"
    targets.check(asked, f"{more:+d}", more <= WORSE_MEANS)
    return targets


async def _run(config: Config, path: Path, folder: Path, lie: Lie) -> LyingRun:
    start = config.horizon.axis().times[0] + timedelta(hours=START_H)
    job = SimulationJob(config, path, start, start + timedelta(hours=HOURS))
    v_pu, energies, due = [], [], {BEGINS_S: True, ENDS_S: False}
    async with open_faulted_run(job, folder, CYCLE_S) as faulted:
        for cycle in range(int(3600 * HOURS / CYCLE_S)):
            at_s = cycle * CYCLE_S
            for fault, device, number in lie if at_s in due else ():
                await faulted.switch(fault, device, on=due[at_s], number=number)
            await faulted.run_until(at_s + CYCLE_S / 2)
            truth = await faulted.plant.ask({"ask": "truth"})
            v_pu.append([truth["nodes"][node] for node in config.grid.network().nodes[1:]])
            energies.append([converter["energy_kwh"] for converter in truth["converters"].values()])
        await faulted.stop()
    alarms = [a for a in read_histories(folder).alarms if a.standing and a.alarm.partition(" ")[2] in _KINDS]
    named = {a.alarm.partition(" ")[0]: a.time for a in reversed(alarms)}
    lying = {device for _, device, _ in lie}
    since = start + timedelta(seconds=BEGINS_S)
    times = [(named[device] - since).total_seconds() for device in lying if device in named]
    band = config.limits
    means = np.array(v_pu)[int(BEGINS_S / CYCLE_S) :].reshape(-1, MEAN_CYCLES, len(v_pu[0])).mean(axis=1)
    beyond = np.maximum(means - band.v_max_pu, band.v_min_pu - means)
    return LyingRun(
        max(times) if times and len(times) == len(lying) else None,
        tuple(sorted(set(named) - lying)),
        int((beyond > 0).sum()),
        means.size,
        float(max(beyond.max(), 0.0)),
        _cost_chf(config, path, np.array(energies)),
    )


_KINDS = frozenset(MeterDoubtKind)


def _cost_chf(config: Config, path: Path, energies_kwh: np.ndarray) -> float:
    """Of the energy that each prosumer drew between two cycles, at the tariff of its step."""
    scenario = load_scenario(config, path, "realised")
    drawn, axis = np.diff(energies_kwh, axis=0), scenario.axis
    cycles = np.arange(1, len(energies_kwh)) * CYCLE_S + 3600 * START_H
    steps = (cycles // (60 * axis.step_min)).astype(int)
    return float(sum(scenario.tariff.buy_chf_per_kwh[steps] @ drawn[:, k] for k in range(drawn.shape[1])))
