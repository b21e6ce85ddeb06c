"""Many requests, or many connections that say nothing, beside cycles of a service that is ACTIVE: fault 27."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.api.rates import Rates
from controller.cli.stopping import stop
from controller.live.connections import CONNECTIONS_MAX
from controller.process.modes import Mode
from realtime.timing import CYCLE_DEADLINE_S
from tests.controller.api.orders import MODE
from tests.support.api import ServiceUnderTest, running

REQUESTS = 2000
JITTER_S = 1.0


async def late_s(seconds: float) -> float:
    """By how much the event loop is late at most, for so long."""
    loop, worst_s = asyncio.get_running_loop(), 0.0
    end_s = loop.time() + seconds
    while loop.time() < end_s:
        due_s = loop.time() + 0.01
        await asyncio.sleep(0.01)
        worst_s = max(worst_s, loop.time() - due_s)
    return worst_s


def cycle_s(here: ServiceUnderTest) -> float:
    began_s = time.monotonic()
    here.cycle()
    return time.monotonic() - began_s


def test_a_flood_neither_delays_a_cycle_nor_changes_anything(tmp_path: Path) -> None:
    with running(tmp_path, Rates()) as here:
        here.set_mode(Mode.ACTIVE)
        here.cycle(3)
        command = [sys.executable, "-m", "tests.controller.api.flood", str(here.port), str(REQUESTS)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
            slowest_s = lag_s = 0.0
            while flood.poll() is None:
                slowest_s = max(slowest_s, cycle_s(here))
                lag_s = max(lag_s, here.do(lambda: late_s(0.1)))
            assert flood.stdout
            statuses = json.load(flood.stdout)
        assert lag_s < JITTER_S
        assert slowest_s < CYCLE_DEADLINE_S / 4
        assert statuses.keys() <= {"0", "200", "401", "404", "429", "503"}
        assert statuses["401"] + statuses["429"] > REQUESTS / 2
        assert (here.service.mode, here.service.overrides) == (Mode.ACTIVE, {})
        notes = here.notes("api")
        assert 1 <= len(notes) < 10
        assert here.notes("emergency stop") == []
        stop(tmp_path, None, quiet=True)
        assert here.service.mode is Mode.MONITOR
        assert here.plant.laboratory.recorder.tally.violations.total() == 0


def test_an_operator_who_asks_too_often_fills_no_disk(tmp_path: Path) -> None:
    admitted, refused = Rates().operator.burst, 100
    with running(tmp_path, Rates()) as here:
        statuses = [here.ask("POST", MODE, {"mode": "monitor"}).status for _ in range(admitted + refused)]
    assert statuses == [200] * admitted + [429] * refused
    notes = here.notes("api")
    assert sum(": 200" in note for note in notes) == admitted
    too_often = [note for note in notes if ": 429" in note]
    assert len(too_often) < 5
    assert sum(int(note.rpartition("× ")[2]) if "×" in note else 1 for note in too_often) == refused


def test_connections_that_say_nothing_keep_no_stop_out(api: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.live.connections.BEGIN_S", 1.0)
    api.set_mode(Mode.ACTIVE)
    with ExitStack() as stack:
        for _ in range(2 * CONNECTIONS_MAX):
            stack.enter_context(socket.create_connection(("127.0.0.1", api.port)))
        stop(api.folder, None, quiet=True)
    assert api.service.mode is Mode.MONITOR
