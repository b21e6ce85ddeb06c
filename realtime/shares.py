"""A prosumer as the sum of its converters: results and the account of its battery.

Each converter books its energy in a part of the battery's account, in proportion to its rating; the shares of a
prosumer add up to 1 and never change, so that the parts add up to the whole whatever each converter reproduced
(:mod:`realtime.several`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from core.devices import Setpoint
from realtime.emulation import BatteryState, Gap, InForce
from realtime.fallback import Rung, Source
from realtime.node import NodeLimits, NodeResult, NodeState
from realtime.plane import Power
from realtime.tracker import Target

_CAUTION = (Rung.USE, Rung.HOLD, Rung.SAFE)
_FALLBACK = (Source.INTRADAY, Source.DAY_AHEAD, Source.NONE)


def shares_by_rating(rated_kva: Mapping[str, float]) -> Mapping[str, float]:
    """Share of each converter of a prosumer in the battery's account, by name, in proportion to its rating."""
    total_kva = sum(rated_kva.values())
    return {name: s_max_kva / total_kva for name, s_max_kva in rated_kva.items()}


def converters_by_prosumer(limits: Mapping[str, NodeLimits]) -> Mapping[str, tuple[str, ...]]:
    """Prosumer → its converters."""
    found: dict[str, tuple[str, ...]] = {}
    for name, node in limits.items():
        found[node.prosumer] = (*found.get(node.prosumer, ()), name)
    return found


def prosumer_result(
    names: Collection[str], results: Mapping[str, NodeResult], limits: Mapping[str, NodeLimits]
) -> NodeResult:
    """The decision for a prosumer, combined from those for its converters.

    Target, setpoint and emulated powers are sums over the converters that have them. A measurement or a state of charge
    is known only if it is known of all converters. The rung is the lowest.
    """
    parts = [results[name] for name in names]
    if len(parts) == 1:
        return parts[0]
    shares = [limits[name].share for name in names]
    return NodeResult(
        setpoint=_setpoint([part.setpoint for part in parts if part.setpoint]),
        rung=max((part.rung for part in parts), key=_CAUTION.index),
        source=max((part.source for part in parts), key=_FALLBACK.index),
        reasons=tuple(dict.fromkeys(reason for part in parts for reason in part.reasons)),
        target=_target([(part.target, share) for part, share in zip(parts, shares, strict=True) if part.target]),
        measured=_measured([part.measured for part in parts]),
        in_force=combined_in_force([part.in_force for part in parts if part.in_force]),
        soc=_mean([part.soc for part in parts], shares),
        error="; ".join(part.error for part in parts if part.error) or None,
        slope_pu=sum(part.slope_pu * share for part, share in zip(parts, shares, strict=True)),
    )


def prosumer_batteries(
    states: Mapping[str, NodeState], limits: Mapping[str, NodeLimits]
) -> Mapping[str, BatteryState | None]:
    """Account of each prosumer's battery, by prosumer; None without a battery."""
    return {
        prosumer: combined_battery([(states[name].battery, limits[name].share) for name in names if name in states])
        for prosumer, names in converters_by_prosumer(limits).items()
    }


def combined_battery(parts: Sequence[tuple[BatteryState | None, float]]) -> BatteryState | None:
    """Account of a battery from those of its parts, each with its share; None without any."""
    known = [(battery, share) for battery, share in parts if battery]
    if len(known) < 2:
        return known[0][0] if known else None
    batteries, whole = [battery for battery, _ in known], sum(share for _, share in known)

    def mean(values: Iterable[float]) -> float:
        return sum(value * share for value, (_, share) in zip(values, known, strict=True)) / whole

    gaps = [battery.gap for battery in batteries]
    return BatteryState(
        soc=mean(battery.soc for battery in batteries),
        battery_kw=sum(battery.battery_kw for battery in batteries),
        below=mean(battery.below for battery in batteries),
        above=mean(battery.above for battery in batteries),
        gap=Gap(max(gap.seconds for gap in gaps), mean(gap.below for gap in gaps), mean(gap.above for gap in gaps)),
        charged_kwh=sum(battery.charged_kwh for battery in batteries),
        discharged_kwh=sum(battery.discharged_kwh for battery in batteries),
        estimated_kwh=sum(battery.estimated_kwh for battery in batteries),
        unexplained_kwh=sum(battery.unexplained_kwh for battery in batteries),
    )


def _setpoint(parts: Sequence[Setpoint]) -> Setpoint | None:
    if not parts:
        return None
    return Setpoint(sum(x.p_kw for x in parts), sum(x.q_kvar for x in parts), min(x.lease_s for x in parts))


def _target(parts: Sequence[tuple[Target, float]]) -> Target | None:
    if not parts:
        return None
    whole = sum(share for _, share in parts)
    pv_share = sum(target.pv_share * share for target, share in parts) / whole
    p_kw, q_kvar = (sum(values) for values in zip(*((target.p_kw, target.q_kvar) for target, _ in parts), strict=True))
    return Target(p_kw, q_kvar, pv_share, parts[0][0].pv_shares)


def _measured(parts: Sequence[Power | None]) -> Power | None:
    known = [power for power in parts if power is not None]
    if len(known) < len(parts):
        return None
    return Power(sum(power.p_kw for power in known), sum(power.q_kvar for power in known))


def combined_in_force(parts: Sequence[InForce]) -> InForce | None:
    """What several converters emulate together; None without any."""
    if not parts:
        return None
    return InForce(
        load_kw=sum(part.load_kw for part in parts),
        load_kvar=sum(part.load_kvar for part in parts),
        pv_kw=sum(part.pv_kw for part in parts),
        battery=Power(sum(part.battery.p_kw for part in parts), sum(part.battery.q_kvar for part in parts)),
        mismatch_kw=sum(part.mismatch_kw for part in parts),
        pv_kvar=sum(part.pv_kvar for part in parts),
        pv_split=next((part.pv_split for part in parts if part.pv_split), ()),
    )


def _mean(values: Sequence[float | None], shares: Sequence[float]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return sum(value * share for value, share in zip(known, shares, strict=True))
