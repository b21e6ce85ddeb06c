"""Voltage within 30 s: what a prosumer does between two plans when the voltage at its node leaves the published band.

The prosumer keeps a correction w (p.u.; > 0 lowers the voltage), the sum of what the voltage v was beyond the band:

    w ← max(w + v − v_high, 0)   above the band, or while w > 0;   below it: w ← min(w + v − v_low, 0)

An error back into the band counts by RELEASE only, so that a correction that was too large does not bounce. Demand
changes by what costs least first, with the slopes k_q, k_p that the operator published (:mod:`mpc.grid.slope`):

    w > 0:  reactive power k_q w, what that cannot:  k_p of the rest by the battery, then by less PV
    w < 0:  reactive power k_q w, what that cannot:  k_p of the rest by PV that the plan curtails, then by the battery

always within the limits of inverters and battery, its state of charge and the available PV. What could not be done is
not kept in w, so nothing winds up. Stability of all prosumers together: docs/algorithms/voltage_slope.md.
"""

from dataclasses import dataclass
from math import sqrt

from core.prices import VoltageSlope
from core.resources import Capability
from realtime.plane import Interval, Power
from realtime.storage import Storage
from realtime.timing import HOLD_DATA_S
from realtime.tracker import LoadAndPv, Tracked, power_limits

RELEASE = 0.5
"""Share of an error back into the band that counts."""
PLAUSIBLE_PU = Interval(0.5, 1.5)
"""A voltage outside of this is none."""


@dataclass(frozen=True)
class Correction:
    """Correction w of the voltage at a node (p.u.), and the monotonic time of the voltage that it is based on."""

    w_pu: float = 0.0
    seen_s: float | None = None

    def resumed(self, at_s: float, cycle_s: float, away_s: float) -> "Correction":
        """The same at ``at_s`` of a new monotonic clock, ``away_s`` after the last cycle, at ``cycle_s`` of the old."""
        if self.seen_s is None:
            return self
        return Correction(self.w_pu, at_s - max(away_s, 0.0) - (cycle_s - self.seen_s))


NO_CORRECTION = Correction()


def next_correction(before: Correction, slope: VoltageSlope | None, v_pu: float | None, at_s: float) -> Correction:
    """The correction after the voltage ``v_pu`` at ``at_s``.

    Without a voltage it is kept as long as a setpoint would be (45 s), and then given up; without a slope at once.
    """
    if slope is None or not slope.valid:
        return NO_CORRECTION
    if v_pu is None or PLAUSIBLE_PU.clip(v_pu) != v_pu:
        young = before.seen_s is not None and 0 <= at_s - before.seen_s <= HOLD_DATA_S
        return before if young else NO_CORRECTION
    above, below, w_pu = v_pu - slope.v_high_pu, v_pu - slope.v_low_pu, before.w_pu
    if w_pu > 0 or (w_pu == 0 and above > 0):
        return Correction(max(w_pu + _counted(above), 0.0), at_s)
    if w_pu < 0 or below < 0:
        return Correction(min(w_pu - _counted(-below), 0.0), at_s)
    return Correction(0.0, at_s)


def _counted(error_pu: float) -> float:
    return error_pu if error_pu > 0 else RELEASE * error_pu


@dataclass(frozen=True)
class Shifted:
    """What follows the plan, moved by a correction, of which ``done_pu`` was possible."""

    net: Power
    pv_kw: float
    done_pu: float


def shifted(tracked: Tracked, w_pu: float, slope: VoltageSlope, now: LoadAndPv, storage: Storage | None) -> Shifted:
    """Move what follows the plan by the correction ``w_pu``, as far as battery and PV allow."""
    battery, plants = tracked.battery, tracked.plants
    supplied_kvar, of_pv = battery.q_kvar + tracked.pv_kvar, plants.reactive(tracked.pv_kw)
    q_kvar = _reactive_room(storage, battery, of_pv.upper_kw).clip(supplied_kvar - slope.kvar_per_pu * w_pu)
    done_pu = _part(supplied_kvar - q_kvar, slope.kvar_per_pu, w_pu)
    pv_kvar = of_pv.clip(q_kvar)
    demand_kw, room = slope.kw_per_pu * (w_pu - done_pu), _active_room(storage, battery, q_kvar - pv_kvar)
    if demand_kw > 0:
        b_kw = room.clip(battery.p_kw - demand_kw)
        pv_kw = max(tracked.pv_kw - (demand_kw - (battery.p_kw - b_kw)), 0.0)
    else:
        most_kw = min(now.pv_available_kw, plants.most_kw(tracked.pv_kw, pv_kvar))
        pv_kw = min(tracked.pv_kw - demand_kw, most_kw)
        b_kw = room.clip(battery.p_kw - demand_kw - (pv_kw - tracked.pv_kw))
    moved_kw = battery.p_kw - b_kw + tracked.pv_kw - pv_kw
    net = Power(tracked.net.p_kw + moved_kw, tracked.net.q_kvar + supplied_kvar - q_kvar)
    return Shifted(net, pv_kw, done_pu + _part(moved_kw, slope.kw_per_pu, w_pu - done_pu))


def _reactive_room(storage: Storage | None, battery: Power, of_pv_kvar: float) -> Interval:
    """Range of β + γ at the battery's active power."""
    room_kvar = of_pv_kvar
    if storage is not None:
        room_kvar += storage.battery.capability.reactive_kvar(storage.battery.s_max_kva, battery.p_kw)
    return Interval(-room_kvar, room_kvar)


def _active_room(storage: Storage | None, before: Power, q_kvar: float) -> Interval:
    """Range of b at the reactive power β; it contains the present one."""
    if storage is None:
        return Interval(0.0, 0.0)
    room = power_limits(storage)
    if storage.battery.capability is Capability.DISC:
        room = room.within(sqrt(max(storage.battery.s_max_kva**2 - q_kvar**2, 0.0)))
    return Interval(min(room.lower_kw, before.p_kw), max(room.upper_kw, before.p_kw))


def _part(change: float, per_pu: float, wanted_pu: float) -> float:
    """The part of a wanted correction that a change of demand achieves, p.u.; between 0 and all of it."""
    return 0.0 if per_pu <= 0 else min(max(change / per_pu, min(wanted_pu, 0.0)), max(wanted_pu, 0.0))
