"""Perfect converters of one or more prosumers around the 30 s layer, which may die or be taken by somebody."""

from collections.abc import Mapping
from typing import Any

from core.devices import OperatingState, Outcome
from realtime.cycle import CycleDecision, CycleInputs, CycleMemory, decide, next_states
from realtime.node import AgedTarget, NodeLimits, NodeState, PlanTargets
from realtime.plane import ZERO, Power
from realtime.shares import prosumer_batteries
from realtime.timing import LEASE_S
from realtime.tracker import LoadAndPv, Target
from tests.realtime.plant import CYCLE_S, reading, snapshot, status

NOON, TARGET = LoadAndPv(1.0, 0.2, 4.0), Target(-2.0, 0.1, 1.0)
FOLLOWS, LOCAL = OperatingState.REMOTE, OperatingState.LOCAL


class Laboratory:
    """Perfect converters: what one is sent it does, unless it is dead, or somebody at its panel has it."""

    def __init__(self, limits: Mapping[str, NodeLimits], amounts: LoadAndPv = NOON, target: Target = TARGET) -> None:
        self.limits = limits
        self.states = {name: NodeState.start(node.battery) for name, node in limits.items()}
        self.held = dict.fromkeys(limits, ZERO)
        self.amounts, self.target = amounts, target
        self.accepted_s: dict[str, float] = {}
        self.at_s = 0.0

    def cycle(
        self, dead: tuple[str, ...] = (), local: tuple[str, ...] = (), wanted: CycleInputs | None = None
    ) -> CycleDecision:
        self.at_s += CYCLE_S
        alive = [name for name in self.limits if name not in dead]
        self._lapse(dead)
        self.held.update(dict.fromkeys(local, ZERO))
        said = {name: status(self.held[name], state=LOCAL if name in local else FOLLOWS) for name in alive}
        image = snapshot(self.at_s, *(reading(n, self.held[n], self.at_s) for n in alive), statuses=said, polls=3)
        wanted = wanted or self.wanted()
        decided = decide(image, wanted, CycleMemory(self.states, self.accepted_s), self.limits)
        outcomes = {name: Outcome.UNKNOWN if name in dead else Outcome.VERIFIED for name in decided.writes}
        self.states = next_states(decided, self.states, outcomes)
        for name in decided.writes.keys() - set(dead):
            setpoint = decided.writes[name].setpoint
            self.held[name] = Power(setpoint.p_kw, setpoint.q_kvar) if setpoint else ZERO
            self.accepted_s[name] = self.at_s
        return decided

    def wanted(self, **more: Any) -> CycleInputs:
        names = {node.prosumer for node in self.limits.values()}
        plans = PlanTargets(AgedTarget(self.target, 60.0))
        return CycleInputs(dict.fromkeys(names, self.amounts), dict.fromkeys(names, plans), **more)

    def setpoints(self, decided: CycleDecision) -> dict[str, Power]:
        written = {name: write.setpoint for name, write in decided.writes.items()}
        return {name: Power(one.p_kw, one.q_kvar) for name, one in written.items() if one}

    def _lapse(self, dead: tuple[str, ...]) -> None:
        """The dead ones go to their safe state when their leases end."""
        for name in dead:
            if self.at_s - self.accepted_s.get(name, self.at_s) > LEASE_S:
                self.held[name] = ZERO

    @property
    def socs(self) -> dict[str, float]:
        return {name: battery.soc for name, battery in prosumer_batteries(self.states, self.limits).items() if battery}
