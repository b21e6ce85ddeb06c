"""``gridlab status|mode|override|stop``: what they find, ask, print, and how they fail."""

import json
from fcntl import LOCK_EX, flock
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.api.client import ask
from controller.api.messages import Changed, Devices, Lower, OverrideOrder, Status
from controller.cli import requests as commands
from controller.process.modes import Mode
from controller.record.records import Severity
from controller.service.alarms import Finding
from core.errors import GridlabError, InputError
from tests.support.api import ServiceUnderTest
from tests.support.commands import gridlab

Capsys = pytest.CaptureFixture[str]
NO_SERVICE = r"--state: got \S+; allowed: the state folder of a running `gridlab serve`"


def test_the_mode_is_shown_and_changed(api: ServiceUnderTest, capsys: Capsys) -> None:
    commands.mode(api.folder, None, yes=False, quiet=False)
    assert capsys.readouterr().out.startswith("mode monitor, plan ")
    commands.mode(api.folder, Mode.ACTIVE, yes=True, quiet=False)
    said = capsys.readouterr().out
    assert "no device was looked at" in said
    assert "mode active" in said
    api.cycle(3)
    commands.mode(api.folder, Mode.ACTIVE, yes=False, quiet=False)
    assert "mode active" in capsys.readouterr().out
    commands.status(api.folder, as_json=False, quiet=False)
    said = capsys.readouterr().out
    assert "n4_converter" in said
    assert "verified" in said
    commands.mode(api.folder, Mode.OFF, yes=False, quiet=False)
    said = capsys.readouterr().out
    assert "mode off" in said
    assert said.count("safe, read back") == 5
    commands.mode(api.folder, Mode.MONITOR, yes=False, quiet=True)
    assert capsys.readouterr().out == ""
    assert api.service.mode is Mode.MONITOR


def test_status_is_of_one_time_zone_for_people_and_programs(api: ServiceUnderTest, capsys: Capsys) -> None:
    api.service.notices["crash loop"] = Finding("crash loop", Severity.ALARM, "service", "an operator has to look")
    api.cycle()
    record = api.service.record
    assert record is not None
    local = record.time.astimezone(ZoneInfo("Europe/Zurich"))
    since = next(a.since for a in record.alarms if a.kind == "crash loop").astimezone(ZoneInfo("Europe/Zurich"))
    commands.status(api.folder, as_json=False, quiet=False)
    said = capsys.readouterr().out
    assert f"last cycle {local:%H:%M:%S %Z}, " in said
    assert f"since {since:%H:%M:%S}" in said
    commands.status(api.folder, as_json=True, quiet=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["status"]["mode"], told["status"]["timezone"]) == ("monitor", "Europe/Zurich")
    assert told["status"]["cycle"]["time"] == local.isoformat()
    alarms = {alarm["kind"]: alarm["since"] for alarm in told["status"]["cycle"]["alarms"]}
    assert alarms["crash loop"] == since.isoformat()
    assert {"n4_converter", "n9_meter"} <= told["devices"].keys()


def test_active_needs_somebody_who_confirms_it(api: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="mode active: got no terminal to confirm it on; allowed: --yes"):
        commands.mode(api.folder, Mode.ACTIVE, yes=False, quiet=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    commands.mode(api.folder, Mode.ACTIVE, yes=False, quiet=True)
    assert api.service.mode is Mode.ACTIVE


def test_alarms_are_shown_before_active(api: ServiceUnderTest, capsys: Capsys) -> None:
    api.service.notices["crash loop"] = Finding("crash loop", Severity.ALARM, "service", "an operator has to look")
    api.cycle()
    commands.status(api.folder, as_json=False, quiet=False)
    assert "crash loop service: an operator has to look, since 1" in capsys.readouterr().out
    commands.mode(api.folder, Mode.ACTIVE, yes=True, quiet=False)
    assert "crash loop service: an operator has to look" in capsys.readouterr().out


def test_an_override_and_its_end(api: ServiceUnderTest, capsys: Capsys) -> None:
    commands.mode(api.folder, Mode.ACTIVE, yes=True, quiet=True)
    capsys.readouterr()
    commands.override(api.folder, "n4_converter", commands.override_target(1.5, -0.5, 10.0, end=False), quiet=False)
    assert capsys.readouterr().out == "n4_converter: override 1.5 kW, -0.5 kvar, 600 s left\n"
    commands.override(api.folder, "n4_converter", commands.override_target(None, 0.0, 10.0, end=True), quiet=False)
    assert capsys.readouterr().out == "no overrides\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("n3_converter", "--p", "99"), "within 15 kVA"),
        (("n3_converter", "--p", "1", "--for", "61"), "0 … 60 min"),
        (("n3_converter", "--p", "nan"), "finite powers"),
        (("elsewhere", "--p", "1"), "one of n3_converter"),
        (("n3_converter",), "--p KW or --end"),
        (("n3_converter", "--p", "1", "--end"), "--p KW or --end"),
    ],
)
def test_bad_overrides_are_one_line(api: ServiceUnderTest, capsys: Capsys, words: tuple[str, ...], says: str) -> None:
    ended = gridlab(capsys, "override", *words, "--state", api.folder)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert says in ended.err


def test_the_program_says_what_it_did(api: ServiceUnderTest, capsys: Capsys) -> None:
    assert gridlab(capsys, "mode", "active", "--yes", "--state", api.folder).code == 0
    api.cycle(3)
    assert gridlab(capsys, "status", "--state", api.folder).out.count("remote") == 5
    assert "override 1.5 kW" in gridlab(capsys, "override", "n3_converter", "--p", 1.5, "--state", api.folder).out
    assert gridlab(capsys, "stop", "--state", api.folder).out.count("safe, read back") == 5
    ended = gridlab(capsys, "override", "n3_converter", "--p", 1.5, "--state", api.folder)
    assert (ended.code, ended.err) == (1, "service: asked an override in monitor, allowed in active\n")


def test_bad_input_and_bad_moments_differ(api: ServiceUnderTest) -> None:
    order = OverrideOrder(device="elsewhere", p_kw=1.0, q_kvar=0.0, for_s=60.0)
    with pytest.raises(InputError, match=r'override: device: got "elsewhere"; allowed: one of n3_converter'):
        ask(api.folder, Devices, "override", order)
    with pytest.raises(GridlabError, match="asked an override in monitor, allowed in active") as error:
        ask(api.folder, Devices, "override", order.model_copy(update={"device": "n4_converter"}))
    assert not isinstance(error.value, InputError)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=NO_SERVICE):
        ask(tmp_path, Status, "status")


def test_whoever_has_the_port_of_a_dead_service_sees_no_token(api: ServiceUnderTest, tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps({"port": api.port, "pid": 1}))
    (tmp_path / "lock").touch()
    with pytest.raises(InputError, match=NO_SERVICE):
        ask(tmp_path, Changed, "mode", Lower(mode="off"))


@pytest.mark.parametrize("content", [None, "", "{}", '{"port": "x"}', "[]"])
def test_a_service_that_does_not_listen_yet(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "api.json").write_text(content)
    with (tmp_path / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        with pytest.raises(GridlabError, match=r"api\.json: no address; the service may be starting or stopping"):
            ask(tmp_path, Status, "status")
