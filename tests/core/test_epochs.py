"""Fencing epochs on their ring."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.epochs import LAST, NEAR, NOBODY, later, latest, successor
from drivers.fencing import Fence

epochs = st.integers(1, LAST)


@given(epochs, epochs)
def test_of_two_epochs_one_is_later(one: int, other: int) -> None:
    assert later(one, other) + later(other, one) == (one != other)
    assert later(one, NOBODY)
    assert not later(NOBODY, one)


@given(st.integers(0, 2**32 - 1))
def test_whatever_a_register_holds_has_a_successor_of_sixteen_bits(held: int) -> None:
    assert 1 <= successor(held) <= LAST
    assert later(successor(held), held)


def test_the_ring_closes() -> None:
    assert (successor(NOBODY), successor(1), successor(LAST), successor(2**32 - 1)) == (1, 2, 1, 1)
    assert all(later(after, before) for before, after in pairwise([LAST - 1, LAST, 1, 2]))


@given(epochs, st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_no_device_takes_the_epoch_of_a_service_further_than_a_step_back_would_be(own: int, found: list[int]) -> None:
    """Else a guardian would hold the new service for the one that it has overtaken."""
    following = successor(latest(own, found))
    assert later(following, own)
    assert (following - own) % LAST <= NEAR + 1


@pytest.mark.parametrize("found", [NOBODY, 1, 6, 40_000, LAST, 2**32 - 1])
@given(own=epochs)
def test_a_claim_is_later_than_what_was_found_and_if_there_is_one_also_a_larger_number(found: int, own: int) -> None:
    fence = Fence(own, found)
    assert later(fence.epoch, found)
    assert fence.epoch > found or found >= LAST
    assert not fence.overtaken_by(found)
    assert not fence.overtaken_by(NOBODY)
