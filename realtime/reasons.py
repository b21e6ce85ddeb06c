"""Reasons of a setpoint: every departure from the plan's target has a name, for audit and telemetry."""

from enum import StrEnum


class Reason(StrEnum):
    """What a step of the chain changed, or lacked."""

    BATTERY_SATURATED = "battery_saturated"
    """Tracker: the battery cannot follow the target."""
    PV_CURTAILED = "pv_curtailed"
    """Tracker: PV below its planned share, so that the export does not exceed the target."""

    CONVERTERS_SATURATED = "converters_saturated"
    """Spread: the converters of the prosumer that can do anything cannot carry together what it should draw."""

    VOLTAGE_SLOPE = "voltage_slope"
    """Slope: moved away from the target, since the voltage at the node left the band that the operator published."""

    NOT_FINITE = "not_finite"
    """Gate: NaN or infinity was requested; the safe setpoint replaces it."""
    NO_READBACK = "no_readback"
    """Gate: the setpoint in the device is unknown, so only P = Q = 0 is allowed."""
    CAPABILITY = "capability"
    """Gate: moved into the circle that the device can deliver, or that holding allows."""
    SOC = "soc"
    """Gate: moved so that the state of charge stays in its band until the lease ends."""
    SOC_UNREACHED = "soc_unreached"
    """Gate: circle or ramp prevent the setpoint that the state of charge requires."""
    RAMP = "ramp"
    """Gate: limited by the ramp."""
    RAMP_EXCEEDED = "ramp_exceeded"
    """Gate: faster than the ramp limit, toward a hard limit or in an emergency stop."""
    TRUNCATED = "truncated"
    """Gate: rounded toward zero to the resolution of the wire."""

    DATA_HELD = "data_held"
    """Ladder: data too old to use, young enough to hold."""
    DATA_LOST = "data_lost"
    """Ladder: no data young enough."""
    DAY_AHEAD = "day_ahead"
    """Ladder: the 10-min plan is too old or missing, the day-ahead plan is used."""
    NO_PLAN = "no_plan"
    """Ladder: no valid plan."""
    REJOINING = "rejoining"
    """Ladder: still counting fresh readings before it leaves the safe state."""
    STOPPED = "stopped"
    """Ladder: an emergency stop or local control."""

    SOC_ESTIMATED = "soc_estimated"
    """Emulation: no measurement; the state of charge follows the command, with an uncertainty on both sides."""
    BEYOND_BATTERY = "beyond_battery"
    """Emulation: the battery is not capable of the power that the measurement implies."""
    LOAD_MISMATCH = "load_mismatch"
    """Emulation: the converter cannot (yet) reproduce the node; the load in force is not the requested one."""

    ASSUMED = "assumed"
    """Passive house: nothing measures it, so its forecast stands for its demand."""

    CHAIN_FAILED = "chain_failed"
    """Cycle: the chain of the setpoint raised an exception; the device is to be released."""
