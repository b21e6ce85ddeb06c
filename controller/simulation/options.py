"""Command-line words of ``gridlab simulate`` as values, each fault in one line."""

from datetime import datetime, time

from core.config import Config
from core.errors import Fault, InputError
from core.time import TimeAxis

PACES = {"max": None, "realtime": 1.0}


def pace(text: str) -> float | None:
    """``max`` (None), ``realtime``, or a factor such as ``60x``.

    Raises:
        InputError: anything else.
    """
    if text in PACES:
        return PACES[text]
    try:
        factor = float(text.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf") or not text.endswith("x"):
        raise InputError([Fault("--pace", "", text, "max, realtime, or a factor such as 60x")])
    return factor


def margin(text: str | None) -> str | float | None:
    """``auto``, ``off``, or p.u.; None leaves that of the configuration.

    Raises:
        InputError: anything else.
    """
    if text is None or text in ("auto", "off"):
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 0.1:
        raise InputError([Fault("--margin", "", text, "auto, off, or a number from 0 to 0.1 p.u.")])
    return number


def span(config: Config, begin: str | None, end: str | None) -> tuple[datetime, datetime]:
    """From and to, aware, of the horizon's day; HH:MM of its local time, ``24:00`` or None is its end.

    Raises:
        InputError: no such time, not at a step, or not one after the other.
    """
    horizon = config.horizon
    axis = TimeAxis.day(horizon.date, horizon.timezone, horizon.step_min)
    first = axis.times[0] if begin is None else _instant("--start", begin, axis)
    last = axis.end if end in (None, "24:00") else _instant("--end", str(end), axis)
    if not first < last:
        raise InputError([Fault("--end", "", str(end), f"a time after {first:%H:%M}")])
    return first, last


def _instant(option: str, text: str, axis: TimeAxis) -> datetime:
    allowed = f"HH:MM, a multiple of {axis.step_min} min within the day"
    try:
        wanted = time.fromisoformat(text)
    except ValueError as error:
        raise InputError([Fault(option, "", text, allowed)]) from error
    steps = [instant for instant in axis.times if instant.time() == wanted]
    if not steps:
        raise InputError([Fault(option, "", text, allowed)])
    return steps[0]
