"""The SunSpec points of a converter that the driver uses, by the names of our register maps.

Offsets are those of the SunSpec model definitions, counted from the model's ID. In SunSpec injected power is positive;
``factor`` turns it into demand in kW. Models: 1 common, 701 measurements, 704 setpoints, 715 control.

``ControllerHb`` carries the writer's epoch in its upper word and a count of writes in its lower one; it is written
first, so that a device which knows a later writer refuses before anything else. ``DERHb`` counts seconds and serves as
the device clock.
"""

from dataclasses import dataclass
from typing import Literal

BASE_ADDRESS = 40000
MARK = (0x5375, 0x6E53)
""""SunS", which precedes the models."""
END_MODEL = 0xFFFF
MODELS = (1, 701, 704, 715)


@dataclass(frozen=True)
class SunspecPoint:
    """A point: value in our unit = factor × 10^sf × raw, with ``sf`` at ``sf_offset`` of the same model."""

    name: str
    sunspec: str
    model: int
    offset: int
    type: Literal["int16", "uint16", "int32", "uint32"]
    factor: float = 1.0
    unit: str = ""
    sf_offset: int | None = None
    writable: bool = False


POINTS = (
    SunspecPoint("on", "St", 701, 3, "uint16"),
    SunspecPoint("inverter_state", "InvSt", 701, 4, "uint16"),
    SunspecPoint("p_kw", "W", 701, 10, "int16", -0.001, "kW", 116),
    SunspecPoint("q_kvar", "Var", 701, 12, "int16", -0.001, "kvar", 119),
    SunspecPoint("i_a", "A", 701, 14, "int16", 1.0, "A", 113),
    SunspecPoint("v_v", "LLV", 701, 15, "uint16", 1.0, "V", 114),
    SunspecPoint("p_enable", "WSetEna", 704, 22, "uint16", writable=True),
    SunspecPoint("p_mode", "WSetMod", 704, 23, "uint16", writable=True),
    SunspecPoint("p_setpoint_kw", "WSet", 704, 24, "int32", -0.001, "kW", 55, writable=True),
    SunspecPoint("p_enable_after", "WSetEnaRvrt", 704, 30, "uint16", writable=True),
    SunspecPoint("p_lease_s", "WSetRvrtTms", 704, 31, "uint32", unit="s", writable=True),
    SunspecPoint("p_left_lease_s", "WSetRvrtRem", 704, 33, "uint32", unit="s"),
    SunspecPoint("q_enable", "VarSetEna", 704, 35, "uint16", writable=True),
    SunspecPoint("q_mode", "VarSetMod", 704, 36, "uint16", writable=True),
    SunspecPoint("q_priority", "VarSetPri", 704, 37, "uint16", writable=True),
    SunspecPoint("q_setpoint_kvar", "VarSet", 704, 38, "int32", -0.001, "kvar", 57, writable=True),
    SunspecPoint("q_enable_after", "VarSetEnaRvrt", 704, 44, "uint16", writable=True),
    SunspecPoint("q_lease_s", "VarSetRvrtTms", 704, 45, "uint32", unit="s", writable=True),
    SunspecPoint("q_left_lease_s", "VarSetRvrtRem", 704, 47, "uint32", unit="s"),
    SunspecPoint("local", "LocRemCtl", 715, 2, "uint16"),
    SunspecPoint("clock_s", "DERHb", 715, 3, "uint32", unit="s"),
    SunspecPoint("heartbeat", "ControllerHb", 715, 5, "uint32", writable=True),
)
SENTINELS = {"int16": -(2**15), "uint16": 2**16 - 1, "int32": -(2**31), "uint32": 2**32 - 1}
"""Raw values that mean "not implemented"."""

WATTS, VARS, ACTIVE_FIRST = 1, 4, 0
"""Values of WSetMod, VarSetMod and VarSetPri that the driver writes."""
INVERTER_FAULT = 6
"""Value of InvSt for a fault."""
