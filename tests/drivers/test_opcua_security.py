"""SignAndEncrypt with pinned certificates and a user, against a real server; and files that cannot be used."""

# mypy: disable-error-code="attr-defined"

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from core.config_devices import OpcUaConverter, OpcUaSecurity
from core.devices import Outcome, Quality, Setpoint
from core.errors import InputError
from drivers.exchange import Timing
from drivers.factory import DriverSettings, connect
from drivers.opcua_security import load_credentials
from tests.drivers.certificates import issue
from tests.support.drivers import ManualClock
from tests.support.opcua_server import FakeConverter

PASSWORD = "kept-in-a-file"
POLICY = "Basic256Sha256"


class Users:
    """The only user, or the only certificate."""

    def get_user(
        self, iserver: object, username: str | None = None, password: str | None = None, certificate: object = None
    ) -> User | None:
        known = (username, password) == ("lab", PASSWORD) or (username is None and certificate is not None)
        return User(UserRole.User) if known else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("own", "server", "foreign"):
        issue(folder, name)
    (folder / "user").write_text(f"lab\n{PASSWORD}\n")
    (folder / "impostor").write_text("lab\nguessed\n")
    return folder


@contextmanager
def secured(folder: Path) -> Iterator[FakeConverter]:
    async def prepare(server: Server) -> None:
        await server.load_certificate(folder / "server.pem")
        await server.load_private_key(folder / "server_key.pem")
        await server.set_application_uri("urn:gridlab:test:server")
        server.set_security_policy([ua.SecurityPolicyType[f"{POLICY}_SignAndEncrypt"]])
        server.set_identity_tokens([ua.UserNameIdentityToken, ua.X509IdentityToken])

    with FakeConverter().served(prepare, Users()) as fake:
        yield fake


@pytest.fixture(scope="module")
def device(folder: Path) -> Iterator[FakeConverter]:
    with secured(folder) as fake:
        yield fake


def section(url: str, changed: dict[str, str]) -> OpcUaConverter:
    files = {"certificate": "own.pem", "key": "own_key.pem", "server_certificate": "server.pem", "user_file": "user"}
    chosen = {"policy": POLICY, **files, **changed}
    given = {name: value for name, value in chosen.items() if value}
    return OpcUaConverter.model_validate(
        {
            "kind": "opcua_converter",
            "name": "n7",
            "url": url,
            "s_max_kva": 15,
            "ramp_kva_per_s": 0.25,
            "security": given,
        }
    )


@pytest.mark.parametrize(
    ("changed", "quality"),
    [
        ({}, Quality.GOOD),
        ({"user_file": ""}, Quality.GOOD),  # our certificate is the user
        ({"user_file": "impostor"}, Quality.INVALID),
        ({"server_certificate": "foreign.pem"}, Quality.INVALID),
        ({"policy": "Aes256Sha256RsaPss"}, Quality.INVALID),
    ],
)
async def test_sessions(
    device: FakeConverter, folder: Path, changed: dict[str, str], quality: Quality, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        settings = DriverSettings(folder, 400.0, ManualClock(), Timing(session_s=1.0))
        async with connect([section(device.url, changed)], settings, writer_epoch=1) as devices:
            assert (await devices.readers["n7"].read()).quality is quality
            if quality is Quality.GOOD:
                assert await devices.converters["n7"].write(Setpoint(1.0, 1.0, 75.0)) is Outcome.VERIFIED

    caplog.set_level(logging.DEBUG)
    await test()
    assert PASSWORD not in caplog.text


async def test_without_security_there_is_no_session(device: FakeConverter, folder: Path) -> None:
    plain = section(device.url, {}).model_copy(update={"security": None})
    async with connect([plain], DriverSettings(folder, 400.0, ManualClock(), Timing(session_s=1.0)), None) as devices:
        assert (await devices.readers["n7"].read()).quality is Quality.INVALID


def security(**changed: str) -> OpcUaSecurity:
    found = section("opc.tcp://127.0.0.1:1/n7", changed).security
    assert found
    return found


def test_der_and_pem_are_said_apart_by_content(folder: Path) -> None:
    certificate = load_pem_x509_certificate((folder / "own.pem").read_bytes())
    key = load_pem_private_key((folder / "own_key.pem").read_bytes(), None)
    (folder / "der.crt").write_bytes(certificate.public_bytes(Encoding.DER))
    (folder / "der.key").write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    credentials = load_credentials(security(certificate="der.crt", key="der.key"), folder)
    assert credentials == load_credentials(security(), folder)
    assert credentials.application_uri == "urn:gridlab:test:own"
    assert PASSWORD not in repr(credentials)


def test_files_that_cannot_be_used_are_all_named(folder: Path) -> None:
    key = load_pem_private_key((folder / "own_key.pem").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder / "locked.pem").write_bytes(locked)
    (folder / "one_line").write_text("lab")
    files = {
        "certificate": "own_key.pem",
        "key": "locked.pem",
        "server_certificate": "none.pem",
        "user_file": "one_line",
    }
    with pytest.raises(InputError) as caught:
        load_credentials(security(**files), folder)
    named = {Path(fault.file).name: fault.allowed for fault in caught.value.faults}
    assert named.keys() == set(files.values())
    assert "without a password" in named["locked.pem"]
