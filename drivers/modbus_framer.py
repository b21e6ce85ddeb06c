"""Finds the frames in what a Modbus TCP device sends, and says so when there are none."""

from collections.abc import Callable

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU


class Framer(FramerSocket):
    """Says when it cannot decode; pymodbus would let the event loop end the connection over it, with a traceback."""

    def __init__(self, puzzled: Callable[[], None]) -> None:
        super().__init__(DecodePDU(False))
        self._puzzled = puzzled

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:  # noqa: N802
        """Length of what was used, and the message in it."""
        try:
            return super().handleFrame(data, exp_devid, exp_tid)
        except ModbusException:
            self._puzzled()
            return len(data), None
