"""What people do: emergency stop, a switch at the device, a stop while a link is bad; and clocks that are set."""

import time
from dataclasses import replace

from controller.chaos.faulted_run import OPERATOR
from controller.chaos.script import Injected, TrialContext
from controller.chaos.scripts.devices import CONVERTERS, Switch, switched
from controller.judge.case import Kind
from controller.judge.evidence import SAFE_WITHIN_S
from controller.process.modes import Mode
from core.devices import Outcome

HOUR_S = 3600.0
STOP_S = 25.0
"""Real time in which a stop has ended."""
_AT_THE_DEVICE = switched(Switch("local", Kind.DEVICE, CONVERTERS))
_BAD_LINKS = ("black_hole", "down", "reset", "garbage", "slow")


async def emergency_stop(context: TrialContext) -> Injected:
    """30: everything is released and the service in MONITOR, until the operator arms it again; or LOCAL at a device."""
    if context.seed % 2:
        return await _AT_THE_DEVICE(context)
    faulted = context.faulted
    begins = await context.warmed_up()
    outcomes = (await faulted.order({"emergency_stop": OPERATOR}))["outcomes"]
    complaints = [f"{name} not released: {o}" for name, o in outcomes.items() if o != Outcome.VERIFIED]
    await context.passing(35.0, 60.0)
    if faulted.led.mode != Mode.MONITOR:
        complaints.append(f"{faulted.led.mode} after an emergency stop, allowed monitor")
    fault = context.fault("emergency stop", Kind.STOP, begins)
    await faulted.arm()
    await context.aftermath()
    return Injected(fault, tuple(complaints))


async def clock_set(context: TrialContext) -> Injected:
    """21: the wall clock is wrong by an hour for a while."""
    faulted, shift_s = context.faulted, HOUR_S * (-1 if context.seed % 2 else 1)
    begins = await context.warmed_up()
    await faulted.order({"jump": shift_s})
    await context.passing(60.0, 120.0)
    await faulted.order({"jump": -shift_s})
    fault = context.fault(f"clock {shift_s / HOUR_S:+.0f} h", Kind.CLOCK, begins)
    await context.aftermath()
    return Injected(replace(fault, shift_s=shift_s), alarm="clock jump")


async def stopped(context: TrialContext) -> Injected:
    """28: a stop while a converter cannot be reached; the others are read back as safe, that one is named."""
    faulted, switch = context.faulted, Switch(_BAD_LINKS[context.seed % len(_BAD_LINKS)], Kind.LINK, CONVERTERS)
    device, begins = switch.device(context), await context.warmed_up()
    await faulted.switch(switch.fault, device, on=True)
    await context.passing(5.0, 30.0)
    began_s = time.monotonic()
    safe = (await faulted.stop())["safe"]
    took_s = time.monotonic() - began_s
    await faulted.until(faulted.now_s + SAFE_WITHIN_S)
    fault = context.fault(f"stop, {switch.fault} of {device}", Kind.STOP, begins)
    complaints = [f"stopped in {took_s:.1f} s, allowed {STOP_S:g} s"] if took_s > STOP_S else []
    complaints += [f"{name} not released" for name in _beyond(context, device) if not safe.get(name)]
    return Injected(fault, tuple(complaints))


def _beyond(context: TrialContext, device: str) -> list[str]:
    """The converters that a fault of the link to this one leaves alone."""
    site = context.site
    return [name for name in site.converters if name not in site.links[device]]
