"""A grid with meters and converters whose readings a test can spoil; true voltages by power-grid-model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.devices import Measurement, Quality
from core.network import Line, Network
from realtime.meters import MeterCheck, MeterMemory, MeterPlaces, MeterVerdict
from sim_plant.grid import Grid

NOISE_PU, CALIBRATION_PU = 0.0002, 0.0007
Readings = dict[str, Measurement]
Spoil = Callable[[int, Readings], Readings]


def scaled(network: Network, factor: float) -> Network:
    """The same grid with other impedances."""
    lines = tuple(replace(line, r_ohm=line.r_ohm * factor, x_ohm=line.x_ohm * factor) for line in network.lines)
    return replace(network, lines=lines)


def feeder(nodes: int) -> Network:
    """A feeder with a branch at every fifth node."""
    lines = [Line("K0", "K1", 0.02, 0.01)]
    lines += [Line(f"K{k - 1 if k % 5 else k - 3}", f"K{k}", 0.03, 0.01) for k in range(2, nodes)]
    return Network("K0", 400.0, tuple(lines))


@dataclass
class MeteredGrid:
    """Readings of a grid whose demand and supply voltage move; ``true`` may differ from what the check believes.

    Attributes:
        drawing: nodes with demand.
        converters: those of ``drawing`` that have a converter; at the others there are houses.
        silent: nodes without a meter.
    """

    network: Network
    true: Network
    drawing: tuple[str, ...]
    converters: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        meters = {f"m{node}": node for node in self.network.nodes if node not in self.silent}
        houses = frozenset(self.drawing) - frozenset(self.converters)
        places = MeterPlaces(self.network, meters, {f"c{node}": node for node in self.converters}, houses)
        self.check, self._grid = MeterCheck(places), Grid(self.true)
        self._random = np.random.default_rng(self.seed)
        self._off_pu = {name: self._random.normal(0.0, CALIBRATION_PU) for name in places.devices}
        self._drawn = {node: complex(self._random.uniform(-3, 3), 0.3) for node in self.drawing}
        self._supply_pu = 1.0

    def readings(self) -> Readings:
        """The next honest readings: demands and supply have moved."""
        for node, drawn in self._drawn.items():
            moved = drawn + complex(*self._random.normal(0.0, (0.25, 0.05)))
            self._drawn[node] = complex(np.clip(moved.real, -4, 4), np.clip(moved.imag, -1, 1))
        self._supply_pu = float(np.clip(self._supply_pu + self._random.normal(0.0, 0.0004), 0.99, 1.01))
        state = self._grid.solve(self._drawn, self._supply_pu)
        powers = {**dict.fromkeys(self.network.nodes, 0j), **self._drawn, self.network.slack: state.slack_kva}
        return {
            name: self._reading(name, powers[node], state.v_pu[node])
            for name, node in self.check.places.devices.items()
        }

    def run(self, samples: int, memory: MeterMemory | None = None, spoil: Spoil | None = None) -> "Outcome":
        """Some samples through the check; ``spoil`` gets the number of the sample and honest readings."""
        known, verdicts = memory or self.check.start(), []
        for k in range(samples):
            honest = self.readings()
            verdict, known = self.check.after(spoil(k, honest) if spoil else honest, 30.0 * k, known)
            verdicts.append(verdict)
        return Outcome(tuple(verdicts), known)

    def _reading(self, name: str, s_kva: complex, v_pu: float) -> Measurement:
        p, q, v = self._random.normal(0.0, (0.005, 0.005, NOISE_PU))
        read_pu = round(v_pu + v + self._off_pu[name], 5)
        return Measurement(name, s_kva.real + p, s_kva.imag + q, read_pu, None, None, 0.0, Quality.GOOD)


@dataclass(frozen=True)
class Outcome:
    """Verdicts of a run, and the memory after it."""

    verdicts: tuple[MeterVerdict, ...]
    memory: MeterMemory

    @property
    def doubted(self) -> Mapping[str, set[str]]:
        """Kinds of all doubts that ever stood, by device."""
        found: dict[str, set[str]] = {}
        for verdict in self.verdicts:
            for name, doubt in verdict.doubts.items():
                found.setdefault(name, set()).add(str(doubt.kind))
        return found

    def first(self, device: str) -> int | None:
        """Number of the first sample in which a device was doubted."""
        return next((k for k, verdict in enumerate(self.verdicts) if device in verdict.doubts), None)


def voltage(device: str, change: Callable[[int, float], float], begin: int = 0) -> Spoil:
    """Spoils the voltage of one device from a sample on; ``change`` gets the samples since then."""

    def spoil(k: int, honest: Readings) -> Readings:
        reading = honest[device]
        if k < begin or reading.v_pu is None:
            return honest
        return {**honest, device: replace(reading, v_pu=change(k - begin, reading.v_pu))}

    return spoil


def exchanged(first: str, second: str, begin: int, end: int) -> Spoil:
    """Two meters read each other's node for a while."""

    def spoil(k: int, honest: Readings) -> Readings:
        if not begin <= k < end:
            return honest
        a, b = honest[first], honest[second]
        return {**honest, first: replace(b, device=first), second: replace(a, device=second)}

    return spoil
