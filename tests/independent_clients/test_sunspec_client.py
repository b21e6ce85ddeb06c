"""pysunspec2 finds its way around N5 from the address 40000 alone, reads it and sets it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP
from sunspec2.modbus.modbus import ModbusClientException

from tests.independent_clients.running_plant import LAST_LEASE_S, LEASE_S, RunningPlant, eventually

ADDRESS, VALUE = 2, 3
STANDBY, RUNNING = 7, 3
NOT_IMPLEMENTED_W = -(2**31) / 10
"""The word for "no value" of a 32-bit point, in units of 0.1 W."""


@pytest.fixture
def client(plant: RunningPlant) -> Iterator[Any]:
    client = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=plant.port("n5_converter"), timeout=5)
    client.scan()
    yield client
    client.close()


def tell(client: Any, w: float, var: float, lease_s: int) -> None:
    """Reversion timers first, then values, then the command, as the standard has it."""
    set_timers(client, lease_s)
    control = client.DERCtlAC[0]
    control.WSet.cvalue, control.VarSet.cvalue = w, var
    control.write()
    control.WSetEna.value = control.VarSetEna.value = 1
    control.write()


def set_timers(client: Any, lease_s: int) -> None:
    control = client.DERCtlAC[0]
    control.WSetRvrtTms.value = control.VarSetRvrtTms.value = lease_s
    control.write()


def measured(client: Any) -> Any:
    client.DERMeasureAC[0].read()
    return client.DERMeasureAC[0]


def commanded(client: Any) -> Any:
    client.DERCtlAC[0].read()
    return client.DERCtlAC[0]


def test_it_is_discovered(client: Any) -> None:
    assert client.base_addr == 40000
    assert [model for model in client.models if isinstance(model, int)] == [1, 701, 704, 715]
    assert (client.common[0].Mn.value, client.common[0].SN.value) == ("gridlab", "n5_converter")


def test_measurements_carry_their_scale(client: Any) -> None:
    model = measured(client)
    assert (model.V_SF.value, model.W_SF.value, model.Hz_SF.value) == (-2, 0, -2)
    assert 39_000 < model.LLV.value < 41_000
    assert model.LLV.cvalue == pytest.approx(model.LLV.value / 100)
    assert model.LNV.cvalue == pytest.approx(model.LLV.cvalue / 3**0.5, abs=0.01)
    assert model.Hz.cvalue == 50


def test_a_setpoint_is_followed_and_reverts_with_its_timer(client: Any) -> None:
    tell(client, w=-200, var=100, lease_s=LEASE_S)
    model = eventually(lambda: measured(client), lambda m: m.W.cvalue < -150 and m.Var.cvalue > 75)
    assert model.InvSt.value == RUNNING
    control = commanded(client)
    assert (control.WSetEna.value, control.WSet.cvalue, control.VarSet.cvalue) == (1, -200, 100)
    assert 0 < control.WSetRvrtRem.value <= LEASE_S
    set_timers(client, LAST_LEASE_S)
    eventually(lambda: commanded(client), lambda c: (c.WSetEna.value, c.VarSetEna.value) == (0, 0))
    model = eventually(lambda: measured(client), lambda m: m.W.cvalue > -50 and m.Var.cvalue < 25)
    assert model.InvSt.value == STANDBY


@pytest.mark.parametrize(
    "setpoint",
    [
        {"w": 16_000, "var": 0, "lease_s": LEASE_S},
        {"w": NOT_IMPLEMENTED_W, "var": 0, "lease_s": LEASE_S},
        {"w": 100, "var": 0, "lease_s": 0},
    ],
    ids=["beyond 15 kW", "no value", "without a timer"],
)
def test_a_wrong_setpoint_is_refused(client: Any, setpoint: dict[str, Any]) -> None:
    with pytest.raises(ModbusClientException, match=f"exception:? {VALUE}"):
        tell(client, **setpoint)
    assert commanded(client).WSetEna.value == 0
    assert measured(client).InvSt.value == STANDBY


def test_registers_that_are_not_there_or_only_read(client: Any) -> None:
    with pytest.raises(ModbusClientException, match=f"exception:? {ADDRESS}"):
        client.read(41_000, 2)
    power = client.DERMeasureAC[0].W
    power.value = 100
    with pytest.raises(ModbusClientException, match=f"exception:? {ADDRESS}"):
        power.write()
