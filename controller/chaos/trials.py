"""The faults of the table, by number, and how each is brought about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from controller.chaos.script import Script
from controller.chaos.scripts import abuse, deaths, orders, planning, records
from controller.chaos.scripts.devices import CONVERTERS, MODBUS, Switch, flapping, foreign, switched
from controller.judge.case import Kind
from core.config_devices import ModbusConverter, ModbusMeter, OpcUaConverter
from realtime.timing import CYCLE_S, POLL_S

DAY, NOON = (6, 20), (10, 13)
"""Local hours: of plans that move, and of much sun."""
LINK, DATA, STALE, DEVICE = Kind.LINK, Kind.DATA, Kind.STALE, Kind.DEVICE


class Aid(StrEnum):
    """What plays a part beside plant, guardian and controller."""

    NONE = "none"
    FAULTY_PLANNER = "faulty planner"
    SINK = "sink"


@dataclass(frozen=True)
class Trial:
    """A fault and its script.

    Attributes:
        hours: local, in which the run begins.
        early_s: how long before a run of the MPC it begins.
        poll_s: between two readings; where no device is at fault, that of each cycle will do.
        words: of the opening, by seed in turns.
    """

    number: int
    name: str
    script: Script
    hours: tuple[int, int] = DAY
    early_s: float = 0.0
    poll_s: float = POLL_S
    aid: Aid = Aid.NONE
    words: Sequence[Mapping[str, Any]] = field(default=({},))


def _planning(number: int, name: str, script: Script, **more: Any) -> Trial:
    return Trial(number, name, script, early_s=planning.EARLY_S, poll_s=CYCLE_S, **more)


TRIALS = (
    Trial(1, "kill", deaths.killed),
    Trial(2, "hang", deaths.hung),
    _planning(3, "busy", planning.busy, words=({"coordination": planning.LONG},)),
    _planning(4, "not-converged", planning.hurried, words=[{"coordination": few} for few in planning.SHORT]),
    _planning(5, "lying-planner", planning.lied_to, aid=Aid.FAULTY_PLANNER),
    _planning(6, "planner-killed", planning.bereaved),
    Trial(7, "down", switched(Switch("down", LINK))),
    Trial(8, "black-hole", switched(Switch("black_hole", LINK), Switch("silent", LINK))),
    Trial(9, "flapping", flapping),
    Trial(
        10,
        "slow-or-sliced",
        switched(
            Switch("slow", LINK, number=2.0),
            Switch("sliced", LINK, noticeable=False),
            Switch("slow", LINK, CONVERTERS, number=0.1, noticeable=False),
        ),
    ),
    Trial(11, "late-or-replayed", switched(Switch("late", LINK), Switch("replay", LINK, noticeable=False))),
    Trial(12, "garbage", switched(*(Switch(fault, LINK) for fault in ("garbage", "short", "cut", "reset", "fewer")))),
    Trial(
        13,
        "meaningless",
        switched(
            *(Switch(fault, DATA) for fault in ("sentinel", "nan", "byte_swap")),
            Switch("wrong_scale", DATA, (ModbusConverter, OpcUaConverter, ModbusMeter)),
        ),
    ),
    Trial(14, "frozen", switched(Switch("frozen", STALE), Switch("clock_stands", STALE))),
    Trial(15, "reboot", switched(*(Switch(fault, DEVICE, CONVERTERS) for fault in ("reboot", "trip", "local")))),
    Trial(16, "ignores", switched(Switch("ignore_writes", DEVICE, CONVERTERS))),
    Trial(17, "late-write", switched(Switch("late_write", DEVICE, MODBUS))),
    Trial(18, "foreign-writer", foreign),
    Trial(19, "books-and-meter", switched(Switch("wrong_scale", DEVICE, CONVERTERS, number=1.45)), hours=NOON),
    Trial(20, "inverted-sign", switched(Switch("inverted_sign", DEVICE, CONVERTERS)), hours=NOON),
    Trial(21, "clock", orders.clock_set),
    Trial(22, "influxdb", records.unforwarded, aid=Aid.SINK),
    Trial(23, "disk-full", records.disk_full, words=({"steadfast": True},)),
    Trial(24, "torn-journal", deaths.torn),
    Trial(25, "bad-configuration", deaths.refused),
    _planning(26, "no-mpc", planning.unplanned),
    Trial(27, "http-abuse", abuse.abused, words=({"live_port": 0, "api": True},)),
    Trial(28, "stop", orders.stopped),
    Trial(29, "leaks", records.long_run, poll_s=CYCLE_S),
    Trial(30, "emergency-stop", orders.emergency_stop),
)
