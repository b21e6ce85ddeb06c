"""How often a device is tried, what is said of it, and what is known after a write."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from core.devices import Outcome
from drivers.exchange import (
    BadAnswerError,
    Breaker,
    BreakerState,
    ExchangeError,
    Exchanges,
    NoAnswerError,
    RefusedError,
    Timing,
)
from tests.support.drivers import ManualClock


def test_breaker_opens_on_failure_and_lets_one_attempt_decide() -> None:
    clock = ManualClock()
    breaker = Breaker(clock, pause_s=1.0)
    assert breaker.admits()
    assert breaker.admits(), "closed: whoever wants"
    breaker.failed()
    assert (breaker.state, breaker.admits()) == (BreakerState.OPEN, False)
    clock.move(1.0)
    assert (breaker.state, breaker.admits()) == (BreakerState.HALF_OPEN, True)
    assert not breaker.admits(), "half-open: one"
    clock.move(1.0)
    assert breaker.admits()
    breaker.succeeded()
    assert (breaker.state, breaker.admits()) == (BreakerState.CLOSED, True)


async def test_device_is_reported_once_when_lost_and_once_when_back(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        clock = ManualClock()
        exchanges = Exchanges("n4", clock, Timing())
        for _ in range(3):
            with pytest.raises(BadAnswerError):
                async with exchanges.attempt():
                    raise BadAnswerError("n4: gibberish")
            with pytest.raises(NoAnswerError, match="n4: left alone after: n4: gibberish"):
                async with exchanges.attempt():
                    raise AssertionError("not tried")
            clock.move(1.0)
        for _ in range(3):
            async with exchanges.attempt():
                exchanges.report(None)

    caplog.set_level(logging.INFO)
    await test()
    assert caplog.messages == ["n4: lost: n4: gibberish", "n4: back"]


async def test_an_urgent_attempt_does_not_wait_for_the_end_of_the_pause() -> None:
    exchanges = Exchanges("n4", ManualClock(), Timing())
    for _ in range(2):
        with pytest.raises(BadAnswerError):
            async with exchanges.attempt(urgent=True):
                raise BadAnswerError("n4: gibberish")
    assert await exchanges.write_and_verify(done(True), done(True), urgent=True) is Outcome.VERIFIED  # type: ignore[arg-type]


async def test_exchange_ends_at_its_deadline() -> None:
    exchanges = Exchanges("n4", ManualClock(), Timing(exchange_s=0.01))
    with pytest.raises(NoAnswerError, match=r"n4: no answer within 0\.01 s"):
        async with exchanges.attempt():
            await asyncio.Event().wait()
    assert exchanges.breaker.state is BreakerState.OPEN


async def test_cancelled_exchange_says_nothing_of_the_device() -> None:
    exchanges = Exchanges("n4", ManualClock(), Timing())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await exchanges.write_and_verify(asyncio.Event().wait, lambda: done(True)())  # type: ignore[arg-type]
    assert exchanges.breaker.state is BreakerState.CLOSED


def done(result: bool | ExchangeError) -> Callable[[], Awaitable[bool]]:
    async def act() -> bool:
        if isinstance(result, ExchangeError):
            raise result
        return result

    return act


@pytest.mark.parametrize(
    ("send", "holds", "outcome"),
    [
        (True, True, Outcome.VERIFIED),
        (True, False, Outcome.REJECTED),
        (True, NoAnswerError("?"), Outcome.UNKNOWN),
        (RefusedError("no"), False, Outcome.REJECTED),
        (RefusedError("no"), NoAnswerError("?"), Outcome.UNKNOWN),
        (NoAnswerError("?"), True, Outcome.VERIFIED),
        (NoAnswerError("?"), False, Outcome.UNKNOWN),
        (NoAnswerError("?"), NoAnswerError("?"), Outcome.UNKNOWN),
        (BadAnswerError("?"), False, Outcome.UNKNOWN),
        (True, RefusedError("no"), Outcome.UNKNOWN),
    ],
)
async def test_what_is_known_after_a_write(
    send: bool | ExchangeError, holds: bool | ExchangeError, outcome: Outcome
) -> None:
    async def test() -> Outcome:
        async def sent() -> None:
            await done(send)()

        return await Exchanges("n4", ManualClock(), Timing()).write_and_verify(sent, done(holds))

    assert (await test()) is outcome
