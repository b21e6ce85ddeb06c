"""What may be asked over HTTP, by whom, and what becomes of it: the real service behind the real server."""

import errno
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from controller.api.tokens import Role
from controller.process.modes import Mode
from tests.controller.api.orders import ARM, GETS, MODE, ORDERS, OVERRIDE, STOP
from tests.support.api import ServiceUnderTest, running
from tests.support.laboratory import wait_for

CONVERTERS = {f"n{k}_converter" for k in (3, 4, 5, 7, 9)}


def activate(api: ServiceUnderTest) -> None:
    nonce = api.ask("POST", ARM).body["nonce"]
    assert api.ask("POST", MODE, {"mode": "active", "nonce": nonce}).status == 200


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A service that nobody spoke to: its plan is new."""
    with running(tmp_path) as here:
        here.set_mode(Mode.MONITOR)
        yield here


def test_what_a_viewer_reads(fresh: ServiceUnderTest) -> None:
    fresh.cycle(4)
    status, devices, plan = (fresh.ask("GET", path, role=Role.VIEWER).body for path in GETS)
    assert status["mode"] == "monitor"
    assert status["plan_id"] == plan["ruling"]["plan_id"] == plan["day_ahead"]
    assert status["cycle"]["alarms"] == []
    assert status["check"]["worst_pu"] < 0.01
    assert devices["devices"].keys() > CONVERTERS
    assert {device["quality"] for device in devices["devices"].values()} == {"good"}
    assert devices["overrides"] == {}
    first, second = map(datetime.fromisoformat, plan["ruling"]["times"][:2])
    assert first <= fresh.clock.now() < second
    steps = {len(p["p_kw"]) for p in plan["ruling"]["prosumers"].values()}
    assert steps == {len(plan["ruling"]["times"])}


@pytest.mark.parametrize("path", ORDERS)
def test_a_viewer_commands_nothing(api: ServiceUnderTest, path: str) -> None:
    answer = api.ask("POST", path, ORDERS[path], role=Role.VIEWER)
    assert (answer.status, answer.body) == (403, {"error": f"{path}: asked by viewer, allowed for operator"})
    assert api.service.mode is Mode.MONITOR


def test_active_is_armed_and_confirmed(api: ServiceUnderTest) -> None:
    before = api.frames
    armed = api.ask("POST", ARM).body
    assert armed["expires_s"] == 30.0
    assert armed["warnings"] == ["no cycle since the mode last changed: no device was looked at"]
    assert api.service.mode is Mode.MONITOR
    order = {"mode": "active", "nonce": armed["nonce"]}
    assert api.ask("POST", MODE, order).body == {"mode": "active", "released": {}}
    assert api.service.mode is Mode.ACTIVE
    api.cycle(3)
    assert api.frames > before
    assert api.ask("POST", ARM).status == 409
    released = api.ask("POST", MODE, {"mode": "monitor"}).body["released"]
    assert released == dict.fromkeys(sorted(CONVERTERS), "verified")
    replay = api.ask("POST", MODE, order)
    assert replay.status == 409
    assert "once, within 30 s" in replay.body["error"]
    assert api.service.mode is Mode.MONITOR


def test_an_arming_expires(api: ServiceUnderTest) -> None:
    nonce = api.ask("POST", ARM).body["nonce"]
    api.wait(30.0)
    assert api.ask("POST", MODE, {"mode": "active", "nonce": nonce}).status == 409
    assert api.service.mode is Mode.MONITOR


@pytest.mark.parametrize(("path", "order"), [(MODE, {"mode": "off"}), (STOP, {}), (ARM, {})])
def test_whatever_comes_between_takes_an_arming_back(api: ServiceUnderTest, path: str, order: object) -> None:
    nonce = api.ask("POST", ARM).body["nonce"]
    assert api.ask("POST", path, order).status == 200
    assert api.ask("POST", MODE, {"mode": "active", "nonce": nonce}).status == 409
    assert api.service.mode is not Mode.ACTIVE


def test_an_arming_is_good_in_its_mode_only(api: ServiceUnderTest) -> None:
    nonce = api.ask("POST", ARM).body["nonce"]
    api.set_mode(Mode.OFF)
    assert api.ask("POST", MODE, {"mode": "active", "nonce": nonce}).status == 409
    assert api.service.mode is Mode.OFF


def test_an_override_moves_a_converter_and_ends(api: ServiceUnderTest) -> None:
    assert api.ask("POST", OVERRIDE, ORDERS[OVERRIDE]).status == 409, "not ACTIVE"
    activate(api)
    api.cycle(3)
    order = {"device": "n4_converter", "p_kw": -1.5, "q_kvar": 1, "for_s": 600}
    standing = api.ask("POST", OVERRIDE, order).body["overrides"]
    assert standing == {"n4_converter": {"p_kw": -1.5, "q_kvar": 1.0, "left_s": 600.0}}
    api.cycle(3)
    told = api.plant.laboratory.converters["n4_converter"].state.setpoint_kva
    assert told.real == pytest.approx(-1.5, abs=0.01)
    assert api.ask("POST", OVERRIDE, {**order, "for_s": 0}).body["overrides"] == {}
    assert any("n4_converter: -1.5 kW" in note and "operator over HTTP" in note for note in api.notes("override"))


def test_a_stop_needs_no_body(api: ServiceUnderTest) -> None:
    activate(api)
    api.cycle(3)
    stopped = api.ask("POST", STOP)
    assert stopped.body == {"mode": "monitor", "released": stopped.body["released"]}
    again = api.ask("POST", STOP).body
    assert (again["mode"], set(again["released"].values())) == ("monitor", {"verified"}), "read back once more"
    assert api.notes("emergency stop")[-2:] == ["operator over HTTP"] * 2


def test_a_stop_does_not_wait_for_the_cycle_under_way(api: ServiceUnderTest) -> None:
    activate(api)
    api.cycle(3)
    with ThreadPoolExecutor() as pool:
        with api.under_way():
            stopping = pool.submit(api.ask, "POST", STOP)
            wait_for(lambda: modes(api) == {"SAFE"}, 5)
        assert stopping.result(30).body["mode"] == "monitor"


def test_a_stop_during_an_activation_wins(api: ServiceUnderTest) -> None:
    nonce = api.ask("POST", ARM).body["nonce"]
    with ThreadPoolExecutor() as pool:
        with api.under_way():
            activation = pool.submit(api.ask, "POST", MODE, {"mode": "active", "nonce": nonce})
            wait_for(lambda: api.waiting == 1, 5)
            assert api.ask("POST", STOP).status == 200
        refused = activation.result(30)
    assert (refused.status, "emergency stop" in refused.body["error"]) == (409, True)
    assert api.service.mode is Mode.MONITOR


def test_without_an_audit_trail_nothing_but_what_is_safe(
    api: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(api)
    api.cycle(3)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert api.ask("POST", OVERRIDE, ORDERS[OVERRIDE]).status == 503
    assert api.ask("POST", STOP).body["mode"] == "monitor"
    assert modes(api) == {"SAFE"}
    nonce = api.ask("POST", ARM).body["nonce"]
    refused = api.ask("POST", MODE, {"mode": "active", "nonce": nonce})
    assert (refused.status, "No space left" in refused.body["error"]) == (503, True)
    assert api.ask("POST", MODE, {"mode": "off"}).body["mode"] == "off"
    monkeypatch.undo()
    before = len(api.notes("api"))
    api.ask("POST", STOP)
    assert "503" in api.notes("api")[before]


def test_the_address_of_the_service_is_in_its_folder(api: ServiceUnderTest) -> None:
    assert json.loads((api.folder / "api.json").read_text()) == {"port": api.port, "pid": os.getpid()}


def modes(api: ServiceUnderTest) -> set[str]:
    return {converter.state.mode.name for converter in api.plant.laboratory.converters.values()}
