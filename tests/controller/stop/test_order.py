"""Orders of an emergency stop, and the permits that they make void."""

import pytest

from controller.stop.order import StopOrder, StopSwitch
from core.devices import Outcome
from core.errors import GridlabError

VERIFIED, UNKNOWN = Outcome.VERIFIED, Outcome.UNKNOWN


def test_a_stop_makes_every_permit_void_and_no_later_one() -> None:
    switch = StopSwitch()
    before = switch.permit()
    before.require()
    switch.trip("somebody")
    after = switch.permit()
    assert (before.valid, after.valid) == (False, True)
    with pytest.raises(GridlabError, match="stopped by the emergency stop in the meantime"):
        before.require()


def test_a_converter_that_was_read_back_as_safe_stays_so() -> None:
    order = StopOrder(1, "somebody")
    order.report({"a": UNKNOWN, "b": UNKNOWN})
    order.report({"a": VERIFIED})
    order.report({"a": UNKNOWN, "b": Outcome.REJECTED})
    assert (dict(order.outcomes), order.unsafe) == ({"a": VERIFIED, "b": Outcome.REJECTED}, {"b"})


def test_an_old_writer_need_not_release_what_a_stop_has_released() -> None:
    switch = StopSwitch()
    old = switch.permit()
    assert not old.released("a")
    switch.trip("somebody").report({"a": VERIFIED, "b": UNKNOWN})
    assert (old.released("a"), old.released("b"), switch.permit().released("a")) == (True, False, False)


def test_listeners_hear_each_order_once_and_are_counted_apart() -> None:
    switch, heard = StopSwitch(), list[int]()
    with switch.heard(lambda order: heard.append(order.number), service=True):
        assert (switch.serving, switch.supervised) == (True, False)
        switch.trip("a")
        with switch.heard(lambda order: heard.append(-order.number)):
            assert switch.supervised
            switch.trip("b")
    switch.trip("c")
    assert (heard, switch.stops, switch.serving) == ([1, 2, -2], 3, False)
