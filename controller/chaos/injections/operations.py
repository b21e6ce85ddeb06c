"""Operator actions: emergency stop, local mode at the device, a stop while a link is bad; and a wrong clock."""

import time
from dataclasses import replace

from controller.chaos.faulted_run import OPERATOR
from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.injections.devices import CONVERTERS, PlantFault, plant_fault
from controller.judge.case import Kind
from controller.judge.evidence import SAFE_WITHIN_S
from controller.process.modes import Mode
from core.devices import Outcome

HOUR_S = 3600.0
STOP_S = 25.0
"""Real time (s) within which a stop must end."""
_LOCAL_MODE = plant_fault(PlantFault("local", Kind.DEVICE, CONVERTERS))
_BAD_LINKS = ("black_hole", "down", "reset", "garbage", "slow")


async def emergency_stop(context: TrialContext) -> InjectionResult:
    """30: everything is released and the service in MONITOR until the operator activates it; or LOCAL at a device."""
    if context.seed % 2:
        return await _LOCAL_MODE(context)
    faulted = context.faulted
    begins = await context.run_to_injection()
    outcomes = (await faulted.request({"emergency_stop": OPERATOR}))["outcomes"]
    complaints = [f"{name} not released: {o}" for name, o in outcomes.items() if o != Outcome.VERIFIED]
    await context.run_for(35.0, 60.0)
    if faulted.state.mode != Mode.MONITOR:
        complaints.append(f"{faulted.state.mode} after an emergency stop, allowed monitor")
    fault = context.fault("emergency stop", Kind.STOP, begins)
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, tuple(complaints))


async def wrong_clock(context: TrialContext) -> InjectionResult:
    """21: the wall clock is wrong by an hour for a while."""
    faulted, shift_s = context.faulted, HOUR_S * (-1 if context.seed % 2 else 1)
    begins = await context.run_to_injection()
    await faulted.request({"jump": shift_s})
    await context.run_for(60.0, 120.0)
    await faulted.request({"jump": -shift_s})
    fault = context.fault(f"clock {shift_s / HOUR_S:+.0f} h", Kind.CLOCK, begins)
    await context.run_recovery()
    return InjectionResult(replace(fault, shift_s=shift_s), alarm="clock jump")


async def stop_with_bad_link(context: TrialContext) -> InjectionResult:
    """28: a stop while a converter cannot be reached; the others are read back as safe, that one is reported."""
    faulted, switch = context.faulted, PlantFault(_BAD_LINKS[context.seed % len(_BAD_LINKS)], Kind.LINK, CONVERTERS)
    device, begins = switch.device(context), await context.run_to_injection()
    await faulted.switch(switch.fault, device, on=True)
    await context.run_for(5.0, 30.0)
    start_s = time.monotonic()
    safe = (await faulted.stop())["safe"]
    took_s = time.monotonic() - start_s
    await faulted.run_until(faulted.now_s + SAFE_WITHIN_S)
    fault = context.fault(f"stop, {switch.fault} of {device}", Kind.STOP, begins)
    complaints = [f"stopped in {took_s:.1f} s, allowed {STOP_S:g} s"] if took_s > STOP_S else []
    complaints += [f"{name} not released" for name in _unaffected_converters(context, device) if not safe.get(name)]
    return InjectionResult(fault, tuple(complaints))


def _unaffected_converters(context: TrialContext, device: str) -> list[str]:
    """The converters that a fault of the link to this device does not affect."""
    site = context.site
    return [name for name in site.converters if name not in site.links[device]]
