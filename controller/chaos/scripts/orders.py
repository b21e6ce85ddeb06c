"""What people do: emergency stop, a switch at the device, a stop while a link is bad; and clocks that are set."""

import time
from dataclasses import replace

from controller.chaos.faulted_run import OPERATOR
from controller.chaos.script import Played, Take
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


async def emergency_stop(take: Take) -> Played:
    """30: everything is released and the service in MONITOR, until the operator arms it again; or LOCAL at a device."""
    if take.seed % 2:
        return await _AT_THE_DEVICE(take)
    stage = take.stage
    begins = await take.warmed_up()
    outcomes = (await stage.order({"emergency_stop": OPERATOR}))["outcomes"]
    complaints = [f"{name} not released: {o}" for name, o in outcomes.items() if o != Outcome.VERIFIED]
    await take.passing(35.0, 60.0)
    if stage.told.mode != Mode.MONITOR:
        complaints.append(f"{stage.told.mode} after an emergency stop, allowed monitor")
    fault = take.fault("emergency stop", Kind.STOP, begins)
    await stage.arm()
    await take.aftermath()
    return Played(fault, tuple(complaints))


async def clock_set(take: Take) -> Played:
    """21: the wall clock is wrong by an hour for a while."""
    stage, shift_s = take.stage, HOUR_S * (-1 if take.seed % 2 else 1)
    begins = await take.warmed_up()
    await stage.order({"jump": shift_s})
    await take.passing(60.0, 120.0)
    await stage.order({"jump": -shift_s})
    fault = take.fault(f"clock {shift_s / HOUR_S:+.0f} h", Kind.CLOCK, begins)
    await take.aftermath()
    return Played(replace(fault, shift_s=shift_s), alarm="clock jump")


async def stopped(take: Take) -> Played:
    """28: a stop while a converter cannot be reached; the others are read back as safe, that one is named."""
    stage, switch = take.stage, Switch(_BAD_LINKS[take.seed % len(_BAD_LINKS)], Kind.LINK, CONVERTERS)
    device, begins = switch.device(take), await take.warmed_up()
    await stage.switch(switch.fault, device, on=True)
    await take.passing(5.0, 30.0)
    began_s = time.monotonic()
    safe = (await stage.stop())["safe"]
    took_s = time.monotonic() - began_s
    await stage.until(stage.now_s + SAFE_WITHIN_S)
    fault = take.fault(f"stop, {switch.fault} of {device}", Kind.STOP, begins)
    complaints = [f"stopped in {took_s:.1f} s, allowed {STOP_S:g} s"] if took_s > STOP_S else []
    complaints += [f"{name} not released" for name in _beyond(take, device) if not safe.get(name)]
    return Played(fault, tuple(complaints))


def _beyond(take: Take, device: str) -> list[str]:
    """The converters that a fault of the link to this one leaves alone."""
    site = take.site
    return [name for name in site.converters if name not in site.links[device]]
