"""An asyncua client reads and writes the converters by their documented names; who is not pinned is refused."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, Node, ua
from asyncua.crypto.security_policies import SecurityPolicyAes256Sha256RsaPss, SecurityPolicyBasic256Sha256

from core.config_devices import OpcUaSecurity
from sim_plant.opcua_guard import GuardError
from sim_plant.plant import Plant, open_plant
from sim_plant.settings import PlantConfig, PlantError
from tests.support.plant_benches import START, opcua_device, plant_of
from tests.support.self_signed import write_certificate

NAMES = ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "writer_epoch", "enable")
Prepare = Callable[[Client], Awaitable[None]]
DOUBLE, COUNT, FLAG = ua.VariantType.Double, ua.VariantType.UInt32, ua.VariantType.Boolean
TYPES = (DOUBLE, DOUBLE, DOUBLE, COUNT, FLAG)


@asynccontextmanager
async def session(url: str, prepare: Prepare | None = None, timeout_s: float = 8.0) -> AsyncIterator[Client]:
    client = Client(url, timeout=timeout_s, auto_reconnect=False)
    try:
        if prepare:
            await prepare(client)
        await client.connect()
        yield client
    finally:
        with suppress(Exception):
            await client.disconnect()
        client.disconnect_socket()


async def variables(client: Client, name: str) -> dict[str, Node]:
    index = await client.get_namespace_index("urn:gridlab:converter")
    thing = await client.nodes.objects.get_child(f"{index}:{name}")
    return {(await node.read_browse_name()).Name: node for node in await thing.get_children()}


async def write(client: Client, nodes: dict[str, Node], *values: object, types: tuple[Any, ...] = TYPES) -> list[str]:
    """The status of each value of one request."""
    data = [ua.DataValue(ua.Variant(value, kind)) for value, kind in zip(values, types, strict=False)]
    codes = await client.uaclient.write_attributes([nodes[name].nodeid for name in NAMES[: len(data)]], data)
    return [code.name for code in codes]


def url_of(plant: Plant, k: int = 0) -> str:
    return plant.devices[k].url  # type: ignore[union-attr]


async def test_two_converters_of_one_server() -> None:
    config = plant_of(opcua_device("n7", "lab/n7"), opcua_device("n9", "lab/n9"))
    async with open_plant(config) as plant, session(url_of(plant)) as client:
        assert {e.EndpointUrl for e in await client.get_endpoints()} == {url_of(plant)}
        seven, nine = await variables(client, "n7"), await variables(client, "n9")
        await the_model(seven)
        await a_setpoint(plant, client, seven, nine)
        await what_is_refused(plant, client, seven)
        await samples(plant, client, seven)


async def the_model(nodes: dict[str, Node]) -> None:
    power = nodes["p_setpoint_kw"]
    unit = await (await power.get_child("0:EngineeringUnits")).read_value()
    band = await (await power.get_child("0:EURange")).read_value()
    assert (unit.DisplayName.Text, unit.UnitId) == ("kW", int.from_bytes(b"KWT", "big"))
    assert (band.Low, band.High) == (-15.0, 15.0)
    assert await power.read_type_definition() == ua.NodeId(ua.ObjectIds.AnalogItemType)
    assert (await power.read_description()).Text == "active power to draw"
    assert ua.AccessLevel.CurrentWrite in await power.get_user_access_level()
    assert ua.AccessLevel.CurrentWrite not in await nodes["p_kw"].get_user_access_level()


async def a_setpoint(plant: Plant, client: Client, nodes: dict[str, Node], others: dict[str, Node]) -> None:
    assert await write(client, nodes, 3.0, -1.5, 75.0, 2, True) == ["Good"] * 5
    await plant.advance(30.0)
    said = dict(zip(nodes, await client.read_values(list(nodes.values())), strict=True))
    assert (said["p_kw"], said["q_kvar"]) == pytest.approx((3.0, -1.5), abs=1e-4)
    assert (said["p_setpoint_kw"], said["lease_s"], said["state"], said["enable"]) == (3.0, 45.0, 2, True)
    assert (said["writer_epoch"], said["s_max_kva"], said["clock_s"]) == (2, 15.0, START.timestamp() + 30)
    data = await nodes["p_kw"].read_data_value()
    assert data.SourceTimestamp is not None
    assert data.SourceTimestamp.replace(tzinfo=UTC) == START + timedelta(seconds=30)
    assert await others["state"].read_value() == 1
    assert await write(client, others, 1.0, 0.0, 75.0, 1) == ["Good"] * 4
    assert await others["p_setpoint_kw"].read_value() == 0.0, "nothing acts before enable is written"
    assert plant.laboratory.recorder.tally.frames.total() == 1


async def what_is_refused(plant: Plant, client: Client, nodes: dict[str, Node]) -> None:
    before = await nodes["p_setpoint_kw"].read_value()
    out_of_range = ["BadOutOfRange"] * 5
    assert await write(client, nodes, 12.0, 12.0, 75.0, 2, True) == out_of_range
    assert await write(client, nodes, 16.0, 0.0, 75.0, 2, True) == out_of_range
    assert await write(client, nodes, float("nan"), 0.0, 75.0, 2, True) == out_of_range
    assert await write(client, nodes, 1.0, 0.0, 0.0, 2, True) == out_of_range
    assert await write(client, nodes, 1.0, 0.0, 700.0, 2, True) == out_of_range
    assert await write(client, nodes, 1.0, 0.0, 75.0, 1, True) == ["BadUserAccessDenied"] * 5
    mixed = (ua.VariantType.Int64, *TYPES[1:])
    assert set(await write(client, nodes, 1, 0.0, 75.0, 2, True, types=mixed)) == {"BadTypeMismatch"}
    index = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)
    missing = ua.NodeId("n7.nothing", nodes["p_kw"].nodeid.NamespaceIndex)
    told = ((nodes["p_kw"].nodeid, "BadNotWritable"), (index, "BadNotWritable"), (missing, "BadNodeIdUnknown"))
    for node_id, code in told:
        (status,) = await client.uaclient.write_attributes([node_id], [ua.DataValue(ua.Variant(1.0, DOUBLE))])
        assert status.name == code
    plant.laboratory.converters["n7"].switch("local", on=True)
    assert await write(client, nodes, 1.0, 0.0, 75.0, 2, True) == ["BadInvalidState"] * 5
    plant.laboratory.converters["n7"].switch("local", on=False)
    assert (before, await nodes["p_setpoint_kw"].read_value()) == (3.0, 0.0), "dropped by LOCAL, by nothing else"


async def samples(plant: Plant, client: Client, nodes: dict[str, Node]) -> None:
    station = plant.laboratory.converters["n7"]
    station.switch("sentinel", on=True)
    await plant.advance(60.0)
    assert (await client.uaclient.read_attributes([nodes["p_kw"].nodeid], ua.AttributeIds.Value))[
        0
    ].StatusCode.name == "BadSensorFailure"
    station.switch("sentinel", on=False)
    station.switch("frozen", on=True)
    await plant.advance(90.0)
    data = await nodes["clock_s"].read_data_value()
    assert data.Value.Value == START.timestamp() + 60, "data and source time stand"
    assert data.SourceTimestamp == (START + timedelta(seconds=60)).replace(tzinfo=data.SourceTimestamp.tzinfo)


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("pki")
    for name in ("server", "client", "stranger"):
        write_certificate(folder, name)
    (folder / "user").write_text("gridlab\nsecret\n")
    return folder


def secured(folder: Path, user_file: str | None) -> PlantConfig:
    security = OpcUaSecurity(
        policy="Basic256Sha256",
        certificate=Path("client.pem"),
        key=Path("client.key.pem"),
        server_certificate=Path("server.pem"),
        user_file=Path(user_file) if user_file else None,
    )
    device = opcua_device("n7", security=security)
    return plant_of(device, folder=folder, server_key=folder / "server.key.pem")


def identity(
    folder: Path,
    name: str = "client",
    user: tuple[str, str] | None = None,
    policy: Any = SecurityPolicyBasic256Sha256,
    mode: ua.MessageSecurityMode = ua.MessageSecurityMode.SignAndEncrypt,
    token: str | None = None,
) -> Prepare:
    async def prepare(client: Client) -> None:
        client.application_uri = f"urn:test:{name}"
        await client.set_security(
            policy,
            folder / f"{name}.pem",
            folder / f"{name}.key.pem",
            server_certificate=str(folder / "server.pem"),
            mode=mode,
        )
        if user:
            client.set_user(user[0])
            client.set_password(user[1])
        if token:
            await client.load_client_certificate(str(folder / f"{token}.pem"))
            await client.load_private_key(str(folder / f"{token}.key.pem"))

    return prepare


async def refused(url: str, prepare: Prepare | None) -> bool:
    try:
        async with session(url, prepare, timeout_s=1.0) as client:
            await variables(client, "Converter")
    except (ua.UaError, ConnectionError, TimeoutError):
        return True
    return False


async def test_who_is_not_pinned_is_refused(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = ("gridlab", "secret")

    async def unsecured(client: Client) -> None:
        client.set_user(user[0])
        client.set_password(user[1])

    async with open_plant(secured(pinned, "user")) as plant:
        url = url_of(plant)
        async with session(url, identity(pinned, user=user)) as client:
            nodes = await variables(client, "Converter")
            assert await write(client, nodes, 3.0, -1.5, 75.0, 2, True) == ["Good"] * 5
        strangers = {
            "no security": None,
            "user without security": unsecured,
            "anonymous": identity(pinned),
            "wrong password": identity(pinned, user=("gridlab", "guess")),
            "another user": identity(pinned, user=("admin", "secret")),
            "another certificate": identity(pinned, name="stranger", user=user),
            "signed only": identity(pinned, user=user, mode=ua.MessageSecurityMode.Sign),
            "another policy": identity(pinned, user=user, policy=SecurityPolicyAes256Sha256RsaPss),
            "certificate as user": identity(pinned, token="client"),
        }
        for who, prepare in strangers.items():
            assert await refused(url, prepare), who
        await dares(url, unsecured, monkeypatch)
        assert plant.laboratory.recorder.tally.frames.total() == 1


async def test_without_a_user_file_the_pinned_certificate_is_the_user(
    pinned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unsecured(client: Client) -> None:
        await client.load_client_certificate(str(pinned / "client.pem"))
        await client.load_private_key(str(pinned / "client.key.pem"))

    async with open_plant(secured(pinned, None)) as plant:
        url = url_of(plant)
        async with session(url, identity(pinned, token="client")) as client:
            assert "p_kw" in await variables(client, "Converter")
        assert await refused(url, identity(pinned))
        assert await refused(url, identity(pinned, token="stranger"))
        await dares(url, unsecured, monkeypatch)


async def dares(url: str, prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncua lets a client open a channel without security that does not care which endpoints are offered."""
    with monkeypatch.context() as patch:
        patch.setattr(Client, "find_endpoint", staticmethod(lambda endpoints, *_: endpoints[0]))
        with pytest.raises(ua.UaError, match="Security|AccessDenied"):
            async with session(url, prepare):
                raise AssertionError


async def test_security_that_cannot_be_set_up(pinned: Path, tmp_path: Path) -> None:
    (tmp_path / "user").write_text("only a name")
    good = secured(pinned, "user")
    for config, error in (
        (replace(good, server_key=None), PlantError),
        (replace(good, folder=tmp_path), GuardError),
        (secured(pinned, str(tmp_path / "user")), GuardError),
        (plant_of(opcua_device("n7"), opcua_device("n9")), PlantError),
    ):
        with pytest.raises(error):
            async with open_plant(config):
                raise AssertionError
