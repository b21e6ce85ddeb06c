"""Serves register banks over Modbus TCP on the loopback address, with pymodbus."""

from asyncio import Server
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, TLSVersion, VerifyFlags, VerifyMode

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from core.config_devices import ModbusTls
from core.errors import GridlabError
from sim_plant.banks import Bank, Rejection

LOOPBACK = "127.0.0.1"
_READ_HOLDING, _WRITE_ONE, _WRITE_MANY = 3, 6, 16


class PortError(GridlabError):
    """A port that cannot be opened."""


class TlsError(GridlabError):
    """TLS that cannot be set up."""


@asynccontextmanager
async def serve_modbus(banks: Mapping[int, Bank], tls: SSLContext | None = None) -> AsyncIterator[int]:
    """Serve the banks by unit at a free port until the block ends. Yields the port."""
    devices = list(({0: _absent_units()} | {unit: _device(unit, bank) for unit, bank in banks.items()}).values())
    address = (LOOPBACK, 0)
    if tls:  # the TLS framer of pymodbus treats whatever has arrived as one frame
        server: ModbusTcpServer = ModbusTlsServer(devices, framer=FramerType.SOCKET, sslctx=tls, address=address)
    else:
        server = ModbusTcpServer(devices, address=address)
    await server.serve_forever(background=True)
    try:
        yield _port(server)
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


def server_context(tls: ModbusTls, folder: Path, key: Path) -> SSLContext:
    """Mutual TLS with the certificates of a device; only the pinned client certificate is accepted.

    Raises:
        TlsError: a file cannot be read or has the wrong content.
    """
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.minimum_version = TLSVersion.TLSv1_2
    context.verify_mode = VerifyMode.CERT_REQUIRED
    context.verify_flags |= VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(folder / tls.certificate)
        context.load_cert_chain(folder / tls.server_certificate, key, password="")
    except OSError as error:
        raise TlsError(f"Modbus TLS: {tls.certificate}, {tls.server_certificate}, {key}: {error}") from error
    return context


def _port(server: ModbusTcpServer) -> int:
    listener = server.transport
    assert isinstance(listener, Server)
    return int(listener.sockets[0].getsockname()[1])


def _device(unit: int, bank: Bank) -> SimDevice:
    """One block of words without content; the bank provides the values at each request."""
    words = SimData(bank.address, count=bank.n_words, values=0, datatype=DataType.REGISTERS)
    return SimDevice(unit, [words], action=ServedUnit(bank).answer)


def _absent_units() -> SimDevice:
    """Units without a device give no answer: pymodbus passes their requests to unit 0."""
    words = SimData(0, count=2**16, values=0, datatype=DataType.REGISTERS)
    return SimDevice(0, [words], action=_no_answer)


async def _no_answer(*_: object) -> ExcCodes:
    return ExcCodes.GATEWAY_NO_RESPONSE


@dataclass(frozen=True)
class ServedUnit:
    """A unit behind the server: it answers from its bank."""

    bank: Bank

    async def answer(
        self,
        function: int,
        first: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Answer one request, as pymodbus calls it.

        Must not await: a client that timed out and asks again would then receive the answer to its previous request.
        """
        if function not in (_READ_HOLDING, _WRITE_ONE, _WRITE_MANY):
            return ExcCodes.ILLEGAL_FUNCTION
        if written is None:
            result = self.bank.read(address, count)
            if isinstance(result, Rejection):
                return ExcCodes(result)
            registers[address - first : address - first + count] = result
            return None
        rejection = self.bank.write(address, [int(word) for word in written])
        return None if rejection is None else ExcCodes(rejection)
