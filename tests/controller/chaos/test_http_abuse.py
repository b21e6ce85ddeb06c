"""Requests that a real service must refuse, and the complaints if it grants one."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from controller.api.tokens import Role, token_of
from controller.chaos.injections.http_abuse import WatchedState, changed, jitter, unrecorded
from controller.chaos.invalid_requests import HUGE, KINDS, MODE, OVERRIDE, InvalidRequests, bearer, json_request
from controller.chaos.raw_http import CUT_OFF, HttpAnswer, HttpRequest, concurrently, leave_unfinished, send_request
from controller.process.modes import Mode
from tests.support.api import ServiceUnderTest, running

CONVERTERS = ("n3_converter", "n4_converter")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service


def invalid(here: ServiceUnderTest, seed: int = 0) -> InvalidRequests:
    return InvalidRequests(Random(seed), {role: token_of(here.folder, role) for role in Role}, CONVERTERS)


async def asked(here: ServiceUnderTest, attempts: list[HttpRequest]) -> list[HttpAnswer]:
    return [await send_request(here.port, request) for request in attempts]


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.ACTIVE])
async def test_every_forgery_is_refused_on_record_and_without_effect(here: ServiceUnderTest, mode: Mode) -> None:
    here.set_mode(mode)
    made = invalid(here)
    attempts = [*made.replayed("once"), *made.unauthorised(), *made.meaningless(mode)]
    attempts += [request for kind in KINDS for request in made.flood(kind)[:5]]
    answers = await asked(here, attempts)
    wrong = [a.audit_text(answer.status) for a, answer in zip(attempts, answers, strict=True) if not answer.refused]
    assert [line for line in wrong if not line.endswith(f": {CUT_OFF}")] == []
    assert (here.service.mode, here.service.overrides) == (mode, {})
    an_operators = json_request(MODE, {}, bearer(token_of(here.folder, Role.OPERATOR)))
    await asked(here, [an_operators])  # records all the others too
    seen = Counter(a.audit_text(answer.status) for a, answer in zip(attempts, answers, strict=True) if answer.status)
    assert unrecorded(seen, here.folder / "audit.jsonl") == []


def test_forgeries_come_from_the_seed(here: ServiceUnderTest) -> None:
    assert invalid(here, 1).unauthorised() == invalid(here, 1).unauthorised()
    assert invalid(here, 1).unauthorised() != invalid(here, 2).unauthorised()


async def test_what_is_good_but_for_its_sender_is_done_for_an_operator(here: ServiceUnderTest) -> None:
    here.set_mode(Mode.ACTIVE)
    operator = bearer(token_of(here.folder, Role.OPERATOR))
    for end in (300.0, 0.0):
        content = {"device": "n3_converter", "p_kw": 1.0, "q_kvar": 0.0, "for_s": end}
        (answer,) = await asked(here, [json_request(OVERRIDE, content, operator)])
        assert (answer.status, answer.refused) == (200, False)
    assert here.service.overrides == {}, "0 s has ended it"


async def test_an_unfinished_request_is_given_up(here: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.live.connections.BEGIN_S", 0.5)
    monkeypatch.setattr("controller.api.app.BODY_S", 0.2)

    async def ended() -> list[bool]:
        begun = ((b"", False), (b"GET ", True))
        return [await leave_unfinished(here.port, half, drip=drip) for half, drip in begun]

    assert (await ended()) == [True, True]
    assert {answer.status for answer in await asked(here, invalid(here).unfinished())} == {408}


async def test_a_service_that_waits_for_ever_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.chaos.raw_http.ANSWER_S", 0.2)

    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def lingered() -> bool:
        server = await asyncio.start_server(patient, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            with pytest.raises(TimeoutError):
                await send_request(port, HttpRequest("POST", MODE))
            return await leave_unfinished(port, b"GET ", drip=True)
        finally:
            server.close()
            await server.wait_closed()

    assert (await lingered()) is False


async def test_who_hangs_up_gives_no_status() -> None:
    async def status() -> int:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        try:
            return (
                await send_request(server.sockets[0].getsockname()[1], HttpRequest("POST", MODE, b"x" * HUGE))
            ).status
        finally:
            server.close()
            await server.wait_closed()

    assert (await status()) == CUT_OFF


async def test_what_goes_on_meanwhile_is_waited_for_and_ends_with_a_failure() -> None:
    done = []

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(seconds)

    async with concurrently(work(0.01), work(0.02)):
        pass
    with pytest.raises(ValueError, match="at once"):
        async with concurrently(work(60.0)):
            raise ValueError("at once")
    assert done == [0.01, 0.02]


def test_attempts_that_are_missing_on_record_are_found(tmp_path: Path) -> None:
    trail = tmp_path / "audit.jsonl"
    details = (
        "POST /api/v1/stop by nobody: 401 × 3; other method /api/v1/mode by nobody: 405",
        "POST /api/v1/override by operator: 422 'a' 1 kW × 9; POST /api/v1/stop by nobody: 401",
    )
    line = '{{"seq": {}, "time": "2018-06-21T10:00:00+00:00", "event": "api", "detail": "{}", "schema_version": 1}}\n'
    trail.write_text("".join(line.format(k, detail) for k, detail in enumerate(details, 1)))
    there = {
        "POST /api/v1/stop by nobody: 401": 4,
        "other method /api/v1/mode by nobody: 405": 1,
        "POST /api/v1/override by operator: 422": 1,
    }
    assert unrecorded(Counter(there), trail) == []
    more = Counter({**there, "POST /api/v1/stop by nobody: 401": 6, "POST /api/v1/stop by viewer: 403": 1})
    assert unrecorded(more, trail) == [
        "POST /api/v1/stop by nobody: 401 × 2 not on record",
        "POST /api/v1/stop by viewer: 403 × 1 not on record",
    ]


def test_a_change_and_a_late_cycle_are_complained_of() -> None:
    before, after = WatchedState("active", ("a",), {"c": (1.0, 0.0)}, 4), WatchedState("monitor", ("a",), {}, 4)
    assert changed(before, before) == []
    assert changed(before, after) == ["mode: active, then monitor", "overrides: {'c': (1.0, 0.0)}, then {}"]
    assert jitter([0.1, 0.2, 9.0], [0.2, 1.1]) == []
    assert jitter([0.1, 0.2, 9.0], [0.2, 1.3]) == ["a cycle took 1.10 s longer, allowed 1 s"]
