"""Writes lines to an InfluxDB, or a database with the same API, by synchronous requests.

| answer | meaning |
|---|---|
| 2xx | every line is stored |
| 400, 413, 422 | a line is invalid, or the batch too large: it is split until the invalid line is alone |
| any other, none in time, no connection | the database cannot accept anything now; the same lines may be sent again |

A wrong token or bucket (401, 403, 404) is no fault of a line: forwarding stops, and nothing is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from controller.record.outbox import DeadLetter
from core.config import InfluxConfig
from core.errors import GridlabError

REFUSED = (400, 413, 422)
CONNECT_S, ANSWER_S = 3.0, 10.0
_SHOWN = 200
"""Characters of the database's answer that an error shows."""


class InfluxError(GridlabError):
    """The database cannot accept anything now."""


class RefusedLinesError(GridlabError):
    """The database refuses at least one of these lines for good."""


@dataclass(frozen=True)
class Delivery:
    """The number of lines that were sent, and those that were refused."""

    sent: int
    dead: tuple[DeadLetter, ...]


class Influx:
    """A connection, for one thread. The token file is read at each opening."""

    def __init__(self, config: InfluxConfig, answer_s: float = ANSWER_S) -> None:
        self._config, self._answer_s = config, answer_s

    def __enter__(self) -> Self:
        """Create the client; no traffic yet.

        Raises:
            InfluxError: there is no token.
        """
        config = self._config
        timeout_ms = (int(CONNECT_S * 1e3), int(self._answer_s * 1e3))
        self._client = InfluxDBClient(config.url, _token(config), org=config.org, timeout=timeout_ms)
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def write(self, lines: Sequence[str]) -> None:
        """Write all lines.

        Raises:
            RefusedLinesError: some or none were stored.
            InfluxError: some or none were stored; try again later.
        """
        body = "\n".join(lines).encode()
        try:
            self._api.write(self._config.bucket, record=body, write_precision=WritePrecision.NS)
        except ApiException as error:
            kind = RefusedLinesError if error.status in REFUSED else InfluxError
            raise kind(f"{self._config.url}: {error.status} {_shortened(error.body or error.reason)}") from error
        except (HTTPError, OSError) as error:
            raise InfluxError(f"{self._config.url}: {_shortened(error)}") from error


def with_token_path(path: Path, config: InfluxConfig) -> InfluxConfig:
    """The section with the path of its token file relative to the working directory; ``path`` is the configuration
    file.
    """
    return config.model_copy(update={"token_file": path.parent / config.token_file})


def _token(config: InfluxConfig) -> str:
    """The content of the token file.

    Raises:
        InfluxError: it cannot be read, or is empty.
    """
    try:
        text = config.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InfluxError(f"{config.token_file}: no readable token of {config.url}") from error
    if not text:
        raise InfluxError(f"{config.token_file}: empty, allowed a token of {config.url}")
    return text


def deliver(
    write: Callable[[Sequence[str]], None], lines: Sequence[str], stopped: Callable[[], bool] = lambda: False
) -> Delivery:
    """Write the lines with :meth:`Influx.write`; lines that are refused even alone are dead letters.

    Raises:
        InfluxError: the database cannot accept anything now, or ``stopped`` returned True; start again with all lines.
    """
    parts, dead = [lines] if lines else [], []
    while parts:
        part = parts.pop()
        if stopped():
            raise InfluxError("stopped before all lines were sent")
        try:
            write(part)
        except RefusedLinesError as error:
            if len(part) == 1:
                dead.append(DeadLetter(part[0], str(error)))
            else:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
    return Delivery(len(lines) - len(dead), tuple(dead))


def _shortened(answer: object) -> str:
    return " ".join(str(answer).split())[:_SHOWN]
