"""State that a restart resumes from the journal: fencing epoch, plans, margin, states of converters, and its starts.

The commanded mode is in a file of its own: :mod:`controller.process.commanded`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from math import inf, isfinite

from controller.process.age import Age, BootClock, Stamp
from controller.process.heartbeat import Released
from controller.process.modes import Mode
from controller.record.journal import Journal
from controller.service.costs import Costs
from controller.service.days import Day, DayLoader
from controller.service.older_journal import upgraded_cycle, upgraded_margin, upgraded_plans
from controller.service.plans import DatedPlan, Plans
from core.config import Config
from core.epochs import NOBODY, latest, successor
from mpc.intra_day import RunningPlan
from mpc.margin import Margin
from realtime.node import NodeLimits, NodeState
from realtime.plane import Power
from realtime.shares import converters_by_prosumer
from realtime.timing import LEASE_S

RESUME_WITHIN_S = 15 * 60.0
"""ACTIVE is resumed only after a shorter absence, so that equipment does not start unexpectedly."""
CRASHES, CRASHES_WITHIN_S = 3, 15 * 60.0
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
    """State at the end of the last cycle; ``states`` are by converter, ``ended`` is unknown in an older journal."""

    at: datetime
    states: Mapping[str, NodeState]
    costs: Costs
    ended: Stamp | None = None


CONFIGURATION_RECORDS = ("resumptions", "plans", "margin", "cycle")
"""Records that are meaningless for another configuration; the epoch is not among them."""


class Memory:
    """The journal of one service.

    Args:
        owner: :func:`identity` of the configuration; records of another one are deleted, except the epoch.
        older_owner: its identity in a journal of an older version.
        durable: cycles also survive a power loss, at one fsync each.
    """

    def __init__(self, journal: Journal, clock: BootClock, owner: str, *, durable: bool, older_owner: str = "") -> None:
        self._journal, self._boot_clock, self._durable = journal, clock, durable
        self._clock = clock.clock
        kept = journal.load("identity", str)
        if kept != owner:
            journal.put({"identity": owner}, forget=() if kept == older_owner else CONFIGURATION_RECORDS)
        self._margin: Margin | None = None

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for every damaged record of the journal."""
        return self._journal.damaged

    def stamp(self) -> Stamp:
        """The present instant, of which a later process can tell the age."""
        return self._boot_clock.stamp()

    def absence(self) -> Age | None:
        """Time since the last cycle of a service with this journal; None if there was none."""
        kept = self._cycle()
        if kept is None:
            return None
        return self._boot_clock.age(kept.ended) if kept.ended else Age(0.0, inf)

    def crash_loop(self) -> bool:
        """Record a start that resumes ACTIVE; whether there were too many recently, so that it must not.

        A start whose age is unknown is recent until the computer has been on for longer.
        """
        kept = self._journal.load("resumptions", tuple[Stamp, ...]) or ()
        recent = tuple(then for then in kept if self._boot_clock.age(then).at_least_s <= CRASHES_WITHIN_S)
        self._journal.put({"resumptions": (*recent, self._boot_clock.stamp())})
        return len(recent) >= CRASHES

    def older_mode(self) -> Mode | None:
        """The mode that an older version has kept here; None if there is none."""
        return self._journal.load("mode", Mode)

    def forget_older_mode(self) -> None:
        """Delete what only an older version reads."""
        self._journal.put({}, forget=("mode", "resumed"))

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
        return self._journal.load("margin", Margin, upgraded_margin)

    def states(
        self, limits: Mapping[str, NodeLimits], released: Mapping[str, Released], *, stopped: bool
    ) -> Mapping[str, NodeState]:
        """States of converters, by name, converted to the present clock; empty at first.

        Args:
            released: converters that the guardian has since put into their safe state.
            stopped: the mode was lowered, so that all converters were released.
        """
        kept = self._cycle(
            {prosumer: names[0] for prosumer, names in converters_by_prosumer(limits).items() if len(names) == 1}
        )
        if kept is None:
            return {}
        return {
            name: self._resumed(kept, replace(state, sent=None) if stopped else state, limits[name], released.get(name))
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

    def _resumed(self, kept: KeptCycle, state: NodeState, limits: NodeLimits, released: Released | None) -> NodeState:
        away_s = self._away_s(kept)
        if released and 0 <= (after_s := (released.at - kept.at).total_seconds()) <= min(away_s, LEASE_S):
            seen = Power(released.p_kw, released.q_kvar)
            state, away_s = state.released(limits.battery_part, seen, after_s), away_s - after_s
        return state.resumed(self._clock.monotonic_s(), away_s)

    def _away_s(self, kept: KeptCycle) -> float:
        """Time since that cycle; by the wall clock where nothing better is known."""
        age = self._boot_clock.age(kept.ended) if kept.ended else Age(0.0, inf)
        return age.at_least_s if isfinite(age.at_most_s) else (self._clock.now() - kept.at).total_seconds()

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
