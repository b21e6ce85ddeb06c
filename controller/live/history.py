"""Two hours of history for sparklines: one small point per cycle."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from controller.record.records import CycleRecord

HISTORY_S = 2 * 3600.0


@dataclass(frozen=True)
class HistoryPoint:
    """Lowest and highest voltage (p.u.) of the nodes but the slack, and prices (per kWh) by prosumer; None is
    unknown.
    """

    time: datetime
    v_low_pu: float | None
    v_high_pu: float | None
    tariff_per_kwh: float | None
    price_per_kwh: Mapping[str, float | None]

    @classmethod
    def of(cls, record: CycleRecord, slack: str) -> "HistoryPoint":
        """The point of a cycle. All prosumers have one tariff: the first known one is used."""
        prosumers = record.prosumers
        voltages = _finite(v_pu for node, v_pu in record.nodes.items() if node != slack)
        return cls(
            time=record.time,
            v_low_pu=min(voltages, default=None),
            v_high_pu=max(voltages, default=None),
            tariff_per_kwh=next(iter(_finite(p.tariff_chf_per_kwh for p in prosumers.values())), None),
            price_per_kwh={name: prosumer.price_chf_per_kwh for name, prosumer in prosumers.items()},
        )


class History:
    """The points of the last :data:`HISTORY_S`, one per ``cycle_s``."""

    def __init__(self, cycle_s: float) -> None:
        self._points: deque[HistoryPoint] = deque(maxlen=max(1, round(HISTORY_S / cycle_s)))

    @property
    def points(self) -> tuple[HistoryPoint, ...]:
        """The points, oldest first."""
        return tuple(self._points)

    def add(self, point: HistoryPoint) -> None:
        """Append a point."""
        self._points.append(point)


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and isfinite(value)]
