"""Exact round trips of what the journal keeps."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from core.arrays import FloatArray
from core.codec import CodecError, decode, encode
from core.plan import BATTERY, SOC, Agreement, Plan, ProsumerPlan, ResourcePlan
from core.prices import DemandProfile, PriceSignal
from core.time import TimeAxis
from mpc.margin import Margin
from realtime.node import NodeState


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Kept:
    at: datetime
    colour: Colour
    pair: tuple[int, str]
    row: tuple[float, ...]
    table: Mapping[str, float | None]
    on: bool


KEPT = Kept(datetime(2018, 6, 21, tzinfo=UTC), Colour.RED, (1, "a"), (0.1, -0.0), {"x": None, "y": 2.5}, on=True)


def filled(kind: type) -> st.SearchStrategy[Any]:
    """A dataclass with every field drawn, defaults too; what a later version adds is covered as well."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: drawn(hints[field.name]) for field in fields(kind)})


def drawn(hint: Any) -> st.SearchStrategy[Any]:
    if get_origin(hint) in (UnionType, Union):
        return st.one_of(*map(drawn, get_args(hint)))
    if is_dataclass(hint) and isinstance(hint, type):
        return filled(hint)
    if get_origin(hint) is tuple:
        return st.lists(drawn(get_args(hint)[0])).map(tuple)
    return st.floats(allow_nan=False) if hint is float else st.from_type(hint)


def through_json(value: object) -> object:
    return json.loads(json.dumps(encode(value), allow_nan=False))


@given(st.dictionaries(st.text(), filled(NodeState), max_size=3))
def test_what_nodes_remember_comes_back_exactly(states: dict[str, NodeState]) -> None:
    assert decode(dict[str, NodeState], through_json(states)) == states


@given(arrays(np.float64, array_shapes(max_dims=3, min_side=0, max_side=3)))
def test_arrays_come_back_exactly(deviations: FloatArray) -> None:
    back = decode(Margin, through_json(Margin(deviations, deviations.ravel()))).deviations_pu
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, deviations, strict=True)
    known = ~np.isnan(deviations)
    assert (np.signbit(back) == np.signbit(deviations))[known].all()


def test_a_margin_that_learned_nothing_keeps_its_nodes() -> None:
    assert decode(Margin, through_json(Margin.unlearned(8))).margin_pu.shape == (8,)


def test_a_plan_comes_back_exactly() -> None:
    axis = TimeAxis(datetime(2018, 6, 20, 22, tzinfo=UTC), 10, 3, "Europe/Zurich")
    p_kw, q_kvar, soc = np.random.default_rng(1).normal(size=(3, 3))
    battery = ResourcePlan(BATTERY, -p_kw, -q_kvar, {SOC: soc}, unphysical_kw=1e-300)
    signal = PriceSignal(np.ones((3, 2, 2)) / 3, np.full((3, 2), np.pi), fee_chf=-0.1)
    plan = Plan(
        axis,
        {"N3": Agreement(signal, DemandProfile(np.zeros((3, 2)), 1e-300))},
        {"N3": ProsumerPlan(p_kw, q_kvar, {"battery": battery}), "N4": ProsumerPlan(p_kw, q_kvar, {})},
    )
    back = decode(Plan, through_json(plan))
    assert back.axis == axis
    assert back.axis.times == axis.times
    np.testing.assert_equal(encode(back), encode(plan))
    assert back.prosumers["N4"].soc is None
    np.testing.assert_array_equal(back.prosumers["N3"].soc, soc)
    np.testing.assert_array_equal(back.prosumers["N3"].battery_kw, p_kw)
    assert back.prosumers["N3"].simultaneous_kw == 1e-300
    np.testing.assert_array_equal(back.agreements["N3"].signal.h, signal.h)


def test_all_kinds_of_fields_come_back() -> None:
    assert decode(Kept, through_json(KEPT)) == KEPT


def test_a_local_time_comes_back_as_the_same_instant() -> None:
    local = replace(KEPT, at=datetime(2018, 10, 28, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Zurich")))
    assert decode(Kept, through_json(local)).at.astimezone(UTC) == datetime(2018, 10, 28, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("at", "2018-06-21T00:00:00", "Kept.at: got .*, allowed a datetime"),
        ("at", "yesterday", "Kept.at"),
        ("at", 3, "Kept.at"),
        ("colour", "blue", "Kept.colour: got .*blue.*, allowed a Colour"),
        ("colour", ["red"], "Kept.colour"),
        ("pair", [1], "Kept.pair: got .*1 items.*, allowed 2"),
        ("pair", [True, "a"], r"Kept.pair\[0\]: got true, allowed a int"),
        ("pair", "1a", "Kept.pair: got .*, allowed a list"),
        ("row", [0.1, "many"], r"Kept.row\[1\]: got .*many.*, allowed a number"),
        ("row", [False], r"Kept.row\[0\]"),
        ("row", [None], r"Kept.row\[0\]: got nothing, allowed a number"),
        ("table", {"y": {}}, r"Kept.table\[y\]: got a section, allowed a number"),
        ("table", [], "Kept.table: got a list, allowed a section"),
        ("on", 1, "Kept.on: got 1, allowed a bool"),
    ],
)
def test_other_types_are_refused_with_their_place(field: str, value: object, complaint: str) -> None:
    with pytest.raises(CodecError, match=complaint):
        decode(Kept, {**decode(dict, encode(KEPT)), field: value})


def test_missing_and_unknown_fields_are_refused() -> None:
    data = decode(dict, encode(KEPT))
    with pytest.raises(CodecError, match="Kept: got .*fields.*"):
        decode(Kept, {**data, "more": 1})
    with pytest.raises(CodecError, match="Kept: got .*fields.*"):
        decode(Kept, {name: value for name, value in data.items() if name != "on"})


@pytest.mark.parametrize(
    "data", [{"shape": [2], "values": [1.0]}, {"shape": [-1, 0], "values": []}, {"values": []}, [1.0], {"shape": 1}]
)
def test_arrays_that_do_not_add_up_are_refused(data: object) -> None:
    with pytest.raises(CodecError, match="deviations_pu"):
        decode(Margin, {"deviations_pu": data})


@pytest.mark.parametrize("value", [object(), {1: 2}, b"x", np.zeros(2, int), datetime(2018, 1, 1), {1, 2}, NodeState])
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(CodecError, match="no JSON form"):
        encode([value])
