"""The first setpoints to a converter, by which a service claims it.

Two services that begin at the same moment find the same epoch, take the same next one, have the same plan, and write at
the same times: what each reads back looks like its own. So the first setpoints are sent at random moments, each after
another look at the device. Of two services, the later one sees what the earlier one has written.
"""

import asyncio
from random import SystemRandom

from controller.service.doubts import Doubts
from core.devices import Measurement, Outcome, Setpoint
from drivers.converter import WiredConverter

CLAIMS = 3
"""Setpoints until the claim stands: those of a minute."""
SPREAD_S = 0.5
"""Longest delay of such a setpoint, many times that of a request."""


class ClaimedConverter:
    """Implements :class:`core.devices.Converter`."""

    def __init__(self, converter: WiredConverter, doubts: Doubts) -> None:
        self.name = converter.name
        self._converter, self._doubts = converter, doubts
        self._claims, self._random = CLAIMS, SystemRandom()

    async def read(self) -> Measurement:
        """Take a new reading."""
        return await self._converter.read()

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Write the setpoint and read it back; REJECTED if somebody has written since the last reading."""
        if self._claims:
            self._claims -= 1
            before = self._converter.status
            await asyncio.sleep(self._random.uniform(0.0, SPREAD_S))
            await self._converter.read()
            if self._doubts.interfered(self.name, before, self._converter.status):
                return Outcome.REJECTED
        return await self._converter.write(setpoint)

    async def release(self) -> Outcome:
        """Put the converter into its own safe state and read it back."""
        return await self._converter.release()
