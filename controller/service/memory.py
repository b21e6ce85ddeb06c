"""State that a restart resumes from the journal: mode, fencing epoch, plans, margin, and states of converters.

Monotonic times are not valid in another process, so they are kept as ages on the wall clock.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256

from controller.process.heartbeat import Released
from controller.process.modes import Mode
from controller.record.journal import Journal
from controller.service.costs import Costs
from controller.service.days import Day, DayLoader
from controller.service.older_journal import upgraded_cycle, upgraded_plans
from controller.service.plans import DatedPlan, Plans
from core.config import Config
from core.epochs import NOBODY, latest, successor
from core.resources import Battery
from core.time import Clock
from mpc.intra_day import RunningPlan
from mpc.margin import Margin
from realtime.node import NodeLimits, NodeState
from realtime.plane import Power
from realtime.shares import converters_by_prosumer
from realtime.timing import LEASE_S

RESUME_WITHIN = timedelta(minutes=15)
"""ACTIVE is resumed only after a shorter absence, so that equipment does not start unexpectedly."""
CRASHES, CRASHES_WITHIN = 3, timedelta(minutes=15)
"""A service that has resumed ACTIVE this often within this time does not do it again by itself: a crash loop."""


def identity(config: Config) -> str:
    """Hash of everything that journalled plans and batteries depend on: grid, prosumers and the steps of a day.

    A key that a later version adds does not change it unless the key is used.
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
    """The plans of :class:`controller.service.plans.Plans`."""

    intraday: KeptPlan | None
    day_ahead: KeptPlan | None
    tomorrow: KeptPlan | None


@dataclass(frozen=True)
class KeptCycle:
    """State at the end of the last cycle; ``states`` are by converter."""

    at: datetime
    states: Mapping[str, NodeState]
    costs: Costs


CONFIGURATION_RECORDS = ("mode", "resumed", "plans", "margin", "cycle")
"""Records that are meaningless for another configuration; the epoch is not among them."""


class Memory:
    """The journal of one service.

    Args:
        owner: :func:`identity` of the configuration; records of another one are deleted, except the epoch.
        older_owner: its identity in a journal of an older version.
        durable: cycles also survive a power loss, at one fsync each.
    """

    def __init__(self, journal: Journal, clock: Clock, owner: str, *, durable: bool, older_owner: str = "") -> None:
        self._journal, self._clock, self._durable = journal, clock, durable
        kept = journal.load("identity", str)
        if kept != owner:
            journal.put({"identity": owner}, forget=() if kept == older_owner else CONFIGURATION_RECORDS)
        self._margin: Margin | None = None

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for every damaged record of the journal."""
        return self._journal.damaged

    def was_active(self) -> bool:
        """Whether a service ended in ACTIVE without being commanded to, recently enough for ACTIVE to be resumed."""
        kept = self._cycle()
        if kept is None or self._journal.load("mode", str) != Mode.ACTIVE:
            return False
        return abs(self._clock.now() - kept.at) <= RESUME_WITHIN

    def crash_loop(self) -> bool:
        """Record a start that resumes ACTIVE; whether there were too many recently, so that it must not."""
        now = self._clock.now()
        kept = self._journal.load("resumed", tuple[datetime, ...]) or ()
        recent = tuple(at for at in kept if abs(now - at) <= CRASHES_WITHIN)
        self._journal.put({"resumed": (*recent, now)})
        return len(recent) >= CRASHES

    def keep_mode(self, mode: Mode) -> None:
        """Keep the mode for the next start."""
        self._journal.put({"mode": mode.value})

    def next_epoch(self, reported: Iterable[int]) -> int:
        """The epoch after that of any earlier writer in journal or devices; it is kept before it is used."""
        epoch = successor(latest(self._journal.load("epoch", int) or NOBODY, reported))
        self._journal.put({"epoch": epoch})
        return epoch

    def plans(self, days: DayLoader) -> Plans | None:
        """The plans, with the series of their days read again; None if the journal has none.

        Raises:
            InputError: the series of such a day cannot be read.
        """
        kept = self._journal.load("plans", KeptPlans, upgraded_plans)
        if kept is None:
            return None
        yesterday = (self._clock.now() - timedelta(days=1)).date().isoformat()
        plans = [
            plan if plan and plan.day >= yesterday else None for plan in (kept.intraday, kept.day_ahead, kept.tomorrow)
        ]
        series = {plan.day: days.load(date.fromisoformat(plan.day)).day for plan in plans if plan}
        return Plans(*(self._dated(plan, series) for plan in plans))

    def keep_plans(self, plans: Plans) -> None:
        """Keep the plans in force."""
        kept = KeptPlans(*map(self._plan_kept, (plans.intraday, plans.day_ahead, plans.tomorrow)))
        self._journal.put({"plans": kept})

    def margin(self) -> Margin | None:
        """The learned margin; None at first."""
        return self._journal.load("margin", Margin)

    def states(self, limits: Mapping[str, NodeLimits], released: Mapping[str, Released]) -> Mapping[str, NodeState]:
        """States of converters, by name, converted to the present clock; empty at first.

        Args:
            released: converters that the guardian has since put into their safe state.
        """
        kept = self._cycle(
            {prosumer: names[0] for prosumer, names in converters_by_prosumer(limits).items() if len(names) == 1}
        )
        if kept is None:
            return {}
        return {
            name: self._resumed(kept, state, limits[name].battery, released.get(name))
            for name, state in kept.states.items()
            if name in limits
        }

    def costs(self) -> Costs | None:
        """Costs of the day of the last cycle; None at first."""
        kept = self._cycle()
        return kept.costs if kept else None

    def keep_cycle(self, cycle: KeptCycle, margin: Margin) -> None:
        """Keep the state after a cycle."""
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
        """State at the end of the last cycle; ``converter_of``: prosumer → its only converter, for an older journal."""
        return self._journal.load("cycle", KeptCycle, lambda kept: upgraded_cycle(kept, converter_of or {}))

    def _plan_kept(self, plan: DatedPlan | None) -> KeptPlan | None:
        if plan is None:
            return None
        made_at = self._clock.now() - timedelta(seconds=self._clock.monotonic_s() - plan.made_s)
        return KeptPlan(plan.day.date.isoformat(), replace(plan.running, computed=None), made_at, plan.plan_id)

    def _dated(self, kept: KeptPlan | None, days: Mapping[str, Day]) -> DatedPlan | None:
        if kept is None:
            return None
        age_s = max((self._clock.now() - kept.made_at).total_seconds(), 0.0)  # the wall clock may have been set back
        return DatedPlan(days[kept.day], kept.running, self._clock.monotonic_s() - age_s, kept.plan_id)
