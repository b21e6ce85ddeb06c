"""Requests that must not be granted: of nobody, of a viewer, and an operator's that make no sense."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from random import Random
from typing import Any

from controller.api.endpoints import PREFIX, STOP
from controller.api.tokens import Role
from controller.chaos.intruder import NOBODY, Attempt
from controller.process.modes import Mode

ARM, MODE, OVERRIDE = f"{PREFIX}/mode/arm", f"{PREFIX}/mode", f"{PREFIX}/override"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_"
HUGE = 100_000
EACH = 3
"""Orders under every false name."""
KINDS = ("no token", "guessed tokens", "viewer's token", "operator out of range", "huge bodies")
"""Of floods."""
DRAWN = 60
"""Different requests of a flood."""


def bearer(token: str) -> Mapping[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {token}"}


def order(path: str, content: object, headers: Mapping[str, str], by: str = Role.OPERATOR) -> Attempt:
    """A request with a body of JSON."""
    return Attempt("POST", path, json.dumps(content).encode(), headers, by)


@dataclass(frozen=True)
class ForgedRequests:
    """Makes them up, by chance."""

    random: Random
    tokens: Mapping[Role, str]
    converters: Sequence[str]

    def unauthorised(self) -> list[Attempt]:
        """Orders in which nothing is wrong but who asks."""
        operator = self.tokens[Role.OPERATOR]
        shown = (
            "",
            f"Bearer {self._word(43)}",
            f"Bearer {operator[:-1]}{'x' if operator[-1] != 'x' else 'y'}",
            f"Basic {operator}",
            operator,
            "Bearer",
        )
        names: list[tuple[Mapping[str, str], str]] = [(bearer(self.tokens[Role.VIEWER]), Role.VIEWER)]
        names += [({"Authorization": text} if text else {}, NOBODY) for text in shown]
        forged = [
            order(path, content, headers, by)
            for headers, by in names
            for path, content in self.random.sample(self._orders(), EACH)
        ]
        forged.append(Attempt("POST", f"{STOP}?token={operator}"))
        return self.random.sample(forged, len(forged))

    def senseless(self, mode: Mode) -> list[Attempt]:
        """What an operator asks, and no service can do that is in that mode."""
        as_operator = bearer(self.tokens[Role.OPERATOR])
        forged = [order(OVERRIDE, content, as_operator) for content in self._overrides()]
        forged += [order(MODE, content, as_operator) for content in self._modes()]
        forged += [replace(forged[0], path=MODE, body=body) for body in (b"{", b"\xff\xfe", b"[" * 4000, b"")]
        forged += [order(STOP, {"now": True}, as_operator), self._huge(as_operator, Role.OPERATOR)]
        if mode is Mode.ACTIVE:
            forged.append(order(ARM, {}, as_operator))
        else:
            forged.append(order(OVERRIDE, self._override(), as_operator))
        forged += self._misdirected(as_operator)
        return self.random.sample(forged, len(forged))

    def flood(self, kind: str) -> list[Attempt]:
        """Of one of :data:`KINDS`."""
        match kind:
            case "no token":
                return [self._any({}) for _ in range(DRAWN)]
            case "guessed tokens":
                return [self._any(bearer(self._word(43))) for _ in range(DRAWN)]
            case "viewer's token":
                return [self._any(bearer(self.tokens[Role.VIEWER]), Role.VIEWER) for _ in range(DRAWN)]
            case "operator out of range":
                as_operator = bearer(self.tokens[Role.OPERATOR])
                return [order(OVERRIDE, content, as_operator) for content in self._overrides()]
            case _:
                return [self._huge(bearer(self._word(43))) for _ in range(DRAWN)]

    def replayed(self, nonce: str) -> list[Attempt]:
        """A confirmation that was good once, by its operator and by others."""
        names = [
            (bearer(self.tokens[Role.OPERATOR]), Role.OPERATOR),
            (bearer(self.tokens[Role.VIEWER]), Role.VIEWER),
            ({}, NOBODY),
        ]
        return [order(MODE, {"mode": Mode.ACTIVE, "nonce": nonce}, headers, by) for headers, by in names]

    def unfinished(self) -> list[Attempt]:
        """Operators' orders whose body does not come."""
        headers = {**bearer(self.tokens[Role.OPERATOR]), "Content-Length": "20"}
        return [Attempt("POST", path, b"{", headers, Role.OPERATOR) for path in (STOP, MODE)]

    def _any(self, headers: Mapping[str, str], by: str = NOBODY) -> Attempt:
        return order(*self.random.choice(self._orders()), headers, by)

    def _orders(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [
            (STOP, {}),
            (ARM, {}),
            (MODE, {"mode": Mode.OFF}),
            (MODE, {"mode": Mode.MONITOR}),
            (MODE, {"mode": Mode.ACTIVE, "nonce": self._word(22)}),
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
        guess = {"mode": Mode.ACTIVE, "nonce": self._word(22)}
        active: Mapping[str, Any] = {"mode": Mode.ACTIVE}
        return [guess, active, {**active, "nonce": ""}, {**active, "nonce": None}, {"mode": "on"}, {}, []]

    def _misdirected(self, as_operator: Mapping[str, str]) -> list[Attempt]:
        """Good orders in the wrong way; those of another host or page are nobody's."""
        good, elsewhere = order(MODE, {"mode": Mode.OFF}, as_operator), "grid.example"
        plain = {**as_operator, "Content-Type": self.random.choice(("text/plain", "application/x-www-form-urlencoded"))}
        return [
            replace(good, headers=plain),
            replace(good, path=f"{MODE}?mode=off"),
            *(
                replace(good, headers={**as_operator, name: value}, by=NOBODY)
                for name, value in (("Host", elsewhere), ("Origin", f"http://{elsewhere}"), ("Origin", "null"))
            ),
            *(replace(good, method=method, by=NOBODY) for method in ("GET", "PUT", "DELETE")),
        ]

    def _huge(self, headers: Mapping[str, str], by: str = NOBODY) -> Attempt:
        return Attempt("POST", self.random.choice((STOP, MODE, OVERRIDE)), b"x" * HUGE, headers, by)

    def _word(self, length: int) -> str:
        return "".join(self.random.choices(LETTERS, k=length))
