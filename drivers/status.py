"""What a converter says of itself beside its measurements."""

from dataclasses import dataclass
from enum import IntEnum


class OperatingState(IntEnum):
    """Who commands a converter, as its ``state`` register says."""

    OFF = 0
    SAFE = 1
    REMOTE = 2
    LOCAL = 3
    FAULT = 4


@dataclass(frozen=True)
class ConverterStatus:
    """Read together with the measurement; None where the device does not tell.

    The setpoint and the epoch are what the device holds, whoever wrote them: a restart ramps from there, and a foreign
    writer shows up there.
    """

    state: OperatingState | None
    s_max_kva: float | None
    p_setpoint_kw: float | None
    q_setpoint_kvar: float | None
    writer_epoch: int | None
