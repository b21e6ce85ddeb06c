"""The trials: every fault of the table of docs/reliability.md, by number, with its injection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from controller.chaos.injection import Injection
from controller.chaos.injections import (
    commanded_modes,
    deaths,
    guardians,
    http_abuse,
    meters,
    missed_records,
    operations,
    planner_attack,
    planning,
    records,
    stops,
    supply,
    writers,
)
from controller.chaos.injections.devices import CONVERTERS, MODBUS, PlantFault, flapping, foreign_writer, plant_fault
from controller.judge.case import Kind
from core.config_devices import ModbusConverter, ModbusMeter, OpcUaConverter, SunspecConverter
from realtime.timing import CYCLE_S, POLL_S

DAY, NOON, EVENING = (6, 20), (10, 13), (21, 22)
"""Local hours of the start: while plans change, with much sun, and with much load."""
LINK, DATA, STALE, DEVICE = Kind.LINK, Kind.DATA, Kind.STALE, Kind.DEVICE


class Helper(StrEnum):
    """A service that a trial adds to plant, guardian and controller."""

    NONE = "none"
    FAULTY_PLANNER = "faulty planner"
    FAULTY_INFLUX = "faulty InfluxDB"
    PLANNER = "planner"


@dataclass(frozen=True)
class Trial:
    """A fault and its injection.

    Attributes:
        hours: local hours in which the run begins.
        early_s: time between the start and the next MPC run.
        poll_s: time between two readings; one per cycle is enough if no device is at fault.
        options: of the controller's opening; seeds use them in turn.
    """

    number: int
    name: str
    injection: Injection
    hours: tuple[int, int] = DAY
    early_s: float = 0.0
    poll_s: float = POLL_S
    helper: Helper = Helper.NONE
    options: Sequence[Mapping[str, Any]] = field(default=({},))


def _planning(number: int, name: str, injection: Injection, **others: Any) -> Trial:
    return Trial(number, name, injection, early_s=planning.EARLY_S, poll_s=CYCLE_S, **others)


TRIALS = (
    Trial(1, "kill", deaths.kill),
    Trial(2, "hang", deaths.suspend),
    _planning(3, "busy", planning.long_computation, options=({"coordination": planning.LONG},)),
    _planning(
        4,
        "not-converged",
        planning.no_convergence,
        hours=NOON,
        options=[{"coordination": few} for few in planning.SHORT],
    ),
    _planning(5, "lying-planner", planning.faulty_plan, helper=Helper.FAULTY_PLANNER),
    _planning(6, "planner-killed", planning.planner_killed),
    Trial(7, "down", plant_fault(PlantFault("down", LINK))),
    Trial(8, "black-hole", plant_fault(PlantFault("black_hole", LINK), PlantFault("silent", LINK))),
    Trial(9, "flapping", flapping),
    Trial(
        10,
        "slow-or-sliced",
        plant_fault(
            PlantFault("slow", LINK, number=2.0),
            PlantFault("sliced", LINK, noticeable=False),
            PlantFault("slow", LINK, CONVERTERS, number=0.1, noticeable=False),
        ),
    ),
    Trial(11, "late-or-replayed", plant_fault(PlantFault("late", LINK), PlantFault("replay", LINK, noticeable=False))),
    Trial(
        12,
        "garbage",
        plant_fault(*(PlantFault(fault, LINK) for fault in ("garbage", "short", "cut", "reset", "fewer"))),
    ),
    Trial(
        13,
        "meaningless",
        plant_fault(
            *(PlantFault(fault, DATA) for fault in ("sentinel", "nan", "byte_swap")),
            PlantFault("wrong_scale", DATA, (ModbusConverter, OpcUaConverter, ModbusMeter)),
        ),
    ),
    Trial(14, "frozen", plant_fault(PlantFault("frozen", STALE), PlantFault("clock_stands", STALE))),
    Trial(15, "reboot", plant_fault(*(PlantFault(fault, DEVICE, CONVERTERS) for fault in ("reboot", "trip", "local")))),
    Trial(16, "ignores", plant_fault(PlantFault("ignore_writes", DEVICE, CONVERTERS))),
    Trial(17, "late-write", plant_fault(PlantFault("late_write", DEVICE, MODBUS))),
    Trial(18, "foreign-writer", foreign_writer),
    Trial(19, "books-and-meter", plant_fault(PlantFault("wrong_scale", DEVICE, CONVERTERS, number=1.45)), hours=NOON),
    Trial(20, "inverted-sign", plant_fault(PlantFault("inverted_sign", DEVICE, CONVERTERS)), hours=NOON),
    Trial(21, "clock", operations.wrong_clock),
    Trial(22, "influxdb", records.influx_failing, helper=Helper.FAULTY_INFLUX),
    Trial(23, "disk-full", records.disk_full, options=({"steadfast": True},)),
    Trial(24, "torn-journal", deaths.damage_journal),
    Trial(25, "bad-configuration", deaths.bad_configuration),
    _planning(26, "no-mpc", planning.no_mpc),
    Trial(27, "http-abuse", http_abuse.abuse_http, options=({"live_port": 0, "api": True},)),
    Trial(28, "stop", operations.stop_with_bad_link),
    Trial(29, "leaks", records.long_run, poll_s=CYCLE_S),
    Trial(30, "emergency-stop", operations.emergency_stop),
    Trial(31, "killed-in-stop", commanded_modes.kill_in_stop),
    Trial(32, "monitor-on-full-disk", commanded_modes.monitor_on_full_disk, options=({"steadfast": True},)),
    Trial(33, "stop-journal-locked", commanded_modes.stop_with_locked_journal, options=({"steadfast": True},)),
    Trial(36, "epochs-used-up", writers.epochs_used_up((ModbusConverter, OpcUaConverter))),
    Trial(37, "epochs-used-up-sunspec", writers.epochs_used_up((SunspecConverter,))),
    Trial(38, "writes-rejected", writers.writes_rejected),
    Trial(39, "two-services", writers.two_services),
    Trial(40, "stop-in-flood", stops.stop_in_flood, options=({"live_port": 0, "api": True},)),
    Trial(41, "stop-of-starting", stops.stop_while_starting),
    Trial(42, "stop-of-dead", stops.stop_of_dead),
    Trial(43, "stop-of-suspended", stops.stop_of_suspended),
    Trial(48, "audit-removed", missed_records.remove_audit),
    Trial(49, "journal-removed", missed_records.remove_journal),
    Trial(50, "second-service", missed_records.start_second),
    Trial(51, "clock-100-days", missed_records.jump_100_days),
    Trial(52, "altered-trail", missed_records.alter_trail),
    Trial(53, "meter-3-percent", meters.wrong_voltage(1.03, 0.97), poll_s=CYCLE_S),
    Trial(54, "meter-10-percent", meters.wrong_voltage(1.1, 0.9, 3**-0.5), poll_s=CYCLE_S),
    Trial(55, "meter-frozen", meters.frozen_voltage, poll_s=CYCLE_S),
    Trial(56, "meters-swapped", meters.exchanged_meters, poll_s=CYCLE_S),
    Trial(57, "supply-up", supply.supply_step(0.03), hours=(11, 14)),
    Trial(58, "supply-down", supply.supply_step(-0.03), hours=EVENING),
    Trial(59, "guardian-dies", guardians.guardian_dies, options=({"live_port": 0, "api": True},)),
    Trial(60, "no-guardian", guardians.no_guardian, options=({"live_port": 0, "api": True},)),
    _planning(61, "malicious-job", planner_attack.malicious_job, helper=Helper.PLANNER),
)
