"""The socket of a stop: who is answered, what, and that nothing but a stop can be asked."""

import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from controller.stop.asking import NobodyListensError, ask_to_stop
from controller.stop.channel import CLIENTS_MAX, REQUEST_S, StopExecutor, stop_channel
from controller.stop.order import StopOrder, StopSwitch
from controller.stop.wire import REQUEST, StopProgress, short_path
from core.devices import Outcome

NAME = "stop.sock"


class Releases:
    """Reports two converters, the second one when it may."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def execute(self, order: StopOrder) -> None:
        self.orders.append(order.who)
        order.report({"a": Outcome.VERIFIED, "b": Outcome.UNKNOWN})
        order.report({"b": Outcome.VERIFIED})

    async def close(self) -> None:
        self.orders.append("closed")


class Failing(Releases):
    async def execute(self, order: StopOrder) -> None:
        await super().execute(order)
        if len(self.orders) == 1:
            raise ZeroDivisionError


@pytest.fixture
def switch() -> StopSwitch:
    return StopSwitch()


def answers(state: Path) -> list[StopProgress]:
    return [answer for answer in ask_to_stop(state, NAME) if answer]


def test_a_stop_is_answered_line_by_line(tmp_path: Path, switch: StopSwitch) -> None:
    releases, permit = Releases(), switch.permit()
    with stop_channel(tmp_path, NAME, switch, lambda: releases):
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
        *_, last = answers(tmp_path)
    assert last == StopProgress({"a": Outcome.VERIFIED, "b": Outcome.VERIFIED}, ended=True)
    assert releases.orders == [f"user {os.getuid()}, process {os.getpid()}", "closed"]
    assert not permit.valid
    assert not (tmp_path / NAME).exists()


def test_it_answers_before_what_releases_is_loaded(tmp_path: Path, switch: StopSwitch) -> None:
    permit, loaded = switch.permit(), threading.Event()

    def load() -> StopExecutor:
        loaded.wait(20)
        return Releases()

    with stop_channel(tmp_path, NAME, switch, load):
        asking = ask_to_stop(tmp_path, NAME)
        first = next(answer for answer in asking if answer)
        assert (first, permit.valid) == (StopProgress({}, ended=False), False)
        loaded.set()
        *_, last = (answer for answer in asking if answer)
    assert set(last.outcomes.values()) == {Outcome.VERIFIED}


@pytest.mark.parametrize("said", [b"", b"stop", b"start\n", b"stop\nstop\n", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n"])
def test_nothing_else_can_be_asked(tmp_path: Path, switch: StopSwitch, said: bytes) -> None:
    with (
        stop_channel(tmp_path, NAME, switch, Releases),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
        short_path(tmp_path, NAME) as path,
    ):
        client.settimeout(REQUEST_S + 10)
        client.connect(path)
        client.sendall(said)
        if not said:
            client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""
    assert switch.stops == 0


@pytest.fixture
def silent_clients(tmp_path: Path) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_silent_clients_keep_nobody_out(tmp_path: Path, switch: StopSwitch, silent_clients: ExitStack) -> None:
    with stop_channel(tmp_path, NAME, switch, Releases), short_path(tmp_path, NAME) as path:
        for _ in range(3 * CLIENTS_MAX):
            client = silent_clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.settimeout(10)
            client.connect(path)
        assert answers(tmp_path)[-1].ended


def test_a_process_without_a_free_descriptor_can_be_stopped(tmp_path: Path, switch: StopSwitch) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with stop_channel(tmp_path, NAME, switch, Releases), short_path(tmp_path, NAME) as path, ExitStack() as stack:
        client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012
                while True:
                    stack.enter_context(open(os.devnull))  # noqa: PTH123
            client.connect(path)
            client.sendall(REQUEST)
            client.settimeout(10)
            assert b"verified" in client.makefile("rb").read()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_stop_that_fails_is_ended_and_the_next_one_executed(tmp_path: Path, switch: StopSwitch) -> None:
    releases = Failing()
    with stop_channel(tmp_path, NAME, switch, lambda: releases):
        assert answers(tmp_path)[-1].ended
        assert answers(tmp_path)[-1].ended
    assert len(releases.orders) == 3


def test_a_stop_by_another_way_is_executed_as_well(tmp_path: Path, switch: StopSwitch) -> None:
    with stop_channel(tmp_path, NAME, switch, Releases):
        order = switch.trip("another way")
        while not order.ended:
            pass
    assert set(order.outcomes.values()) == {Outcome.VERIFIED}


def test_in_a_folder_however_deep(tmp_path: Path, switch: StopSwitch) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with stop_channel(deep, NAME, switch, Releases):
        assert answers(deep)[-1].ended


def test_after_a_process_that_was_killed(tmp_path: Path, switch: StopSwitch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead, short_path(tmp_path, NAME) as path:
        dead.bind(path)
    with pytest.raises(NobodyListensError):
        next(ask_to_stop(tmp_path, NAME))
    with stop_channel(tmp_path, NAME, switch, Releases):
        assert answers(tmp_path)[-1].ended


@pytest.mark.parametrize("missing", [".", "nowhere"])
def test_nobody_listens(tmp_path: Path, missing: str) -> None:
    with pytest.raises(NobodyListensError):
        next(ask_to_stop(tmp_path / missing, NAME))
