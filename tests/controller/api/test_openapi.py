"""The description of the API: valid, complete, and what the service really answers."""

import json

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from controller.api.endpoints import ENDPOINTS, SCHEMA, Endpoint, openapi
from controller.api.tokens import Role
from tests.support.api import ServiceUnderTest


def test_it_is_valid() -> None:
    validate(openapi())


def test_every_endpoint_is_in_it_with_who_may() -> None:
    paths = openapi()["paths"]
    for endpoint in ENDPOINTS:
        operation = paths[endpoint.path][endpoint.method.lower()]
        roles = {role for requirement in operation["security"] for role in requirement}
        assert roles == ({"viewer", "operator"} if endpoint.method == "GET" else {"operator"})
        assert ("requestBody" in operation) == (endpoint.method == "POST")
    assert len(paths) == len(ENDPOINTS)


def test_anybody_may_read_it(api: ServiceUnderTest) -> None:
    answer = api.ask("GET", SCHEMA, role=None)
    assert (answer.status, answer.body) == (200, json.loads(json.dumps(openapi())))


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.method == "GET"], ids=lambda e: e.path)
def test_answers_are_as_described(api: ServiceUnderTest, endpoint: object) -> None:
    api.cycle()
    schema = openapi()
    content = schema["paths"][endpoint.path]["get"]["responses"]["200"]["content"]["application/json"]
    answer = api.ask("GET", endpoint.path, role=Role.VIEWER).body
    Draft202012Validator({**content["schema"], "components": schema["components"]}).validate(answer)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.path)
@pytest.mark.parametrize("headers", [{"Host": "gridlab.example"}, {"Origin": "http://gridlab.example"}], ids=str)
def test_what_is_refused_before_the_endpoint_is_in_it(
    api: ServiceUnderTest, endpoint: Endpoint, headers: dict[str, str]
) -> None:
    answer = api.ask(endpoint.method, endpoint.path, **headers)
    assert answer.status >= 400
    assert str(answer.status) in openapi()["paths"][endpoint.path][endpoint.method.lower()]["responses"]
