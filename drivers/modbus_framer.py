"""Framer of Modbus TCP that reports when received data cannot be decoded."""

from collections.abc import Callable

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU


class Framer(FramerSocket):
    """Reports undecodable data; pymodbus would let the event loop end the connection with a traceback."""

    def __init__(self, undecodable: Callable[[], None]) -> None:
        super().__init__(DecodePDU(False))
        self._undecodable = undecodable

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:  # noqa: N802
        """Length of the data that were used, and the message in them."""
        try:
            return super().handleFrame(data, exp_devid, exp_tid)
        except ModbusException:
            self._undecodable()
            return len(data), None
