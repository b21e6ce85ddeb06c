"""The endpoints as one table, from which routes, client requests and the OpenAPI description are derived.

:data:`controller.api.operations.HANDLERS` implements them; clients need not import it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from controller.api.messages import (
    Armed,
    Changed,
    Devices,
    ModeOrder,
    Nothing,
    OverrideOrder,
    PlansNow,
    Refused,
    Status,
)
from controller.api.tokens import Role

PREFIX = "/api/v1"
SCHEMA = f"{PREFIX}/openapi.json"
STOP = f"{PREFIX}/stop"
BODY_MAX = 4096
REFUSALS = {
    "400": "no JSON, or a query string",
    "401": "no token, or a wrong one",
    "403": "the viewer's token where the operator's is needed, or a page of another origin",
    "408": "the body did not arrive in 5 s",
    "409": "the service is in no state for it, or the nonce is not good",
    "413": f"more than {BODY_MAX} bytes",
    "415": "a body that is not application/json",
    "421": "asked by another host name than this computer's own",
    "422": "a field is missing, unknown, of another type, or out of range",
    "429": "too often; see Retry-After",
    "503": "starting or stopping, or it cannot be put on record",
}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint; ``body_type`` is the type of the request body, ``answer_type`` that of the answer."""

    method: str
    path: str
    role: Role
    summary: str
    body_type: Any
    answer_type: type

    @property
    def name(self) -> str:
        """The path without its prefix, such as ``mode/arm``."""
        return self.path.removeprefix(f"{PREFIX}/")

    @property
    def refusals(self) -> Sequence[str]:
        """Status codes of its refusals."""
        bodiless = ("400", "401", "403", "421", "429", "503")
        return bodiless if self.method == "GET" else tuple(REFUSALS)


ENDPOINTS = (
    Endpoint("GET", f"{PREFIX}/status", Role.VIEWER, "The service", Nothing, Status),
    Endpoint("GET", f"{PREFIX}/devices", Role.VIEWER, "Devices, overrides", Nothing, Devices),
    Endpoint("GET", f"{PREFIX}/plan", Role.VIEWER, "The plans", Nothing, PlansNow),
    Endpoint("POST", f"{PREFIX}/mode/arm", Role.OPERATOR, "Arm ACTIVE", Nothing, Armed),
    Endpoint("POST", f"{PREFIX}/mode", Role.OPERATOR, "Change the mode", ModeOrder, Changed),
    Endpoint("POST", f"{PREFIX}/override", Role.OPERATOR, "Override a converter", OverrideOrder, Devices),
    Endpoint("POST", STOP, Role.OPERATOR, "Emergency stop, then MONITOR", Nothing, Changed),
)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The validator of a body type."""
    return TypeAdapter(kind)


def openapi() -> Mapping[str, Any]:
    """The OpenAPI 3.1 description."""
    bodies = [(e.path, "validation", adapter(e.body_type)) for e in ENDPOINTS if e.method == "POST"]
    answers = [(e.path, "serialization", adapter(e.answer_type)) for e in ENDPOINTS]
    refused = ("", "serialization", adapter(Refused))
    template = "#/components/schemas/{model}"
    schemas, shared = TypeAdapter.json_schemas([*bodies, *answers, refused], ref_template=template)  # type: ignore[list-item]
    return {
        "openapi": "3.1.0",
        "info": {"title": "gridlab", "version": "1", "description": "Local interface of a running `gridlab serve`."},
        "paths": {e.path: {e.method.lower(): _operation(e, schemas)} for e in ENDPOINTS},
        "components": {
            "schemas": shared["$defs"],
            "securitySchemes": {
                role: {"type": "http", "scheme": "bearer", "description": f"Token of the {role}."} for role in Role
            },
        },
    }


def _operation(endpoint: Endpoint, schemas: Mapping[Any, Any]) -> Mapping[str, Any]:
    roles = [role for role in Role if role.may(endpoint.role)]
    answers = {"200": _answer("done", schemas[endpoint.path, "serialization"])}
    refusals = {code: _answer(REFUSALS[code], schemas["", "serialization"]) for code in endpoint.refusals}
    operation = {
        "operationId": endpoint.name.replace("/", "_"),
        "summary": endpoint.summary,
        "security": [{role: []} for role in roles],
        "responses": {**answers, **refusals},
    }
    if endpoint.method == "POST":
        content = {"application/json": {"schema": schemas[endpoint.path, "validation"]}}
        operation["requestBody"] = {"required": endpoint.body_type is not Nothing, "content": content}
    return operation


def _answer(text: str, schema: object) -> Mapping[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
