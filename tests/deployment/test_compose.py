"""The compose file as Docker Compose itself resolves it, and the files that it names. No container is started."""

import json
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.requirements import tool

COMPOSE = ROOT / "configs" / "compose"
DOCKERFILE = COMPOSE / "Dockerfile"
CONTROL = {"gridlab", "guardian", "planner"}
SERVICES = {"influxdb", "grafana"} | CONTROL
SECRET_WORDS = re.compile("PASSWORD|TOKEN|SECRET|KEY")


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    """Everything, profiles included, by the program that reads it: a key that it does not know ends it."""
    compose = tool("docker-compose", "docker-compose")
    command = (compose, "--file", str(COMPOSE / "compose.yaml"), "--profile", "control", "config")
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


@pytest.fixture(scope="module")
def services(resolved: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resolved["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_database_dashboards_and_control(services: dict[str, Any]) -> None:
    assert services.keys() == SERVICES
    assert {name for name, service in services.items() if service.get("profiles") == ["control"]} == CONTROL


def test_only_loopback_is_published(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {"influxdb": ["127.0.0.1:8086:8086/tcp"], "grafana": ["127.0.0.1:3000:3000/tcp"]}


def test_the_planner_has_no_network_and_the_others_of_control_that_of_the_machine(services: dict[str, Any]) -> None:
    networks = {name: services[name]["network_mode"] for name in CONTROL}
    assert networks == {"planner": "none", "gridlab": "host", "guardian": "host"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_can_do_little(name: str, services: dict[str, Any]) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))
    assert service["restart"] == "unless-stopped"
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_an_image_is_pinned(name: str, services: dict[str, Any]) -> None:
    assert re.search(r":\d+\.\d+\.\d+$", services[name]["image"])


def test_versions_are_those_that_the_project_speaks_of(services: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    schema = json.loads((ROOT / "tests/controller/grafana/schema/package.json").read_text())
    packages = {**schema.get("dependencies", {}), **schema.get("devDependencies", {})}
    assert {services[name]["image"] for name in CONTROL} == {f"gridlab:{project['version']}"}
    assert services["grafana"]["image"] == f"grafana/grafana:{packages['@grafana/schema']}"


def test_secrets_are_files_outside_the_checkout(resolved: dict[str, Any]) -> None:
    asked = set()
    for service in resolved["services"].values():
        asked |= {secret["source"] for secret in service.get("secrets", [])}
        for key, value in service.get("environment", {}).items():
            assert not SECRET_WORDS.search(key) or (key.endswith("_FILE") and value.startswith("/run/secrets/")), key
    assert asked == resolved["secrets"].keys()
    for name, secret in resolved["secrets"].items():
        assert secret == {"file": f"/etc/gridlab/secrets/{name}"}


def test_what_is_mounted_from_the_checkout_is_there_and_read_only(resolved: dict[str, Any]) -> None:
    for service in resolved["services"].values():
        for volume in service["volumes"]:
            source, target, mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("/"):
                assert Path(source).is_relative_to(ROOT / "configs")
                assert (Path(source).is_dir(), mode) == (True, "ro")
            else:
                assert source in resolved["volumes"]


def test_grafana_finds_what_its_provisioning_asks_for(services: dict[str, Any]) -> None:
    grafana = services["grafana"]
    files = sorted((ROOT / "configs/grafana/provisioning").rglob("*.yaml"))
    text = "\n".join(path.read_text() for path in files)
    assert {path.parent.name for path in files} == {"alerting", "dashboards", "datasources"}
    assert set(re.findall(r"\$(GRIDLAB_\w+)", text)) <= grafana["environment"].keys()
    secrets = {secret.get("target", f"/run/secrets/{secret['source']}") for secret in grafana["secrets"]}
    assert set(re.findall(r"\$__file\{([^}]*)\}", text)) <= secrets
    targets = {volume.split(":")[1] for volume in grafana["volumes"]}
    assert grafana["environment"]["GRIDLAB_DASHBOARDS"] in targets


def test_the_bucket_answers_as_the_database_that_grafana_asks_for(services: dict[str, Any]) -> None:
    bucket = services["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert services["grafana"]["environment"]["GRIDLAB_INFLUX_DATABASE"] == bucket
    script = COMPOSE / "influxdb-init" / "dbrp.sh"
    assert script.stat().st_mode & 0o111, "the image runs executable scripts only"
    assert subprocess.run(("sh", "-n", script)).returncode == 0
    assert '--db "$DOCKER_INFLUXDB_INIT_BUCKET"' in script.read_text()


def test_the_image_is_made_from_files_that_are_there(dockerfile: list[list[str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = [
        name for word, *names in dockerfile if word == "COPY" and "--from=build" not in names for name in names[:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied)
    let_in = [line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"]
    assert all(any(fnmatch(name, pattern) for pattern in let_in) for name in copied)


def test_the_image_is_pinned_and_unprivileged(dockerfile: list[list[str]], services: dict[str, Any]) -> None:
    bases = {words[1] for words in dockerfile if words[0] == "FROM"}
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base) for base in bases)
    (user,) = (words[1] for words in dockerfile if words[0] == "USER")
    assert user == services["gridlab"]["user"] == services["guardian"]["user"] != services["planner"]["user"]
