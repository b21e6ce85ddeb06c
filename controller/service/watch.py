"""The process image: all devices are read at the same time, and the newest good reading of each is kept with its
age.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.record.records import DeviceRecord
from core.devices import ConverterStatus, Measurement, Meter, Quality, Snapshot
from core.time import Clock
from drivers.factory import ConnectedDevices
from realtime.timing import USE_DATA_S

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Image:
    """Knowledge about all devices, by name, before any decision.

    Decisions use ``snapshot``; the rest is for records: the result of the last exchange, and the age of the newest good
    reading.
    """

    snapshot: Snapshot
    latency_ms: Mapping[str, float]
    quality: Mapping[str, Quality]
    age_s: Mapping[str, float | None]

    def fresh(self, device: str | None) -> Measurement | None:
        """The good reading of a device that is young enough to be used; None without one."""
        reading = self.snapshot.measurements.get(device) if device else None
        if reading is None or reading.quality is not Quality.GOOD:
            return None
        return reading if self.snapshot.monotonic_s - reading.received_s <= USE_DATA_S else None


class Watch:
    """Reads all of ``devices``.

    Args:
        clock: the loop's time.
        stopwatch: real time, for latencies.
        patience_s: time that a poll waits; a slower device delays no other, and its reading counts once it arrives.
    """

    def __init__(self, devices: ConnectedDevices, clock: Clock, stopwatch: Clock, patience_s: float) -> None:
        self._devices, self._clock, self._stopwatch = devices, clock, stopwatch
        self._patience_s = patience_s
        self._running: dict[str, asyncio.Task[Measurement]] = {}
        self._good: dict[str, Measurement] = {}
        self._last: dict[str, Measurement] = {}
        self._latency_ms: dict[str, float] = {}
        self._polls: Counter[str] = Counter()

    async def poll(self) -> None:
        """Read every device that is not still busy with an earlier reading."""
        self._collect()
        for name, device in self._devices.readers.items():
            if name not in self._running:
                self._running[name] = asyncio.create_task(self._read(name, device))
        if self._running:
            await asyncio.wait(self._running.values(), timeout=self._patience_s)
        self._collect()
        for name in self._running:
            self._keep(self._silent(name))

    @property
    def statuses(self) -> Mapping[str, ConverterStatus]:
        """Statuses of converters whose last reading was answered."""
        known = {name: converter.status for name, converter in self._devices.watched.items()}
        return {name: status for name, status in known.items() if status is not None and name not in self._running}

    def devices(self) -> Mapping[str, DeviceRecord]:
        """Records of the last reading of each device."""
        now_s = self._clock.monotonic_s()
        ages_s = {name: now_s - reading.received_s for name, reading in self._good.items()}
        return {
            name: DeviceRecord(self._latency_ms.get(name), reading.quality, ages_s.get(name))
            for name, reading in self._last.items()
        }

    async def close(self) -> None:
        """Cancel readings in progress."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()

    def image(self) -> Image:
        """The present process image; the count of polls starts again."""
        now_s, polls = self._clock.monotonic_s(), dict(self._polls)
        self._polls.clear()
        ages = {name: now_s - self._good[name].received_s if name in self._good else None for name in self._last}
        return Image(
            Snapshot(self._clock.now(), now_s, {**self._last, **self._good}, self.statuses, polls),
            dict(self._latency_ms),
            {name: reading.quality for name, reading in self._last.items()},
            ages,
        )

    async def _read(self, name: str, device: Meter) -> Measurement:
        began_s = self._stopwatch.monotonic_s()
        try:
            reading = await device.read()
        except Exception:  # a defect of one driver must not stop the others
            _log.exception("%s: read failed", name)
            return self._silent(name)
        self._latency_ms[name] = 1e3 * (self._stopwatch.monotonic_s() - began_s)
        return reading

    def _collect(self) -> None:
        for name in [name for name, task in self._running.items() if task.done()]:
            task = self._running.pop(name)
            self._keep(self._silent(name) if task.cancelled() else task.result())

    def _keep(self, reading: Measurement) -> None:
        """Keep a reading; it is STALE if the device's clock stands still, since the device then repeats itself."""
        name, before = reading.device, self._good.get(reading.device)
        if reading.quality is Quality.GOOD:
            if before is not None and reading.taken_at is not None and reading.taken_at == before.taken_at:
                reading = replace(reading, quality=Quality.STALE)
            else:
                self._good[name] = reading
                self._polls[name] += 1
        self._last[name] = reading

    def _silent(self, name: str) -> Measurement:
        self._latency_ms.pop(name, None)
        return Measurement(name, None, None, None, None, None, self._clock.monotonic_s(), Quality.INVALID)
