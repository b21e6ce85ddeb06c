"""Faults of devices and their links, by the plant's own switches."""

from dataclasses import dataclass
from datetime import datetime

from controller.chaos.script import Played, Resources, Script, Take
from controller.judge.case import Kind
from controller.process.modes import Mode
from controller.simulation.faults import possible
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

    def device(self, take: Take) -> str:
        """One that can have it; there are more meters than converters, but less depends on them."""
        config, meant = take.stage.job.config, CONVERTERS if take.random.random() < CONVERTERS_SHARE else (ModbusMeter,)
        able = [d for d in config.devices if isinstance(d, self.devices) and self.fault in possible(d)]
        return take.random.choice([d for d in able if isinstance(d, meant)] or able).name


def switched(*switches: Switch) -> Script:
    """A script by which a device has one of these faults for a while; seeds take them in turns."""

    async def script(take: Take) -> Played:
        switch = switches[take.seed % len(switches)]
        device, begins, before = await _begun(take, switch)
        await take.passing(SHORTEST_S, LONGEST_S)
        await take.stage.switch(switch.fault, device, on=False)
        fault = take.fault(switch.fault, switch.kind, begins, device, noticeable=switch.noticeable)
        await take.aftermath()
        return Played(fault, leaks(before, await take.resources()))

    return script


async def flapping(take: Take) -> Played:
    """9: down between all polls, and in every second one: 1 Hz of real time would be minutes of virtual time."""
    stage, poll_s = take.stage, take.stage.poll_s
    device, begins, before = await _begun(take, Switch("down", Kind.LINK))
    for k in range(FLAPS):
        next_s = (stage.now_s // poll_s + 1) * poll_s
        if k % 2:
            await stage.switch("down", device, on=False)
        await stage.until(next_s + take.random.uniform(0.5, poll_s - 0.5))
        await stage.switch("down", device, on=True)
    await stage.switch("down", device, on=False)
    fault = take.fault("flapping", Kind.LINK, begins, device)
    await take.aftermath()
    return Played(fault, leaks(before, await take.resources()))


async def foreign(take: Take) -> Played:
    """18: somebody else writes, as a newer writer, or in our name."""
    stage, in_our_name = take.stage, bool(take.seed % 2)
    switch = Switch("foreign_write", Kind.WRITER, CONVERTERS, OUR_EPOCH if in_our_name else None)
    device, begins, _ = await _begun(take, switch)
    await take.passing(SHORTEST_S, LONGEST_S)
    await stage.switch(switch.fault, device, on=False)
    fault = take.fault("foreign writer in our name" if in_our_name else "newer writer", switch.kind, begins, device)
    expected = Mode.ACTIVE if in_our_name else Mode.MONITOR
    complaints = () if stage.told.mode == expected else (f"{stage.told.mode}, allowed {expected}",)
    if stage.told.mode != Mode.ACTIVE:
        await stage.arm()
    await take.aftermath()
    return Played(fault, complaints, f"{device} foreign" if in_our_name else "service yielded")


async def _begun(take: Take, switch: Switch) -> tuple[str, datetime, Resources]:
    """The device, since when it has the fault, and what the controller used before."""
    device, begins = switch.device(take), await take.warmed_up()
    before = await take.resources()
    await take.stage.switch(switch.fault, device, on=True, number=switch.number)
    return device, begins, before


def leaks(before: Resources, after: Resources) -> tuple[str, ...]:
    """What did not return to what it was."""
    found = []
    if after.tasks > before.tasks:
        found.append(f"{after.tasks} tasks, {before.tasks} before")
    if after.files > before.files:
        found.append(f"{after.files} open files and sockets, {before.files} before")
    return tuple(found)
