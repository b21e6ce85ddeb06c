"""A cycle as its record: what prosumers, nodes, lines and devices were doing, in the words of the run's files."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.record.records import CycleRecord, DeviceRecord, ProsumerRecord
from controller.service.cycle import Cycle
from controller.service.modes import Mode
from controller.service.watch import Image
from core.config import Config
from core.config_devices import ModbusMeter
from core.devices import Measurement, Quality
from core.network import Network
from realtime.node import NodeResult
from realtime.timing import USE_DATA_S


@dataclass(frozen=True)
class Price:
    """Of the plan in force, now; ``compensation_chf`` for the rest of its horizon."""

    tariff_chf_per_kwh: float
    price_chf_per_kwh: float
    compensation_chf: float


@dataclass(frozen=True)
class Places:
    """Where the meters are: node → meter, and the line that feeds each node besides the slack."""

    meters: Mapping[str, str]
    feeds: Mapping[str, str]
    nodes: Mapping[str, str]
    converters: Mapping[str, str]
    slack: str

    @classmethod
    def of(cls, config: Config, network: Network) -> "Places":
        """Of a configuration; where a node has several meters the first one counts."""
        meters: dict[str, str] = {}
        for device in config.devices:
            if isinstance(device, ModbusMeter):
                meters.setdefault(device.node, device.name)
        return cls(
            meters=meters,
            feeds=network.feeds,
            nodes={p.name: p.node for p in config.prosumers},
            converters={p.name: p.converter for p in config.prosumers if p.converter},
            slack=network.slack,
        )


def fresh(image: Image, device: str | None) -> Measurement | None:
    """The good reading of a device that is young enough to be used."""
    reading = image.snapshot.measurements.get(device) if device else None
    if reading is None or reading.quality is not Quality.GOOD:
        return None
    return reading if image.snapshot.monotonic_s - reading.received_s <= USE_DATA_S else None


def cycle_record(
    cycle: Cycle, places: Places, prices: Mapping[str, Price], mode: Mode, cycle_ms: float, missed: int, backlog: int
) -> CycleRecord:
    """The record of a cycle."""
    slack = fresh(cycle.image, places.meters.get(places.slack))
    at_nodes = {node: fresh(cycle.image, places.meters.get(node)) for node in (places.slack, *places.feeds)}
    return CycleRecord(
        time=cycle.at,
        prosumers={
            name: prosumer_record(result, _voltage(name, cycle.image, places), prices.get(name))
            for name, result in cycle.result.nodes.items()
        },
        nodes={node: reading.v_pu if reading else None for node, reading in at_nodes.items()},
        lines={line: r.i_a if (r := at_nodes.get(node)) else None for node, line in places.feeds.items()},
        slack_p_kw=slack.p_kw if slack else None,
        slack_q_kvar=slack.q_kvar if slack else None,
        devices={
            name: DeviceRecord(cycle.image.latency_ms.get(name), quality, cycle.image.age_s.get(name))
            for name, quality in cycle.image.quality.items()
        },
        mode=mode,
        cycle_ms=cycle_ms,
        missed=missed,
        backlog=backlog,
    )


def _voltage(prosumer: str, image: Image, places: Places) -> float | None:
    """From the meter at its node, else from its converter."""
    meter, converter = places.meters.get(places.nodes[prosumer]), places.converters.get(prosumer)
    reading = fresh(image, meter) or fresh(image, converter)
    return reading.v_pu if reading else None


def prosumer_record(result: NodeResult, v_pu: float | None, price: Price | None) -> ProsumerRecord:
    """A decision with the voltage at its node and the price of the plan in force."""
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
        rung=result.mode,
        reasons=tuple(result.reasons),
    )
