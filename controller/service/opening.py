"""The plans and the states of the converters with which a service begins."""

from contextlib import AsyncExitStack

from controller.planner.link import AnyPlanner, PlannerLink
from controller.planner.planner import Planner
from controller.process.heartbeat import read_takeover
from controller.service.days import DayLoader
from controller.service.memory import Memory
from controller.service.planning import Planning
from controller.service.setup import Setup, node_limits
from core.time import Clock
from realtime.node import NodeState
from realtime.timing import MPC_BEST_S


async def open_planning(setup: Setup, memory: Memory, clocks: tuple[Clock, Clock], stack: AsyncExitStack) -> Planning:
    """The plans that the journal kept, or new ones.

    Args:
        clocks: the loop's time, and real time.
        stack: owns the planner.

    Raises:
        InputError, PlannerError, SolverError: there is no plan for today.
    """
    best_s = min(MPC_BEST_S, setup.config.schedule.mpc_budget_s)
    planner: AnyPlanner = Planner(best_s) if setup.planner is None else PlannerLink(setup.planner, best_s)
    await stack.enter_async_context(planner)
    days = DayLoader(setup.config, setup.path)
    planning = Planning(setup.config, days, planner, *clocks, coordinate=setup.coordinate)
    await planning.open(memory.plans(days), memory.margin())
    return planning


def first_states(setup: Setup, memory: Memory, planning: Planning, *, stopped: bool) -> dict[str, NodeState]:
    """Those that the journal kept, or initial ones at the state of charge that the plan has now; by converter.

    Args:
        stopped: the predecessor was told to stop, so that it had released everything.
    """
    takeover, limits = read_takeover(setup.state), node_limits(setup.config)
    kept = memory.states(limits, takeover.released if takeover else {}, stopped=stopped)
    planned = planning.planned_soc()
    return {
        name: kept.get(name) or NodeState.start(one.battery, planned.get(one.prosumer)) for name, one in limits.items()
    }
