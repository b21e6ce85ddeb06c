"""``gridlab stop`` in a process with the service: whom it asks, what it prints, how it ends."""

from collections.abc import Generator
from pathlib import Path

import pytest

from controller.api import client, stopping
from controller.cli import requests
from controller.cli.stopping import stop
from controller.process.modes import Mode
from controller.stop.asking import NobodyListensError
from controller.stop.wire import GUARDIAN_SOCKET, SERVICE_SOCKET, StopProgress
from core.devices import Outcome
from core.errors import GridlabError, InputError
from tests.support.api import ServiceUnderTest

Capsys = pytest.CaptureFixture[str]
SAFE = {"a": Outcome.VERIFIED, "b": Outcome.VERIFIED}
HALF = {"a": Outcome.VERIFIED, "b": Outcome.UNKNOWN}


@pytest.fixture
def active(api: ServiceUnderTest, capsys: Capsys) -> ServiceUnderTest:
    requests.mode(api.folder, Mode.ACTIVE, yes=True, quiet=True)
    api.cycle(3)
    capsys.readouterr()
    return api


def test_everything_is_released(active: ServiceUnderTest, capsys: Capsys) -> None:
    stop(active.folder, None, quiet=False)
    said = capsys.readouterr().out
    assert said.startswith("stopped: no setpoint is sent until an operator says ACTIVE")
    assert said.count("safe, read back") == 5
    assert active.service.mode is Mode.MONITOR
    stop(active.folder, None, quiet=True)
    assert capsys.readouterr().out == ""


def test_a_nonce_of_before_is_void(api: ServiceUnderTest) -> None:
    nonce = api.ask("POST", "/api/v1/mode/arm").body["nonce"]
    stop(api.folder, None, quiet=True)
    assert api.ask("POST", "/api/v1/mode", {"mode": "active", "nonce": nonce}).status == 409
    assert api.service.mode is Mode.MONITOR


def test_an_activation_under_way_is_void(api: ServiceUnderTest) -> None:
    permit = api.service.permit()
    with api.under_way():
        waiting = api.do_later(lambda: api.service.set_mode(Mode.ACTIVE, permit=permit))
        stop(api.folder, None, quiet=True)
    with pytest.raises(GridlabError, match="stopped by the emergency stop in the meantime"):
        waiting.result(30)
    assert api.service.mode is Mode.MONITOR


def test_a_cycle_under_way_holds_nothing_up(active: ServiceUnderTest) -> None:
    with active.under_way():
        stop(active.folder, None, quiet=True)
        assert {c.state.mode.name for c in active.plant.laboratory.converters.values()} == {"SAFE"}


def denied(_: Path, __: str) -> Generator[None, None, None]:
    raise PermissionError
    yield


def test_without_access_to_the_socket_it_asks_by_http(
    active: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "ask_to_stop", denied)
    answers = [(429, b'{"error": "operator: asked too often"}'), (503, b"Service Unavailable")]
    exchange = client._exchange
    monkeypatch.setattr(client, "_exchange", lambda *given: answers.pop() if answers else exchange(*given))
    stop(active.folder, None, quiet=True)
    assert (answers, active.service.mode) == ([], Mode.MONITOR)


class Parties:
    """Replaces the sockets: what each of them answers."""

    def __init__(self, **answers: list[StopProgress | None] | None) -> None:
        self.answers, self.asked = answers, list[str]()

    def __call__(self, _: Path, name: str) -> Generator[StopProgress | None, None, None]:
        who = {SERVICE_SOCKET: "service", GUARDIAN_SOCKET: "guardian"}[name]
        self.asked.append(who)
        if (answers := self.answers[who]) is None:
            raise NobodyListensError(name)
        yield from answers
        while answers and not (answers[-1] and answers[-1].ended):
            yield None


def outcomes_of(folder: Path, monkeypatch: pytest.MonkeyPatch, parties: Parties) -> dict[str, Outcome]:
    (folder / "converters.json").touch()
    monkeypatch.setattr(stopping, "ask_to_stop", parties)
    for name, limit_s in (("LISTENS_S", 0.1), ("ANSWERS_S", 0.2), ("SAFE_S", 0.3), ("DIRECT_SAFE_S", 0.4)):
        monkeypatch.setattr(stopping, name, limit_s)
    monkeypatch.setattr(stopping, "END_S", 1.0)
    return dict(stopping.Stopping(folder, None, dict, lambda _: None).run())


def ended(outcomes: dict[str, Outcome]) -> StopProgress:
    return StopProgress(outcomes, ended=True)


def test_a_service_that_does_it_is_asked_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parties = Parties(service=[StopProgress({}, ended=False), ended(SAFE)], guardian=None)
    assert outcomes_of(tmp_path, monkeypatch, parties) == SAFE
    assert parties.asked == ["service"]


@pytest.mark.parametrize("service", [None, [None], [StopProgress(HALF, ended=False)], [StopProgress({}, False)]])
def test_the_guardian_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: list[StopProgress | None] | None
) -> None:
    parties = Parties(service=service, guardian=[ended(SAFE)])
    assert outcomes_of(tmp_path, monkeypatch, parties) == SAFE
    assert parties.asked == ["service", "guardian"]


def test_what_nobody_can_reach_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parties = Parties(service=[StopProgress(HALF, ended=False)], guardian=None)
    assert outcomes_of(tmp_path, monkeypatch, parties) == HALF


def test_nobody_answers_and_the_converters_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GridlabError, match="converters unknown; name the configuration by --config; use the switches"):
        outcomes_of(tmp_path, monkeypatch, Parties(service=[None], guardian=None))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--state: got \S+; allowed: .* or --config"):
        stop(tmp_path / "elsewhere", None, quiet=True)
