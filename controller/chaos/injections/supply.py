"""Steps of the supply voltage, which no plan has foreseen."""

from controller.chaos.injection import Injection, InjectionResult, TrialContext
from controller.judge.case import Kind

SHORTEST_S, LONGEST_S = 150.0, 240.0
"""Duration of a step (s): so short that no MPC run helps, which comes with every tenth minute."""


def supply_step(by_pu: float) -> Injection:
    """57, 58: the supply voltage is shifted by ``by_pu``, then returns."""

    async def inject(context: TrialContext) -> InjectionResult:
        begins = await context.run_to_injection()
        await context.faulted.plant.ask({"supply_step_pu": by_pu})
        await context.run_for(SHORTEST_S, LONGEST_S)
        await context.faulted.plant.ask({"supply_step_pu": 0.0})
        fault = context.fault(f"supply {by_pu:+.0%}", Kind.SUPPLY, begins)
        await context.run_recovery()
        return InjectionResult(fault)

    return inject
