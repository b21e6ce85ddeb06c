"""Requests generated from the description of the API, and bytes that are no requests, against the running service.

The service is in MONITOR. No request may send a frame to a converter, since the nonce that ACTIVE needs cannot be
guessed, except an operator's stop, which releases; without the operator's token nothing at all may change.
"""

import random
import socket
from collections import Counter
from dataclasses import dataclass, field

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from controller.api.endpoints import ENDPOINTS, STOP, Endpoint, openapi
from controller.api.tokens import Role, token_of
from tests.support.api import ServiceUnderTest

SCHEMA = schemathesis.openapi.from_dict(dict(openapi()))
NOBODY, GARBAGE = "nobody", "garbage"
"""Clients besides the roles."""
RAW = "bytes"
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
GUESSES = st.one_of(VISIBLE, VISIBLE.map("Bearer {}".format), VISIBLE.map("Basic {}".format))
QUERIES = st.one_of(st.none(), st.none(), st.none(), st.dictionaries(VISIBLE, VISIBLE, min_size=1, max_size=2))


@dataclass(frozen=True)
class Client:
    """A client, with its credentials if it has no role."""

    who: str
    guess: str

    def headers(self, api: ServiceUnderTest) -> dict[str, str]:
        """Headers of its requests."""
        if self.who in tuple(Role):
            return {"Authorization": f"Bearer {token_of(api.folder, Role(self.who))}"}
        return {} if self.who == NOBODY else {"Authorization": self.guess}


@dataclass
class Tally:
    """Results of one endpoint: number of cases by (client, class of the status), and violations."""

    cases: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of cases."""
        return self.cases.total()

    def of(self, status_class: int) -> int:
        """Number of cases with such an answer, 4 for 4xx."""
        return sum(count for (_, answered), count in self.cases.items() if answered == status_class)


def state_of(api: ServiceUnderTest) -> tuple[object, ...]:
    """Everything that an order could change."""
    return api.service.mode, dict(api.service.overrides), api.armed, api.frames


def fuzz(api: ServiceUnderTest, endpoint: Endpoint, cases: int, number: int) -> Tally:
    """Send ``cases`` generated requests to an endpoint; ``number`` is the seed."""
    tally = Tally()
    operation = SCHEMA[endpoint.path][endpoint.method]
    good, bad = (operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
    made_up = st.one_of(good, bad) if endpoint.method == "POST" else good
    clients = st.builds(Client, st.sampled_from((NOBODY, GARBAGE, *Role)), GUESSES)

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(made_up, clients, QUERIES)
    def one(case: Case, client: Client, query: dict[str, str] | None) -> None:
        _ask(api, endpoint, case, client, query, tally)

    one()
    return tally


def _ask(
    api: ServiceUnderTest, endpoint: Endpoint, case: Case, client: Client, query: dict[str, str] | None, tally: Tally
) -> None:
    before = state_of(api)
    response = case.call(f"http://127.0.0.1:{api.port}", headers=client.headers(api), params=query)
    after = state_of(api)
    # a made-up case may leave the credentials out on purpose
    who = client.who if "Authorization" in response.request.headers else NOBODY
    tally.cases[who, response.status_code // 100] += 1
    where = f"{endpoint.path} by {who}: {response.status_code}"
    if response.status_code >= 500:
        tally.broken.append(f"{where}: {response.text}")
    stopped = endpoint.path == STOP and who == Role.OPERATOR and response.status_code == 200
    if (before[-1] != after[-1] and not stopped) or (who != Role.OPERATOR and before != after):
        tally.broken.append(f"{where}: changed {before} to {after}")
    if (who in (NOBODY, GARBAGE)) != (response.status_code == 401):
        tally.broken.append(f"{where}: {response.text}")
    case.validate_response(response, checks=[status_code_conformance, response_schema_conformance])


def fuzz_bytes(api: ServiceUnderTest, cases: int, number: int) -> Tally:
    """Send ``cases`` damaged requests as bytes; ``number`` is the seed."""
    tally, dice = Tally(), random.Random(number)
    for _ in range(cases):
        data = bytearray(_request(dice, "x" * 43))
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(data))
            data[at : at + dice.choice((0, 1, 1, 4))] = dice.randbytes(dice.choice((0, 1, 1, 8)))
        before = state_of(api)
        status = _send(api, bytes(data))
        tally.cases[NOBODY, status // 100] += 1
        if before != state_of(api) or status >= 500 or 200 <= status < 300:
            tally.broken.append(f"{bytes(data)!r}: {status}")
    return tally


def _request(dice: random.Random, token: str) -> bytes:
    endpoint = dice.choice(ENDPOINTS)
    body = '{"mode": "off"}' if endpoint.path.endswith("mode") else "{}"
    lines = (
        f"{endpoint.method} {endpoint.path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        dice.choice((f"Content-Length: {len(body)}", "Transfer-Encoding: chunked")),
    )
    return "\r\n".join((*lines, "", body)).encode()


def _send(api: ServiceUnderTest, data: bytes) -> int:
    """Status of the answer; 0 if the connection ends without one."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(4096):
                answer += part
        except ConnectionError:
            return 0
    words = answer.split(None, 2)
    return int(words[1]) if len(words) > 1 else 0
