"""A closed loop within the test: real-time layer and MPC on the plant's physics, recorded as the service records it.

It does what ``gridlab simulate`` does, without processes and sockets, so that an hour takes two seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from controller.accounts.closing import FinishedRun, close_accounts
from controller.process.answers import BatteryAccount, RefereeCounts, Truth
from controller.process.clocks import WallClock
from controller.record.recorder import Recorder
from controller.record.records import CycleRecord, MpcRecord, ProsumerRecord
from controller.runs.directory import write_summary, write_table
from controller.runs.summaries import config_summary, day_summary
from controller.runs.tables import plan_frame
from controller.service.describe import limits_record, prosumer_record
from controller.service.prices import Price
from controller.service.setup import node_limits
from core.config import Config
from core.devices import Measurement, Outcome, Quality, Snapshot
from core.load import load_config, load_scenario
from drivers.readings import converter_status
from mpc.day_ahead import DayAhead
from mpc.forecast import Observed
from mpc.intra_day import RunningPlan, Situation, replan, replan_uncoordinated
from realtime.cycle import CycleInputs, CycleMemory, decide, next_states
from realtime.emulation import BatteryState
from realtime.node import AgedTarget, NodeResult, NodeState, PlanTargets
from realtime.shares import converters_by_prosumer, prosumer_batteries
from realtime.timing import FRESH_POLLS
from realtime.tracker import LoadAndPv, Target
from sim_plant import referee
from sim_plant.laboratory import Laboratory
from sim_plant.reports import counts, truth
from sim_plant.settings import plant_config
from tests.support.coordination import coordinate, uncoordinated

CYCLE_S = 30.0
Disturb = Callable[[float, Laboratory], None]
Values = Mapping[str, float | None]


def looped(
    folder: Path,
    path: Path,
    steps: tuple[int, int] = (72, 80),
    *,
    coordinate: bool = True,
    margin: str | float = 0.003,
    disturb: Disturb | None = None,
) -> Path:
    """A run of the configuration at ``path`` in ``folder``.

    Args:
        steps: first step of the day and the one after the last.
        disturb: called with the seconds since the start and the plant before each cycle.
    """
    config = load_config(path)
    config = config.model_copy(update={"limits": config.limits.model_copy(update={"margin": margin})})
    return Loop(config, path, steps, coordinate).record(folder, disturb)


class Loop:
    """A run over ``steps`` of the day."""

    def __init__(self, config: Config, path: Path, steps: tuple[int, int], coordinate: bool) -> None:
        self.config, self.path, self.steps, self.coordinate = config, path, steps, coordinate
        margin = config.limits.margin
        self.day = replace(load_scenario(config, path), margin_pu=margin if isinstance(margin, float) else 0.0)
        self.step_s = 60.0 * self.day.axis.step_min
        self.start = self.day.axis.start + timedelta(seconds=self.step_s * steps[0])
        self.laboratory = Laboratory(plant_config(config, path, self.start), referee.FrameLog(self.start))
        self.places = {meter.node: meter for meter in self.laboratory.meters.values()}
        self.limits = node_limits(config)
        self.running, self.made_s = RunningPlan.of(self.plan), 0.0
        self.waiting: RunningPlan | None = None
        self.state = {name: self._begin(name) for name in self.limits}
        self.accepted_s: dict[str, float] = {}
        self.cycle_ms: list[float] = []

    @cached_property
    def plan(self) -> DayAhead:
        settings, solver = self.config.coordination, self.config.solver.prosumer
        if not self.coordinate:
            return uncoordinated(self.day, settings, solver)
        return coordinate(self.day, settings, WallClock(), solver)

    @cached_property
    def minutes(self) -> Mapping[str, Any]:
        horizon = self.config.horizon.model_copy(update={"step_min": 1})
        realised = load_scenario(self.config.model_copy(update={"horizon": horizon}), self.path, "realised")
        return {site.name: site.outlook for site in realised.sites}

    def record(self, folder: Path, disturb: Disturb | None) -> Path:
        folder.mkdir(parents=True)
        write_table(folder / "plan.csv", plan_frame(self.plan.plan, self.plan.problem.tariff))
        cycles = round((self.steps[1] - self.steps[0]) * self.step_s / CYCLE_S)
        before = truth(self.laboratory)
        with Recorder(folder, self.day.axis.timezone, self.config.telemetry) as recorder:
            for at_s in CYCLE_S * np.arange(cycles):
                if disturb:
                    disturb(at_s, self.laboratory)
                self.laboratory.advance(at_s)
                recorder.cycle(self._cycle(at_s))
                if at_s % self.step_s == 0:
                    recorder.mpc(self._mpc(at_s))
        last = truth(self.laboratory)
        self.laboratory.advance(CYCLE_S * cycles)
        write_summary(folder, self._summary(folder, (before, last, truth(self.laboratory)), CYCLE_S * cycles))
        return folder

    def _begin(self, name: str) -> NodeState:
        soc, first = self.plan.plan.prosumers[self.limits[name].prosumer].soc, self.steps[0]
        return NodeState.start(self.limits[name].battery, float(soc[first - 1]) if soc is not None and first else None)

    def _step(self, at_s: float) -> int:
        return self.steps[0] + int(at_s // self.step_s)

    def _amounts(self, name: str, at_s: float) -> LoadAndPv:
        outlook, minute = self.minutes[name], (at_s + self.step_s * self.steps[0]) / 60 - 0.5
        series = (outlook.load_kw, outlook.load_kvar, outlook.pv_available_kw)
        return LoadAndPv(*(float(np.interp(minute, np.arange(len(values)), values)) for values in series))

    def _cycle(self, at_s: float) -> CycleRecord:
        began_s = WallClock().monotonic_s()
        if self.waiting is not None:
            self.running, self.made_s, self.waiting = self.waiting, at_s - CYCLE_S, None
        names = converters_by_prosumer(self.limits)
        wanted = CycleInputs(
            {name: self._amounts(name, at_s) for name in names}, {name: self._targets(name, at_s) for name in names}
        )
        decided = decide(self._snapshot(at_s), wanted, CycleMemory(self.state, self.accepted_s), self.limits)
        outcomes = {device: self._write(device, result, at_s) for device, result in decided.writes.items()}
        self.state = next_states(decided, self.state, outcomes)
        self.cycle_ms.append(1e3 * (WallClock().monotonic_s() - began_s))
        return self._recorded(at_s, decided.nodes)

    def _snapshot(self, at_s: float) -> Snapshot:
        said = {device: station.values() for device, station in self.laboratory.converters.items()}
        readings = {device: _reading(device, values, at_s) for device, values in said.items()}
        statuses = {device: converter_status(values) for device, values in said.items()}
        return Snapshot(self.start, at_s, readings, statuses, dict.fromkeys(said, FRESH_POLLS))

    def _targets(self, name: str, at_s: float) -> PlanTargets:
        row = self.running.row(self._step(at_s))
        return PlanTargets(AgedTarget(Target.of(self.running.plan.prosumers[name], row), at_s - self.made_s))

    def _write(self, device: str, result: NodeResult, at_s: float) -> Outcome:
        assert result.setpoint is not None, result.error
        words = {"p_setpoint_kw": result.setpoint.p_kw, "q_setpoint_kvar": result.setpoint.q_kvar, "lease_s": 75.0}
        assert self.laboratory.converters[device].write({**words, "writer_epoch": 1.0, "enable": 1.0}) is None
        self.accepted_s[device] = at_s
        return Outcome.VERIFIED

    def _recorded(self, at_s: float, nodes: Mapping[str, NodeResult]) -> CycleRecord:
        slack = self.places[self.day.network.slack].values()
        return CycleRecord(
            time=self.start + timedelta(seconds=at_s),
            prosumers={name: self._prosumer(name, result, at_s) for name, result in nodes.items()},
            nodes={node: self._v_pu(node) for node in self.places},
            lines=dict(self.laboratory.grid_state.i_a),
            slack_p_kw=slack["p_kw"],
            slack_q_kvar=slack["q_kvar"],
            devices={},
            limits=limits_record(self.config, self.day.network),
            violation_pu=None,
            mode="active",
            cycle_ms=self.cycle_ms[-1],
            missed=0,
            plan_age_s=at_s - self.made_s,
            backlog=0,
            dropped=0,
            dead_letters=0,
        )

    def _v_pu(self, node: str) -> float | None:
        v_v = self.places[node].values()["v_v"]
        return None if v_v is None else v_v / self.day.network.voltage_v

    def _prosumer(self, name: str, result: NodeResult, at_s: float) -> ProsumerRecord:
        k = self._step(at_s)
        tariff, bill = float(self.day.tariff.buy_chf_per_kwh[k]), self.running.bills[name]
        price = Price(tariff, tariff, self.running.prices_chf_per_kwh(k)[name], bill.compensation_chf)
        return prosumer_record(result, None, price, None)

    def _mpc(self, at_s: float) -> MpcRecord:
        k, slack_pu, clock = self._step(at_s), self._v_pu(self.day.network.slack), WallClock()
        assert slack_pu is not None
        began_s, settings = clock.monotonic_s(), self.config.coordination
        batteries = prosumer_batteries(self.state, self.limits)
        observed = {name: self._observed(name, batteries[name], at_s) for name in batteries}
        now = Situation(self.day, k, observed, slack_pu)
        self.waiting = (
            replan(now, self.running, settings, clock) if self.coordinate else replan_uncoordinated(now, settings)
        )
        day = self.waiting.computed
        return MpcRecord(
            time=self.start + timedelta(seconds=at_s),
            status=str(day.outcome.status) if day else "uncoordinated",
            iterations=len(day.outcome.iterations) if day else 0,
            wall_ms=1e3 * (clock.monotonic_s() - began_s),
            gap_rel=day.outcome.gap_rel if day else None,
            violation_pu=day.violation.worst_pu if day else None,
            primal=None,
            dual=None,
            budget_ms=6e4,
            adopted=self.waiting.adopted,
        )

    def _observed(self, name: str, battery: BatteryState | None, at_s: float) -> Observed:
        seen = self._amounts(name, at_s)
        return Observed(seen.load_kw, seen.load_kvar, seen.pv_available_kw, battery.soc if battery else None)

    def _summary(self, folder: Path, truths: tuple[Any, Any, Any], end_s: float) -> dict[str, Any]:
        end = self.start + timedelta(seconds=end_s)
        before, last, after = (Truth.model_validate(said) for said in truths)
        batteries = prosumer_batteries(self.state, self.limits)
        accounts = {n: BatteryAccount.model_validate(asdict(battery)) for n, battery in batteries.items() if battery}
        counted = RefereeCounts.model_validate(counts(self.laboratory.recorder.tally))
        ended = FinishedRun(self.config, self.path, end, before, last, after, accounts, self.cycle_ms, 0, counted)
        return {
            "command": "simulate",
            "name": self.config.name,
            "created_at": "2018-06-22T00:00:00+00:00",
            "config": str(self.path),
            "config_sha256": "0" * 64,
            "version": "0.0.0",
            "seed": 0,
            "start": self.start.isoformat(),
            "end": end.isoformat(),
            "interrupted": False,
            "coordinated": self.coordinate,
            "margin": self.config.limits.margin,
            **day_summary(self.plan),
            **close_accounts(folder, ended),
            "safe": dict.fromkeys(self.laboratory.converters, True),
            "model_check": {"mean_pu": 0.0002, "worst_pu": 0.001, "worst_node": "N2", "samples": 100},
            "wall_s": 1.0,
            "scenario": config_summary(self.config),
        }


def _reading(device: str, values: Values, at_s: float) -> Measurement:
    return Measurement(device, values["p_kw"], values["q_kvar"], None, None, None, at_s, Quality.GOOD)
