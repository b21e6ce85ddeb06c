"""What the parties learn of each other: the declared fields of their messages, and nothing else."""

import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from core.algorithms import SplittingName
from core.config_coordination import CoordinationConfig
from core.network import GridLimits, Network
from core.prices import DemandProfile, PriceSignal, Tariff, VoltageSlope
from core.resources import Outlook
from core.scenario import Scenario
from core.time import TimeAxis
from mpc.coordination.nodes import Message
from tests.mpc.coordination.star.recording import overhear, prosumer_nodes
from tests.support.paths import ROOT
from tests.support.synthetic import scenario, site_with

GRID = scenario(step_min=60)
STEPS = GRID.axis.n_steps
NAMES = {site.name for site in GRID.sites}

each_splitting = pytest.mark.parametrize("splitting", SplittingName)


def settings(splitting: SplittingName) -> CoordinationConfig:
    return CoordinationConfig.model_validate({"splitting": splitting, "max_iterations": 40})


def check_array(array: object, *shape: int) -> None:
    """Numbers of this shape, and no view into something larger."""
    assert type(array) is np.ndarray
    assert array.dtype == np.float64
    assert array.shape == shape
    assert array.base is None or (type(array.base) is np.ndarray and array.base.size <= array.size)


def check_fields(message: object, **types: type) -> None:
    """Exactly these attributes, by declaration and in fact."""
    assert [f.name for f in fields(message)] == list(types)  # type: ignore[arg-type]
    assert vars(message).keys() == types.keys()
    for name, expected in types.items():
        assert type(getattr(message, name)) is expected


@each_splitting
def test_messages_hold_the_declared_fields_only(splitting: SplittingName) -> None:
    _, record = overhear(GRID, settings(splitting))
    assert len(record) > 40
    for message in record:
        to_operator = message.receiver == "operator"
        body_type = DemandProfile if to_operator else PriceSignal
        check_fields(message, sender=str, receiver=str, question=int, body=body_type)
        if to_operator:
            assert message.sender in NAMES
            check_fields(
                message.body, x=np.ndarray, cost_chf=float, above_restricted_chf=float, above_relaxed_chf=float
            )
            check_array(message.body.x, STEPS, 2)
        else:
            assert message.sender == "operator"
            slope = type(message.body.slope)
            assert slope in (VoltageSlope, type(None))
            check_fields(message.body, h=np.ndarray, g=np.ndarray, fee_chf=float, slope=slope)
            check_array(message.body.h, STEPS, 2, 2)
            check_array(message.body.g, STEPS, 2)
            if message.body.slope:
                check_fields(message.body.slope, v_low_pu=float, v_high_pu=float, kw_per_pu=float, kvar_per_pu=float)


@each_splitting
def test_prosumers_hear_and_tell_the_operator_only(splitting: SplittingName) -> None:
    _, record = overhear(GRID, settings(splitting))
    pairs = {frozenset((message.sender, message.receiver)) for message in record}
    assert pairs == {frozenset(("operator", name)) for name in NAMES}


def test_the_public_problem_names_prosumers_and_their_nodes_only() -> None:
    problem = GRID.problem
    check_fields(
        problem, axis=TimeAxis, network=Network, limits=GridLimits, slack_voltage_pu=np.ndarray, tariff=Tariff,
        nodes=dict, margin_pu=float, reactive_margin_kvar=float, feeders=tuple,
    )  # fmt: skip
    assert problem.nodes == {site.name: site.node for site in GRID.sites}


@pytest.mark.parametrize("module", ["mpc.day_ahead", "mpc.coordination.star.operator", "mpc.grid.projection"])
def test_who_coordinates_imports_nothing_that_prosumers_own(module: str) -> None:
    """Directly or through others; the contract "Privacy" of import-linter says the same of all such modules."""
    private = ["core.resources", "core.scenario", "core.config", "mpc.resources", "mpc.prosumer", "mpc.forecast"]
    found = f"import sys, {module}; print([name for name in {private} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@each_splitting
def test_the_operator_knows_no_more_of_prosumers_than_their_places(splitting: SplittingName) -> None:
    """It comes to the same prices when all it could know of assets and forecasts is taken from it."""
    blank = Outlook(*np.full((3, STEPS), np.nan))
    places = tuple(site_with(site.name, site.node, blank) for site in GRID.sites)
    outcome, record = overhear(GRID, settings(splitting))
    blind, blind_record = overhear(GRID, settings(splitting), known_to_operator=replace(GRID, sites=places))
    assert blind.gap_rel == outcome.gap_rel
    assert len(blind_record) == len(record)
    for one, other in zip(record, blind_record, strict=True):
        assert (one.sender, one.receiver, one.question) == (other.sender, other.receiver, other.question)
        for name in vars(one.body):
            np.testing.assert_array_equal(getattr(one.body, name), getattr(other.body, name))


def test_a_prosumer_knows_nothing_of_the_grid() -> None:
    """Its answers depend on the signal alone, not on where it stands or who else is there."""
    _, record = overhear(GRID, settings("profile"))
    moved: Scenario = replace(GRID, sites=GRID.sites[:1])
    questions = [m for m in record if m.receiver == "P0"]
    answers = {m.question: m.body for m in record if m.sender == "P0"}
    for message in replay(moved, questions):
        np.testing.assert_array_equal(message.body.x, answers[message.question].x)


def replay(grid: Scenario, questions: list[Message]) -> list[Message]:
    (node,) = prosumer_nodes(grid)
    return [answer for question in questions for answer in node.react([question])]
