"""The invariant of emergency stops."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from controller.judge.case import BrokenInvariant, Case, Kind
from controller.judge.commands import orders
from controller.judge.evidence import ConverterHistory
from controller.process.modes import Mode


def stops_executed(case: Case) -> Iterator[BrokenInvariant]:
    """18: after a stop was asked for, every converter is safe before another cycle could write, and none follows a
    setpoint until ACTIVE has been commanded.

    A converter is excepted whose link or own fault may keep it from being released.
    """
    activated = [at for at, order in orders(case) if order == Mode.ACTIVE]
    for at in case.stops:
        again = next((since for since in activated if since > at), case.end)
        by = at + timedelta(seconds=case.site.cycle_s)
        for device, history in case.converters.items():
            yield from _written(device, history, at, again)
            held = history.held(by)
            reachable = not case.during(at, Kind.LINK, Kind.DEVICE, device=device)
            if by <= again and reachable and held is not None and not held.safe:
                what = f"holds {held.s_kva} kVA {case.site.cycle_s:g} s after the stop of {at:%H:%M:%S}"
                yield BrokenInvariant(18, by, device, what)


def _written(device: str, history: ConverterHistory, at: datetime, again: datetime) -> Iterator[BrokenInvariant]:
    for received in history.received:
        frame = received.frame
        if frame.enable and frame.accepted and received.attempt and at < frame.time < again:
            what = f"setpoint {frame.s_kva} kVA after the stop of {at:%H:%M:%S}"
            yield BrokenInvariant(18, frame.time, device, what)
