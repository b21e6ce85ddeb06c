"""What a service manager hears, over real datagram sockets."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.process.systemd import ADDRESS, READY, STOPPING, WATCHDOG, notify, status


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address)
        bound.settimeout(5)
        yield bound


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify")
    monkeypatch.setenv(ADDRESS, path)
    with manager(path) as bound:
        yield bound


def test_a_message_is_one_datagram_of_lines(heard: socket.socket) -> None:
    notify(READY, status("MONITOR, plan of\n2018-06-21"))
    notify(WATCHDOG)
    notify(STOPPING)
    assert [heard.recv(1000) for _ in range(3)] == [
        b"READY=1\nSTATUS=MONITOR, plan of 2018-06-21",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_manager_in_the_abstract_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"gridlab-{tmp_path.name}"
    monkeypatch.setenv(ADDRESS, f"@{name}")
    with manager(f"\0{name}") as bound:
        notify(WATCHDOG)
        assert bound.recv(1000) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", [None, ""])
def test_nobody_asked(address: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    if address is None:
        monkeypatch.delenv(ADDRESS, raising=False)
    else:
        monkeypatch.setenv(ADDRESS, address)
    notify(READY)
    assert not caplog.records


@pytest.mark.parametrize("address", ["/nowhere/notify", "@gridlab-nobody", "/" + "long" * 50])
def test_a_manager_that_is_gone_is_a_line_in_the_log(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ADDRESS, address)
    with caplog.at_level(logging.WARNING):
        notify(WATCHDOG)
    (record,) = caplog.records
    assert f"service manager at {address}: not notified of WATCHDOG=1" in record.message


def test_a_manager_that_does_not_listen_delays_nobody(heard: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    while not caplog.records:
        notify(WATCHDOG, status("x" * 10_000))
    assert "not notified of WATCHDOG=1" in caplog.records[0].message
