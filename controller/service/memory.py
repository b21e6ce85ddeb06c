"""What a restart takes up again from the journal: mode, fencing epoch, plans, margin, and what prosumers remember.

Monotonic times do not outlive a process, so they are kept as ages on the wall clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256

from controller.process.heartbeat import Released
from controller.process.modes import Mode
from controller.record.journal import Journal
from controller.service.costs import Costs
from controller.service.days import Day, DayLoader
from controller.service.older_journal import cycle_of_today, plans_of_today
from controller.service.plans import Dated, Plans
from core.config import Config
from core.resources import Battery
from core.time import Clock
from mpc.intra_day import RunningPlan
from mpc.margin import Margin
from realtime.node import NodeLimits, NodeState
from realtime.plane import Power
from realtime.shares import by_prosumer
from realtime.timing import LEASE_S

RESUME_WITHIN = timedelta(minutes=15)
"""After a longer absence nobody expects the equipment to come alive by itself."""
CRASHES, CRASHES_WITHIN = 3, timedelta(minutes=15)
"""A service that went on in ACTIVE so often within so long does not do it again by itself: a crash loop."""


def identity(config: Config) -> str:
    """What journalled plans and stores are about: grid, prosumers and the steps of a day.

    A key that a later version adds does not change it where it is not used.
    """
    horizon = {"timezone": config.horizon.timezone, "step_min": config.horizon.step_min}
    sections = config.model_dump(mode="json", include={"grid", "prosumers"}, exclude_defaults=True)
    return sha256(json.dumps({**horizon, **sections}, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class KeptPlan:
    """A plan without its warm start; ``day`` is an ISO date."""

    day: str
    running: RunningPlan
    made_at: datetime
    plan_id: str


@dataclass(frozen=True)
class KeptPlans:
    """See :class:`controller.service.plans.Plans`."""

    intraday: KeptPlan | None
    day_ahead: KeptPlan | None
    tomorrow: KeptPlan | None


@dataclass(frozen=True)
class KeptCycle:
    """The end of the last cycle; ``states`` by converter."""

    at: datetime
    states: Mapping[str, NodeState]
    costs: Costs


OF_CONFIGURATION = ("mode", "resumed", "plans", "margin", "cycle")
"""Records that mean nothing to another configuration; the epoch does."""


class Memory:
    """The journal of one service.

    Args:
        whose: :func:`identity` of the configuration; what another one has left is deleted, but for the epoch.
        formerly: the same in a journal of an older version.
        durable: cycles survive a power loss too, at one fsync each.
    """

    def __init__(self, journal: Journal, clock: Clock, whose: str, *, durable: bool, formerly: str = "") -> None:
        self._journal, self._clock, self._durable = journal, clock, durable
        kept = journal.load("identity", str)
        if kept != whose:
            journal.put({"identity": whose}, forget=() if kept == formerly else OF_CONFIGURATION)
        self._margin: Margin | None = None

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for everything that the journal found damaged."""
        return self._journal.damaged

    def was_active(self) -> bool:
        """Whether a service ended in ACTIVE without being told to, and so lately that it may go on there."""
        kept = self._cycle()
        if kept is None or self._journal.load("mode", str) != Mode.ACTIVE:
            return False
        return abs(self._clock.now() - kept.at) <= RESUME_WITHIN

    def crash_loop(self) -> bool:
        """Note a start that goes on in ACTIVE; whether there were too many of late, so that it must not."""
        now = self._clock.now()
        kept = self._journal.load("resumed", tuple[datetime, ...]) or ()
        recent = tuple(at for at in kept if abs(now - at) <= CRASHES_WITHIN)
        self._journal.put({"resumed": (*recent, now)})
        return len(recent) >= CRASHES

    def keep_mode(self, mode: Mode) -> None:
        """For the next start."""
        self._journal.put({"mode": mode.value})

    def next_epoch(self, reported: int) -> int:
        """A number that no writer before had, as far as journal and devices tell; kept before it is used."""
        epoch = max(self._journal.load("epoch", int) or 0, reported) + 1
        self._journal.put({"epoch": epoch})
        return epoch

    def plans(self, days: DayLoader) -> Plans | None:
        """The plans, with the series of their days read anew; None where the journal has none.

        Raises:
            InputError: the series of such a day cannot be had.
        """
        kept = self._journal.load("plans", KeptPlans, plans_of_today)
        if kept is None:
            return None
        yesterday = (self._clock.now() - timedelta(days=1)).date().isoformat()
        plans = [
            plan if plan and plan.day >= yesterday else None for plan in (kept.intraday, kept.day_ahead, kept.tomorrow)
        ]
        series = {plan.day: days.load(date.fromisoformat(plan.day)).day for plan in plans if plan}
        return Plans(*(self._dated(plan, series) for plan in plans))

    def keep_plans(self, plans: Plans) -> None:
        """What is in force."""
        kept = KeptPlans(*map(self._plan_kept, (plans.intraday, plans.day_ahead, plans.tomorrow)))
        self._journal.put({"plans": kept})

    def margin(self) -> Margin | None:
        """What was learned; None at first."""
        return self._journal.load("margin", Margin)

    def states(self, limits: Mapping[str, NodeLimits], released: Mapping[str, Released]) -> Mapping[str, NodeState]:
        """What is remembered of converters, by name, seen from now; empty at first.

        Args:
            released: converters that the guardian has put into their safe state since.
        """
        kept = self._cycle({prosumer: names[0] for prosumer, names in by_prosumer(limits).items() if len(names) == 1})
        if kept is None:
            return {}
        return {
            name: self._resumed(kept, state, limits[name].battery, released.get(name))
            for name, state in kept.states.items()
            if name in limits
        }

    def costs(self) -> Costs | None:
        """Of the day of the last cycle; None at first."""
        kept = self._cycle()
        return kept.costs if kept else None

    def keep_cycle(self, cycle: KeptCycle, margin: Margin) -> None:
        """After every cycle."""
        learned = {} if margin is self._margin else {"margin": margin}
        self._journal.put({"cycle": cycle, **learned}, durable=self._durable)
        self._margin = margin

    def _resumed(
        self, kept: KeptCycle, state: NodeState, battery: Battery | None, released: Released | None
    ) -> NodeState:
        if self._journal.load("mode", str) != Mode.ACTIVE:
            state = replace(state, sent=None)  # it was released on leaving ACTIVE
        away_s = (self._clock.now() - kept.at).total_seconds()
        if released and 0 <= (after_s := (released.at - kept.at).total_seconds()) <= min(away_s, LEASE_S):
            seen = Power(released.p_kw, released.q_kvar)
            state, away_s = state.released(battery, seen, after_s), away_s - after_s
        return state.resumed(self._clock.monotonic_s(), away_s)

    def _cycle(self, converter_of: Mapping[str, str] | None = None) -> KeptCycle | None:
        """The end of the last cycle; with the only converter of each prosumer its states are by converter."""
        return self._journal.load("cycle", KeptCycle, lambda kept: cycle_of_today(kept, converter_of or {}))

    def _plan_kept(self, plan: Dated | None) -> KeptPlan | None:
        if plan is None:
            return None
        made_at = self._clock.now() - timedelta(seconds=self._clock.monotonic_s() - plan.made_s)
        return KeptPlan(plan.day.date.isoformat(), replace(plan.running, computed=None), made_at, plan.plan_id)

    def _dated(self, kept: KeptPlan | None, days: Mapping[str, Day]) -> Dated | None:
        if kept is None:
            return None
        age_s = max((self._clock.now() - kept.made_at).total_seconds(), 0.0)  # the wall clock may have been set back
        return Dated(days[kept.day], kept.running, self._clock.monotonic_s() - age_s, kept.plan_id)
