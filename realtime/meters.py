"""Which readings of voltage are believed: the pure step from one sample of all devices to the next.

    estimate    least squares over all voltages (:mod:`mpc.grid.estimation`)
    doubt       each device by its own history (:mod:`realtime.meter_doubt`)
    exchange    all pairs of meters over the last hour (:mod:`mpc.grid.exchange`)

What is drawn at a node is what its converters say, or nothing where no prosumer is, else what its meter says, else
unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from core.devices import Measurement
from core.network import Network
from mpc.grid.estimation import SMALLEST_PU, Estimate, GridEstimator, GridSample, LineFactors
from mpc.grid.exchange import ENOUGH, Exchange, ExchangeSample, ExchangeTest, ReadingPlaces
from mpc.grid.power_flow import ComplexArray
from realtime.meter_doubt import AGREED, DeviceMemory, MeterDoubt, MeterDoubtKind, Seen

METER_STD_PU, CONVERTER_STD_PU = 0.0015, 0.003
"""Error of an honest reading, calibration and noise: class 0.5 of meters; converters measure less well."""
DEMAND_STD_KVA, DEMAND_STD_REL, UNKNOWN_KVA = 0.02, 0.02, 3.0
WINDOWS, EVERY = (2, 20, 120), 10
"""Numbers of samples that exchange looks at, up to an hour, and how often it looks if the powers agree."""
DISAGREE_KVA = 0.5
UNKNOWN = complex(np.nan, np.nan)


@dataclass(frozen=True)
class MeterPlaces:
    """Where devices are: meter → node, converter → node. ``houses``: nodes with demand that no converter knows."""

    network: Network
    meters: Mapping[str, str]
    converters: Mapping[str, str]
    houses: frozenset[str]

    @cached_property
    def devices(self) -> Mapping[str, str]:
        """Device → node, meters first."""
        return {**self.meters, **self.converters}


@dataclass(frozen=True)
class MeterMemory:
    """State from earlier samples: errors of the lines, each device's memory, and the window of exchange."""

    factors: LineFactors
    devices: Mapping[str, DeviceMemory] = field(default_factory=dict)
    pairs: tuple[Exchange, ...] = ()
    window: tuple[ExchangeSample, ...] = ()
    samples: int = 0

    @property
    def doubts(self) -> Mapping[str, MeterDoubt]:
        """Standing doubts by device."""
        return {name: known.doubt for name, known in self.devices.items() if known.doubt is not None}


@dataclass(frozen=True)
class MeterVerdict:
    """What is believed of a sample.

    Attributes:
        doubts: that stand, by device.
        withheld: devices whose voltage is not to be used: doubted, or suspicious for the first time.
        undecided: devices of which one is wrong, and nobody can tell which.
        believed_pu: voltage of each node by those that are believed; empty if nothing can be said.
    """

    doubts: Mapping[str, MeterDoubt] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    undecided: tuple[str, ...] = ()
    believed_pu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ExchangeVerdict:
    """Two meters that were exchanged, and pairs of which the samples do not show whether they were."""

    pair: tuple[str, str] | None = None
    unclear: tuple[tuple[str, str], ...] = ()


class MeterCheck:
    """The step for one laboratory; built once, without state."""

    def __init__(self, places: MeterPlaces) -> None:
        self.places, self._names = places, tuple(places.devices)
        network = places.network
        std = np.array([METER_STD_PU] * len(places.meters) + [CONVERTER_STD_PU] * len(places.converters))
        self._estimator = GridEstimator(network, tuple(places.devices.values()), std)
        self._at = np.array([network.index(node) for node in places.devices.values()], dtype=np.intp)
        below, per_kva = self._estimator.places
        columns = self._at[: len(places.meters)]
        self._where = ReadingPlaces(below[self._at], std, per_kva[np.ix_(self._at, columns)])
        self._ends = np.array([[network.index(n) for n in (line.from_node, line.to_node)] for line in network.lines]).T

    def start(self) -> MeterMemory:
        """Before any sample."""
        return MeterMemory(LineFactors.unknown(len(self.places.network.lines)))

    def after(
        self, readings: Mapping[str, Measurement], now_s: float, memory: MeterMemory
    ) -> tuple[MeterVerdict, MeterMemory]:
        """Verdict on one sample, and the memory for the next.

        Args:
            readings: by device, only good ones of about the same time.
        """
        known, metered = self._known(readings), self._metered(readings)
        by_meter = self._by_meter(metered, memory)
        sample = self._sample(readings, known, by_meter)
        distrusted = [k for k, name in enumerate(self._names) if name in memory.doubts]
        estimate = self._estimator.estimate(sample, memory.factors, distrusted)
        if estimate is None:
            return MeterVerdict(memory.doubts, frozenset(memory.doubts)), memory
        compared = self._compared(estimate, known, by_meter, metered)
        after = replace(
            memory,
            factors=estimate.factors,
            devices={**memory.devices, **self._devices(estimate, sample, now_s, memory)},
            window=(*memory.window, compared)[-max(WINDOWS) :],
            samples=memory.samples + 1,
        )
        if found := self._exchanged_now(after):
            return self.after(readings, now_s, self._with_exchange(memory, *found, now_s))
        after = self._given_back(after)
        return self._verdict(estimate, after), after

    def exchanged(self, memory: MeterMemory) -> ExchangeVerdict:
        """Which meters the samples of the memory show to be exchanged, and which pairs they leave open."""
        if not memory.window:
            return ExchangeVerdict()
        test = ExchangeTest(memory.window, self._where)
        found = test.strongest()
        pairs = combinations(range(len(self.places.meters)), 2)
        unclear = [(i, j) for i, j in pairs if -ENOUGH < test.of(i, j).evidence < ENOUGH]
        return ExchangeVerdict(
            (self._names[found.first], self._names[found.second]) if found else None,
            tuple((self._names[i], self._names[j]) for i, j in unclear),
        )

    def _verdict(self, estimate: Estimate, memory: MeterMemory) -> MeterVerdict:
        return MeterVerdict(
            doubts=memory.doubts,
            withheld=frozenset(memory.doubts) | {self._names[k] for k in estimate.wrong},
            undecided=tuple(self._names[k] for k in estimate.undecided),
            believed_pu=dict(zip(self.places.network.nodes, estimate.node_v_pu.tolist(), strict=True)),
        )

    def _known(self, readings: Mapping[str, Measurement]) -> ComplexArray:
        """What converters say is drawn at each node, [n]; NaN where houses draw, too, or a converter is silent."""
        places, known = self.places, []
        for node in places.network.nodes:
            powers = [_power_kva(readings.get(name)) for name, at in places.converters.items() if at == node]
            known.append(UNKNOWN if node in places.houses else sum(powers, 0j))
        return np.array(known)

    def _metered(self, readings: Mapping[str, Measurement]) -> ComplexArray:
        """What each meter says, [M]; NaN without a reading."""
        return np.array([_power_kva(readings.get(name)) for name in self.places.meters], complex)

    def _by_meter(self, metered: ComplexArray, memory: MeterMemory) -> ComplexArray:
        """What the meter of each node says is drawn there, [n]; NaN without one, or where it was exchanged."""
        by_meter = np.full(len(self.places.network.nodes), UNKNOWN)
        for k, name in enumerate(self.places.meters):
            doubt = memory.doubts.get(name)
            if doubt is None or doubt.kind is not MeterDoubtKind.EXCHANGED:
                by_meter[self._at[k]] = metered[k]
        return by_meter

    def _sample(self, readings: Mapping[str, Measurement], known: ComplexArray, by_meter: ComplexArray) -> GridSample:
        """Voltages, and for each node the known demand, else the metered one, else nothing known."""
        v_pu = np.array([_voltage_pu(readings.get(name)) for name in self._names])
        demand = np.where(np.isnan(known), by_meter, known)[1:]
        apart = np.nan_to_num(np.abs(by_meter - known))[1:]
        std = np.where(np.isnan(demand), UNKNOWN_KVA, DEMAND_STD_KVA + DEMAND_STD_REL * np.abs(demand) + apart)
        return GridSample(v_pu, np.nan_to_num(demand), std)

    def _devices(
        self, estimate: Estimate, sample: GridSample, now_s: float, memory: MeterMemory
    ) -> Mapping[str, DeviceMemory]:
        """Memories of the devices that were read; of others nothing changes."""
        found = {}
        for k, name in enumerate(self._names):
            if np.isfinite(estimate.off_pu[k]):
                v_pu, off_pu, std_pu = float(sample.v_pu[k]), float(estimate.off_pu[k]), float(estimate.std_pu[k])
                known = memory.devices.get(name, DeviceMemory())
                wrong = k in estimate.wrong or (name in memory.doubts and estimate.is_wrong(k))
                found[name] = known.after(Seen(v_pu, v_pu - off_pu, std_pu, wrong), SMALLEST_PU / 2, now_s)
        return found

    def _compared(
        self, estimate: Estimate, known: ComplexArray, by_meter: ComplexArray, metered: ComplexArray
    ) -> ExchangeSample:
        """For exchange; what is drawn at the slack is what the model draws, if every other demand is known."""
        unknown = (np.isnan(known) & np.isnan(by_meter))[1:].any()
        at_slack = known[0] + (UNKNOWN if unknown else estimate.slack_kva)
        here, (first, last) = self._at[: len(metered)], estimate.modelled_pu[self._ends]
        known_kva = np.concatenate(([at_slack], known[1:]))[here]
        return ExchangeSample(estimate.residual_pu, estimate.modelled_pu[self._at], metered, known_kva, last - first)

    def _given_back(self, memory: MeterMemory) -> MeterMemory:
        """Pairs that the last samples show where they belong are no longer in doubt."""
        for pair in memory.pairs:
            tests = (
                ExchangeTest(memory.window[-samples:], self._where)
                for samples in WINDOWS
                if AGREED <= samples <= len(memory.window)
            )
            if any(test.of(pair.first, pair.second, powers=pair.powers).evidence < -ENOUGH for test in tests):
                here = {self._names[k]: DeviceMemory() for k in (pair.first, pair.second)}
                others = tuple(other for other in memory.pairs if other is not pair)
                window = memory.window[-AGREED:]
                memory = replace(memory, devices={**memory.devices, **here}, pairs=others, window=window)
        return memory

    def _exchanged_now(self, memory: MeterMemory) -> tuple[Exchange, Sequence[ExchangeSample]] | None:
        """Two meters that were exchanged and are not known to be, and the samples that show it."""
        now = memory.window[-1]
        apart = np.nan_to_num(np.abs(now.power_kva - now.known_kva))
        if memory.samples % EVERY and not (apart > DISAGREE_KVA).any():
            return None
        paired = {k for pair in memory.pairs for k in (pair.first, pair.second)}
        windows = (memory.window[-samples:] for samples in WINDOWS if samples <= len(memory.window))
        tests = ((ExchangeTest(window, self._where).strongest(), window) for window in windows)
        found, window = next(((pair, window) for pair, window in tests if pair), (None, ()))
        return None if found is None or {found.first, found.second} & paired else (found, window)

    def _with_exchange(
        self, memory: MeterMemory, pair: Exchange, window: Sequence[ExchangeSample], now_s: float
    ) -> MeterMemory:
        """The memory before the last sample of a window that shows an exchange, as if it had been known by then.

        A voltage that contradicted the two is believed again if it agrees with the others once.
        """
        devices = {name: known.heard_again() for name, known in memory.devices.items()}
        what = "readings" if pair.powers else "voltage"
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            text = f"its {what} would fit the node of {self._names[other]}, and the other way round"
            known, off_pu = devices.get(self._names[one], DeviceMemory()), float(window[-1].residual_pu[one])
            devices[self._names[one]] = known.doubted(MeterDoubtKind.EXCHANGED, off_pu, now_s, text)
        return replace(memory, devices=devices, pairs=(*memory.pairs, pair), window=tuple(window[:-1]))


def _power_kva(reading: Measurement | None) -> complex:
    if reading is None or reading.p_kw is None or reading.q_kvar is None:
        return UNKNOWN
    return complex(reading.p_kw, reading.q_kvar)


def _voltage_pu(reading: Measurement | None) -> float:
    return np.nan if reading is None or reading.v_pu is None else reading.v_pu
