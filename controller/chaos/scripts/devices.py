"""Faults of devices and their links, by the plant's own switches."""

from dataclasses import dataclass
from datetime import datetime

from controller.chaos.script import Injected, Resources, Script, TrialContext
from controller.judge.case import Kind
from controller.process.modes import Mode
from controller.simulation.faults import possible_faults
from core.config_devices import ModbusConverter, ModbusMeter, OpcUaConverter, SunspecConverter

MODBUS = (ModbusConverter, SunspecConverter)
CONVERTERS = (*MODBUS, OpcUaConverter)
ANY = (*CONVERTERS, ModbusMeter)
SHORTEST_S, LONGEST_S = 50.0, 75.0
"""How long a fault lasts: beyond the 45 s in which a setpoint is held."""
CONVERTERS_SHARE = 0.75
FLAPS = 12
OUR_EPOCH = 1.0
"""Of the first writer to a new plant."""


@dataclass(frozen=True)
class Switch:
    """One of the plant's faults, and the devices that are to have it, of those that can."""

    fault: str
    kind: Kind
    devices: tuple[type, ...] = ANY
    number: float | None = None
    noticeable: bool = True

    def device(self, context: TrialContext) -> str:
        """One that can have it; there are more meters than converters, but less depends on them."""
        config, meant = (
            context.faulted.job.config,
            CONVERTERS if context.random.random() < CONVERTERS_SHARE else (ModbusMeter,),
        )
        able = [d for d in config.devices if isinstance(d, self.devices) and self.fault in possible_faults(d)]
        return context.random.choice([d for d in able if isinstance(d, meant)] or able).name


def switched(*switches: Switch) -> Script:
    """A script by which a device has one of these faults for a while; seeds context them in turns."""

    async def script(context: TrialContext) -> Injected:
        switch = switches[context.seed % len(switches)]
        device, begins, before = await _begun(context, switch)
        await context.passing(SHORTEST_S, LONGEST_S)
        await context.faulted.switch(switch.fault, device, on=False)
        fault = context.fault(switch.fault, switch.kind, begins, device, noticeable=switch.noticeable)
        await context.aftermath()
        return Injected(fault, leaks(before, await context.resources()))

    return script


async def flapping(context: TrialContext) -> Injected:
    """9: down between all polls, and in every second one: 1 Hz of real time would be minutes of virtual time."""
    faulted, poll_s = context.faulted, context.faulted.poll_s
    device, begins, before = await _begun(context, Switch("down", Kind.LINK))
    for k in range(FLAPS):
        next_s = (faulted.now_s // poll_s + 1) * poll_s
        if k % 2:
            await faulted.switch("down", device, on=False)
        await faulted.until(next_s + context.random.uniform(0.5, poll_s - 0.5))
        await faulted.switch("down", device, on=True)
    await faulted.switch("down", device, on=False)
    fault = context.fault("flapping", Kind.LINK, begins, device)
    await context.aftermath()
    return Injected(fault, leaks(before, await context.resources()))


async def foreign(context: TrialContext) -> Injected:
    """18: somebody else writes, as a newer writer, or in our name."""
    faulted, in_our_name = context.faulted, bool(context.seed % 2)
    switch = Switch("foreign_write", Kind.WRITER, CONVERTERS, OUR_EPOCH if in_our_name else None)
    device, begins, _ = await _begun(context, switch)
    await context.passing(SHORTEST_S, LONGEST_S)
    await faulted.switch(switch.fault, device, on=False)
    fault = context.fault("foreign writer in our name" if in_our_name else "newer writer", switch.kind, begins, device)
    expected = Mode.ACTIVE if in_our_name else Mode.MONITOR
    complaints = () if faulted.led.mode == expected else (f"{faulted.led.mode}, allowed {expected}",)
    if faulted.led.mode != Mode.ACTIVE:
        await faulted.arm()
    await context.aftermath()
    return Injected(fault, complaints, f"{device} foreign" if in_our_name else "service yielded")


async def _begun(context: TrialContext, switch: Switch) -> tuple[str, datetime, Resources]:
    """The device, since when it has the fault, and what the controller used before."""
    device, begins = switch.device(context), await context.warmed_up()
    before = await context.resources()
    await context.faulted.switch(switch.fault, device, on=True, number=switch.number)
    return device, begins, before


def leaks(before: Resources, after: Resources) -> tuple[str, ...]:
    """What did not return to what it was."""
    found = []
    if after.tasks > before.tasks:
        found.append(f"{after.tasks} tasks, {before.tasks} before")
    if after.files > before.files:
        found.append(f"{after.files} open files and sockets, {before.files} before")
    return tuple(found)
