"""Faults of a simulated run: a YAML list of ``{at: "12:30:00", for_s: 120, device: n4_converter, fault: frozen}``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from math import isfinite
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from core.config import Config
from core.config_devices import Device, ModbusMeter, OpcUaConverter
from core.errors import Fault, InputError, shown
from core.load import load_yaml

MEASURING = (
    "frozen", "sentinel", "nan", "byte_swap", "wrong_scale", "inverted_sign", "clock_stands", "clock_jumps",
    "voltage_scale", "voltage_frozen",
)  # fmt: skip
"""Faults of any device of the simulated plant."""
METERED = ("swapped",)
"""Further faults of a meter."""
COMMANDED = ("local", "ignore_writes", "reboot", "trip", "stuck", "derated", "foreign_write", "plain_epochs")
"""Further faults of a converter."""
LINK = (
    "down", "flapping", "black_hole", "silent", "late_write", "late", "replay", "garbage", "corrupt", "fewer", "short",
    "cut", "reset", "slow", "sliced",
)  # fmt: skip
"""Faults of the link to a device."""
SUPPLY_STEP = "supply_step"
"""Fault of the supply, at no device: its voltage is shifted by ``number`` p.u."""
LARGEST_STEP_PU = 0.2
MODBUS_ONLY = ("byte_swap", "fewer")
NUMBERS = {
    "flapping": "a number > 0 Hz",
    "late_write": "a number > 0 s",
    "slow": "a number > 0 s",
    "corrupt": "a number > 0 of bits",
    "derated": "a number > 0 kVA",
    "wrong_scale": "a factor > 0",
    "clock_jumps": "a number of s",
    "voltage_scale": "a factor > 0",
    "swapped": "a whole number > 0, the position of a node",
    "foreign_write": "a whole number 0 … 65535, an epoch",
    SUPPLY_STEP: f"a number of p.u. from −{LARGEST_STEP_PU:g} to {LARGEST_STEP_PU:g}",
}
"""Faults with a number, and what it may be; the plant has a default for each."""
KEYS = ("at", "for_s", "device", "fault", "number")


@dataclass(frozen=True)
class FaultEvent:
    """A fault of a device from ``at`` (aware) for ``for_s``; ``NUMBERS`` states the unit of ``number``.

    ``device`` is empty for a fault of the supply.
    """

    at: datetime
    for_s: float
    device: str
    fault: str
    number: float | None = None


def load_faults(path: Path, config: Config) -> tuple[FaultEvent, ...]:
    """The faults of a file, on the day of the horizon.

    Raises:
        InputError: the file is invalid; lists every fault in it.
    """
    data, faults = load_yaml(path), list[Fault]()
    if not isinstance(data, list):
        raise InputError([Fault(str(path), "", shown(data), "a list of faults {at, for_s, device, fault}")])
    events = [_event(f"[{k}]", item, path, config, faults) for k, item in enumerate(data)]
    if faults:
        raise InputError(faults)
    return tuple(event for event in events if event)


def possible_faults(device: Device) -> tuple[str, ...]:
    """The faults that a device, or the link to it, can have."""
    faults = (*MEASURING, *(METERED if isinstance(device, ModbusMeter) else COMMANDED), *LINK)
    return tuple(f for f in faults if not (isinstance(device, OpcUaConverter) and f in MODBUS_ONLY))


def fault_requests(
    events: Sequence[FaultEvent], start: datetime, t_s: float, period_s: float
) -> Iterator[Mapping[str, Any]]:
    """Requests to the plant in the cycle at ``t_s``: faults that begin or end within its ``period_s``.

    The first cycle also starts the faults that began before the run.
    """
    for event in events:
        begin_s = (event.at - start).total_seconds()
        if begin_s < 0 < begin_s + event.for_s:
            begin_s, end_s = 0.0, begin_s + event.for_s
        else:
            end_s = begin_s + event.for_s
        for when_s, on in ((begin_s, True), (end_s, False)):
            if t_s <= when_s < t_s + period_s:
                yield _request(event, on=on)


def _request(event: FaultEvent, *, on: bool) -> Mapping[str, Any]:
    if event.fault == SUPPLY_STEP:
        return {"supply_step_pu": event.number if on else 0.0}
    number = {} if event.number is None or not on else {"number": event.number}
    return {"fault": event.fault, "device": event.device, "on": on, **number}


def _event(at: str, item: object, path: Path, config: Config, faults: list[Fault]) -> FaultEvent | None:
    if not isinstance(item, dict) or not set(item) <= set(KEYS) or not _required(item) <= set(item):
        faults.append(Fault(str(path), at, shown(item), f"a section {{{', '.join(KEYS)}}}"))
        return None
    invalid = dict(_invalid(item, config))
    faults += [
        Fault(str(path), f"{at}.{key}", shown(item[key]), allowed_value) for key, allowed_value in invalid.items()
    ]
    instant = _instant(item["at"], config.horizon.date, config.horizon.timezone)
    if instant is None or invalid:
        return None
    return FaultEvent(instant, float(item["for_s"]), item.get("device", ""), item["fault"], item.get("number"))


def _required(item: Mapping[str, Any]) -> set[str]:
    """Keys that the entry must have: a step of the supply has a number, and no device."""
    return {*KEYS[:2], "fault", "number" if item.get("fault") == SUPPLY_STEP else "device"}


def _invalid(item: Mapping[str, Any], config: Config) -> Iterator[tuple[str, str]]:
    """(key, what is allowed) of every invalid entry."""
    if _instant(item["at"], config.horizon.date, config.horizon.timezone) is None:
        yield "at", "a time of day HH:MM:SS in quotes"
    if not _is_number(item["for_s"]) or item["for_s"] <= 0:
        yield "for_s", "a number > 0"
    device, fault = next((d for d in config.devices if d.name == item.get("device")), None), item["fault"]
    if fault == SUPPLY_STEP:
        yield from _invalid_step(item)
    elif device is None:
        yield "device", f"one of {', '.join(d.name for d in config.devices)}"
    elif fault not in possible_faults(device):
        yield "fault", f"one of {', '.join(possible_faults(device))}"
    elif "number" in item and not _number_allowed(fault, item["number"]):
        yield "number", NUMBERS.get(fault, f"none for {fault}")


def _invalid_step(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "device" in item:
        yield "device", f"none for {SUPPLY_STEP}"
    if not (_is_number(item["number"]) and abs(item["number"]) <= LARGEST_STEP_PU):
        yield "number", NUMBERS[SUPPLY_STEP]


def _number_allowed(fault: str, number: object) -> bool:
    if fault not in NUMBERS or not isinstance(number, int | float) or not _is_number(number):
        return False
    if fault == "foreign_write":
        return number in range(2**16)
    if fault == "swapped":
        return number > 0 and float(number).is_integer()
    return fault == "clock_jumps" or number > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _instant(text: object, day: date, timezone: str) -> datetime | None:
    try:
        return datetime.combine(day, time.fromisoformat(text), ZoneInfo(timezone)) if isinstance(text, str) else None
    except ValueError:
        return None
