"""Emulation of a node behind its meter: one converter reproduces load, PV and battery together.

The battery exists only in its account here: its power is the remainder of the converter's net power,

    b = load_p − g − p,    β = load_q − γ − q                                    (22b) solved for the battery
    soc ← soc − b Δt/(η E)  for b ≥ 0,    soc ← soc − η b Δt/E  for b < 0        (20a)

with the load and PV *in force* since the last setpoint, p measured now and held for the real time since the last
call (≤ 45 s; before that the time counts as unmeasured).

**Without a measurement** the converter's power is unknown. The state of charge then follows the command as the best
estimate (and is constant after the lease would have ended), with an uncertainty on both sides: the true power was
between those of the command, the last measurement and standstill. Limits are kept for every possible state of charge.
If a gap is shorter than the lease and ends with the converter at its command, the command was followed and the
uncertainty of the gap is dropped. Other uncertainty remains, since no later reading can resolve it.

**A node that is not operated** (released, LOCAL, its lease ended) emulates nothing: the battery rests, whatever is
measured. The same holds from the end of the lease on if there was no call for longer than that.
"""

from dataclasses import dataclass, replace

from core.resources import Battery
from realtime.plane import Interval, Power
from realtime.plants import Plants
from realtime.storage import SocRange, soc_change
from realtime.timing import HOLD_DATA_S, LEASE_S, S_PER_H
from realtime.tracker import LoadAndPv

NO_PLANTS = Plants()
FOLLOWS_REL = 0.05
"""A battery power within this share of the battery's rating of the command counts as following it."""


@dataclass(frozen=True)
class InForce:
    """Emulated powers from the time the setpoint is written; p = load − b − g and q = load_q − β − γ hold exactly.

    ``pv_split`` are the shares of each of several plants in ``pv_kw``, ``pv_kvar`` is the reactive power γ of all.

    ``mismatch_kw`` is the load in force minus the requested load: the converter's ramp or rating may prevent the net
    power that load, PV and battery would add up to.
    """

    load_kw: float
    load_kvar: float
    pv_kw: float
    battery: Power
    mismatch_kw: float
    pv_kvar: float = 0.0
    pv_split: tuple[float, ...] = ()

    @property
    def amounts(self) -> LoadAndPv:
        """Load and PV to continue with while the node holds its setpoint."""
        return LoadAndPv(self.load_kw, self.load_kvar, self.pv_kw, self.pv_split)


@dataclass(frozen=True)
class Gap:
    """Time without measurement, still open, and the uncertainty of the state of charge that it adds below and above."""

    seconds: float = 0.0
    below: float = 0.0
    above: float = 0.0


@dataclass(frozen=True)
class BatteryState:
    """Account of an emulated battery; energies in kWh at its terminals, since the start.

    Attributes:
        soc: best estimate.
        battery_kw: last known discharge.
        below, above: uncertainty from closed gaps: how far the true state of charge may lie from ``soc``.
        estimated_kwh: throughput booked by command, part of the charged and discharged energy.
        unexplained_kwh: energy charged into a full battery or discharged from an empty one, |.|; ``soc`` stays in [0,
            1].
    """

    soc: float
    battery_kw: float = 0.0
    below: float = 0.0
    above: float = 0.0
    gap: Gap = Gap()
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    estimated_kwh: float = 0.0
    unexplained_kwh: float = 0.0

    @property
    def soc_range(self) -> SocRange:
        """Range of possible states of charge."""
        return SocRange(self.soc - self.below - self.gap.below, self.soc + self.above + self.gap.above)


def battery_power(net: Power, load_kw: float, load_kvar: float, pv_kw: float) -> Power:
    """(b, β + γ), the remainder of a node's net power after load and the output of PV."""
    return Power(load_kw - pv_kw - net.p_kw, load_kvar - net.q_kvar)


def explains(battery: Battery, battery_kw: float) -> bool:
    """Whether the battery is capable of this power, within the tolerance of :data:`FOLLOWS_REL`."""
    return abs(battery_kw) <= battery.power_box_kw + FOLLOWS_REL * battery.s_max_kva


def emulate(net: Power, now: LoadAndPv, pv_kw: float, battery_range: Interval, plants: Plants = NO_PLANTS) -> InForce:
    """Emulated powers of a node at the net power that the gate has allowed.

    The battery takes what its range (kW) allows, then PV output falls below ``pv_kw`` (not below 0), and the rest is
    load that is not reproduced. So the gate cannot command a battery beyond its limits. Reactive power comes from the
    PV plants as far as they can, the rest from the battery.
    """
    requested = battery_power(net, now.load_kw, now.load_kvar, pv_kw)
    battery_kw = battery_range.clip(requested.p_kw)
    pv_in_force_kw = Interval(0.0, pv_kw).clip(now.load_kw - battery_kw - net.p_kw)
    load_kw = net.p_kw + battery_kw + pv_in_force_kw
    pv_kvar = plants.reactive(pv_in_force_kw).clip(requested.q_kvar)
    return InForce(
        load_kw=load_kw,
        load_kvar=now.load_kvar,
        pv_kw=pv_in_force_kw,
        battery=Power(battery_kw, requested.q_kvar - pv_kvar),
        mismatch_kw=load_kw - now.load_kw,
        pv_kvar=pv_kvar,
        pv_split=plants.split if len(plants.split) > 1 else (),
    )


def advance(
    battery: Battery,
    state: BatteryState,
    in_force: InForce | None,
    measured: Power | None,
    elapsed_s: float,
    *,
    bounded: bool = True,
) -> BatteryState:
    """The account after ``elapsed_s`` of real time.

    Args:
        in_force: since the last call; None while the node is not operated.
        measured: the converter's net power, None without a new valid reading.
        bounded: whether the state of charge stays in [0, 1]; False for a part of a battery, whose sum does.

    Raises:
        ValueError: the time or the measurement is not finite, or the time is negative.
    """
    if not 0 <= elapsed_s < float("inf") or (measured is not None and not measured.finite):
        raise ValueError(f"cannot book {measured} over {elapsed_s} s")
    if in_force is None or elapsed_s > LEASE_S:
        return lapsed(battery, state, in_force, elapsed_s, bounded=bounded)
    if measured is None:
        return _estimated(battery, state, in_force, elapsed_s, bounded)
    measured_s = min(elapsed_s, HOLD_DATA_S)
    if elapsed_s > measured_s:
        state = _estimated(battery, state, in_force, elapsed_s - measured_s, bounded)
    battery_kw = battery_power(measured, in_force.load_kw, in_force.load_kvar, in_force.pv_kw).p_kw
    off_command = abs(battery_kw - in_force.battery.p_kw)
    followed = state.gap.seconds < LEASE_S and off_command <= FOLLOWS_REL * battery.s_max_kva
    last = replace(_closed(state, followed), battery_kw=battery_kw)
    return _booked(battery, last, battery_kw, measured_s, bounded)


def lapsed(
    battery: Battery, state: BatteryState, in_force: InForce | None, elapsed_s: float, *, bounded: bool = True
) -> BatteryState:
    """The account of a node that is no longer operated, but was during a part of the last ``elapsed_s``.

    Energy is booked by command, for a lease at most; the uncertainty remains.
    """
    if in_force is None:
        return rested(state)
    return rested(_estimated(battery, state, in_force, min(max(elapsed_s, 0.0), LEASE_S), bounded))


def within_ends(battery: Battery, state: BatteryState) -> BatteryState:
    """The account with its state of charge in [0, 1]; what that leaves out is unexplained."""
    soc = min(max(state.soc, 0.0), 1.0)
    unexplained_kwh = state.unexplained_kwh + abs(state.soc - soc) * battery.energy_kwh
    return replace(state, soc=soc, unexplained_kwh=unexplained_kwh)


def range_after(battery: Battery, state: BatteryState, in_force: InForce | None, seconds: float) -> SocRange:
    """Range of the state of charge when a setpoint decided now takes effect, at most ``seconds`` from now.

    Until then the converter follows its last command, continues as last measured, or stands still.
    """
    commanded = in_force.battery.p_kw if in_force else 0.0
    lower, upper = _change_range(battery, (commanded, state.battery_kw, 0.0), seconds)
    now = state.soc_range
    return SocRange(now.low + lower, now.high + upper)


def _estimated(battery: Battery, state: BatteryState, in_force: InForce, seconds: float, bounded: bool) -> BatteryState:
    commanded_kw = in_force.battery.p_kw
    alive_s = Interval(0.0, seconds).clip(LEASE_S - state.gap.seconds)
    best = soc_change(battery, commanded_kw, alive_s / S_PER_H)
    lower, upper = _change_range(battery, (commanded_kw, state.battery_kw, 0.0), seconds)
    gap = Gap(state.gap.seconds + seconds, state.gap.below + best - lower, state.gap.above + upper - best)
    booked = _booked(battery, state, commanded_kw, alive_s, bounded)
    return replace(booked, gap=gap, estimated_kwh=state.estimated_kwh + abs(commanded_kw) * alive_s / S_PER_H)


def _change_range(battery: Battery, powers_kw: tuple[float, ...], seconds: float) -> tuple[float, float]:
    """Least and largest change of the state of charge, for any power in the range of the given ones."""
    hours = seconds / S_PER_H
    return soc_change(battery, max(powers_kw), hours), soc_change(battery, min(powers_kw), hours)


def rested(state: BatteryState) -> BatteryState:
    """The account while nothing is emulated; an open gap has ended with it, and its uncertainty remains."""
    return replace(_closed(state, followed=False), battery_kw=0.0)


def _closed(state: BatteryState, followed: bool) -> BatteryState:
    if followed:
        return replace(state, gap=Gap())
    return replace(state, below=state.below + state.gap.below, above=state.above + state.gap.above, gap=Gap())


def _booked(battery: Battery, state: BatteryState, battery_kw: float, seconds: float, bounded: bool) -> BatteryState:
    energy_kwh = battery_kw * seconds / S_PER_H
    booked = replace(
        state,
        soc=state.soc + soc_change(battery, battery_kw, seconds / S_PER_H),
        charged_kwh=state.charged_kwh + max(-energy_kwh, 0.0),
        discharged_kwh=state.discharged_kwh + max(energy_kwh, 0.0),
    )
    return within_ends(battery, booked) if bounded else booked
