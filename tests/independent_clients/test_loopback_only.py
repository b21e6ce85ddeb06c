"""Whatever the configuration says, the plant cannot be reached from another machine."""

from pathlib import Path

import psutil

from tests.independent_clients.running_plant import configured, running_plant

MODBUS_PORTS, OPCUA_PORTS, CONTROL_PORTS = 3, 1, 1


def test_every_socket_is_of_this_machine(tmp_path: Path) -> None:
    config = configured(tmp_path / "wide.yaml", "host: 127.0.0.1", "host: 0.0.0.0")
    with running_plant(config) as plant:
        sockets = psutil.Process(plant.pid).net_connections("inet")
    assert {socket.laddr.ip for socket in sockets} == {"127.0.0.1"}
    assert {socket.status for socket in sockets} == {psutil.CONN_LISTEN}
    assert len(sockets) == 2 * (MODBUS_PORTS + OPCUA_PORTS) + CONTROL_PORTS  # of each server and of the proxy before it
