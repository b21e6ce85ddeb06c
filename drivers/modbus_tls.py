"""Modbus/TCP Security: the frames of Modbus TCP inside TLS, with certificates on both sides.

pymodbus's own TLS client does not say why a connection failed, and its framer for TLS takes whatever has arrived for a
whole frame. So the client here is that of plain TCP with its way of connecting replaced: a connection that is not TLS
with the pinned certificate never reaches it.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from pymodbus.client import AsyncModbusTcpClient

from core.config_devices import ModbusTls
from core.errors import Fault, InputError
from drivers.key_files import KeyFiles, certificate


@dataclass(frozen=True)
class Tls:
    """Material of a connection: ``context`` with our certificate and key, and the pinned ``server`` certificate."""

    context: ssl.SSLContext = field(repr=False)
    server: bytes = field(repr=False)

    def secure(self, client: AsyncModbusTcpClient, explain: Callable[[str], None]) -> None:
        """Let ``client`` connect by TLS only; ``explain`` is called with the reason if a connection fails or ends."""
        params = client.ctx.comm_params

        async def connected() -> tuple[asyncio.Transport, asyncio.Protocol]:
            wire = _TlsProtocol(client, self.server, explain)
            loop = asyncio.get_running_loop()
            try:
                await loop.create_connection(lambda: wire, params.host, params.port, ssl=self.context)
            except OSError as error:
                explain(_reason(error))
                raise
            if wire.transport is None:
                raise ConnectionAbortedError
            return wire.transport, wire

        client.ctx.call_create = connected


class _TlsProtocol(asyncio.Protocol):
    """Passes data of the pinned server on to pymodbus; a server with another certificate receives nothing."""

    def __init__(self, client: AsyncModbusTcpClient, server: bytes, explain: Callable[[str], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self._client, self._server, self._explain = client, server, explain
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the certificate; part of asyncio.Protocol, as are the next three methods."""
        assert isinstance(transport, asyncio.Transport)
        if transport.get_extra_info("ssl_object").getpeercert(binary_form=True) != self._server:
            self._explain("the device has another certificate than the pinned one")
            transport.abort()
            return
        self.transport = transport
        self._client.ctx.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass data on."""
        self._answered = True
        if self.transport:
            self._client.ctx.data_received(data)

    def eof_received(self) -> None:
        """Ignored; the connection is closed by its transport."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Explain the end. In TLS 1.3 a device that refuses our certificate reports it only now, if at all."""
        if self.transport is None or self._client.ctx.transport is not self.transport:
            return
        if isinstance(exc, ssl.SSLError):
            self._explain(_reason(exc))
        elif not self._answered:
            self._explain("ended before any answer; does the device accept our certificate?")
        self._client.ctx.connection_lost(exc)


def load_tls(tls: ModbusTls, folder: Path) -> Tls:
    """Load the files named in ``tls``, relative to ``folder``: PEM, the server's certificate also DER.

    Raises:
        InputError: with every file that cannot be used.
    """
    files = KeyFiles(folder)
    files.read(tls.certificate, "our certificate, PEM", x509.load_pem_x509_certificates)
    files.read(tls.key, "its private key without a password, PEM", lambda pem: load_pem_private_key(pem, None))
    server = files.read(tls.server_certificate, "the device's certificate, PEM or DER", certificate)
    if files.faults or server is None:
        raise InputError(files.faults)
    pinned = server.public_bytes(Encoding.DER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=pinned)
        context.load_cert_chain(folder / tls.certificate, folder / tls.key, password="")
    except ssl.SSLError as error:
        allowed = f"a certificate and its private key, {tls.key}"
        raise InputError([Fault(str(folder / tls.certificate), "", _reason(error), allowed)]) from error
    return Tls(context, pinned)


def _reason(error: OSError) -> str:
    """The reason in a few words, from OpenSSL or the operating system."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the device's certificate does not hold: {error.verify_message}"
        case ssl.SSLError(reason=str(reason)):
            return reason.replace("_", " ").lower()
        case _:
            return error.strerror or str(error) or "connection lost in the handshake"
