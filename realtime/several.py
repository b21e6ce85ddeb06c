"""One prosumer with several converters: its power in a cycle is decided once, and spread over those that can carry it.

    assess    every converter by itself: account, age of its data, rung         :mod:`realtime.chain`
    level     the parts of the battery's account have one state of charge
    propose   x for the whole prosumer: (26) and voltage slope, else its net load and PV
    spread    x = Σ x_c, by capability, ramp and priority                        :mod:`realtime.spreading`
    act       every converter by itself: gate, emulation                         :mod:`realtime.chain`

**Who takes part.** If anyone may follow the plan, those who may. One that has fallen silent is held at its last
setpoint for as long as it may still follow that; from then on, and under local control, in doubt, or while it waits to
leave the safe state, it can do nothing, and the others carry what they can. An operator's own target for a converter
takes its part away from nobody: the others go on as before.

**What a converter reproduces.** Only the sum can be measured, so the division of load, PV and battery is a matter of
accounting: with the share s_c of the present capability of all who take part, converter c reproduces s_c of PV and
battery, and the load that leaves x_c,

    load_c = x_c + s_c (load − Σ x)      so that   Σ load_c = load,   load_c − s_c g − s_c b = x_c

where b and g are the battery and the PV of the whole prosumer. If the converters together cannot carry x, the battery
gives way first, then PV, and the rest is load that is not reproduced, as with one converter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.devices import Measurement
from realtime.chain import Assessed, Proposal, act, assess, derating, followed, held_on, reach, safe, storage_of
from realtime.emulation import BatteryState, explains, rested, within_ends
from realtime.fallback import START, Rung, Source
from realtime.node import AgedTarget, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.plane import Power
from realtime.reasons import Reason
from realtime.shares import combined_battery, combined_in_force
from realtime.slope import NO_CORRECTION, Correction
from realtime.spreading import Reach, spread, total
from realtime.timing import USE_DATA_S
from realtime.tracker import LoadAndPv

SHORT_KVA = 2e-3
"""A part of the target that is not carried, from this on, is a reason in the record."""


@dataclass(frozen=True)
class NodeInputs:
    """All that one converter's chain starts from; ``own``: ``targets`` are an operator's, for it alone."""

    reading: Measurement | None
    now: NodeNow
    targets: PlanTargets
    state: NodeState
    node: NodeLimits
    own: bool = False


Stepped = tuple[NodeResult, NodeState]


def step_several(at_s: float, inputs: Mapping[str, NodeInputs]) -> Mapping[str, Stepped]:
    """The cycle of all converters of one prosumer, by name, at the monotonic time ``at_s``.

    A fault in one converter's chain concerns that one, a fault in what they have in common all of them.
    """
    assessed, failed = dict[str, Assessed](), dict[str, Exception]()
    for name, one in inputs.items():
        try:
            assessed[name] = assess(at_s, one.reading, one.now, one.targets, one.state, one.node)
        except Exception as error:  # a fault in one chain must not reach the others
            failed[name] = error
    try:
        team = _Team(inputs, assessed)
    except Exception as error:  # nor the other prosumers
        return {name: chain_failed(failed.get(name, error), one.state) for name, one in inputs.items()}
    stepped = dict[str, Stepped]()
    for name, one in inputs.items():
        state = replace(one.state, battery=team.accounts[name])
        try:
            stepped[name] = chain_failed(failed[name], state) if name in failed else team.acted(name)
        except Exception as error:  # as above
            stepped[name] = chain_failed(error, state)
    return stepped


def chain_failed(error: Exception, state: NodeState) -> Stepped:
    """The device is to be released, and begins again."""
    message = f"{type(error).__name__}: {error}"
    result = NodeResult(None, Rung.SAFE, Source.NONE, (Reason.CHAIN_FAILED,), error=message)
    return result, replace(state, ladder=START)


class _Team:
    """What the converters of a prosumer decide together.

    Attributes:
        accounts: of the battery, by converter, levelled; None without a battery.
    """

    def __init__(self, inputs: Mapping[str, NodeInputs], assessed: Mapping[str, Assessed]) -> None:
        self._inputs, self._assessed = inputs, assessed
        self.accounts, self._account = _levelled(inputs, assessed)
        leaders = [name for name, one in assessed.items() if _follows(one) and not inputs[name].own]
        self._led = bool(leaders)
        reaches = self._reaches()
        self._shares = self._shares_of(reaches)
        self._whole = self._proposed(leaders)
        self._parts = spread(self._whole.net, reaches)
        self._carried = total(self._parts)
        short = self._carried.distance_kva(self._whole.net) > SHORT_KVA
        self._short = (Reason.CONVERTERS_SATURATED,) if short else ()

    def acted(self, name: str) -> Stepped:
        """Gate and emulation of one converter."""
        assessed, one, share = self._assessed[name], self._inputs[name], self._shares.get(name, 0.0)
        account = self.accounts[name]
        if account is not None and share == 0 and assessed.seen.measured is None:
            account = rested(account)  # whatever it followed has ended by now
        assessed = replace(assessed, state=replace(assessed.state, battery=account))
        offer = one.targets.of(assessed.decision.source)
        if offer is not None and not one.own:
            offer = offer.scaled(share) if share > 0 else None
        return act(assessed, offer, self._proposal(name, assessed, offer), one.node)

    def _proposal(self, name: str, assessed: Assessed, offer: AgedTarget | None) -> Proposal:
        """The part of one converter of what is proposed for all."""
        whole, share, rung = self._whole, self._shares.get(name, 0.0), assessed.decision.rung
        storage = whole.storage.scaled(share) if whole.storage and share > 0 else None
        inverters = tuple(inverter.scaled(share) for inverter in self._inputs[name].node.inverters)
        node = replace(self._inputs[name].node, inverters=inverters)
        if assessed.seen.now.stop or whole.amounts is None:
            return Proposal(storage=storage, correction=whole.correction)
        if rung is Rung.HOLD and _holds(assessed):
            return held_on(assessed, storage, node)
        if name not in self._parts or (rung is Rung.SAFE and self._led):
            return replace(safe(whole.amounts.scaled(0.0)), correction=whole.correction)
        amounts = self._amounts(whole.amounts, self._parts[name], share)
        if self._inputs[name].own and offer is not None and rung is Rung.USE:
            return followed(offer, amounts, assessed, storage, node)
        return replace(
            whole,
            net=self._parts[name],
            amounts=amounts,
            pv_kw=share * whole.pv_kw,
            plants=whole.plants.scaled(share),
            battery_range=whole.battery_range.scaled(share),
            reasons=(*whole.reasons, *self._short),
            storage=storage,
        )

    def _amounts(self, whole: LoadAndPv, part: Power, share: float) -> LoadAndPv:
        """Load and PV of a converter whose part is ``part``."""
        return LoadAndPv(
            part.p_kw + share * (whole.load_kw - self._carried.p_kw),
            part.q_kvar + share * (whole.load_kvar - self._carried.q_kvar),
            share * whole.pv_available_kw,
            whole.split,
        )

    def _reaches(self) -> Mapping[str, Reach]:
        """What each converter that takes part can do."""
        present = {name: one for name, one in self._assessed.items() if not one.seen.now.stop}
        able = {name for name, one in present.items() if (_follows(one) if self._led else not _silent(one))}
        held = {name for name, one in present.items() if _may_still_follow(one, self._led)}
        chosen = able | held or present.keys()
        reaches = {name: self._reach(name, fixed=name in held) for name in present if name in chosen}
        return {name: one for name, one in reaches.items() if one is not None}

    def _reach(self, name: str, *, fixed: bool) -> Reach | None:
        """What one converter can do; None while nobody knows what it holds."""
        assessed, node = self._assessed[name], self._inputs[name].node
        held, ramp_kva = reach(assessed, node)
        if held is None:
            return None
        s_max_kva = min(node.s_max_kva, derating(assessed.seen.now))
        return Reach(s_max_kva, held, 0.0 if fixed else ramp_kva, node.reactive, node.priority)

    def _shares_of(self, reaches: Mapping[str, Reach]) -> Mapping[str, float]:
        """Share of each converter in the present capability of those that take part; of nobody's: in the ratings."""
        whole_kva = sum(one.s_max_kva for one in reaches.values())
        if whole_kva == 0:
            return {name: one.node.share for name, one in self._inputs.items()}
        return {name: one.s_max_kva / whole_kva for name, one in reaches.items()}

    def _proposed(self, leaders: Sequence[str]) -> Proposal:
        """What the prosumer as a whole should do: follow the plan as its first leader would alone, else be safe."""
        amounts = next((one.state.amounts for one in self._assessed.values() if one.state.amounts), None)
        first = next(iter(leaders or self._assessed))
        assessed, node, account = self._assessed[first], self._inputs[first].node, self._account
        in_force = combined_in_force([one.state.in_force for one in self._assessed.values() if one.state.in_force])
        state = replace(assessed.state, battery=account, in_force=in_force, correction=self._correction(leaders))
        storage, offer = storage_of(state, node), self._inputs[first].targets.of(assessed.decision.source)
        if not leaders or offer is None or amounts is None:
            return safe(amounts, storage)
        whole = followed(offer, amounts, replace(assessed, state=state), storage, node)
        measured = all(one.seen.measured for one in self._assessed.values())
        if account and node.battery and measured and not explains(node.battery, account.battery_kw):
            return replace(whole, reasons=(Reason.BEYOND_BATTERY, *whole.reasons))
        return whole

    def _correction(self, leaders: Sequence[str]) -> Correction:
        """The correction of the voltage that the leaders have reached together."""
        kept = [(self._assessed[name].state.correction, self._inputs[name].node.share) for name in leaders]
        seen_s = [one.seen_s for one, _ in kept if one.seen_s is not None]
        if not seen_s:
            return NO_CORRECTION
        return Correction(sum(one.w_pu * share for one, share in kept) / sum(share for _, share in kept), max(seen_s))


def _follows(assessed: Assessed) -> bool:
    return assessed.decision.rung is Rung.USE


def _holds(assessed: Assessed) -> bool:
    return assessed.state.in_force is not None and assessed.state.sent is not None


def _silent(assessed: Assessed) -> bool:
    age_s = assessed.seen.data_age_s
    return age_s is None or not 0 <= age_s <= USE_DATA_S


def _may_still_follow(assessed: Assessed, led: bool) -> bool:
    """Whether it holds its last setpoint, or has only just ceased to: then its lease has not ended yet."""
    just_now = led and _silent(assessed) and assessed.state.ladder.rung is not Rung.SAFE
    holds_on = assessed.decision.rung is Rung.HOLD or (assessed.decision.rung is Rung.SAFE and just_now)
    return holds_on and _holds(assessed)


def _levelled(
    inputs: Mapping[str, NodeInputs], assessed: Mapping[str, Assessed]
) -> tuple[Mapping[str, BatteryState | None], BatteryState | None]:
    """The accounts of all converters with one state of charge, by name, and the account of the whole battery."""
    accounts = {name: assessed.get(name, one).state.battery for name, one in inputs.items()}
    first = next(iter(inputs.values())).node
    whole = combined_battery([(account, inputs[name].node.share) for name, account in accounts.items()])
    if whole is None or first.battery is None:
        return accounts, whole
    bounded = within_ends(first.battery, whole)
    found_kwh = bounded.unexplained_kwh - whole.unexplained_kwh
    levelled = {
        name: replace(
            account,
            soc=bounded.soc,
            below=bounded.below,
            above=bounded.above,
            unexplained_kwh=account.unexplained_kwh + found_kwh * inputs[name].node.share,
        )
        for name, account in accounts.items()
        if account is not None
    }
    return {**accounts, **levelled}, bounded
