"""What a planner beyond a socket may say: a plan for the job, an error, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest

from controller.planner.answer import Answer
from controller.planner.planner import SIZE, DayAheadJob, PlannerError, ReplanJob, pickle_frame
from controller.planner.wire import JobRefusal, Reply, decode_answer, encode_reply, without_coordination
from controller.process.clocks import WallClock
from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.errors import CoordinationError, Fault, GridlabError, InputError, SolverError, SolverLicenceError
from core.plan import Plan
from core.scenario import Scenario
from mpc.solvers.quadratic import PIQP
from tests.support.coordination import coordinate
from tests.support.synthetic import scenario

SETTINGS = CoordinationConfig()


@pytest.fixture(scope="module")
def day() -> Scenario:
    return scenario(n_nodes=15, n_prosumers=5)


@pytest.fixture(scope="module")
def answer(day: Scenario) -> Answer:
    return Answer.of(coordinate(day, SETTINGS, WallClock()))


def asked(day: Scenario) -> DayAheadJob:
    return DayAheadJob(day, SETTINGS, PIQP, coordinate=True)


def test_a_plan_without_what_it_came_from(answer: Answer, day: Scenario) -> None:
    assert answer.made
    assert answer.running.computed
    told = decode_answer(encode_reply(Reply(answer, None))[SIZE.size :], asked(day))
    assert (told.made, told.running.computed, told.report) == (None, None, answer.report)


def test_bad_input_comes_back_with_all_its_faults(day: Scenario) -> None:
    faults = (Fault("lab.yaml", "limits.v_min_pu", "2", "less"), Fault("day.csv", "line 3", "", "a number"))
    with pytest.raises(InputError) as caught:
        decode_answer(encode_reply(Reply(None, JobRefusal.of(InputError(faults))))[SIZE.size :], asked(day))
    assert caught.value.faults == faults


@pytest.mark.parametrize("kind", [CoordinationError, SolverError, SolverLicenceError, PlannerError])
def test_an_error_that_callers_know_comes_back_as_itself(day: Scenario, kind: type[GridlabError]) -> None:
    with pytest.raises(GridlabError) as caught:
        decode_answer(encode_reply(Reply(None, JobRefusal.of(kind("no answer from P1"))))[SIZE.size :], asked(day))
    assert (type(caught.value), str(caught.value)) == (kind, "no answer from P1")


def with_series(plan: Plan, name: str, **series: FloatArray) -> Plan:
    """The plan with other series of the prosumer's battery."""
    prosumer = plan.prosumers[name]
    battery = replace(prosumer.resources["battery"], series=series)
    spoiled = replace(prosumer, resources={**prosumer.resources, "battery": battery})
    return replace(plan, prosumers={**plan.prosumers, name: spoiled})


def spoiled(answer: Answer, what: str) -> Answer:
    """An answer with one thing wrong."""
    running = answer.running
    plan, name = running.plan, next(iter(running.plan.prosumers))
    prosumer, agreement = plan.prosumers[name], plan.agreements[name]
    match what:
        case "no finite array":
            plan = with_series(plan, name, soc=np.full_like(prosumer.p_kw, np.nan))
        case "no state of charge":
            plan = with_series(plan, name)
        case "shape":
            signal = replace(agreement.signal, g=agreement.signal.g[1:])
            plan = replace(plan, agreements={**plan.agreements, name: replace(agreement, signal=signal)})
        case "other prosumers":
            plan = replace(plan, prosumers={"N99": prosumer})
        case "steps":
            plan = replace(plan, axis=plan.axis.after(1))
        case "computed for":
            running = replace(running, computed_for=5)
        case "bills":
            bill = replace(running.bills[name], compensation_chf=np.inf)
            running = replace(running, bills={**running.bills, name: bill})
    return replace(answer, running=replace(running, plan=plan))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no finite array", "whose battery soc of .* is no finite array"),
        ("no state of charge", "whose battery soc of .* is no finite array"),
        ("shape", "whose g of .* is no finite array"),
        ("other prosumers", "a plan of other prosumers"),
        ("steps", "a plan of 47 steps"),
        ("computed for", "computed for step 5"),
        ("bills", "whose bills is no finite array"),
    ],
)
def test_an_answer_that_is_no_plan_for_the_job_is_refused(answer: Answer, day: Scenario, what: str, said: str) -> None:
    reply = encode_reply(Reply(spoiled(answer, what), None))[SIZE.size :]
    with pytest.raises(PlannerError, match=f"planner: plan of 2018-06-21: answered by .*{said}"):
        decode_answer(reply, asked(day))


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"answer": null, "refusal": null}',
        b'{"answer": 1, "refusal": null}',
        b"\x80\x05cposix\nsystem\n",
        b'{"answer": null, "refusal": {"kind": "SystemExit", "text": "no", "faults": [], "notes": ""}}',
    ],
)
def test_whatever_a_planner_sends_is_a_plan_or_an_error(reply: bytes, day: Scenario) -> None:
    with pytest.raises(PlannerError):
        decode_answer(reply, asked(day))


def test_a_reply_with_a_coordination_in_it_is_refused(answer: Answer, day: Scenario) -> None:
    reply = json.loads(encode_reply(Reply(answer, None))[SIZE.size :])
    reply["answer"]["running"]["computed"] = {"outcome": 1}
    with pytest.raises(PlannerError, match="no reply of this version"):
        decode_answer(json.dumps(reply).encode(), asked(day))


def test_a_job_is_small(answer: Answer, day: Scenario) -> None:
    """The coordination behind a plan stays where it is."""
    full = ReplanJob(day, 0, {}, 1.0, answer.running, SETTINGS)
    bare = replace(full, running=without_coordination(answer.running))
    assert len(pickle_frame(bare)) < 0.5 * len(pickle_frame(full))
