"""A load that no plan can carry is said before anything is planned; what prosumers cover themselves is no such load."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InputError
from core.load import load_config, load_scenario
from core.resources import Battery, Load, Pv, Resource
from core.scenario import Scenario
from mpc.carrying import require_power_flow, uncarried
from tests.support.commands import gridlab
from tests.support.paths import ROOT

CASES = ROOT / "tests/cases/grids"


def scenario(case: str) -> Scenario:
    path = CASES / case / "config.yaml"
    return load_scenario(load_config(path), path)


def test_13_a_load_in_watts() -> None:
    with pytest.raises(InputError) as caught:
        require_power_flow(scenario("13-load-in-watt"), "config.yaml")
    (fault,) = caught.value.faults
    assert fault.key == "prosumers"
    assert "at 19:00 and in 95 more steps" in fault.value
    assert "at most 5.2" in fault.allowed
    assert "the voltage at B collapses" in fault.allowed
    assert "W in place of kW" in fault.allowed


def test_50_five_times_the_load() -> None:
    with pytest.raises(InputError, match=r"18575 kW and 11500 kvar.* at most 72\.\d % of it.*voltage at 18 ") as caught:
        require_power_flow(scenario("50-case33bw-load-x5"), "config.yaml")
    assert "in W" not in str(caught.value)


def scaled(factor: float, **resources: Resource) -> Scenario:
    """Case 52 with the load of B times ``factor``, and more resources there."""
    found = scenario("52-reversed-lines")
    first, second = found.sites
    load = second.outlook
    more = {"load": Load(load.load_kw * factor, load.load_kvar * factor), **resources}
    return replace(found, sites=(first, replace(second, resources=more)))


def test_a_load_that_the_prosumer_covers_itself_is_carried() -> None:
    too_much = scaled(60.0)
    found = uncarried(too_much)
    assert found is not None
    load_kw = float(too_much.sites[1].outlook.load_kw.max())
    assert uncarried(scaled(60.0, battery=Battery(2 * load_kw, 1e4))) is None
    assert uncarried(scaled(60.0, pv=Pv(load_kw, 0 * too_much.sites[1].outlook.load_kw + load_kw))) is None
    inverter = Pv(load_kw, 0 * too_much.sites[1].outlook.load_kw + 0.6 * load_kw, s_max_kva=load_kw)
    assert uncarried(scaled(60.0, pv=inverter)) is None
    night = scaled(60.0, pv=Pv(load_kw, 0 * too_much.sites[1].outlook.load_kw))
    assert uncarried(night) == found


@pytest.mark.parametrize("command", ["check", "plan", "simulate"])
def test_commands_refuse_it_at_once(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = gridlab(capsys, command, CASES / "50-case33bw-load-x5/config.yaml")
    assert done.code == 2
    assert "voltage at 18 collapses" in done.err
    assert done.err.count("\n") == 1


CHEAP_HOUR = """
schema_version: 1
name: cheap-hour
horizon: {date: 2025-06-10, timezone: Europe/Zurich, step_min: 60}
grid: {voltage_v: 400, slack: S, lines: [{from: S, to: A, r_mohm: 400, x_mohm: 100}]}
limits: {v_min_pu: 0.9, v_max_pu: 1.1, slack_s_max_kva: 200, slack_pf_min: 0.9}
tariff: {file: day.csv, column: price}
prosumers:
  - name: P
    node: A
    battery: {s_max_kva: 250, energy_kwh: 400, soc_initial: 0.1}
    load: {forecast: {file: day.csv, p: p}}
"""


@pytest.mark.parametrize("options", [(), ("--uncoordinated",)])
def test_a_collapse_without_coordination_is_said(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the cheapest hour a battery of 250 kVA would charge at the end of a line that carries 90 kW."""
    (tmp_path / "config.yaml").write_text(CHEAP_HOUR)
    rows = [f"{hour:02d}:00:00,{0.05 if hour == 2 else 0.3},3" for hour in range(24)]
    (tmp_path / "day.csv").write_text("\n".join(["time,price,p", *rows, ""]))
    done = gridlab(capsys, "plan", tmp_path / "config.yaml", "--out", tmp_path / "run", *options)
    assert done.code == 0
    assert "without coordination there is no power flow at 02:00: voltage collapses" in " ".join(done.out.split())
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["collapsed"] == {"uncoordinated": ["2025-06-10T02:00:00+02:00"]}
    assert summary["ac"]["v_min_pu"] > 0.8
