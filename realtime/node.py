"""Inputs and results of a converter's chain, and its state. Powers are its net demand."""

from dataclasses import dataclass, replace

from core.devices import Setpoint
from core.prices import VoltageSlope
from core.resources import Battery
from realtime.emulation import BatteryState, InForce, advance
from realtime.fallback import START, LadderState, Rung, Source
from realtime.plane import Power
from realtime.plants import Inverter
from realtime.reasons import Reason
from realtime.slope import NO_CORRECTION, Correction
from realtime.timing import CYCLE_S, LEASE_S
from realtime.tracker import LoadAndPv, Target

SOC_RESERVE = 0.002
"""Share of a battery kept free at both ends for measurement noise and the lag of a real converter."""


@dataclass(frozen=True)
class NodeLimits:
    """Constants of a converter and of the prosumer that it reproduces, alone or with others.

    Attributes:
        prosumer: name of its prosumer.
        battery: the prosumer's battery; None without one.
        inverters: of the prosumer's PV plants, in the order of the configuration.
        s_max_kva, ramp_kva_per_s: its rating.
        share: its share of the battery's account, in (0, 1]; 1: it is the only converter of its prosumer.
        reactive: whether it can draw or supply reactive power.
        priority: order in which the converters of a prosumer are used, the lowest first.
    """

    prosumer: str
    battery: Battery | None
    s_max_kva: float
    ramp_kva_per_s: float
    share: float = 1.0
    inverters: tuple[Inverter, ...] = ()
    resolution_kw: float = 1e-3
    lease_s: float = LEASE_S
    cycle_s: float = CYCLE_S
    soc_reserve: float = SOC_RESERVE
    reactive: bool = True
    priority: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether its prosumer has no other converter."""
        return self.share == 1.0

    @property
    def battery_part(self) -> Battery | None:
        """The part of the battery in its account; None without a battery."""
        return self.battery.scaled(self.share) if self.battery else None


@dataclass(frozen=True)
class DeviceSetpoint:
    """The setpoint read back from the device; ``since_s`` is the monotonic time of its acceptance, None if unknown."""

    power: Power
    since_s: float | None = None


@dataclass(frozen=True)
class NodeNow:
    """Further knowledge about a node in this cycle; None is unknown.

    Attributes:
        s_max_kva: capability that the device reports, deratings included.
        operated: the device follows setpoints (REMOTE, lease alive).
        polls: number of valid readings since the last cycle, if the newest is new.
        stop: emergency stop or local control.
        v_pu: voltage at the node, measured at present and not in doubt.
    """

    amounts: LoadAndPv | None = None
    held: DeviceSetpoint | None = None
    s_max_kva: float | None = None
    operated: bool = True
    polls: int = 1
    stop: bool = False
    v_pu: float | None = None


@dataclass(frozen=True)
class AgedTarget:
    """The present target of a plan, the plan's age, and the voltage slope that came with its prices."""

    target: Target
    age_s: float
    slope: VoltageSlope | None = None

    def scaled(self, share: float) -> "AgedTarget":
        """The part of one of several converters."""
        slope = self.slope.scaled(share) if self.slope else None
        return replace(self, target=self.target.scaled(share), slope=slope)


@dataclass(frozen=True)
class PlanTargets:
    """The present targets of the two plans for a prosumer."""

    intraday: AgedTarget | None = None
    day_ahead: AgedTarget | None = None

    def of(self, source: Source) -> AgedTarget | None:
        """What the plan that the ladder chose asks for; None without one."""
        return {Source.INTRADAY: self.intraday, Source.DAY_AHEAD: self.day_ahead}.get(source)

    @property
    def newest(self) -> Target | None:
        """The target of the plan that was made last; None without one."""
        offer = self.intraday or self.day_ahead
        return offer.target if offer else None

    def scaled(self, share: float) -> "PlanTargets":
        """The part of one of several converters."""
        return PlanTargets(*(offer.scaled(share) if offer else None for offer in (self.intraday, self.day_ahead)))


@dataclass(frozen=True)
class NodeState:
    """State of a node from one cycle to the next; times are monotonic, None before the first.

    ``sent`` is the last setpoint that passed the gate, ``in_force`` what the node emulates (None: nothing),
    ``correction`` that of the voltage at the node.
    """

    battery: BatteryState | None = None
    ladder: LadderState = START
    in_force: InForce | None = None
    sent: Power | None = None
    cycle_s: float | None = None
    received_s: float | None = None
    amounts: LoadAndPv | None = None
    amounts_s: float | None = None
    correction: Correction = NO_CORRECTION

    @classmethod
    def start(cls, battery: Battery | None, soc: float | None = None) -> "NodeState":
        """The initial state, at ``soc`` or the battery's initial state of charge."""
        if battery is None:
            return cls()
        return cls(BatteryState(battery.soc_initial if soc is None else soc))

    def released(self, battery: Battery | None, seen: Power, after_s: float) -> "NodeState":
        """The state after another writer has released the device, ``after_s`` seconds after the last cycle.

        Args:
            seen: its power until then.

        Raises:
            ValueError: power or time are not finite, or the time is negative.
        """
        account = self.battery
        if battery is not None and account is not None:
            account = advance(battery, account, self.in_force, seen, after_s)
        cycle_s = None if self.cycle_s is None else self.cycle_s + after_s
        return replace(
            self,
            battery=account,
            ladder=START,
            in_force=None,
            sent=None,
            cycle_s=cycle_s,
            correction=NO_CORRECTION,
        )

    def resumed(self, at_s: float, away_s: float) -> "NodeState":
        """The state after a restart at ``at_s`` of a new monotonic clock, ``away_s`` seconds after the last cycle.

        Earlier data are discarded, and no longer count on the way out of the safe state. After more than a lease the
        device has gone to its safe state, so the ladder begins again and no sent setpoint is held.
        """
        if self.cycle_s is None:
            return self
        alive = 0 <= away_s <= LEASE_S
        ladder, sent = (LadderState(self.ladder.rung), self.sent) if alive else (START, None)
        fresh = replace(self, received_s=None, amounts=None, amounts_s=None, sent=sent)
        correction = self.correction.resumed(at_s, self.cycle_s, away_s) if alive else NO_CORRECTION
        return replace(fresh, ladder=ladder, cycle_s=at_s - max(away_s, 0.0), correction=correction)


@dataclass(frozen=True)
class NodeResult:
    """The decision for one prosumer or converter, with everything that its record needs.

    ``setpoint`` None: write nothing, release the device (``error`` is the reason). ``soc``: present best estimate.
    ``slope_pu``: correction of the voltage in ``setpoint``.
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
    slope_pu: float = 0.0
