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

MEASURING = ("frozen", "sentinel", "nan", "byte_swap", "wrong_scale", "inverted_sign", "clock_stands", "clock_jumps")
"""What any device of the simulated plant can have."""
COMMANDED = ("local", "ignore_writes", "reboot", "trip", "stuck", "derated", "foreign_write")
"""What a converter can have as well."""
LINK = (
    "down", "flapping", "black_hole", "silent", "late_write", "late", "replay", "garbage", "corrupt", "fewer", "short",
    "cut", "reset", "slow", "sliced",
)  # fmt: skip
"""What the link to a device can have."""
MODBUS_ONLY = ("byte_swap", "fewer")
NUMBERS = {
    "flapping": "a number > 0 Hz",
    "late_write": "a number > 0 s",
    "slow": "a number > 0 s",
    "corrupt": "a number > 0 of bits",
    "derated": "a number > 0 kVA",
    "wrong_scale": "a factor > 0",
    "clock_jumps": "a number of s",
    "foreign_write": "a whole number 0 … 65535, an epoch",
}
"""Faults that take a number, and which; the plant has one of its own for each."""
KEYS = ("at", "for_s", "device", "fault", "number")


@dataclass(frozen=True)
class FaultEvent:
    """A device has a fault from ``at`` (aware) for ``for_s``; ``number`` is of the unit that ``NUMBERS`` tells."""

    at: datetime
    for_s: float
    device: str
    fault: str
    number: float | None = None


def load_faults(path: Path, config: Config) -> tuple[FaultEvent, ...]:
    """The faults of a file, on the day of the horizon.

    Raises:
        InputError: with everything that is wrong with it.
    """
    data, faults = load_yaml(path), list[Fault]()
    if not isinstance(data, list):
        raise InputError([Fault(str(path), "", shown(data), "a list of faults {at, for_s, device, fault}")])
    events = [_event(f"[{k}]", item, path, config, faults) for k, item in enumerate(data)]
    if faults:
        raise InputError(faults)
    return tuple(event for event in events if event)


def possible(device: Device) -> tuple[str, ...]:
    """The faults that a device, or the link to it, can have."""
    faults = (*MEASURING, *(() if isinstance(device, ModbusMeter) else COMMANDED), *LINK)
    return tuple(f for f in faults if not (isinstance(device, OpcUaConverter) and f in MODBUS_ONLY))


def due(events: Sequence[FaultEvent], start: datetime, t_s: float, period_s: float) -> Iterator[Mapping[str, Any]]:
    """What the plant is to be told in the cycle at ``t_s``: faults that begin or end within its ``period_s``.

    The first cycle is told of those that began before the run.
    """
    for event in events:
        begins_s = (event.at - start).total_seconds()
        if begins_s < 0 < begins_s + event.for_s:
            begins_s, ends_s = 0.0, begins_s + event.for_s
        else:
            ends_s = begins_s + event.for_s
        for when_s, on in ((begins_s, True), (ends_s, False)):
            if t_s <= when_s < t_s + period_s:
                number = {} if event.number is None or not on else {"number": event.number}
                yield {"fault": event.fault, "device": event.device, "on": on, **number}


def _event(at: str, item: object, path: Path, config: Config, faults: list[Fault]) -> FaultEvent | None:
    allowed = f"a section {{{', '.join(KEYS)}}}"
    if not isinstance(item, dict) or not set(item) <= set(KEYS) or not set(KEYS[:4]) <= set(item):
        faults.append(Fault(str(path), at, shown(item), allowed))
        return None
    wrong = dict(_wrong(item, config))
    faults += [Fault(str(path), f"{at}.{key}", shown(item[key]), right) for key, right in wrong.items()]
    instant = _instant(item["at"], config.horizon.date, config.horizon.timezone)
    if instant is None or wrong:
        return None
    return FaultEvent(instant, float(item["for_s"]), item["device"], item["fault"], item.get("number"))


def _wrong(item: Mapping[str, Any], config: Config) -> Iterator[tuple[str, str]]:
    """(key, what is allowed) of every entry that is wrong."""
    if _instant(item["at"], config.horizon.date, config.horizon.timezone) is None:
        yield "at", "a time of day HH:MM:SS in quotes"
    if not _number(item["for_s"]) or item["for_s"] <= 0:
        yield "for_s", "a number > 0"
    device, fault = next((d for d in config.devices if d.name == item["device"]), None), item["fault"]
    if device is None:
        yield "device", f"one of {', '.join(d.name for d in config.devices)}"
    elif fault not in possible(device):
        yield "fault", f"one of {', '.join(possible(device))}"
    elif "number" in item and not _fits(fault, item["number"]):
        yield "number", NUMBERS.get(fault, f"none for {fault}")


def _fits(fault: str, number: object) -> bool:
    if fault not in NUMBERS or not isinstance(number, int | float) or not _number(number):
        return False
    if fault == "foreign_write":
        return number in range(2**16)
    return fault == "clock_jumps" or number > 0


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _instant(text: object, day: date, timezone: str) -> datetime | None:
    try:
        return datetime.combine(day, time.fromisoformat(text), ZoneInfo(timezone)) if isinstance(text, str) else None
    except ValueError:
        return None
