"""Modbus TCP on pymodbus: a connection that several units share, and a unit with its register map.

After anything but a clean answer the connection is dropped with everything still in transit on it, so that no late
answer is mistaken for another and no unsent frame leaves later. Transaction numbers continue across connections, since
a late answer may arrive on the next one. A request whose connection was lost after it had served is repeated once if it
reads, never if it writes; a request without an answer is not repeated, since the other units of the address wait.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from core.time import Clock
from drivers.exchange import (
    TIMING,
    BadAnswerError,
    Breaker,
    ExchangeError,
    NoAnswerError,
    RefusedError,
    Timing,
)
from drivers.modbus_framer import Framer
from drivers.modbus_tls import Tls
from drivers.registers import MAX_WRITE_WORDS, RegisterBlock, RegisterMap, RegisterRangeError

Request = Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]
Plan = Sequence[tuple[RegisterBlock, Sequence[int]]]

_READ, _WRITE = 3, 16
_UNDECIDED = (5, 10, 11)
"""Exception codes after which a request may still be executed: acknowledged, no path to the unit, unit silent."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing discards unsent data, and the device what it has not read."""


class ModbusLink:
    """One TCP connection, within TLS if ``tls`` is given, with one request at a time; opened when it is needed."""

    def __init__(self, host: str, port: int, clock: Clock, timing: Timing = TIMING, tls: Tls | None = None) -> None:
        self.address = f"{host}:{port}"
        self._host, self._port, self._timing, self._tls = host, port, timing, tls
        self._reachable = Breaker(clock, timing.pause_s)
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._answered = False
        self._transaction = 0
        self._silent_s: dict[int, float] = {}
        self._received = b""
        self._deadline: asyncio.Timeout | None = None
        self._failure: ExchangeError | None = None
        self._tls_reason = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client:
            transport = self._client.ctx.transport
            self._client.close()
            if isinstance(transport, asyncio.Transport):
                transport.abort()
            self._client = None
            await asyncio.sleep(0)

    async def read(self, unit: int, address: int, n_words: int) -> tuple[int, ...]:
        """Read words of holding registers.

        Raises:
            ExchangeError: no answer, a wrong one, or an exception response.
        """

        def request(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            return client.read_holding_registers(address, count=n_words, device_id=unit)

        def fits(reply: ModbusPDU) -> bool:
            return reply.function_code == _READ and len(reply.registers) == n_words

        try:
            reply = await self._exchange(unit, request, fits)
        except _ConnectionLostError:
            reply = await self._exchange(unit, request, fits)
        return tuple(reply.registers)

    async def write(self, unit: int, address: int, words: Sequence[int]) -> None:
        """Write holding registers in one request.

        Raises:
            ExchangeError: see :meth:`read`; after all but a refusal the request may be executed, even later.
        """

        def request(client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
            return client.write_registers(address, list(words), device_id=unit)

        def fits(reply: ModbusPDU) -> bool:
            return (reply.function_code, reply.address, reply.count) == (_WRITE, address, len(words))

        await self._exchange(unit, request, fits)

    async def _exchange(self, unit: int, request: Request, fits: Callable[[ModbusPDU], bool]) -> ModbusPDU:
        async with self._lock:
            client = await self._connected()
            clean = False
            try:
                reply = await self._answer(client, unit, request)
                clean = (reply.isError() or fits(reply)) and self._exact(client, reply)
            finally:
                if not clean:
                    self._drop()
        if not clean:
            raise BadAnswerError(f"{self.address}: no answer to what was asked: {reply}")
        if reply.isError():
            raise self._refusal(reply)
        return reply

    async def _answer(self, client: AsyncModbusTcpClient, unit: int, request: Request) -> ModbusPDU:
        self._failure, timeout_s = None, self._timeout_s(unit)
        client.ctx.next_tid = self._transaction
        try:
            async with asyncio.timeout(timeout_s) as self._deadline:
                reply = await request(client)
        except (TimeoutError, ModbusException) as error:
            if self._failure:
                raise self._failure from error
            self._silent_s[unit] = asyncio.get_running_loop().time()
            silence = f"{self.address}: unit {unit}: no answer within {timeout_s:g} s{self._tls_reason}"
            raise NoAnswerError(silence) from error
        finally:
            self._deadline = None
            self._transaction = client.ctx.next_tid
        self._answered = True
        return reply

    def _timeout_s(self, unit: int) -> float:
        """Deadline of one request; short after a recent one without an answer, since other units of the address
        wait.
        """
        silent_s = self._silent_s.get(unit)
        just_now = silent_s is not None and asyncio.get_running_loop().time() - silent_s < self._timing.pause_s
        return self._timing.again_s if just_now else self._timing.request_s

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client and self._client.connected:
            return self._client
        if not self._reachable.admits():
            raise NoAnswerError(f"{self.address}: not reachable just now")
        self._drop()
        self._client = client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=2 * self._timing.request_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._connection_changed,
            trace_packet=self._packet,
        )
        client.ctx.framer = Framer(self._undecodable)
        self._tls_reason = ""
        if self._tls:
            self._tls.secure(client, self._tls_failed)
        try:
            async with asyncio.timeout(self._timing.request_s):
                connected = await client.connect()
        except (TimeoutError, ValueError):
            connected = False
        finally:
            if not client.connected:
                client.close()
        if not connected:
            self._reachable.failed()
            if self._tls and not self._tls_reason:
                self._tls_failed(f"no handshake within {self._timing.request_s:g} s")
            raise NoAnswerError(f"{self.address}: not reachable{self._tls_reason}")
        self._reachable.succeeded()
        return client

    def _connection_changed(self, connected: bool) -> None:
        if not connected:
            kind = _ConnectionLostError if self._answered else NoAnswerError
            self._give_up(kind(f"{self.address}: no answer, connection lost{self._tls_reason}"))

    def _tls_failed(self, reason: str) -> None:
        self._tls_reason = f" (TLS: {reason})"

    def _undecodable(self) -> None:
        self._give_up(BadAnswerError(f"{self.address}: what came cannot be decoded"))

    def _give_up(self, failure: ExchangeError) -> None:
        """End the wait for an answer that cannot arrive."""
        if self._deadline:
            self._failure = self._failure or failure
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """Keep the last received packet."""
        if not sending:
            self._received = data
        return data

    def _exact(self, client: AsyncModbusTcpClient, reply: ModbusPDU) -> bool:
        """Whether the reply belongs to the request and its frame arrived exactly.

        pymodbus also accepts transaction 0, padding and odd lengths.
        """
        asked = client.ctx.request_transaction_id
        return reply.transaction_id == asked and client.ctx.framer.buildFrame(reply) in self._received

    def _drop(self) -> None:
        client, self._client, self._answered = self._client, None, False
        if client and isinstance(transport := client.ctx.transport, asyncio.Transport):
            with suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        if client:
            client.close()

    def _refusal(self, reply: ModbusPDU) -> RefusedError | NoAnswerError:
        kind = NoAnswerError if reply.exception_code in _UNDECIDED else RefusedError
        return kind(f"{self.address}: unit {reply.dev_id}: exception {reply.exception_code}")


class _ConnectionLostError(NoAnswerError):
    """The device has ended a connection that had served before, which is worth one more attempt."""


@dataclass(frozen=True)
class RegisterImage:
    """Registers as read in one exchange: values by name, and the words they came from."""

    values: Mapping[str, float | None]
    words: Mapping[str, tuple[int, ...]]

    def raw(self, names: Iterable[str]) -> str:
        """The words of these registers in hexadecimal, for the log."""
        return ", ".join(f"{name} = {' '.join(f'{word:04x}' for word in self.words[name])}" for name in names)


@dataclass(frozen=True)
class ModbusUnit:
    """One unit on a link with its register map; a request may also read up to ``gap`` words without a name."""

    link: ModbusLink
    unit: int
    registers: RegisterMap
    gap: int = 0

    async def read(self, names: Iterable[str]) -> RegisterImage:
        """Read these registers with as few requests as possible.

        Raises:
            ExchangeError: see :meth:`ModbusLink.read`.
        """
        values: dict[str, float | None] = {}
        words: dict[str, tuple[int, ...]] = {}
        for block in self.registers.blocks(names, gap=self.gap):
            read = await self.link.read(self.unit, block.address, block.n_words)
            values |= block.decode(read)
            words |= {r.name: read[r.address - block.address : r.end - block.address] for r in block.registers}
        return RegisterImage(values, words)

    def plan(self, values: Mapping[str, float], who: str, last: str | None = None) -> Plan:
        """Blocks and words that write ``values``, the block of the register ``last`` at the end; nothing is sent.

        Raises:
            RegisterRangeError: a value is out of range, or a register is not writable.
        """
        for name in values:
            if not self.registers[name].writable:
                raise RegisterRangeError(f"{who} {name}: asked to write, allowed to read")
        blocks = self.registers.blocks(values, MAX_WRITE_WORDS)
        ordered = sorted(blocks, key=lambda block: any(register.name == last for register in block.registers))
        return [(block, block.encode(values, who)) for block in ordered]

    async def write(self, plan: Plan) -> None:
        """Write the planned blocks, one request each.

        Raises:
            ExchangeError: see :meth:`ModbusLink.write`.
        """
        for block, words in plan:
            await self.link.write(self.unit, block.address, words)
