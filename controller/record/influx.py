"""Writing lines into an InfluxDB, or a database that takes the same requests, with synchronous requests.

| answer | meaning |
|---|---|
| 2xx | every line is kept |
| 400, 413, 422 | a line is bad, or the batch too large: it is split until the bad line stands alone |
| all others, none in time, no connection | the database cannot take anything now; the same lines may be sent again |

A wrong token or bucket (401, 403, 404) is no fault of a line: it blocks, it loses nothing.
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
"""Characters of a database's answer that an error shows."""


class InfluxError(GridlabError):
    """The database cannot take anything now."""


class RefusedError(GridlabError):
    """The database refuses at least one of these lines for good."""


@dataclass(frozen=True)
class Delivery:
    """What became of lines."""

    sent: int
    dead: tuple[DeadLetter, ...]


class Influx:
    """A connection, for one thread. The token is read anew whenever it is opened."""

    def __init__(self, config: InfluxConfig, answer_s: float = ANSWER_S) -> None:
        self._config, self._answer_s = config, answer_s

    def __enter__(self) -> Self:
        """No traffic yet.

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
        """Keep all lines.

        Raises:
            RefusedError: some were kept or none.
            InfluxError: some were kept or none; try again later.
        """
        body = "\n".join(lines).encode()
        try:
            self._api.write(self._config.bucket, record=body, write_precision=WritePrecision.NS)
        except ApiException as error:
            kind = RefusedError if error.status in REFUSED else InfluxError
            raise kind(f"{self._config.url}: {error.status} {_brief(error.body or error.reason)}") from error
        except (HTTPError, OSError) as error:
            raise InfluxError(f"{self._config.url}: {_brief(error)}") from error


def seen_from(path: Path, config: InfluxConfig) -> InfluxConfig:
    """The section of the configuration file ``path``, with the way to its token from here."""
    return config.model_copy(update={"token_file": path.parent / config.token_file})


def _token(config: InfluxConfig) -> str:
    """What the token file holds.

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
    """Write the lines with :meth:`Influx.write`; those that are refused alone are dead.

    Raises:
        InfluxError: the database cannot take anything now, or ``stopped`` says so; begin again with all lines.
    """
    parts, dead = [lines] if lines else [], []
    while parts:
        part = parts.pop()
        if stopped():
            raise InfluxError("stopped before all lines were sent")
        try:
            write(part)
        except RefusedError as error:
            if len(part) == 1:
                dead.append(DeadLetter(part[0], str(error)))
            else:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
    return Delivery(len(lines) - len(dead), tuple(dead))


def _brief(answer: object) -> str:
    return " ".join(str(answer).split())[:_SHOWN]
