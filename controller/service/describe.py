"""Records of a cycle: prosumers, nodes, lines and devices, with the names of the run's files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.process.modes import Mode
from controller.record.outbox import Counts
from controller.record.records import CycleRecord, DeviceRecord, LimitsRecord, ProsumerRecord
from controller.service.cycle import Cycle, ObservedHouse
from controller.service.prices import Price
from controller.service.watch import Image
from core.config import Config
from core.devices import Quality
from core.network import Network
from realtime.node import NodeResult
from realtime.reasons import Reason


@dataclass(frozen=True)
class ServiceState:
    """State of the service at the end of a cycle: number of ``missed`` cycles so far, and counts of its
    ``telemetry``.
    """

    mode: Mode
    cycle_ms: float
    missed: int
    telemetry: Counts


@dataclass(frozen=True)
class RecordContext:
    """What a cycle's record contains besides the cycle: prices of the plan in force, the day's costs, the service."""

    prices: Mapping[str, Price]
    costs_chf: Mapping[str, float]
    plan_age_s: float | None
    service: ServiceState


@dataclass(frozen=True)
class Places:
    """Where meters are: node → meter, the line that feeds each node besides the slack; and converters by prosumer."""

    meters: Mapping[str, str]
    feeds: Mapping[str, str]
    nodes: Mapping[str, str]
    converters: Mapping[str, tuple[str, ...]]
    slack: str

    @classmethod
    def of(cls, config: Config, network: Network) -> "Places":
        """Extract the places from ``config`` and the lines of its grid ``network``."""
        return cls(
            meters=config.meter_at,
            feeds=network.feeds,
            nodes={p.name: p.node for p in config.prosumers},
            converters=config.converters_of,
            slack=network.slack,
        )


def limits_record(config: Config, network: Network) -> LimitsRecord:
    """The limits of a configuration as telemetry records them."""
    limits = config.limits.limits()
    return LimitsRecord(
        limits.v_min_pu,
        limits.v_max_pu,
        limits.slack_p_max_kw,
        limits.slack_q_max_kvar,
        {line.name: line.i_max_a for line in network.lines},
    )


def cycle_record(cycle: Cycle, places: Places, limits: LimitsRecord, around: RecordContext) -> CycleRecord:
    """The record of a cycle, without alarms."""
    image, counts = cycle.image, around.service.telemetry
    slack = image.fresh(places.meters.get(places.slack))
    at_nodes = {node: image.fresh(places.meters.get(node)) for node in (places.slack, *places.feeds)}
    nodes = {node: reading.v_pu if reading else None for node, reading in at_nodes.items()}
    return CycleRecord(
        time=cycle.at,
        prosumers={
            name: _prosumer(name, cycle, _voltage(name, image, places), around)
            for name in places.nodes
            if name in cycle.result.nodes or name in cycle.houses
        },
        nodes=nodes,
        lines={line: r.i_a if (r := at_nodes.get(node)) else None for node, line in places.feeds.items()},
        slack_p_kw=slack.p_kw if slack else None,
        slack_q_kvar=slack.q_kvar if slack else None,
        devices={name: _device(name, quality, cycle) for name, quality in image.quality.items()},
        limits=limits,
        violation_pu=_violation_pu((nodes[node] for node in places.feeds), limits),
        mode=around.service.mode,
        cycle_ms=around.service.cycle_ms,
        missed=around.service.missed,
        plan_age_s=around.plan_age_s,
        backlog=counts.backlog,
        dropped=counts.dropped,
        dead_letters=counts.dead_letters,
    )


def _device(name: str, quality: Quality, cycle: Cycle) -> DeviceRecord:
    image, status = cycle.image, cycle.image.snapshot.statuses.get(name)
    reading, write = image.fresh(name), cycle.result.writes.get(name)
    sent = write.setpoint if write else None
    return DeviceRecord(
        latency_ms=image.latency_ms.get(name),
        quality=quality,
        age_s=image.age_s.get(name),
        state=status.state.name.lower() if status and status.state is not None else None,
        outcome=cycle.outcomes.get(name),
        lease_s=cycle.lease_s.get(name),
        p_kw=reading.p_kw if reading else None,
        q_kvar=reading.q_kvar if reading else None,
        p_setpoint_kw=sent.p_kw if sent else None,
        q_setpoint_kvar=sent.q_kvar if sent else None,
    )


def _violation_pu(voltages_pu: Iterable[float | None], limits: LimitsRecord) -> float | None:
    beyond = (max(v - limits.v_max_pu, limits.v_min_pu - v, 0.0) for v in voltages_pu if v is not None)
    return max(beyond, default=None)


def _voltage(prosumer: str, image: Image, places: Places) -> float | None:
    """Voltage (p.u.) from the meter at the prosumer's node, else from its first converter with a fresh reading."""
    meter = places.meters.get(places.nodes[prosumer])
    readings = (image.fresh(device) for device in (meter, *places.converters[prosumer]))
    return next((reading.v_pu for reading in readings if reading and reading.v_pu is not None), None)


def _prosumer(name: str, cycle: Cycle, v_pu: float | None, around: RecordContext) -> ProsumerRecord:
    price, cost_chf = around.prices.get(name), around.costs_chf.get(name)
    if name in cycle.houses:
        return house_record(cycle.houses[name], v_pu, price, cost_chf)
    return prosumer_record(cycle.result.nodes[name], v_pu, price, cost_chf)


def house_record(
    house: ObservedHouse, v_pu: float | None, price: Price | None, cost_chf: float | None
) -> ProsumerRecord:
    """A passive house: what the plan expected of it, and what it draws."""
    target, power = house.target, house.demand.power
    measured = power if house.demand.measured else None
    return ProsumerRecord(
        p_target_kw=target.p_kw if target else None,
        q_target_kvar=target.q_kvar if target else None,
        p_setpoint_kw=None,
        q_setpoint_kvar=None,
        p_measured_kw=measured.p_kw if measured else None,
        q_measured_kvar=measured.q_kvar if measured else None,
        load_kw=power.p_kw,
        pv_kw=None,
        battery_kw=None,
        soc=None,
        v_measured_pu=v_pu,
        tariff_chf_per_kwh=price.tariff_chf_per_kwh if price else None,
        price_chf_per_kwh=price.price_chf_per_kwh if price else None,
        compensation_chf=price.compensation_chf if price else None,
        cost_chf=cost_chf,
        rung=None,
        reasons=() if measured else (Reason.ASSUMED,),
    )


def prosumer_record(
    result: NodeResult, v_pu: float | None, price: Price | None, cost_chf: float | None
) -> ProsumerRecord:
    """The record of a decision, with the voltage at its node, the price of the plan in force, and the day's cost."""
    target, setpoint, measured, emulated = result.target, result.setpoint, result.measured, result.in_force
    return ProsumerRecord(
        p_target_kw=target.p_kw if target else None,
        q_target_kvar=target.q_kvar if target else None,
        p_setpoint_kw=setpoint.p_kw if setpoint else None,
        q_setpoint_kvar=setpoint.q_kvar if setpoint else None,
        p_measured_kw=measured.p_kw if measured else None,
        q_measured_kvar=measured.q_kvar if measured else None,
        load_kw=emulated.load_kw if emulated else None,
        pv_kw=emulated.pv_kw if emulated else None,
        battery_kw=emulated.battery.p_kw if emulated else None,
        soc=result.soc,
        v_measured_pu=v_pu,
        tariff_chf_per_kwh=price.tariff_chf_per_kwh if price else None,
        price_chf_per_kwh=price.price_chf_per_kwh if price else None,
        compensation_chf=price.compensation_chf if price else None,
        cost_chf=cost_chf,
        rung=result.rung,
        reasons=tuple(result.reasons),
        pv_kvar=emulated.pv_kvar if emulated else None,
    )
