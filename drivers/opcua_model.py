"""Information model of a converter behind OPC UA: what the driver expects and the simulated plant offers.

Under Objects there is one object per converter. Its browse name is the last part of the configured address
(``opc.tcp://host:port/n7_converter``), or ``Converter`` if the address has none. Its variables have the names of the
register maps, in the namespace ``NAMESPACE`` whose index is looked up.

``p_setpoint_kw``, ``q_setpoint_kvar``, ``lease_s`` and ``writer_epoch`` are written first and act together when
``enable`` is written, as one frame. ``lease_s`` reads the remaining time. Every sample has a new time of the device's
clock, even if the value is unchanged, and ``clock_s`` is that clock.
"""

from dataclasses import dataclass
from typing import Literal

NAMESPACE = "urn:gridlab:converter"
DEFAULT_OBJECT = "Converter"


@dataclass(frozen=True)
class OpcUaVariable:
    """One variable of the object."""

    name: str
    type: Literal["Double", "UInt32", "Boolean"]
    unit: str = ""
    writable: bool = False
    description: str = ""


VARIABLES = (
    OpcUaVariable("p_setpoint_kw", "Double", "kW", True, "active power to draw"),
    OpcUaVariable("q_setpoint_kvar", "Double", "kvar", True, "reactive power to draw"),
    OpcUaVariable("lease_s", "Double", "s", True, "life of the setpoint; reads what is left"),
    OpcUaVariable("writer_epoch", "UInt32", "", True, "number of the controller that writes"),
    OpcUaVariable("enable", "Boolean", "", True, "follow the setpoint, or go to the safe state"),
    OpcUaVariable("state", "UInt32", "", False, "0 off, 1 safe, 2 remote, 3 local, 4 fault"),
    OpcUaVariable("p_kw", "Double", "kW", False, "active power drawn"),
    OpcUaVariable("q_kvar", "Double", "kvar", False, "reactive power drawn"),
    OpcUaVariable("v_v", "Double", "V", False, "voltage at the terminals, line to line, RMS"),
    OpcUaVariable("s_max_kva", "Double", "kVA", False, "apparent power available, derating included"),
    OpcUaVariable("clock_s", "Double", "s", False, "device clock, seconds since 1970 UTC"),
)
