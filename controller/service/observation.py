"""Observations by the cycles of an interval, for the price computation at its end.

The cycle at the end of an interval belongs to it: it reads the grid under the old setpoints. The prediction of the next
10 min was chosen by its root mean square error against their mean, with the realised series of gridlab9:

| prediction | load kW | load kvar | PV kW | supply p.u., next 10 min | 2nd | 6th | 18th |
|---|---|---|---|---|---|---|---|
| last value | 0.059 | 0.099 | 0.042 | 0.00105 | 0.00181 | 0.00245 | 0.00330 |
| mean of the last 10 min | 0.105 | 0.160 | 0.086 | 0.00121 | 0.00166 | 0.00229 | 0.00309 |

So load and PV, which persist for one step, are the last values (on gridlab9-household too), and the supply voltage,
which persists to the end of the day, is a mean (paper A, section 4.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.service.cycle import Cycle
from controller.service.describe import Places
from core.config import Config
from core.devices import Outcome
from core.network import Network
from mpc.forecast import Observed
from realtime.fallback import Rung
from realtime.tracker import LoadAndPv


@dataclass(frozen=True)
class CycleView:
    """Observations of one cycle: load, PV and charge by prosumer, voltage by node. None, or no entry, is unknown.

    ``v_pu`` are the voltages as they would be without the corrections by voltage slopes: the margin learns the whole
    error of the plan, so slopes cannot make it too small. ``slack_q_kvar``, reactive power at the slack, is as it was
    measured: what slopes draw is part of the deviation that its margin must cover. ``followed``: every prosumer was to
    follow the plan, and its device has confirmed that.
    """

    amounts: Mapping[str, LoadAndPv | None]
    soc: Mapping[str, float | None]
    v_pu: Mapping[str, float | None]
    slack_q_kvar: float | None
    followed: bool

    @classmethod
    def of(cls, cycle: Cycle, places: Places) -> "CycleView":
        """The view of a cycle; ``places`` gives the meter of each node and the node of each prosumer."""
        corrected = {places.nodes[name]: result.slope_pu for name, result in cycle.result.nodes.items()}
        v_pu = {
            node: r.v_pu + corrected.get(node, 0.0) if (r := cycle.image.fresh(meter)) and r.v_pu is not None else None
            for node, meter in places.meters.items()
        }
        soc = {name: result.soc for name, result in cycle.result.nodes.items()}
        slack = cycle.image.fresh(places.meters.get(places.slack))
        slack_q_kvar = slack.q_kvar if slack else None
        return cls(cycle.amounts, soc, {**v_pu, **cycle.believed.instead_pu}, slack_q_kvar, _followed(cycle))


@dataclass(frozen=True)
class IntervalMeans:
    """A closed interval.

    Attributes:
        observed: prosumers that were observed; load and PV as last observed, and the present state of charge.
        slack_voltage_pu: mean at the slack node, None if it was not measured.
        slack_q_kvar: mean reactive power at the slack node, None if it was not measured.
        v_pu: means at the other nodes, in the order of ``network.nodes``; None if not measured.
        cycles: number of cycles in the interval.
    """

    observed: Mapping[str, Observed]
    slack_voltage_pu: float | None
    slack_q_kvar: float | None
    v_pu: tuple[float | None, ...]
    cycles: int


@dataclass(frozen=True)
class _Sum:
    total: float = 0.0
    count: int = 0

    def after(self, value: float | None) -> "_Sum":
        return self if value is None else _Sum(self.total + value, self.count + 1)

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(frozen=True)
class ObservedInterval:
    """A running interval; ``ObservedInterval()`` begins one. ``followed``: the plan was followed in every cycle."""

    followed: bool = True
    amounts: Mapping[str, LoadAndPv] = field(default_factory=dict)
    soc: Mapping[str, float | None] = field(default_factory=dict)
    voltages: Mapping[str, _Sum] = field(default_factory=dict)
    slack_kvar: _Sum = field(default_factory=_Sum)
    cycles: int = 0

    def after(self, view: CycleView) -> "ObservedInterval":
        """Add one cycle. Load, PV and charge that it does not know stay as an earlier cycle observed them."""
        amounts = {name: seen for name, seen in view.amounts.items() if seen is not None}
        soc = {name: seen for name, seen in view.soc.items() if seen is not None}
        voltages = {node: self.voltages.get(node, _Sum()).after(v_pu) for node, v_pu in view.v_pu.items()}
        return ObservedInterval(
            followed=self.followed and view.followed,
            amounts={**self.amounts, **amounts},
            soc={**self.soc, **soc},
            voltages={**self.voltages, **voltages},
            slack_kvar=self.slack_kvar.after(view.slack_q_kvar),
            cycles=self.cycles + 1,
        )

    def closed(self, network: Network) -> IntervalMeans | None:
        """The means of the interval at its end; None without a single cycle."""
        if not self.cycles:
            return None
        slack, *others = (self._mean_pu(node) for node in network.nodes)
        observed = {
            name: Observed(seen.load_kw, seen.load_kvar, seen.pv_available_kw, self.soc.get(name))
            for name, seen in self.amounts.items()
        }
        return IntervalMeans(observed, slack, self.slack_kvar.mean, tuple(others), self.cycles)

    def _mean_pu(self, node: str) -> float | None:
        return self.voltages.get(node, _Sum()).mean


@dataclass(frozen=True)
class Observation:
    """The running interval, and the last closed one.

    An interval is as long as a step of the day and ends with one. The very first cycle is an interval of its own.

    Attributes:
        step: length of an interval.
        period: time between two cycles; a cycle that is later than this neither begins nor ends an interval on time.
        ends: end of the running interval.
        last: the interval that was closed last; without a cycle if none was.
        learn_from: begin of ``last`` if the latest cycle has closed it, it is complete, and all followed the plan
            throughout; else None. In MONITOR, or in a partial interval, a deviation from the plan means nothing.
    """

    step: timedelta
    period: timedelta
    ends: datetime
    running: ObservedInterval = field(default_factory=lambda: ObservedInterval(followed=False))
    last: ObservedInterval = field(default_factory=ObservedInterval)
    learn_from: datetime | None = None

    @classmethod
    def beginning(cls, config: Config, at: datetime) -> "Observation":
        """An observation without any cycle yet."""
        period = timedelta(seconds=config.schedule.realtime_s)
        return cls(timedelta(minutes=config.horizon.step_min), period, at)

    def after(self, view: CycleView, at: datetime, midnight: datetime) -> "Observation":
        """Add one cycle; ``midnight`` begins the day of ``at``. A wall clock that is set back closes the interval."""
        running, late = self.running.after(view), at - self.ends
        if -self.step <= late < timedelta(0):
            return replace(self, running=running, learn_from=None)
        whole = running.followed and timedelta(0) <= late < self.period
        since = (at - midnight) % self.step
        return replace(
            self,
            ends=at - since + self.step,
            running=ObservedInterval(followed=since < self.period),
            last=running,
            learn_from=self.ends - self.step if whole else None,
        )


def _followed(cycle: Cycle) -> bool:
    if cycle.overrides:
        return False
    rungs = {result.rung for result in cycle.result.nodes.values()}
    return rungs == {Rung.USE} and set(cycle.outcomes.values()) == {Outcome.VERIFIED}
