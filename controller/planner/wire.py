"""Messages between ``gridlab serve`` and ``gridlab planner``: a job one way, a reply the other, each preceded by its
length.

Both are JSON of known types (:mod:`core.codec`), of limited size, and are validated: neither side can make the other do
anything but compute a plan, or take one. Whoever may open the socket cannot run code in the planner, whose replies the
control loop reads.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from controller.planner.answer import Answer
from controller.planner.planner import SIZE, DayAheadJob, Job, PlannerError, ReplanJob
from core.arrays import FloatArray
from core.codec import CodecError, decode, encode
from core.errors import CoordinationError, Fault, GridlabError, InputError, SolverError, SolverLicenceError
from core.plan import SERIES, ProsumerPlan
from core.scenario import Scenario
from mpc.day_ahead import Bill
from mpc.intra_day import RunningPlan

KINDS: Mapping[str, type[GridlabError]] = {
    kind.__name__: kind for kind in (PlannerError, CoordinationError, SolverError, SolverLicenceError)
}
"""Errors that keep their type across the socket."""
LARGEST_MESSAGE = 64 * 2**20
"""Size limit of a job or a reply, bytes."""
MOST_STEPS = 1500
"""Steps of the longest day: 25 h of one minute each."""


@dataclass(frozen=True)
class JobRefusal:
    """Why there is no plan: an error by the name of its type, with its text, faults of input, and traceback."""

    kind: str
    text: str
    faults: tuple[Fault, ...]
    notes: str

    @classmethod
    def of(cls, error: GridlabError) -> Self:
        """Describe an error of the planner."""
        faults = error.faults if isinstance(error, InputError) else ()
        return cls(type(error).__name__, str(error), faults, "\n".join(getattr(error, "__notes__", ())))

    def error(self) -> GridlabError:
        """The exception again; an unknown type becomes a :class:`PlannerError`."""
        error = InputError(self.faults) if self.faults else KINDS.get(self.kind, PlannerError)(self.text)
        if self.notes:
            error.add_note(self.notes)
        return error


@dataclass(frozen=True)
class Reply:
    """Exactly one of an answer and a refusal."""

    answer: Answer | None
    refusal: JobRefusal | None


def without_coordination(running: RunningPlan) -> RunningPlan:
    """A plan without the coordination behind it, which does not cross the socket."""
    return replace(running, computed=None)


@dataclass(frozen=True)
class Request:
    """Exactly one of the two kinds of job."""

    day_ahead: DayAheadJob | None
    replan: ReplanJob | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """The request to compute ``job``."""
        return cls(job, None) if isinstance(job, DayAheadJob) else cls(None, job)


def encode_job(job: Job) -> bytes:
    """Encode a job as JSON, preceded by its length; the coordination behind its plan is left out."""
    if isinstance(job, ReplanJob) and job.running is not None:
        job = replace(job, running=without_coordination(job.running))
    return _framed(Request.of(job))


def decode_job(text: bytes) -> Job:
    """Decode and validate a job.

    Raises:
        PlannerError: it is malformed, or its series do not fit its day.
    """
    try:
        request = decode(Request, json.loads(text))
    except (CodecError, ValueError, TypeError, RecursionError) as error:
        raise PlannerError(f"planner: no job of this version: {error}") from error
    job = request.day_ahead or request.replan
    if job is None or (request.day_ahead and request.replan):
        raise PlannerError("planner: asked none or two jobs, allowed one")
    if fault := next(_faults_of_day(job.scenario if isinstance(job, DayAheadJob) else job.day), None):
        raise PlannerError(f"planner: no job: {fault}")
    return job


def encode_reply(reply: Reply) -> bytes:
    """Encode a reply as JSON, preceded by its length; the coordination and the full day-ahead plan are left out."""
    if answer := reply.answer:
        reply = replace(reply, answer=replace(answer, running=without_coordination(answer.running), made=None))
    return _framed(reply)


def _framed(message: object) -> bytes:
    text = json.dumps(encode(message, packed=True)).encode()
    return SIZE.pack(len(text)) + text


def decode_answer(text: bytes, job: Job) -> Answer:
    """Decode and validate the answer to ``job``.

    Raises:
        PlannerError: the reply is malformed, or its plan does not fit the job.
        InputError, CoordinationError, SolverError, SolverLicenceError: the planner's reason for giving no plan.
    """
    try:
        reply = decode(Reply, json.loads(text))
    except (CodecError, ValueError, TypeError, RecursionError) as error:
        raise PlannerError(f"planner: {job}: no reply of this version: {error}") from error
    if reply.refusal is not None:
        raise reply.refusal.error()
    fault = "nothing" if reply.answer is None else next(_faults(reply.answer, job), None)
    if reply.answer is None or fault:
        raise PlannerError(f"planner: {job}: answered by {fault}")
    return reply.answer


def _faults_of_day(day: Scenario) -> Iterator[str]:
    """Reasons why a scenario cannot be planned: the steps of its axis are no day, or a series has others."""
    axis = day.axis
    if not (0 < axis.n_steps <= MOST_STEPS and 0 < axis.step_min * axis.n_steps <= MOST_STEPS):
        yield f"{axis.n_steps} steps of {axis.step_min} min, allowed a day"
        return
    try:
        times = axis.times
    except (ValueError, KeyError, OverflowError) as error:
        yield f"steps from {axis.start} in {axis.timezone}: {error}"
        return
    tariff = day.tariff
    series = {
        "slack_voltage_pu": day.slack_voltage_pu,
        "tariff": tariff.buy_chf_per_kwh,
        "remuneration": tariff.sell_chf_per_kwh,
    }
    for site in day.sites:
        for name, resource in site.resources.items():
            arrays = {what: value for what, value in vars(resource).items() if isinstance(value, np.ndarray)}
            series |= {f"{what} of {site.name} {name}": value for what, value in arrays.items()}
    for what, values in series.items():
        if values.shape != (len(times),):
            yield f"{what} of shape {values.shape}, allowed {len(times)} steps"


def _faults(answer: Answer, job: Job) -> Iterator[str]:
    """Reasons why an answer cannot be a plan for the job."""
    day, step = (job.scenario, 0) if isinstance(job, DayAheadJob) else (job.day, job.step)
    running, names = answer.running, [site.name for site in day.sites]
    plan = running.plan
    if answer.made is not None or running.computed is not None:
        yield "more than a plan"
    if running.computed_for != step or not 0 <= running.begins <= step:
        yield f"a plan from step {running.begins}, computed for step {running.computed_for}"
        return
    if plan.axis != day.axis.after(running.begins):
        yield f"a plan of {plan.axis.n_steps} steps from {plan.axis.start.isoformat()}"
    if any(list(part) != names for part in (plan.prosumers, plan.agreements, running.bills)):
        yield "a plan of other prosumers"
    slopes = (agreement.signal.slope for agreement in plan.agreements.values())
    if not all(slope is None or slope.valid for slope in slopes):
        yield "a plan whose voltage slopes are none"
    shape = plan.axis.n_steps, len(day.network.nodes) - 1
    for what, array, wanted in _arrays(running, *shape):
        if array.shape != wanted or not np.isfinite(array).all():
            yield f"a plan whose {what} is no finite array {wanted}"


def _arrays(running: RunningPlan, n_steps: int, n_nodes: int) -> Iterator[tuple[str, FloatArray, tuple[int, ...]]]:
    """Name, values and required shape of every array that the loop, its records or the next plan reads."""
    yield "v_pu", running.v_pu, (n_steps, n_nodes)
    yield "slack_q_kvar", np.zeros(0) if running.slack_q_kvar is None else running.slack_q_kvar, (n_steps,)
    for name, agreement in running.plan.agreements.items():
        yield f"h of {name}", agreement.signal.h, (n_steps, 2, 2)
        yield f"g of {name}", agreement.signal.g, (n_steps, 2)
        yield f"profile of {name}", agreement.profile.x, (n_steps, 2)
    for name, prosumer in running.plan.prosumers.items():
        for what, series in _series(prosumer):
            yield f"{what} of {name}", series, (n_steps,)
    amounts = [tuple(vars(bill).values()) for bill in running.bills.values()]
    yield "bills", np.array(amounts), (len(amounts), len(fields(Bill)))


def _series(prosumer: ProsumerPlan) -> Iterator[tuple[str, FloatArray]]:
    """Series of a prosumer and of its resources; a required series that is missing is empty."""
    yield from (("p_kw", prosumer.p_kw), ("q_kvar", prosumer.q_kvar))
    for name, plan in prosumer.resources.items():
        yield from ((f"{name} p_kw", plan.p_kw), (f"{name} q_kvar", plan.q_kvar))
        series = {**dict.fromkeys(SERIES.get(plan.kind, ()), np.zeros(0)), **plan.series}
        yield from ((f"{name} {what}", values) for what, values in series.items())
