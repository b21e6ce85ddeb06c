"""What passes the socket of a planner: a job one way, a plan for it or an error the other, and nothing else."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from controller.planner.answer import Answer
from controller.planner.planner import SIZE, DayAheadJob, Job, PlannerError, ReplanJob
from controller.planner.wire import (
    JobRefusal,
    Reply,
    decode_answer,
    decode_job,
    encode_job,
    encode_reply,
    without_coordination,
)
from controller.process.clocks import WallClock
from core.arrays import FloatArray
from core.codec import encode
from core.config_coordination import CoordinationConfig
from core.errors import CoordinationError, Fault, GridlabError, InputError, SolverError, SolverLicenceError
from core.plan import Plan
from core.prices import VoltageSlope
from core.scenario import Scenario
from mpc.forecast import Observed
from mpc.solvers.quadratic import PIQP
from tests.support.coordination import coordinate
from tests.support.fuzz.findings import dice
from tests.support.fuzz.mutants import altered
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
        case "slope":
            signal = replace(agreement.signal, slope=VoltageSlope(0.95, 1.05, -40.0, 60.0))
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
        ("slope", "a plan whose voltage slopes are none"),
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


@pytest.fixture(scope="module")
def rest(day: Scenario, answer: Answer) -> ReplanJob:
    """A job with a resource of every kind, a plan, and numbers that text could round."""
    seen = {site.name: Observed(0.1 + 0.2, -0.0, 1e-300, None if k else 1 / 3) for k, site in enumerate(day.sites)}
    margin = np.linspace(0.0, 1e-3, len(day.network.nodes) - 1)
    return ReplanJob(replace(day, margin_pu=margin), 7, seen, 1.01, answer.running, SETTINGS)


def through(job: Job) -> Job:
    return decode_job(encode_job(job)[SIZE.size :])


def test_a_job_comes_back_bit_for_bit(day: Scenario, rest: ReplanJob, gridlab9: Scenario) -> None:
    assert rest.running
    for job in (
        asked(day),
        DayAheadJob(gridlab9, CoordinationConfig(rho=0.1, budget_s=1 / 3), "gurobi", coordinate=False),
        replace(rest, running=without_coordination(rest.running)),
        replace(rest, running=None),
    ):
        back = through(job)
        assert type(back) is type(job)
        assert encode(back) == encode(job)
        assert back.settings == job.settings
        assert [type(one) for site in sites(back) for one in site.resources.values()] == [
            type(one) for site in sites(job) for one in site.resources.values()
        ]


def sites(job: Job) -> tuple[Any, ...]:
    return job.scenario.sites if isinstance(job, DayAheadJob) else job.day.sites


def test_the_coordination_behind_a_plan_stays_where_it_is(rest: ReplanJob) -> None:
    assert rest.running
    assert rest.running.computed
    back = through(rest)
    assert isinstance(back, ReplanJob)
    assert back.running
    assert back.running.computed is None


def test_a_job_crosses_in_a_small_part_of_the_time_of_a_plan(rest: ReplanJob) -> None:
    """A plan takes some 50 ms."""
    took_s = []
    for _ in range(5):
        began_s = perf_counter()
        through(rest)
        took_s.append(perf_counter() - began_s)
    assert min(took_s) < 0.025


def spoil(job: Job, change: Callable[[Any], None]) -> bytes:
    """The job's message, with a change of its JSON."""
    data = json.loads(encode_job(job)[SIZE.size :])
    change(data["replan"] or data["day_ahead"])
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda job: job["day"]["axis"].update(n_steps=10**12), "1000000000000 steps of 30 min, allowed a day"),
        (lambda job: job["day"]["axis"].update(n_steps=-1), "-1 steps"),
        (lambda job: job["day"]["axis"].update(step_min=10**9), "allowed a day"),
        (lambda job: job["day"]["axis"].update(timezone="../../etc/passwd"), "etc/passwd"),
        (lambda job: job["day"]["axis"].update(start="9999-12-31T23:59:00+00:00"), "9999"),
        (lambda job: job["day"]["slack_voltage_pu"].update(shape=[0], packed=""), "slack_voltage_pu of shape"),
        (lambda job: job["day"]["slack_voltage_pu"].update(shape=[0, 10**30], packed=""), "shape"),
        (lambda job: job["day"]["slack_voltage_pu"].update(packed="!"), "base64 of doubles"),
        (lambda job: job["day"]["network"]["lines"].clear(), "slack"),
        (lambda job: job["day"]["sites"][0]["resources"].update(x={"__reduce__": ["os.system", "id"]}), "fields"),
        (lambda job: job["settings"].update(budget_s=-1), "settings"),
        (lambda job: job["settings"].update(more=1), "settings"),
        (lambda job: job.update(solver=["piqp"]), "solver"),
        (lambda job: job.update(running={"begins": 0}), "running"),
    ],
)
def test_a_job_that_no_service_sends_is_refused(rest: ReplanJob, change: Callable[[Any], None], said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        decode_job(spoil(rest, change))


@pytest.mark.parametrize(
    "request_", [b"", b"job", b"[]", b"[" * 100_000, b'{"day_ahead": null, "replan": null}', b"\x80\x04N."]
)
def test_whatever_arrives_is_a_job_or_an_error(request_: bytes) -> None:
    with pytest.raises(PlannerError):
        decode_job(request_)


def test_jobs_with_random_changes_are_jobs_or_errors(rest: ReplanJob) -> None:
    """Of the form, and of bytes."""
    rng, kinds = dice(7, "wire"), [0, 0]
    document, text = json.loads(encode_job(rest)[SIZE.size :]), encode_job(rest)[SIZE.size :]
    for k in range(400):
        request = json.dumps(altered(rng, document)).encode() if k % 2 else flipped(rng, text)
        try:
            job = decode_job(request)
        except PlannerError:
            kinds[0] += 1
        else:
            kinds[1] += isinstance(job, DayAheadJob | ReplanJob)
    assert sum(kinds) == 400
    assert min(kinds) > 0


def flipped(rng: random.Random, text: bytes) -> bytes:
    data = bytearray(text)
    for _ in range(rng.choice((1, 1, 3, 30))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)
