"""Faults of a simulated run: a YAML list of ``{at: "12:30:00", for_s: 120, device: n4_converter, fault: frozen}``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from core.config import Config
from core.config_devices import ModbusMeter
from core.errors import Fault, InputError, shown
from core.load import load_yaml

FaultName = Literal[
    "frozen", "local", "ignore_writes", "reboot", "trip", "stuck", "derated", "sentinel", "nan", "byte_swap",
    "wrong_scale", "inverted_sign",
]  # fmt: skip
"""What a device of the simulated plant can have."""
METER_FAULTS = ("frozen", "sentinel", "nan", "byte_swap", "wrong_scale", "inverted_sign")
"""Those of them that a meter can have."""
KEYS = ("at", "for_s", "device", "fault", "number")


@dataclass(frozen=True)
class FaultEvent:
    """A device has a fault from ``at`` (aware) for ``for_s``; ``number`` is what some faults need (kVA, factor)."""

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
                number = {} if event.number is None else {"number": event.number}
                yield {"fault": event.fault, "device": event.device, "on": on, **number}


def _event(at: str, item: object, path: Path, config: Config, faults: list[Fault]) -> FaultEvent | None:
    allowed = f"a section {{{', '.join(KEYS)}}}"
    if not isinstance(item, dict) or not set(item) <= set(KEYS) or not set(KEYS[:4]) <= set(item):
        faults.append(Fault(str(path), at, shown(item), allowed))
        return None
    known = len(faults)
    instant = _instant(item["at"], config.horizon.date, config.horizon.timezone)
    if instant is None:
        faults.append(Fault(str(path), f"{at}.at", shown(item["at"]), "a time of day HH:MM:SS in quotes"))
    meters = {device.name for device in config.devices if isinstance(device, ModbusMeter)}
    possible = METER_FAULTS if item["device"] in meters else get_args(FaultName)
    for key, choices in (("device", [device.name for device in config.devices]), ("fault", possible)):
        if item[key] not in choices:
            faults.append(Fault(str(path), f"{at}.{key}", shown(item[key]), f"one of {', '.join(choices)}"))
    wrong = [k for k in ("for_s", "number") if k in item and not (isinstance(item[k], int | float) and item[k] > 0)]
    faults += [Fault(str(path), f"{at}.{key}", shown(item[key]), "a number > 0") for key in wrong]
    if instant is None or len(faults) > known:
        return None
    return FaultEvent(instant, float(item["for_s"]), item["device"], item["fault"], item.get("number"))


def _instant(text: object, day: date, timezone: str) -> datetime | None:
    try:
        return datetime.combine(day, time.fromisoformat(text), ZoneInfo(timezone)) if isinstance(text, str) else None
    except ValueError:
        return None
