"""Faults of devices and their links, injected by the plant."""

from dataclasses import dataclass
from datetime import datetime

from controller.chaos.injection import Injection, InjectionResult, ProcessResources, TrialContext
from controller.judge.case import Kind
from controller.process.modes import Mode
from controller.simulation.faults import possible_faults
from core.config_devices import ModbusConverter, ModbusMeter, OpcUaConverter, SunspecConverter

MODBUS = (ModbusConverter, SunspecConverter)
CONVERTERS = (*MODBUS, OpcUaConverter)
ANY = (*CONVERTERS, ModbusMeter)
SHORTEST_S, LONGEST_S = 50.0, 75.0
"""Duration of a fault (s): longer than the 45 s for which a setpoint is held."""
CONVERTERS_SHARE = 0.75
FLAPS = 12
OUR_EPOCH = 1.0
"""Epoch of the first writer to a new plant."""


@dataclass(frozen=True)
class PlantFault:
    """A fault of the plant, and the types of devices that may get it."""

    fault: str
    kind: Kind
    devices: tuple[type, ...] = ANY
    number: float | None = None
    noticeable: bool = True

    def device(self, context: TrialContext) -> str:
        """A random device that can have the fault; converters are preferred, as more depends on them than on meters."""
        config, preferred = (
            context.faulted.job.config,
            CONVERTERS if context.random.random() < CONVERTERS_SHARE else (ModbusMeter,),
        )
        possible = [d for d in config.devices if isinstance(d, self.devices) and self.fault in possible_faults(d)]
        return context.random.choice([d for d in possible if isinstance(d, preferred)] or possible).name


def plant_fault(*faults: PlantFault) -> Injection:
    """An injection that gives a device one of these faults for a while; seeds use them in turn."""

    async def inject(context: TrialContext) -> InjectionResult:
        injected = faults[context.seed % len(faults)]
        device, begins, before = await _begin(context, injected)
        await context.run_for(SHORTEST_S, LONGEST_S)
        await context.faulted.switch(injected.fault, device, on=False)
        fault = context.fault(injected.fault, injected.kind, begins, device, noticeable=injected.noticeable)
        await context.run_recovery()
        return InjectionResult(fault, resource_leaks(before, await context.resources()))

    return inject


async def flapping(context: TrialContext) -> InjectionResult:
    """9: down between all polls, and in every second one: 1 Hz of real time would be minutes of virtual time."""
    faulted, poll_s = context.faulted, context.faulted.poll_s
    device, begins, before = await _begin(context, PlantFault("down", Kind.LINK))
    for k in range(FLAPS):
        next_s = (faulted.now_s // poll_s + 1) * poll_s
        if k % 2:
            await faulted.switch("down", device, on=False)
        await faulted.run_until(next_s + context.random.uniform(0.5, poll_s - 0.5))
        await faulted.switch("down", device, on=True)
    await faulted.switch("down", device, on=False)
    fault = context.fault("flapping", Kind.LINK, begins, device)
    await context.run_recovery()
    return InjectionResult(fault, resource_leaks(before, await context.resources()))


async def foreign_writer(context: TrialContext) -> InjectionResult:
    """18: another client writes again and again, with a newer epoch or with ours."""
    faulted, in_our_name = context.faulted, bool(context.seed % 2)
    injected = PlantFault("foreign_write", Kind.WRITER, CONVERTERS, OUR_EPOCH if in_our_name else None)
    device, begins, _ = await _begin(context, injected)
    await context.run_for(SHORTEST_S, LONGEST_S)
    await faulted.switch(injected.fault, device, on=False)
    fault = context.fault(
        "foreign writer in our name" if in_our_name else "newer writer", injected.kind, begins, device
    )
    complaints = () if faulted.state.mode == Mode.MONITOR else (f"{faulted.state.mode}, allowed {Mode.MONITOR}",)
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, complaints, f"{device} foreign" if in_our_name else "service yielded")


async def _begin(context: TrialContext, injected: PlantFault) -> tuple[str, datetime, ProcessResources]:
    """Begin the fault; returns the device, the time, and the controller's resources before."""
    device, begins = injected.device(context), await context.run_to_injection()
    before = await context.resources()
    await context.faulted.switch(injected.fault, device, on=True, number=injected.number)
    return device, begins, before


def resource_leaks(before: ProcessResources, after: ProcessResources) -> tuple[str, ...]:
    """Resources that did not return to their earlier level."""
    found = []
    if after.tasks > before.tasks:
        found.append(f"{after.tasks} tasks, {before.tasks} before")
    if after.files > before.files:
        found.append(f"{after.files} open files and sockets, {before.files} before")
    return tuple(found)
