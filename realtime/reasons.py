"""Why a setpoint is what it is: every departure from the plan's target has a name, for audit and telemetry."""

from enum import StrEnum


class Reason(StrEnum):
    """What a step of the chain changed or missed."""

    BATTERY_SATURATED = "battery_saturated"
    """Tracker: the battery cannot follow the target."""
    PV_CURTAILED = "pv_curtailed"
    """Tracker: PV below its planned share, so that the export does not exceed the target."""

    NOT_FINITE = "not_finite"
    """Gate: NaN or infinity was asked; the safe setpoint takes its place."""
    NO_READBACK = "no_readback"
    """Gate: what the device holds is unknown, so nothing but P = Q = 0 is allowed."""
    CAPABILITY = "capability"
    """Gate: moved into the circle that the device can deliver, or that holding allows."""
    SOC = "soc"
    """Gate: moved so that the state of charge stays in its band until the lease ends."""
    SOC_UNREACHED = "soc_unreached"
    """Gate: circle or ramp keep the setpoint from where the state of charge would want it."""
    RAMP = "ramp"
    """Gate: stopped on the way by the ramp limit."""
    RAMP_EXCEEDED = "ramp_exceeded"
    """Gate: faster than the ramp limit, toward a hard limit or in an emergency stop."""
    TRUNCATED = "truncated"
    """Gate: cut toward zero to what the wire can carry."""

    DATA_HELD = "data_held"
    """Ladder: data too old to use, young enough to hold."""
    DATA_LOST = "data_lost"
    """Ladder: no data young enough."""
    DAY_AHEAD = "day_ahead"
    """Ladder: the 10-min plan is too old or missing, the day-ahead plan serves."""
    NO_PLAN = "no_plan"
    """Ladder: no valid plan."""
    REJOINING = "rejoining"
    """Ladder: still counting fresh readings before it leaves the safe state."""
    STOPPED = "stopped"
    """Ladder: an emergency stop or local control."""

    SOC_ESTIMATED = "soc_estimated"
    """Emulation: no measurement; the state of charge follows the command, with doubt on both sides."""
    BEYOND_BATTERY = "beyond_battery"
    """Emulation: the measured power is not one that this battery could explain."""
    LOAD_MISMATCH = "load_mismatch"
    """Emulation: the converter cannot (yet) reproduce the node; the load in force is not the one asked for."""

    CHAIN_FAILED = "chain_failed"
    """Cycle: this prosumer's chain raised; its device is to be released."""
