"""Meters whose voltage lies: a wrong scale, a voltage that stands while the clock runs, two that were exchanged."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

from controller.chaos.injection import Injection, InjectionResult, TrialContext
from controller.judge.case import Kind
from core.config_devices import ModbusMeter
from core.errors import GridlabError
from realtime.meter_doubt import MeterDoubtKind

SETTLED_S = 300.0
"""Time of the injection: the supply and a few setpoints have moved."""
OFF_S, FROZEN_S, EXCHANGED_S = 120.0, 1800.0, 3600.0
"""Time by which a meter must be named."""


def wrong_voltage(*factors: float) -> Injection:
    """A meter's voltage is multiplied by one of these factors; seeds use them in turn."""

    async def inject(context: TrialContext) -> InjectionResult:
        factor, meter = factors[context.seed % len(factors)], _meter(context)
        return await _lie(context, "voltage_scale", meter, factor, OFF_S, MeterDoubtKind.OFF)

    return inject


async def frozen_voltage(context: TrialContext) -> InjectionResult:
    """A meter's voltage stands; its powers and its clock do not."""
    meter = _meter(context)
    result = await _lie(context, "voltage_frozen", meter, None, FROZEN_S, MeterDoubtKind.FROZEN)
    return replace(result, alarm=None)  # also as a voltage that is off, whichever shows first


async def exchanged_meters(context: TrialContext) -> InjectionResult:
    """Two meters measure each other's node; the first seed exchanges N7 and N9."""
    config, faulted = context.faulted.job.config, context.faulted
    network, node_of = config.grid.network(), {m.name: m.node for m in config.meters.values()}
    first, second = _pair(context, node_of)
    begins = await context.run_to_injection(SETTLED_S)
    for meter, other in ((first, second), (second, first)):
        await faulted.switch("swapped", meter, on=True, number=network.index(node_of[other]) + 1)
    await context.run_for(EXCHANGED_S, EXCHANGED_S + 60.0)
    for meter in (first, second):
        await faulted.switch("swapped", meter, on=False)
    fault = context.fault("swapped", Kind.VOLTAGE, begins, first)
    await context.run_recovery()
    return InjectionResult(
        replace(fault, other_device=second, named_within_s=EXCHANGED_S), alarm=f"{first} {MeterDoubtKind.EXCHANGED}"
    )


def _pair(context: TrialContext, node_of: Mapping[str, str]) -> tuple[str, str]:
    """Two meters, one of them at least where somebody draws or feeds power: else only voltages can tell them apart."""
    config = context.faulted.job.config
    usual = config.meter_at.get("N7"), config.meter_at.get("N9")
    if context.seed == 0 and all(usual):
        return str(usual[0]), str(usual[1])
    injecting = {prosumer.node for prosumer in config.prosumers}
    known = [pair for pair in combinations(sorted(node_of), 2) if {node_of[name] for name in pair} & injecting]
    if not known:
        raise GridlabError("exchanged meters: no meter at the node of a prosumer, and another one")
    return context.random.choice(known)


async def _lie(
    context: TrialContext, name: str, meter: str, number: float | None, within_s: float, kind: MeterDoubtKind
) -> InjectionResult:
    begins = await context.run_to_injection(SETTLED_S)
    await context.faulted.switch(name, meter, on=True, number=number)
    await context.run_for(within_s, within_s + 60.0)
    await context.faulted.switch(name, meter, on=False)
    fault = context.fault(name if number is None else f"{name} {number:g}", Kind.VOLTAGE, begins, meter)
    await context.run_recovery()
    return InjectionResult(replace(fault, named_within_s=within_s), alarm=f"{meter} {kind}")


def _meter(context: TrialContext) -> str:
    return context.random.choice([d.name for d in context.faulted.job.config.devices if isinstance(d, ModbusMeter)])
