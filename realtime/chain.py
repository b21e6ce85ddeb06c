"""One converter's cycle: what was read of it and what is planned for its prosumer become its setpoint.

Its node is what it reproduces: the whole prosumer, or a part of it (:mod:`realtime.several`).

    assess    soc   ← measured power over the real time                        :mod:`realtime.emulation`
              rung  ← ages of data and plans                                   :mod:`realtime.fallback`
    propose   x     ← USE: (26)   HOLD: last setpoint   SAFE: net load and PV  :mod:`realtime.tracker`
              w, x  ← USE: x moved if the voltage left the published band      :mod:`realtime.slope`
    act       S     ← gate(x)                                                  :mod:`realtime.safety`
              what the node emulates from now on ← emulate(S)                  :mod:`realtime.emulation`

Nothing here reads a clock: ages and elapsed times are differences of the monotonic times that came in.
"""

from dataclasses import dataclass, replace

from core.devices import Measurement, Quality, Setpoint
from realtime.emulation import NO_PLANTS, BatteryState, InForce, advance, emulate, explains, lapsed, range_after
from realtime.fallback import Decision, LadderInputs, LadderState, Rung
from realtime.fallback import step as ladder_step
from realtime.node import AgedTarget, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.plane import ANY, ZERO, Interval, Power
from realtime.plants import Plants
from realtime.reasons import Reason
from realtime.safety import Bounds, gate
from realtime.slope import NO_CORRECTION, Correction, next_correction, shifted
from realtime.storage import Storage, allowed_power, inward
from realtime.timing import CYCLE_DEADLINE_S, HOLD_DATA_S, S_PER_H
from realtime.tracker import LoadAndPv, plants_with, power_limits, track

STANDSTILL = Interval(0.0, 0.0)


@dataclass(frozen=True)
class Perceived:
    """The part of a cycle's input that concerns one converter, after a check of its ages."""

    at_s: float
    measured: Power | None
    data_age_s: float | None
    now: NodeNow


@dataclass(frozen=True)
class Assessed:
    """A converter in a cycle before anything is proposed: ``state`` has the new account and amounts."""

    seen: Perceived
    state: NodeState
    decision: Decision
    ladder: LadderState
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """Net power that a rung proposes to the gate, and its parts; with ``amounts`` None the node emulates nothing.

    ``storage`` is what the state of charge allows, None without a battery.
    """

    net: Power = ZERO
    amounts: LoadAndPv | None = None
    pv_kw: float = 0.0
    plants: Plants = NO_PLANTS
    battery_range: Interval = STANDSTILL
    s_max_kva: float = float("inf")
    reasons: tuple[Reason, ...] = ()
    correction: Correction = NO_CORRECTION
    storage: Storage | None = None


def step_node(
    at_s: float,
    reading: Measurement | None,
    now: NodeNow,
    targets: PlanTargets,
    state: NodeState,
    node: NodeLimits,
) -> tuple[NodeResult, NodeState]:
    """The chain of one converter at the monotonic time ``at_s``."""
    assessed = assess(at_s, reading, now, targets, state, node)
    offer = targets.of(assessed.decision.source)
    return act(assessed, offer, propose(assessed, offer, node), node)


def assess(
    at_s: float,
    reading: Measurement | None,
    now: NodeNow,
    targets: PlanTargets,
    state: NodeState,
    node: NodeLimits,
) -> Assessed:
    """Book what was measured, and find the rung."""
    seen, state = _perceive(at_s, reading, now, state, node)
    booked, reasons = _account(seen, state, node)
    corrects = state.correction if state.sent is not None else NO_CORRECTION  # who sends nothing corrects nothing
    decision, ladder = ladder_step(_ladder_inputs(seen, targets), state.ladder)
    return Assessed(seen, replace(state, battery=booked, correction=corrects), decision, ladder, reasons)


def propose(assessed: Assessed, offer: AgedTarget | None, node: NodeLimits) -> Proposal:
    """What the rung proposes for all that ``node`` reproduces; ``offer`` is of the plan that the ladder chose."""
    seen, state, decision = assessed.seen, assessed.state, assessed.decision
    storage = storage_of(state, node)
    if seen.now.stop:
        return Proposal(storage=storage)
    if decision.rung is Rung.USE and offer is not None and state.amounts is not None:
        return followed(offer, state.amounts, assessed, storage, node)
    if decision.rung is Rung.HOLD and state.in_force is not None and state.sent is not None:
        return held_on(assessed, storage, node)
    return safe(state.amounts, storage)


def act(
    assessed: Assessed, offer: AgedTarget | None, proposal: Proposal, node: NodeLimits
) -> tuple[NodeResult, NodeState]:
    """Limit the proposal, and derive what the node emulates from now on."""
    seen, state = assessed.seen, assessed.state
    held, ramp_kva = reach(assessed, node)
    s_max_kva = min(node.s_max_kva, proposal.s_max_kva, derating(seen.now))
    bounds = Bounds(s_max_kva, ramp_kva, _soc_strip(proposal), node.resolution_kw, node.reactive)
    gated = gate(proposal.net, held, bounds, safe=safe(proposal.amounts).net, emergency=seen.now.stop)
    in_force = _emulated(gated.setpoint, proposal)
    changed = tuple(reason for reason in gated.reasons if reason is not Reason.TRUNCATED)  # which is usual
    correction = _done(proposal, state, held, gated.setpoint)
    mismatch = (Reason.LOAD_MISMATCH,) if in_force and abs(in_force.mismatch_kw) > node.resolution_kw else ()
    result = NodeResult(
        setpoint=Setpoint(gated.setpoint.p_kw, gated.setpoint.q_kvar, node.lease_s),
        rung=assessed.decision.rung,
        source=assessed.decision.source,
        reasons=(*assessed.reasons, *assessed.decision.reasons, *proposal.reasons, *changed, *mismatch),
        target=offer.target if offer else None,
        measured=seen.measured,
        in_force=in_force,
        soc=state.battery.soc if state.battery else None,
        slope_pu=correction.w_pu,
    )
    return result, replace(
        state,
        ladder=assessed.ladder,
        in_force=in_force,
        sent=gated.setpoint,
        cycle_s=seen.at_s,
        correction=correction,
    )


def _emulated(setpoint: Power, proposal: Proposal) -> InForce | None:
    if proposal.amounts is None:
        return None
    return emulate(setpoint, proposal.amounts, proposal.pv_kw, proposal.battery_range, proposal.plants)


def _perceive(
    at_s: float, reading: Measurement | None, now: NodeNow, state: NodeState, node: NodeLimits
) -> tuple[Perceived, NodeState]:
    """Accept new valid data with their times; the age is that of the older of reading and amounts."""
    measured = _power(reading)
    last_s = state.received_s if state.received_s is not None else float("-inf")
    if reading is not None and measured is not None and reading.received_s > last_s:
        state = replace(state, received_s=reading.received_s)
        measured = measured if at_s - reading.received_s <= node.cycle_s else None  # else from before a pause
    else:
        measured = None
    if now.amounts is not None and now.amounts.valid:
        state = replace(state, amounts=now.amounts, amounts_s=at_s)
    elif state.amounts_s is None or at_s - state.amounts_s > HOLD_DATA_S:
        state = replace(state, amounts=None)
    times = (state.received_s, state.amounts_s)
    age_s = None if None in times else at_s - min(t for t in times if t is not None)
    return Perceived(at_s, measured, age_s, now), state


def _power(reading: Measurement | None) -> Power | None:
    if reading is None or reading.quality is not Quality.GOOD or reading.p_kw is None or reading.q_kvar is None:
        return None
    power = Power(reading.p_kw, reading.q_kvar)
    return power if power.finite else None


def _account(seen: Perceived, state: NodeState, node: NodeLimits) -> tuple[BatteryState | None, tuple[Reason, ...]]:
    battery, account = node.battery_part, state.battery
    if battery is None or account is None:
        return account, ()
    elapsed_s = seen.at_s - state.cycle_s if state.cycle_s is not None else 0.0
    if not seen.now.operated:
        return lapsed(battery, account, state.in_force, elapsed_s, bounded=node.alone), ()
    booked = advance(battery, account, state.in_force, seen.measured, elapsed_s, bounded=node.alone)
    if state.in_force is None:
        return booked, ()
    if seen.measured is None:
        return booked, (Reason.SOC_ESTIMATED,)
    explained = not node.alone or explains(battery, booked.battery_kw)  # of several, only their sum can be
    return booked, () if explained else (Reason.BEYOND_BATTERY,)


def _ladder_inputs(seen: Perceived, targets: PlanTargets) -> LadderInputs:
    intraday, day_ahead = (
        offer.age_s if offer is not None and offer.target.valid else None
        for offer in (targets.intraday, targets.day_ahead)
    )
    polls = max(seen.now.polls, 0) if seen.measured is not None else 0
    return LadderInputs(seen.data_age_s, polls, intraday, day_ahead, seen.now.stop)


def storage_of(state: NodeState, node: NodeLimits) -> Storage | None:
    """The battery with the discharge that its charge allows, from the write (at the latest) to the end of the lease."""
    if node.battery is None or state.battery is None:
        return None
    at_write = range_after(node.battery, state.battery, state.in_force, CYCLE_DEADLINE_S)
    allowed = allowed_power(node.battery, at_write.widened(node.soc_reserve), node.lease_s / S_PER_H)
    soc = state.battery.soc
    return Storage(node.battery, soc, inward(node.battery, soc, node.soc_reserve, allowed))


def followed(
    offer: AgedTarget, amounts: LoadAndPv, assessed: Assessed, storage: Storage | None, node: NodeLimits
) -> Proposal:
    """The target (26), moved by the voltage slope."""
    seen = assessed.seen
    tracked = track(offer.target, amounts, storage, node.cycle_s / S_PER_H, node.inverters)
    battery_range = power_limits(storage) if storage else STANDSTILL
    correction = next_correction(assessed.state.correction, offer.slope, seen.now.v_pu, seen.at_s)
    plain = Proposal(
        tracked.net,
        amounts,
        tracked.pv_kw,
        tracked.plants,
        battery_range,
        reasons=tracked.reasons,
        correction=correction,
        storage=storage,
    )
    if offer.slope is None or correction.w_pu == 0:
        return plain
    moved = shifted(tracked, correction.w_pu, offer.slope, amounts, storage)
    return replace(
        plain,
        net=moved.net,
        pv_kw=moved.pv_kw,
        reasons=(*tracked.reasons, Reason.VOLTAGE_SLOPE),
        correction=replace(correction, w_pu=moved.done_pu),
    )


def held_on(assessed: Assessed, storage: Storage | None, node: NodeLimits) -> Proposal:
    """The last setpoint, with what it emulates.

    Raises:
        ValueError: there is none.
    """
    state = assessed.state
    if state.in_force is None or state.sent is None:
        raise ValueError("nothing to hold")
    amounts = state.in_force.amounts
    return Proposal(
        state.sent,
        amounts,
        amounts.pv_available_kw,
        plants_with(node.inverters, amounts.plants_kw),
        power_limits(storage) if storage else STANDSTILL,
        _held_kva(assessed.seen.now, state.sent, node),
        correction=state.correction,
        storage=storage,
    )


def _done(proposal: Proposal, state: NodeState, held: Power | None, gated: Power) -> Correction:
    """The part of the proposed correction that the gate let through, by the share of the way from ``held``."""
    wanted, before = proposal.correction, state.correction
    if held is None or wanted.w_pu in (0.0, before.w_pu):
        return wanted
    way_kva = held.distance_kva(proposal.net)
    share = min(held.distance_kva(gated) / way_kva, 1.0) if way_kva > 0 else 1.0
    return replace(wanted, w_pu=before.w_pu + share * (wanted.w_pu - before.w_pu))


def _held_kva(now: NodeNow, sent: Power, node: NodeLimits) -> float:
    """Limit of apparent power while holding: that of the last setpoint, or of an older one still in the device."""
    if now.held is None or not now.held.power.finite:
        return sent.s_kva
    return min(sent.s_kva, now.held.power.s_kva + node.resolution_kw)


def safe(amounts: LoadAndPv | None, storage: Storage | None = None) -> Proposal:
    """Flexible resources at zero: net load and PV; P = Q = 0 if they are unknown."""
    if amounts is None:
        return Proposal(storage=storage)
    net = Power(amounts.load_kw - amounts.pv_available_kw, amounts.load_kvar)
    return Proposal(net, amounts, amounts.pv_available_kw, storage=storage)


def _soc_strip(proposal: Proposal) -> Interval:
    """Range of P that keeps the state of charge in its band.

    Too high a P can always be met by less PV, too low a P cannot.
    """
    if proposal.amounts is None or proposal.storage is None:
        return ANY
    load_kw, allowed = proposal.amounts.load_kw, proposal.storage.allowed
    return Interval(load_kw - proposal.pv_kw - allowed.upper_kw, load_kw - allowed.lower_kw)


def reach(assessed: Assessed, node: NodeLimits) -> tuple[Power | None, float]:
    """Setpoint in the device, and how far the ramp allows to move: by the time since its acceptance, at most one cycle.

    An unknown time (after most restarts) counts as zero: the first setpoint then repeats the one read back.
    """
    seen, state = assessed.seen, assessed.state
    held = seen.now.held if seen.now.held is not None and seen.now.held.power.finite else None
    since_s = held.since_s if held is not None else state.cycle_s
    ramp_s = min(max(seen.at_s - since_s, 0.0), node.cycle_s) if since_s is not None else 0.0
    return held.power if held is not None else state.sent, node.ramp_kva_per_s * ramp_s


def derating(now: NodeNow) -> float:
    """Capability that the device reports, kVA; an implausible number is ignored, and the rating applies."""
    return now.s_max_kva if now.s_max_kva is not None and now.s_max_kva >= 0 else float("inf")
