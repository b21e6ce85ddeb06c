"""The guardian ends or hangs while the service is ACTIVE, or there is none when somebody asks for ACTIVE."""

import json
from collections.abc import Mapping
from dataclasses import replace

from controller.api.tokens import Role, token_of
from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.invalid_requests import ARM, MODE, bearer, json_request
from controller.chaos.raw_http import HttpAnswer, send_request
from controller.judge.case import InjectedFault, Kind
from controller.judge.guardians import ABSENT_S, ALARM, RESUMED_S
from controller.process.modes import Mode
from core.errors import GridlabError

REFUSED = 409


async def guardian_dies(context: TrialContext) -> InjectionResult:
    """59: an alarm at once, and MONITOR after 5 minutes; ACTIVE again when another guardian lives and an operator says.

    Odd seeds: it hangs, and is killed later.
    """
    faulted, hangs = context.faulted, bool(context.seed % 2)
    begins = await context.run_to_injection()
    if hangs:
        faulted.suspend_guardian()
    else:
        await faulted.kill_guardian()
    complaints = []
    await faulted.run_until(faulted.now_s + ABSENT_S - faulted.job.period_s)
    if faulted.state.mode != Mode.ACTIVE:
        complaints.append(f"{faulted.state.mode} before {ABSENT_S:g} s were over")
    await context.run_for(3 * faulted.job.period_s, 5 * faulted.job.period_s)
    if faulted.state.mode != Mode.MONITOR:
        complaints.append(f"{faulted.state.mode} after {ABSENT_S:g} s without a guardian, allowed monitor")
    complaints += await _refusals(context)
    if hangs:
        await faulted.kill_guardian()
    await faulted.start_guardian()
    fault = context.fault(f"guardian {'hangs' if hangs else 'dies'}", Kind.GUARDIAN, begins)
    fault = replace(fault, hangs=hangs)
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, tuple(complaints), alarm=ALARM)


async def no_guardian(context: TrialContext) -> InjectionResult:
    """60: ACTIVE is refused in one clear line. Odd seeds: it is resumed after a death, and ends after a minute."""
    return await (_resumed_without(context) if context.seed % 2 else _refused_without(context))


async def _refused_without(context: TrialContext) -> InjectionResult:
    faulted = context.faulted
    await context.run_to_injection()
    await faulted.request({"mode": Mode.MONITOR, "who": "operator"})
    nonce = json.loads((await _asked(context, ARM, {})).text)["nonce"]
    begins = faulted.now
    await faulted.kill_guardian()
    complaints = _not_refused(await _asked(context, MODE, {"mode": Mode.ACTIVE, "nonce": nonce}))
    await context.run_for(0.0, 2 * faulted.job.period_s)
    complaints += await _refusals(context)
    await context.run_for(faulted.job.period_s, 2 * faulted.job.period_s)
    if faulted.state.mode != Mode.MONITOR:
        complaints += (f"{faulted.state.mode} without a guardian, allowed monitor",)
    await faulted.start_guardian()
    fault = context.fault("ACTIVE without a guardian", Kind.GUARDIAN, begins)
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, tuple(complaints))


async def _resumed_without(context: TrialContext) -> InjectionResult:
    faulted = context.faulted
    begins = await context.run_to_injection()
    await faulted.kill_guardian()
    await faulted.kill()
    await context.run_for(0.0, 20.0)
    death = InjectedFault("death", context.number, None, begins, faulted.now, Kind.DEATH)
    await faulted.restart()
    await faulted.run_until(faulted.now_s + RESUMED_S + 3 * faulted.job.period_s)
    complaints = () if faulted.state.mode == Mode.MONITOR else (f"{faulted.state.mode} after the grace",)
    await faulted.start_guardian()
    fault = context.fault("resumed without a guardian", Kind.GUARDIAN, begins)
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, complaints, alarm=ALARM, also=(death,))


async def _refusals(context: TrialContext) -> list[str]:
    """What is wrong with the answer to an operator who asks for ACTIVE over HTTP."""
    await context.faulted.poll_now()
    return _not_refused(await _asked(context, ARM, {}))


async def _asked(context: TrialContext, path: str, content: Mapping[str, str]) -> HttpAnswer:
    """The answer to an operator's request over HTTP."""
    faulted = context.faulted
    if faulted.state.port is None:
        raise GridlabError("controller: no HTTP server")
    token = token_of(faulted.folder, Role.OPERATOR)
    return await send_request(faulted.state.port, json_request(path, content, bearer(token)))


def _not_refused(answer: HttpAnswer) -> list[str]:
    """What is wrong with an answer that must refuse ACTIVE; empty if nothing is."""
    text = answer.text.decode(errors="replace")
    if answer.status != REFUSED or "gridlab guardian" not in text:
        return [f"asked for ACTIVE without a guardian: {answer.status} {text}, allowed {REFUSED} and how to start one"]
    lines = str(json.loads(text)).splitlines()
    return [] if len(lines) == 1 else [f"refused in {len(lines)} lines, allowed one"]
