"""What goes into and comes out of a converter's chain, and what it remembers. Powers are its net demand."""

from dataclasses import dataclass, replace

from core.devices import Setpoint
from core.resources import Battery
from realtime.emulation import BatteryState, InForce, advance
from realtime.fallback import START, LadderState, Rung, Source
from realtime.plane import Power
from realtime.reasons import Reason
from realtime.timing import CYCLE_S, LEASE_S
from realtime.tracker import Amounts, Target

SOC_RESERVE = 0.002
"""Share of a battery kept free at both ends for noise of the measurement and the lag of a real converter."""


@dataclass(frozen=True)
class NodeLimits:
    """What does not change of a converter and of what it reproduces.

    Attributes:
        prosumer: whose it is.
        battery: the part of the prosumer's battery that it reproduces; None without.
        s_max_kva, ramp_kva_per_s: its rating.
        share: how much of the prosumer's load, PV, battery and target it reproduces, in (0, 1].
    """

    prosumer: str
    battery: Battery | None
    s_max_kva: float
    ramp_kva_per_s: float
    share: float = 1.0
    resolution_kw: float = 1e-3
    lease_s: float = LEASE_S
    cycle_s: float = CYCLE_S
    soc_reserve: float = SOC_RESERVE


@dataclass(frozen=True)
class Held:
    """The setpoint read back from the device; ``since_s``: monotonic time when it was accepted, None if unknown."""

    power: Power
    since_s: float | None = None


@dataclass(frozen=True)
class NodeNow:
    """What else is known of a node in this cycle; None is unknown.

    ``s_max_kva``: derating that the device reports. ``operated``: the device follows setpoints (REMOTE, lease alive).
    ``polls``: valid readings since the last cycle, if the newest is new. ``stop``: emergency stop or local control.
    """

    amounts: Amounts | None = None
    held: Held | None = None
    s_max_kva: float | None = None
    operated: bool = True
    polls: int = 1
    stop: bool = False


@dataclass(frozen=True)
class Offer:
    """The target of one plan for now, and the plan's age since it was made."""

    target: Target
    age_s: float

    def scaled(self, share: float) -> "Offer":
        """The part of one of several converters."""
        return replace(self, target=self.target.scaled(share))


@dataclass(frozen=True)
class PlanTargets:
    """What the two plans want of a prosumer now."""

    intraday: Offer | None = None
    day_ahead: Offer | None = None

    def of(self, source: Source) -> Target | None:
        """The target of the plan that the ladder chose."""
        offer = {Source.INTRADAY: self.intraday, Source.DAY_AHEAD: self.day_ahead}.get(source)
        return offer.target if offer else None

    def scaled(self, share: float) -> "PlanTargets":
        """The part of one of several converters."""
        return PlanTargets(*(offer.scaled(share) if offer else None for offer in (self.intraday, self.day_ahead)))


@dataclass(frozen=True)
class NodeState:
    """What a node remembers from one cycle to the next; times are monotonic, None before the first.

    ``sent`` is the last setpoint that left the gate, ``in_force`` what it emulates (None: nothing).
    """

    battery: BatteryState | None = None
    ladder: LadderState = START
    in_force: InForce | None = None
    sent: Power | None = None
    cycle_s: float | None = None
    received_s: float | None = None
    amounts: Amounts | None = None
    amounts_s: float | None = None

    @classmethod
    def start(cls, battery: Battery | None, soc: float | None = None) -> "NodeState":
        """At ``soc``, or the battery's initial state of charge."""
        if battery is None:
            return cls()
        return cls(BatteryState(battery.soc_initial if soc is None else soc))

    def released(self, battery: Battery | None, seen: Power, after_s: float) -> "NodeState":
        """The same once somebody else has released the device, ``after_s`` seconds after the last cycle.

        Args:
            seen: its power until then.

        Raises:
            ValueError: power or time are not finite, or time went back.
        """
        books = self.battery
        if battery is not None and books is not None:
            books = advance(battery, books, self.in_force, seen, after_s)
        cycle_s = None if self.cycle_s is None else self.cycle_s + after_s
        return replace(self, battery=books, ladder=START, in_force=None, sent=None, cycle_s=cycle_s)

    def resumed(self, at_s: float, away_s: float) -> "NodeState":
        """The same after a restart at ``at_s`` of a new monotonic clock, ``away_s`` seconds after the last cycle.

        Data read before are gone, and no longer count on the way out of the safe state. Beyond a lease the device has
        gone safe on its own, so the ladder begins anew and what was sent is no longer held.
        """
        if self.cycle_s is None:
            return self
        alive = 0 <= away_s <= LEASE_S
        ladder, sent = (LadderState(self.ladder.rung), self.sent) if alive else (START, None)
        fresh = replace(self, received_s=None, amounts=None, amounts_s=None, sent=sent)
        return replace(fresh, ladder=ladder, cycle_s=at_s - max(away_s, 0.0))


@dataclass(frozen=True)
class NodeResult:
    """The decision for one prosumer, with everything a record of it needs.

    ``setpoint`` None: write nothing, release the device (``error`` says why). ``soc``: best estimate at this moment.
    """

    setpoint: Setpoint | None
    rung: Rung
    source: Source
    reasons: tuple[Reason, ...]
    target: Target | None = None
    measured: Power | None = None
    in_force: InForce | None = None
    soc: float | None = None
    error: str | None = None
