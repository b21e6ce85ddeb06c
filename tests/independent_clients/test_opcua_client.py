"""o6 (open62541 in C, no kin of asyncua) reads and writes N7 by the node ids of docs/reference/devices.md."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import IO, Any

import pytest

from tests.independent_clients.running_plant import (
    LAST_LEASE_S,
    LEASE_S,
    RunningPlant,
    configured,
    eventually,
    running_plant,
)
from tests.support.self_signed import write_certificate

NODE = "nsu=urn:gridlab:converter;s=n7_converter"
TYPES = {
    "p_setpoint_kw": "Double",
    "q_setpoint_kvar": "Double",
    "lease_s": "Double",
    "writer_epoch": "UInt32",
    "enable": "Boolean",
}
SAFE, REMOTE = 1, 2
POLICY = "http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256"
SIGN, SIGN_AND_ENCRYPT = 2, 3
Ask = Callable[[dict[str, Any]], dict[str, Any]]


class RefusedError(Exception):
    """The plant's word, a status of OPC UA."""


@dataclass(frozen=True)
class N7:
    """The converter as the tool sees it."""

    ask: Ask
    url: str
    options: dict[str, Any]

    def read(self, *names: str) -> list[Any]:
        return self._done(read=[f"{NODE}.{name}" for name in names])

    def children(self, node: str) -> list[str]:
        return self._done(children=node)

    def write(self, types: dict[str, str] = TYPES, **values: Any) -> list[str]:
        """One Write request; the status of each value."""
        return self._done(write=[[f"{NODE}.{name}", types[name], value] for name, value in values.items()])

    def tell(self, p_kw: float, q_kvar: float, lease_s: float = LEASE_S) -> list[str]:
        return self.write(p_setpoint_kw=p_kw, q_setpoint_kvar=q_kvar, lease_s=lease_s, writer_epoch=0, enable=True)

    def _done(self, **request: Any) -> list[Any]:
        said = self.ask({"url": self.url, "options": self.options, **request})
        if "error" in said:
            raise RefusedError(said["error"])
        done: list[Any] = said["answer"]
        return done


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """The tool, running until its input ends."""
    program = [sys.executable, str(Path(__file__).with_name("opcua_tool.py"))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        to, back = process.stdin, process.stdout
        yield lambda request: _exchange(to, back, request)
        to.close()


def _exchange(to: IO[str], back: IO[str], request: dict[str, Any]) -> dict[str, Any]:
    to.write(json.dumps(request) + "\n")
    to.flush()
    answer: dict[str, Any] = json.loads(back.readline())
    return answer


@pytest.fixture
def converter(plant: RunningPlant, ask: Ask) -> N7:
    return N7(ask, plant.url("n7_converter"), {})


def is_followed(converter: N7) -> None:
    assert converter.tell(0.2, -0.1) == ["Good"] * 5
    eventually(lambda: converter.read("p_kw", "q_kvar"), lambda pq: pq[0] > 0.15 and pq[1] < -0.075)


def test_the_model_is_found_by_browsing(converter: N7) -> None:
    assert {"n7_converter", "n9_converter"} < set(converter.children("i=85"))
    assert {*TYPES, "p_kw", "q_kvar", "v_v", "state", "s_max_kva", "clock_s"} == set(converter.children(NODE))
    assert set(converter.children(f"{NODE}.p_setpoint_kw")) == {"EURange", "EngineeringUnits"}


def test_a_setpoint_is_followed_and_lapses(converter: N7) -> None:
    v_v, s_max_kva = converter.read("v_v", "s_max_kva")
    assert 390 < v_v < 410
    assert s_max_kva == 15
    is_followed(converter)
    state, left_s, p_kw = converter.read("state", "lease_s", "p_setpoint_kw")
    assert (state, p_kw) == (REMOTE, 0.2)
    assert 0 < left_s < LEASE_S
    assert converter.write(lease_s=LAST_LEASE_S, enable=True) == ["Good"] * 2
    eventually(lambda: converter.read("state", "enable"), lambda said: said == [SAFE, False])
    eventually(lambda: converter.read("p_kw", "q_kvar"), lambda pq: pq[0] < 0.05 and pq[1] > -0.025)


def test_wrong_values_are_refused(converter: N7) -> None:
    for p_kw, q_kvar, lease_s in ((16.0, 0.0, 5.0), (12.0, 12.0, 5.0), (nan, 0.0, 5.0), (0.1, 0.0, 0.0)):
        assert converter.tell(p_kw, q_kvar, lease_s) == ["BadOutOfRange"] * 5
    assert converter.write({"p_setpoint_kw": "Float"}, p_setpoint_kw=0.1) == ["BadTypeMismatch"]
    assert converter.write({"enable": "UInt32"}, enable=1) == ["BadTypeMismatch"]
    assert converter.write({"p_kw": "Double"}, p_kw=0.1) == ["BadNotWritable"]
    assert converter.write({"nothing": "Double"}, nothing=0.1) == ["BadNodeIdUnknown"]
    with pytest.raises(RefusedError, match="BadNodeIdUnknown"):
        converter.read("nothing")
    assert converter.read("state", "p_setpoint_kw") == [SAFE, 0.0]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    for name in ("server", "client", "stranger"):
        write_certificate(folder, name)
    (folder / "user").write_text("gridlab\nsecret\n")
    return folder


def options(pki: Path, name: str = "client", **changed: Any) -> dict[str, Any]:
    return {
        "certificate": str(pki / f"{name}.pem"),
        "privateKey": str(pki / f"{name}.key.pem"),
        "trustList": [str(pki / "server.pem")],
        "applicationUri": f"urn:test:{name}",
        "securityPolicy": POLICY,
        "securityMode": SIGN_AND_ENCRYPT,
        "username": "gridlab",
        "password": "secret",
    } | changed


def test_the_secured_endpoint(pki: Path, ask: Ask) -> None:
    security = (
        "{policy: Basic256Sha256, certificate: client.pem, key: client.key.pem, server_certificate: server.pem, "
        "user_file: user}"
    )
    config = configured(pki / "lab.yaml", "kind: opcua_converter,", f"kind: opcua_converter, security: {security},")
    with running_plant(config, "--server-key", str(pki / "server.key.pem")) as plant:
        converter = N7(ask, plant.url("n7_converter"), options(pki))
        is_followed(converter)
        for status, given in (
            ("BadUserAccessDenied", options(pki, password="guess")),
            ("BadUserAccessDenied", options(pki, username="admin")),
            ("BadSecurityChecksFailed", options(pki, name="stranger")),
            ("BadIdentityTokenRejected", options(pki, username=None, password=None)),
            ("BadIdentityTokenRejected", options(pki, securityMode=SIGN)),
            ("BadIdentityTokenRejected", {}),
        ):
            with pytest.raises(RefusedError, match=status):
                replace(converter, options=given).read("p_kw")
