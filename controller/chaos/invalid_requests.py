"""Requests that must be refused: without authorisation, of a viewer, or an operator's with invalid content."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from random import Random
from typing import Any

from controller.api.endpoints import PREFIX, STOP
from controller.api.tokens import Role
from controller.chaos.raw_http import NOBODY, HttpRequest
from controller.process.modes import Mode

ARM, MODE, OVERRIDE = f"{PREFIX}/mode/arm", f"{PREFIX}/mode", f"{PREFIX}/override"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_"
HUGE = 100_000
PER_TOKEN = 3
"""Requests with each invalid token."""
KINDS = ("no token", "guessed tokens", "viewer's token", "operator out of range", "huge bodies")
"""Kinds of floods."""
FLOOD_REQUESTS = 60
"""Different requests of a flood."""


def bearer(token: str) -> Mapping[str, str]:
    """The authorisation header with this token."""
    return {"Authorization": f"Bearer {token}"}


def json_request(path: str, content: object, headers: Mapping[str, str], by: str = Role.OPERATOR) -> HttpRequest:
    """A POST request with a JSON body."""
    return HttpRequest("POST", path, json.dumps(content).encode(), headers, by)


@dataclass(frozen=True)
class InvalidRequests:
    """Generates the requests at random."""

    random: Random
    tokens: Mapping[Role, str]
    converters: Sequence[str]

    def unauthorised(self) -> list[HttpRequest]:
        """Valid orders with missing, invalid or insufficient tokens."""
        operator = self.tokens[Role.OPERATOR]
        values = (
            "",
            f"Bearer {self._random_text(43)}",
            f"Bearer {operator[:-1]}{'x' if operator[-1] != 'x' else 'y'}",
            f"Basic {operator}",
            operator,
            "Bearer",
        )
        identities: list[tuple[Mapping[str, str], str]] = [(bearer(self.tokens[Role.VIEWER]), Role.VIEWER)]
        identities += [({"Authorization": text} if text else {}, NOBODY) for text in values]
        requests = [
            json_request(path, content, headers, by)
            for headers, by in identities
            for path, content in self.random.sample(self._orders(), PER_TOKEN)
        ]
        requests.append(HttpRequest("POST", f"{STOP}?token={operator}"))
        return self.random.sample(requests, len(requests))

    def meaningless(self, mode: Mode) -> list[HttpRequest]:
        """An operator's requests that no service in this mode can execute."""
        as_operator = bearer(self.tokens[Role.OPERATOR])
        requests = [json_request(OVERRIDE, content, as_operator) for content in self._overrides()]
        requests += [json_request(MODE, content, as_operator) for content in self._modes()]
        requests += [replace(requests[0], path=MODE, body=body) for body in (b"{", b"\xff\xfe", b"[" * 4000, b"")]
        requests += [json_request(STOP, {"now": True}, as_operator), self._huge(as_operator, Role.OPERATOR)]
        if mode is Mode.ACTIVE:
            requests.append(json_request(ARM, {}, as_operator))
        else:
            requests.append(json_request(OVERRIDE, self._override(), as_operator))
        requests += self._misdirected(as_operator)
        return self.random.sample(requests, len(requests))

    def flood(self, kind: str) -> list[HttpRequest]:
        """Requests of one of :data:`KINDS`."""
        match kind:
            case "no token":
                return [self._any_order({}) for _ in range(FLOOD_REQUESTS)]
            case "guessed tokens":
                return [self._any_order(bearer(self._random_text(43))) for _ in range(FLOOD_REQUESTS)]
            case "viewer's token":
                return [self._any_order(bearer(self.tokens[Role.VIEWER]), Role.VIEWER) for _ in range(FLOOD_REQUESTS)]
            case "operator out of range":
                as_operator = bearer(self.tokens[Role.OPERATOR])
                return [json_request(OVERRIDE, content, as_operator) for content in self._overrides()]
            case _:
                return [self._huge(bearer(self._random_text(43))) for _ in range(FLOOD_REQUESTS)]

    def replayed(self, nonce: str) -> list[HttpRequest]:
        """A confirmation that has already been used, by its operator and by others."""
        identities = [
            (bearer(self.tokens[Role.OPERATOR]), Role.OPERATOR),
            (bearer(self.tokens[Role.VIEWER]), Role.VIEWER),
            ({}, NOBODY),
        ]
        return [json_request(MODE, {"mode": Mode.ACTIVE, "nonce": nonce}, headers, by) for headers, by in identities]

    def unfinished(self) -> list[HttpRequest]:
        """Operators' requests whose body never arrives completely."""
        headers = {**bearer(self.tokens[Role.OPERATOR]), "Content-Length": "20"}
        return [HttpRequest("POST", path, b"{", headers, Role.OPERATOR) for path in (STOP, MODE)]

    def _any_order(self, headers: Mapping[str, str], by: str = NOBODY) -> HttpRequest:
        return json_request(*self.random.choice(self._orders()), headers, by)

    def _orders(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [
            (STOP, {}),
            (ARM, {}),
            (MODE, {"mode": Mode.OFF}),
            (MODE, {"mode": Mode.MONITOR}),
            (MODE, {"mode": Mode.ACTIVE, "nonce": self._random_text(22)}),
            (OVERRIDE, self._override()),
            *((OVERRIDE, {**self._override(), "device": name, "for_s": 0.0}) for name in self.converters),
        ]

    def _override(self) -> Mapping[str, Any]:
        p_kw, for_s = self.random.uniform(-2.0, 2.0), self.random.uniform(60.0, 3600.0)
        return {"device": self.random.choice(self.converters), "p_kw": p_kw, "q_kvar": 0.0, "for_s": for_s}

    def _overrides(self) -> list[Mapping[str, Any]]:
        wrong: tuple[Mapping[str, Any], ...] = (
            *({"p_kw": value} for value in (nan, inf, -inf, 1e4, -1e4, 1e308, "1", True, None, [1.0])),
            *({"q_kvar": value} for value in (nan, 1e4)),
            *({"for_s": value} for value in (-60.0, -1e-9, 3601.0, nan, 1e308)),
            *({"device": value} for value in (f"{self.random.choice(self.converters)}x", "", 4, "../n4", "x" * 65)),
            {"force": True},
        )
        return [{**self._override(), **change} for change in wrong]

    def _modes(self) -> list[Any]:
        guess = {"mode": Mode.ACTIVE, "nonce": self._random_text(22)}
        active: Mapping[str, Any] = {"mode": Mode.ACTIVE}
        return [guess, active, {**active, "nonce": ""}, {**active, "nonce": None}, {"mode": "on"}, {}, []]

    def _misdirected(self, as_operator: Mapping[str, str]) -> list[HttpRequest]:
        """Valid orders with a wrong content type, query, host, origin or method."""
        valid, other_host = json_request(MODE, {"mode": Mode.OFF}, as_operator), "grid.example"
        plain = {**as_operator, "Content-Type": self.random.choice(("text/plain", "application/x-www-form-urlencoded"))}
        return [
            replace(valid, headers=plain),
            replace(valid, path=f"{MODE}?mode=off"),
            *(
                replace(valid, headers={**as_operator, name: value}, by=NOBODY)
                for name, value in (("Host", other_host), ("Origin", f"http://{other_host}"), ("Origin", "null"))
            ),
            *(replace(valid, method=method, by=NOBODY) for method in ("GET", "PUT", "DELETE")),
        ]

    def _huge(self, headers: Mapping[str, str], by: str = NOBODY) -> HttpRequest:
        return HttpRequest("POST", self.random.choice((STOP, MODE, OVERRIDE)), b"x" * HUGE, headers, by)

    def _random_text(self, length: int) -> str:
        return "".join(self.random.choices(LETTERS, k=length))
