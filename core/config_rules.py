"""Rules that compare keys and sections of a configuration.

The configuration may be partial: a faulty key is no attribute of its section (:func:`core.rules.known` tests for it),
and a rule that needs it is skipped.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from core.config import (
    BranchConfig,
    Config,
    CouplerConfig,
    FeederConfig,
    GridConfig,
    InfluxConfig,
    LimitsConfig,
    ProsumerConfig,
    ScheduleConfig,
)
from core.config_common_rules import constants, horizon_rules, repeated, resource_rules
from core.config_converters import rules_of_teams
from core.config_devices import (
    Converter,
    MappedModbus,
    ModbusAddress,
    ModbusConverter,
    ModbusMeter,
    ModbusTls,
    OpcUaConverter,
    SunspecConverter,
)
from core.errors import shown
from core.feeders import feeder_faults
from core.network import Line, Network, joined, topology_faults
from core.rules import BrokenRule, FileExists, known

SLACK_BAND_PU = (0.8, 1.2)
"""A supply voltage beyond this is considered an error of unit or scale."""
LONGEST_CYCLE_S = 37.5
"""Two cycles must fit into the life of a setpoint in the device, 75 s."""


def broken_rules(config: Config, exists: FileExists) -> Iterator[BrokenRule]:
    """Every rule that the configuration breaks; ``exists`` returns whether a path is an existing file."""
    if known(config, "horizon"):
        yield from horizon_rules(config.horizon)
    if known(config, "limits"):
        yield from _limits(config.limits)
    if known(config, "schedule"):
        yield from _schedule(config.schedule)
        yield from _whole_cycles(config)
    if known(config, "grid"):
        yield from _slack_voltage(config.grid)
        yield from _topology(config.grid)
    if known(config, "prosumers"):
        yield from resource_rules(config.prosumers)
    yield from _places(config)
    yield from _hierarchy(config)
    yield from _converters(config)
    yield from _devices(config, exists)
    yield from _shared_addresses(config)
    if known(config, "telemetry") and known(config.telemetry, "influx") and config.telemetry.influx:
        yield from _influx(config.telemetry.influx)


def _limits(limits: LimitsConfig) -> Iterator[BrokenRule]:
    if known(limits, "v_min_pu", "v_max_pu") and limits.v_min_pu >= limits.v_max_pu:
        yield BrokenRule("limits.v_min_pu", f"{limits.v_min_pu:g}", f"less than v_max_pu, {limits.v_max_pu:g} p.u.")
    if known(limits, *LimitsConfig.model_fields) and isinstance(limits.reactive_margin, float):
        limit_kvar = limits.limits().slack_q_max_kvar
        if limits.reactive_margin > limit_kvar:
            allowed = f"at most slack_s_max_kva √(1 − slack_pf_min²), {limit_kvar:.4g} kvar"
            yield BrokenRule("limits.reactive_margin", f"{limits.reactive_margin:g}", allowed)


def _schedule(schedule: ScheduleConfig) -> Iterator[BrokenRule]:
    if not known(schedule, "mpc_every_min"):
        return
    period_s = 60 * schedule.mpc_every_min
    if known(schedule, "realtime_s") and (period_s % schedule.realtime_s or schedule.realtime_s > LONGEST_CYCLE_S):
        allowed = f"at most {LONGEST_CYCLE_S:g} s and a divisor of mpc_every_min, {period_s} s"
        yield BrokenRule("schedule.realtime_s", f"{schedule.realtime_s:g}", allowed)
    if known(schedule, "mpc_budget_s") and schedule.mpc_budget_s > period_s:
        allowed = f"at most mpc_every_min, {period_s} s"
        yield BrokenRule("schedule.mpc_budget_s", f"{schedule.mpc_budget_s:g}", allowed)


def _whole_cycles(config: Config) -> Iterator[BrokenRule]:
    """Cycles divide the time between two runs of the MPC, also where it is longer than ``mpc_every_min``."""
    schedule, horizon = config.schedule, getattr(config, "horizon", None)
    if not (known(schedule, "mpc_every_min", "realtime_s") and horizon and known(horizon, "step_min")):
        return
    period_s = 60 * config.mpc_period_min
    if period_s % schedule.realtime_s and not 60 * schedule.mpc_every_min % schedule.realtime_s:
        allowed = f"a divisor of {period_s} s, mpc_every_min in whole steps of the horizon"
        yield BrokenRule("schedule.realtime_s", f"{schedule.realtime_s:g}", allowed)


def _slack_voltage(grid: GridConfig) -> Iterator[BrokenRule]:
    low, high = SLACK_BAND_PU
    for key, v_pu in constants("grid.slack_voltage_pu", getattr(grid, "slack_voltage_pu", None)):
        if not low <= v_pu <= high:
            yield BrokenRule(key, f"{v_pu:g}", f"{low:g} to {high:g} p.u.")


def _topology(grid: GridConfig) -> Iterator[BrokenRule]:
    """Lines have an impedance, and those in service form a tree."""
    for k, line in enumerate(getattr(grid, "lines", ())):
        if getattr(line, "r_mohm", 1) == 0 and getattr(line, "x_mohm", 1) == 0:
            allowed = "an impedance above zero, also of a transformer; a closed switch is {from, to, coupler: true}"
            yield BrokenRule(f"grid.lines[{k}]", f"line {_line_of(line).name} has zero impedance", allowed)
    lines = {k: _line_of(line) for k, line in enumerate(getattr(grid, "lines", ())) if _is_closed(line)}
    places = list(lines)
    tree = {places[k]: line for k, line in joined(list(lines.values())).items()}
    for fault in topology_faults(getattr(grid, "slack", ""), list(tree.values())):
        if fault.line is not None:
            yield BrokenRule(f"grid.lines[{list(tree)[fault.line]}]", fault.got, fault.allowed)
        elif _nodes(grid) is not None:
            yield BrokenRule("grid.lines", fault.got, fault.allowed)
    nodes = _nodes(grid)
    for k, shunt in enumerate(getattr(grid, "shunts", ())):
        if nodes is not None and known(shunt, "node") and shunt.node not in nodes:
            yield BrokenRule(f"grid.shunts[{k}].node", shown(shunt.node), f"a node of the grid: {', '.join(nodes)}")


def _is_closed(branch: BranchConfig) -> bool:
    return known(branch, "from_node", "to_node") and getattr(branch, "in_service", True)


def _line_of(branch: BranchConfig) -> Line:
    """The line of a section with whatever of it is valid; an unknown impedance is not zero."""
    r_mohm, x_mohm = (0, 0) if isinstance(branch, CouplerConfig) else _impedance(branch)
    ends = getattr(branch, "from_node", "?"), getattr(branch, "to_node", "?")
    return Line(*ends, r_mohm, x_mohm, ratio=getattr(branch, "ratio", 1), label=getattr(branch, "name", None))


def _impedance(branch: BranchConfig) -> tuple[float, float]:
    """Its impedance in mΩ; 1 in place of what is not known, or zero."""
    r_mohm, x_mohm = getattr(branch, "r_mohm", 1), getattr(branch, "x_mohm", 1)
    return (r_mohm, x_mohm) if r_mohm or x_mohm else (1, 1)


def _nodes(grid: GridConfig) -> list[str] | None:
    """The slack node, then those that lines in service reach; None if a fault makes them unknown."""
    if not known(grid, "slack", "lines") or not all(known(line, "from_node", "to_node") for line in grid.lines):
        return None
    closed = [line for line in grid.lines if _is_closed(line)]
    return list(dict.fromkeys((grid.slack, *(node for line in closed for node in (line.from_node, line.to_node)))))


def _places(config: Config) -> Iterator[BrokenRule]:
    """Prosumers and meters are at nodes of the grid; the slack node is the supply and has no prosumer."""
    nodes = _nodes(config.grid) if known(config, "grid") else None
    if nodes is None:
        return
    for k, prosumer in enumerate(getattr(config, "prosumers", ())):
        if known(prosumer, "node") and prosumer.node not in nodes[1:]:
            allowed = f"a node of the grid other than the slack: {', '.join(nodes[1:])}"
            yield BrokenRule(f"prosumers[{k}].node", _unfed(prosumer.node, config.grid), allowed)
    for k, device in enumerate(getattr(config, "devices", ())):
        if isinstance(device, ModbusMeter) and known(device, "node") and device.node not in nodes:
            allowed = f"a node of the grid: {', '.join(nodes)}"
            yield BrokenRule(f"devices[{k}].node", _unfed(device.node, config.grid), allowed)


def _hierarchy(config: Config) -> Iterator[BrokenRule]:
    """Aggregators form a tree of connected feeders; checked where grid and prosumers are sound."""
    if not known(config, "hierarchy", "grid", "prosumers") or not config.hierarchy:
        return
    grid, prosumers = config.grid, {p.name: p.node for p in config.prosumers if known(p, "name", "node")}
    feeders = [each.feeder() for each in config.hierarchy if known(each, *FeederConfig.model_fields)]
    sound = _nodes(grid) is not None and not any(_topology(grid)) and not any(_places(config))
    if not sound or len(feeders) < len(config.hierarchy) or len(prosumers) < len(config.prosumers):
        return
    lines = joined([_line_of(line) for line in grid.lines if _is_closed(line)])
    for fault in feeder_faults(feeders, Network(grid.slack, 1.0, tuple(lines.values())), prosumers):
        yield BrokenRule(f"hierarchy[{fault.place}].{fault.key}", fault.got, fault.allowed)


def _unfed(node: str, grid: GridConfig) -> str:
    """A node that no line in service reaches, with the open line if there is one."""
    switched = [_line_of(line).name for line in grid.lines if node in (line.from_node, line.to_node)]
    return f"{shown(node)}, which only open lines reach ({', '.join(switched)})" if switched else shown(node)


def _converters(config: Config) -> Iterator[BrokenRule]:
    """Names are unique, and each converter of a prosumer is a device of its own."""
    prosumers, devices = getattr(config, "prosumers", ()), getattr(config, "devices", ())
    yield from repeated("prosumers", "name", prosumers)
    yield from repeated("devices", "name", devices)
    owned = [(key, name) for k, prosumer in enumerate(prosumers) for key, name in _owned(k, prosumer)]
    yield from _owned_twice(owned)
    if not known(config, "devices") or not all(known(device, "name") for device in devices):
        return
    names = [device.name for device in devices if isinstance(device, Converter)]
    for key, name in owned:
        if name not in names:
            allowed = f"a converter among the devices: {', '.join(names) or 'there is none'}"
            yield BrokenRule(key, shown(name), allowed)
    yield from rules_of_teams(config)


def _owned(k: int, prosumer: ProsumerConfig) -> Iterator[tuple[str, str]]:
    """Key and name of every converter of a prosumer."""
    if not known(prosumer, "converter"):
        return
    key = f"prosumers[{k}].converter"
    for i, name in enumerate(prosumer.converters):
        yield (key if isinstance(prosumer.converter, str) else f"{key}[{i}]"), name


def _owned_twice(owned: Iterable[tuple[str, str]]) -> Iterator[BrokenRule]:
    first: dict[str, str] = {}
    for key, name in owned:
        if first.setdefault(name, key) != key:
            owner = first[name].partition(".")[0]
            yield BrokenRule(key, shown(name), f"a converter that {owner} does not have")


def _devices(config: Config, exists: FileExists) -> Iterator[BrokenRule]:
    """Register maps exist, addresses of converters differ, and OPC UA without security is only used on this machine."""
    addresses: dict[tuple[str, int, int], str] = {}
    for k, device in enumerate(getattr(config, "devices", ())):
        key = f"devices[{k}]"
        if isinstance(device, MappedModbus) and known(device, "registers") and not exists(device.registers):
            yield BrokenRule(f"{key}.registers", shown(str(device.registers)), "an existing file")
        if isinstance(device, ModbusConverter | SunspecConverter) and known(device, "host", "port", "unit"):
            other = addresses.setdefault((device.host, device.port, device.unit), key)
            if other != key:
                yield BrokenRule(f"{key}.port", f"{device.port}", f"host, port and unit that {other} does not have")
        if isinstance(device, OpcUaConverter) and known(device, "url", "security"):
            yield from _security(key, device)


def _shared_addresses(config: Config) -> Iterator[BrokenRule]:
    """Devices at one host and port share a connection, so they all use the same TLS, or none."""
    first: dict[tuple[str, int], tuple[str, ModbusTls | None]] = {}
    for k, device in enumerate(getattr(config, "devices", ())):
        if not isinstance(device, ModbusAddress) or not known(device, "host", "port", "tls"):
            continue
        if device.tls and not known(device.tls, *ModbusTls.model_fields):
            continue
        other, tls = first.setdefault((device.host, device.port), (f"devices[{k}]", device.tls))
        if tls != device.tls:
            got = "another `tls`" if tls and device.tls else "`tls`" if device.tls else "no `tls`"
            allowed = f"that of {other}, as both are at {device.host}:{device.port}"
            yield BrokenRule(f"devices[{k}].tls", got, allowed)


def _security(key: str, device: OpcUaConverter) -> Iterator[BrokenRule]:
    if device.security is None and not _on_this_machine(device.url):
        yield BrokenRule(f"{key}.security", "nothing", f"security, as {device.url} is not on this machine")


def _influx(influx: InfluxConfig) -> Iterator[BrokenRule]:
    """No secret in the address, and no token in clear text beyond this machine without an explicit word."""
    if not known(influx, "url", "allow_clear_text"):
        return
    key = "telemetry.influx.url"
    if "@" in urlsplit(influx.url).netloc:
        yield BrokenRule(key, "a user or password", "an address without, and a token_file")
    elif not influx.url.startswith("https:") and not _on_this_machine(influx.url) and not influx.allow_clear_text:
        allowed = "https, or http on this machine, or telemetry.influx.allow_clear_text: true"
        yield BrokenRule(key, shown(influx.url), allowed)


def _on_this_machine(url: str) -> bool:
    """Whether an address is a loopback one; names other than localhost may lead anywhere."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
