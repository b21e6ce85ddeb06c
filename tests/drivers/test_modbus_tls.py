"""Modbus inside TLS, against servers that know nothing of the drivers: who is let in, and what everybody else hears."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from core.config_devices import ModbusConverter, ModbusTls
from core.devices import Outcome, Quality, Setpoint
from core.errors import InputError
from drivers.exchange import NoAnswerError, Timing
from drivers.factory import DriverSettings, connect
from drivers.modbus import ModbusLink
from drivers.modbus_tls import load_tls
from drivers.registers import load_registers
from tests.drivers.certificates import issue
from tests.drivers.devices import FakeDevice, served
from tests.support.drivers import QUICK, ManualClock
from tests.support.paths import REGISTERS
from tests.support.scripted import READ, WRITE, Event, Exchange, ScriptedServer, scripted

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CLIENT_HELLO = b"\x16\x03"
MAP = load_registers(REGISTERS / "converter_generic.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modbus_tls")
    for name in ("own", "device", "foreign"):
        issue(folder, name)
    issue(folder, "expired", days=-0.5)
    issue(folder, "maker", authority=True)
    issue(folder, "made", by="maker")
    return folder


def section(own: str = "own", device: str = "device") -> ModbusTls:
    return ModbusTls(
        certificate=Path(f"{own}.pem"), key=Path(f"{own}_key.pem"), server_certificate=Path(f"{device}.pem")
    )


def context(
    folder: Path, is_: str = "device", admits: str = "own", version: ssl.TLSVersion = TLS_1_3
) -> ssl.SSLContext:
    """Of a device that asks its client for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / f"{is_}.pem", folder / f"{is_}_key.pem")
    context.load_verify_locations(folder / f"{admits}.pem")
    return context


@asynccontextmanager
async def linked(
    folder: Path, lines: Sequence[Exchange], version: ssl.TLSVersion = TLS_1_3, timing: Timing = QUICK
) -> AsyncIterator[tuple[ModbusLink, ScriptedServer]]:
    tls = load_tls(section(), folder)
    async with (
        scripted(lines, tls=context(folder, version=version)) as (port, play),
        ModbusLink("127.0.0.1", port, ManualClock(), timing, tls) as link,
    ):
        yield link, play


def converter(port: int, tls: ModbusTls) -> ModbusConverter:
    return ModbusConverter(
        kind="modbus_converter",
        name="n3",
        port=port,
        registers=REGISTERS / "converter_generic.yaml",
        s_max_kva=15,
        ramp_kva_per_s=0.25,
        tls=tls,
    )


async def lost_with(folder: Path, port: int, tls: ModbusTls, log: pytest.LogCaptureFixture) -> str:
    """What the log says of a device that cannot be had, and that it is said once."""
    clock = ManualClock()
    log.clear()
    async with connect([converter(port, tls)], DriverSettings(folder, 400.0, clock, QUICK), writer_epoch=1) as devices:
        device = devices.converters["n3"]
        for _ in range(2):
            assert (await device.read()).quality is Quality.INVALID
            assert device.status is None
            clock.move(2.0)
            assert await device.write(Setpoint(1.0, 0.0, 75.0)) is Outcome.UNKNOWN
            clock.move(2.0)
    [record] = [r for r in log.records if r.name.startswith("drivers")]
    assert "\n" not in record.getMessage()
    return record.getMessage()


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
async def test_the_frames_are_those_of_modbus_tcp(folder: Path, version: ssl.TLSVersion) -> None:
    async with linked(folder, [READ, WRITE, READ], version) as (link, play):
        assert await link.read(1, 0, 2) == (1, 2)
        await link.write(1, 4, [75])
        assert await link.read(1, 0, 2) == (1, 2)
        assert play.connections == 1


@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
async def test_it_is_reopened_and_tried_again_as_without_tls(folder: Path, version: ssl.TLSVersion) -> None:
    lost, silent = (READ[0], Event.CLOSE), (READ[0], Event.SILENCE)
    async with linked(folder, [READ, lost, READ, silent, READ], version) as (link, play):
        await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2), "second attempt"
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.3 s$"):
            await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2)
        assert play.connections == 3


async def test_devices_of_one_address_share_a_connection_unless_one_is_without_tls(folder: Path) -> None:
    nothing: Exchange = ("03 0000 0014", "03 28" + 40 * "00")
    async with scripted([nothing, nothing], tls=context(folder)) as (port, play):
        first = converter(port, section())
        second, plain = (first.model_copy(update=new) for new in ({"name": "n4"}, {"name": "n5", "tls": None}))
        async with connect(
            [first, second, plain], DriverSettings(folder, 400.0, ManualClock(), QUICK), None
        ) as devices:
            for device in devices.readers.values():
                await device.read()
        assert play.connections == 1


@contextmanager
def guarded(tls: ssl.SSLContext) -> Iterator[int]:
    """The port of a device that shakes hands as OpenSSL does, alerts included, which asyncio keeps to itself."""

    def guard() -> None:
        with suppress(OSError):
            while True:
                place, _ = listener.accept()
                place.settimeout(5.0)
                with tls.wrap_socket(place, server_side=True, do_handshake_on_connect=False) as guest:
                    with suppress(OSError):
                        guest.do_handshake()
                    with suppress(OSError):
                        guest.shutdown(socket.SHUT_WR)
                        while guest.recv(1024):
                            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=guard)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@dataclass(frozen=True)
class Stranger:
    """A device that is not the right one: its certificate, whose it admits, what the client is set to, what it says."""

    is_: str
    admits: str
    tls: ModbusTls
    why: str


STRANGERS = (
    Stranger("foreign", "own", section(), "the device's certificate does not hold: self-signed certificate"),
    Stranger(
        "expired",
        "own",
        section(device="expired"),
        "the device's certificate does not hold: certificate has expired",
    ),
    Stranger("made", "own", section(device="maker"), "the device has another certificate than the pinned one"),
    Stranger("device", "foreign", section(), "alert unknown ca"),
    Stranger("device", "expired", section(own="expired"), "alert certificate expired"),
)


@pytest.mark.parametrize("device", STRANGERS)
@pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])
async def test_who_is_not_the_right_one(
    folder: Path, device: Stranger, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    with guarded(context(folder, device.is_, device.admits, version)) as port:
        said = await lost_with(folder, port, device.tls, caplog)
    assert said.startswith(f"n3: lost: 127.0.0.1:{port}: ")
    assert said.endswith(f"{device.why})")


async def test_a_device_that_ends_the_connection_without_a_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted([], tls=context(folder, admits="foreign")) as (port, _):
        assert "does the device accept our certificate?" in await lost_with(folder, port, section(), caplog)


async def test_a_device_without_tls_is_said_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with served({1: FakeDevice(MAP, {})}) as port:
        assert "not reachable (TLS: no handshake within 0.3 s)" in await lost_with(folder, port, section(), caplog)


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b"\x00\x01\x00\x00\x00\x03\x01\x83\x01", "wrong version number"), (b"", "connection lost in the handshake")],
)
async def test_nothing_but_a_handshake_is_ever_sent(
    folder: Path, answer: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(2048))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert f"(TLS: {why})" in await lost_with(folder, port, section(), caplog)
    assert len(heard) == 4
    assert all(hello.startswith(CLIENT_HELLO) for hello in heard)


async def test_a_handshake_that_nobody_answers_takes_one_deadline_and_leaves_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def test() -> None:
        clock = ManualClock()
        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with ModbusLink(
                "127.0.0.1", port, clock, Timing(request_s=0.05), load_tls(section(), folder)
            ) as link:
                for _ in range(20):
                    began = time.monotonic()
                    with pytest.raises(NoAnswerError, match=r"no handshake within 0\.05 s"):
                        await link.read(1, 0, 2)
                    assert time.monotonic() - began < 0.5
                    clock.move(1.0)

    caplog.set_level(logging.CRITICAL + 1, "pymodbus")
    await test()


def test_files_that_cannot_be_used_are_all_named(folder: Path) -> None:
    key = load_pem_private_key((folder / "own_key.pem").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder / "locked.pem").write_bytes(locked)
    tls = ModbusTls(certificate=Path("own_key.pem"), key=Path("locked.pem"), server_certificate=Path("none.pem"))
    with pytest.raises(InputError) as caught:
        load_tls(tls, folder)
    named = {Path(fault.file).name: fault.allowed for fault in caught.value.faults}
    assert named.keys() == {"own_key.pem", "locked.pem", "none.pem"}
    assert "without a password" in named["locked.pem"]


def test_a_key_of_another_certificate(folder: Path) -> None:
    tls = section().model_copy(update={"key": Path("foreign_key.pem")})
    with pytest.raises(
        InputError, match="key values mismatch.*allowed: a certificate and its private key, foreign_key"
    ):
        load_tls(tls, folder)


def test_keys_are_not_shown(folder: Path) -> None:
    assert repr(load_tls(section(), folder)) == "Tls()"
