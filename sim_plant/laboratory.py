"""The plant without its sockets: grid, converters and meters, advanced together."""

from collections.abc import Callable, Mapping
from math import inf

from core.config_devices import Converter, ModbusMeter, OpcUaConverter
from sim_plant.converter import ConverterRating
from sim_plant.faults import CONVERTER_FAULTS, OPCUA_FAULTS
from sim_plant.grid import Grid, GridState
from sim_plant.house import HouseState
from sim_plant.meter import MeterReading
from sim_plant.referee import FrameLog, Referee
from sim_plant.settings import PlantConfig, PlantError
from sim_plant.stations import ConverterStation, Instrument, MeterStation, PlantContext, Station

SUPPLY_PU = (0.5, 1.5)
"""Range of a supply voltage that can be set (p.u.)."""

SUPPLY_STEP_PU = 0.2
"""Largest step of the supply voltage (p.u.)."""


class Laboratory:
    """All devices and passive houses at their nodes.

    Time advances by ``advance``; between two calls ``now_s`` follows ``clock`` if there is one.
    """

    def __init__(self, config: PlantConfig, recorder: FrameLog, clock: Callable[[], float] | None = None) -> None:
        self.config, self.recorder = config, recorder
        self.grid_state: GridState
        self._clock = clock
        self._grid = Grid(config.network)
        self._feeds = config.network.feeds
        self._at_s = 0.0
        self._slack_pu: float | None = None
        self._supply_step_pu = 0.0
        context = PlantContext(self.now_s, config.start, config.seed)
        self.converters = {d.name: self._converter(d, context) for d in config.devices if isinstance(d, Converter)}
        meters = [d for d in config.devices if isinstance(d, ModbusMeter)]
        nodes = config.network.nodes
        self.meters = {
            d.name: MeterStation(d.name, self._node(d.node), config.accuracy, context, nodes) for d in meters
        }
        self.houses = {house.name: HouseState(0.0, house.at(0.0)) for house in config.houses}
        for house in config.houses:
            self._node(house.node)
        self.advance(0.0)

    def now_s(self) -> float:
        """Time since the start (s); it never decreases."""
        return self._at_s if self._clock is None else max(self._at_s, self._clock())

    def advance(self, t_s: float) -> None:
        """Bring all devices to ``t_s``, solve the grid and latch a reading in every instrument.

        Raises:
            PlantError: ``t_s`` is before the current time.
        """
        if not self._at_s <= t_s < inf:
            raise PlantError(f"plant: asked to advance to {t_s} s, allowed from {self._at_s} s on")
        self._at_s = t_s
        demand: dict[str, complex] = {}
        for converter in self.converters.values():
            demand[converter.node] = demand.get(converter.node, 0j) + converter.advance(t_s).s_kva
        for house in self.config.houses:
            drawn = self.houses[house.name] = self.houses[house.name].advanced(t_s, house.at(t_s))
            demand[house.node] = demand.get(house.node, 0j) + drawn.s_kva
        slack_pu = self.config.slack.at(t_s) if self._slack_pu is None else self._slack_pu
        self.grid_state = self._grid.solve(demand, slack_pu + self._supply_step_pu)
        for converter in self.converters.values():
            converter.instrument.latch(converter.truth(self._voltage_v(converter.node)), t_s)
        for meter in self.meters.values():
            meter.instrument.latch(self._truth_at(meter.measured_node, demand), t_s)
        for converter in self.converters.values():
            converter.run_foreign_writer()
        self.recorder.flush()

    def hold_slack(self, v_pu: float | None) -> None:
        """Fix the supply voltage (p.u.), or with None follow its series again, from the next advance on.

        Raises:
            PlantError: a voltage outside ``SUPPLY_PU``.
        """
        low, high = SUPPLY_PU
        if v_pu is not None and not low <= v_pu <= high:
            raise PlantError(f"plant: asked {v_pu} p.u. of the supply, allowed {low} … {high}")
        self._slack_pu = v_pu

    def step_supply(self, by_pu: float) -> None:
        """Shift the supply voltage by ``by_pu`` from what it would be, from the next advance on; 0 ends the step.

        Raises:
            PlantError: a step larger than ``SUPPLY_STEP_PU``.
        """
        if not abs(by_pu) <= SUPPLY_STEP_PU:
            raise PlantError(f"plant: asked a supply step of {by_pu} p.u., allowed ± {SUPPLY_STEP_PU}")
        self._supply_step_pu = by_pu

    def station(self, name: str) -> Station:
        """The device of this name.

        Raises:
            PlantError: there is no such device.
        """
        stations: Mapping[str, Station] = {**self.converters, **self.meters}
        if name not in stations:
            raise PlantError(f"plant: asked device {name}, allowed {', '.join(stations)}")
        return stations[name]

    def _converter(self, device: Converter, context: PlantContext) -> ConverterStation:
        config = self.config
        if device.name not in config.nodes:
            raise PlantError(f"{device.name}: at no node, allowed {', '.join(config.network.nodes)}")
        rating = ConverterRating(device.s_max_kva, device.ramp_kva_per_s, config.tau_s, reactive=device.reactive)
        referee = Referee(device.name, -config.idle_s, self.recorder.record)
        node = self._node(config.nodes[device.name])
        possible = OPCUA_FAULTS if isinstance(device, OpcUaConverter) else CONVERTER_FAULTS
        return ConverterStation(
            Instrument(device.name, config.accuracy, context, possible), node, rating, context, referee
        )

    def _node(self, node: str) -> str:
        nodes = self.config.network.nodes
        if node not in nodes:
            raise PlantError(f"plant: asked node {node}, allowed {', '.join(nodes)}")
        return node

    def _voltage_v(self, node: str) -> float:
        return self.grid_state.v_pu[node] * self.config.network.voltage_v

    def _truth_at(self, node: str, demand_kva: Mapping[str, complex]) -> MeterReading:
        """True values at the node: its voltage and demand, and the current of the line that feeds it.

        At the slack node: the power and current drawn from the upper grid.
        """
        state, v_v = self.grid_state, self._voltage_v(node)
        if node in self._feeds:
            s = demand_kva.get(node, 0j) if state.solved else 0j
            return MeterReading(v_v, state.i_a[self._feeds[node]], s.real, s.imag)
        s = state.slack_kva
        return MeterReading(v_v, 1e3 * abs(s) / (3**0.5 * v_v) if v_v else 0.0, s.real, s.imag)
