"""What is refused: no token, a wrong form, from elsewhere, too slowly. Nothing changes, and it is on record."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from controller.api.tokens import Role, token_of
from controller.process.modes import Mode
from tests.controller.api.orders import GETS, MODE, ORDERS, OVERRIDE, STOP, V1
from tests.support.api import ServiceUnderTest


@pytest.mark.parametrize("path", [*GETS, *ORDERS])
@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer {}x", "Bearer x{}", "Bearer é"],
)
def test_without_a_token_nothing(api: ServiceUnderTest, path: str, authorization: str) -> None:
    shown = authorization.format(token_of(api.folder, Role.OPERATOR))
    method = "GET" if path in GETS else "POST"
    answer = api.ask(method, path, ORDERS.get(path), role=None, **({"Authorization": shown} if shown else {}))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert api.service.mode is Mode.MONITOR


def test_a_token_in_the_address_is_none(api: ServiceUnderTest) -> None:
    token = token_of(api.folder, Role.OPERATOR)
    assert api.ask("POST", f"{STOP}?token={token}", {}, role=None).status == 401
    assert api.ask("POST", f"{STOP}?token={token}", {}).status == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (OVERRIDE, {"device": "n4_converter", "p_kw": 99, "q_kvar": 0, "for_s": 60}, 422, "within 15 kVA"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": 1e308, "q_kvar": 1e308, "for_s": 60}, 422, "within 15 kVA"),
        (OVERRIDE, {"device": "elsewhere", "p_kw": 1, "q_kvar": 0, "for_s": 60}, 422, "n3_converter"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": 1, "q_kvar": 0, "for_s": 3601}, 422, "for_s"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": 1, "q_kvar": 0, "for_s": -1}, 422, "for_s"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": "1", "q_kvar": 0, "for_s": 60}, 422, "p_kw"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": True, "q_kvar": 0, "for_s": 60}, 422, "p_kw"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": None, "q_kvar": 0, "for_s": 60}, 422, "p_kw"),
        (OVERRIDE, '{"device": "n4_converter", "p_kw": NaN, "q_kvar": 0, "for_s": 60}', 422, "p_kw"),
        (OVERRIDE, '{"device": "n4_converter", "p_kw": 1e999, "q_kvar": 0, "for_s": 60}', 422, "p_kw"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": 1, "for_s": 60}, 422, "q_kvar"),
        (OVERRIDE, {"device": "n4_converter", "p_kw": 1, "q_kvar": 0, "for_s": 60, "force": 1}, 422, "force"),
        (MODE, {"mode": "on"}, 422, "mode"),
        (MODE, {"mode": "active"}, 422, "nonce"),
        (MODE, {"mode": "off", "nonce": "x"}, 422, "nonce"),
        (MODE, {}, 422, "mode"),
        (MODE, [], 422, "object"),
        (MODE, {"mode": "active", "nonce": "guess"}, 409, "nonce"),
        (MODE, "{", 400, "JSON"),
        (MODE, b"\xff\xfe", 400, "JSON"),
        (MODE, "[" * 4000, 400, "JSON"),
        (MODE, "", 415, "content-type"),
        (STOP, {"now": True}, 422, "now"),
        (STOP, "x" * 5000, 413, "4096"),
    ],
)  # fmt: skip
def test_bad_orders_change_nothing(api: ServiceUnderTest, path: str, body: object, status: int, says: str) -> None:
    frames = api.frames
    headers = {} if body != "" else {"Content-Type": "text/plain"}
    answer = api.ask("POST", path, body, **headers)
    assert answer.status == status
    assert list(answer.body) == ["error"]
    assert says in answer.body["error"]
    assert "\n" not in answer.body["error"]
    assert (api.service.mode, api.frames, api.service.overrides) == (Mode.MONITOR, frames, {})


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", STOP, {}, 405),
        ("PUT", MODE, {}, 405),
        ("OPTIONS", MODE, {}, 405),
        ("POST", f"{V1}/status", {}, 405),
        ("POST", "/", {}, 405),
        ("POST", f"{STOP}/", {}, 405),
        ("GET", f"{V1}/status/", {}, 404),
        ("GET", f"{V1}/elsewhere", {}, 404),
        ("POST", STOP, {"Host": "grid.example"}, 421),
        ("POST", STOP, {"Origin": "http://grid.example"}, 403),
        ("POST", STOP, {"Origin": "null"}, 403),
        ("POST", MODE, {"Content-Type": "text/plain"}, 415),
        ("POST", MODE, {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_bad_requests_change_nothing(
    api: ServiceUnderTest, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    body = {"mode": "off"} if path == MODE and method == "POST" else None
    answer = api.ask(method, path, body, **headers)
    assert answer.status == status
    assert list(answer.body) == ["error"]
    assert api.service.mode is Mode.MONITOR


def test_every_attempt_is_on_record(api: ServiceUnderTest) -> None:
    before = len(api.notes("api"))
    api.ask("POST", MODE, {"mode": "off"})
    api.ask("POST", MODE, {"mode": "active", "nonce": "guess"})
    api.ask("POST", OVERRIDE, {"device": "n4_converter", "p_kw": 99, "q_kvar": 0, "for_s": 60})
    api.ask("POST", STOP, {}, role=None)
    api.ask("GET", "/elsewhere", role=None)
    api.ask("POST", STOP, {})
    notes = "; ".join(api.notes("api")[before:])
    assert f"POST {MODE} by operator: 200 off" in notes
    assert f"POST {MODE} by operator: 409 active nonce: asked one that is not good" in notes
    assert f"POST {OVERRIDE} by operator: 422 'n4_converter' 99 kW" in notes
    assert f"POST {STOP} by nobody: 401" in notes
    assert "GET elsewhere by nobody: 404" in notes
    assert f"POST {STOP} by operator: 200" in notes


def test_what_is_read_leaves_no_line(api: ServiceUnderTest) -> None:
    api.ask("POST", STOP, {})
    before = len(api.notes("api"))
    for path in GETS:
        assert api.ask("GET", path, role=Role.VIEWER).status == 200
    assert len(api.notes("api")) == before


def test_a_connection_that_says_nothing_is_closed(api: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.live.connections.BEGIN_S", 0.2)
    for half in (b"", b"POST /api/v1/stop HTTP/1.1\r\nHost: 127"):
        with closing(socket.create_connection(("127.0.0.1", api.port), timeout=5)) as silent:
            silent.sendall(half)
            assert silent.recv(100) == b""


def test_a_body_that_does_not_come_is_not_waited_for(api: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.api.app.BODY_S", 0.2)
    token = token_of(api.folder, Role.OPERATOR)
    head = f"POST {MODE} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: 20\r\n\r\n{{"
    with closing(socket.create_connection(("127.0.0.1", api.port), timeout=5)) as slow:
        slow.sendall(head.encode())
        assert slow.recv(12) == b"HTTP/1.1 408"


def test_no_token_is_written_anywhere_but_in_its_file(api: ServiceUnderTest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    tokens = [token_of(api.folder, role) for role in Role]
    for token in tokens:
        api.ask("POST", f"{STOP}?token={token}", {}, role=None, Authorization=f"Basic {token}")
        api.ask("POST", OVERRIDE, "{", Authorization=f"Bearer {token}")
    api.ask("POST", STOP)
    found = [path for path in sorted(api.folder.rglob("*")) if path.is_file() and holds(path, tokens)]
    assert found == [api.folder / "tokens" / "operator", api.folder / "tokens" / "viewer"]
    assert not any(token in caplog.text for token in tokens)


def holds(path: Path, tokens: list[str]) -> bool:
    content = path.read_bytes()
    return any(token.encode() in content for token in tokens)
