"""A laboratory to which anything may happen in any order stays safe; see :mod:`tests.state_machine.machine`."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.state_machine.conductor import Shared
from tests.state_machine.ledger import FOREIGN
from tests.state_machine.machine import CHEAP, COSTLY, Laboratory
from tests.state_machine.profiles import PROOF, SHORT
from tests.state_machine.world import hastened, planner_unit

OPERATIONS = {
    *("cycle", "poll", "guard", "heal", "struck", "kill", "stop", "start", "hang", "replan", "jump"),
    *("fill_disk", "lock_journal", "die_of_a_stop", "start_and_stop"),
    *("set_mode", "override", "emergency_stop", "down", "frozen", *COSTLY, *FOREIGN),
}
ROUNDS_MORE = 5
REACHED = {SHORT: OPERATIONS, PROOF: OPERATIONS | {*CHEAP}}


@pytest.fixture
def shared() -> Iterator[Shared]:
    with hastened(), asyncio.Runner() as runner:
        planner = planner_unit()
        Laboratory.shared = Shared(runner, runner.run(planner.__aenter__()))
        yield Laboratory.shared
        runner.run(planner.__aexit__(None, None, None))


def test_anything_may_happen_in_any_order(shared: Shared) -> None:
    """On a busy machine late answers lead elsewhere, so that a few more examples may be needed to try everything."""
    profile = PROOF if settings.get_current_profile_name() == PROOF else SHORT
    run_state_machine_as_test(Laboratory, settings=settings.get_profile(profile))
    few_more = settings(settings.get_profile(profile), max_examples=4, derandomize=False)
    for _ in range(ROUNDS_MORE):
        if REACHED[profile] <= shared.reached.keys():
            break
        run_state_machine_as_test(Laboratory, settings=few_more)
    missed = REACHED[profile] - shared.reached.keys()
    assert not missed, f"never tried: {missed}"
