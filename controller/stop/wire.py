"""What client and server of a stop socket exchange, and where the socket is.

The client sends :data:`REQUEST`. The server answers by lines of JSON, ``{"outcomes": {converter: outcome}, "ended":
bool}``: the first at once, then one for every change; after ``ended`` nothing follows. There is no other request.

The path of a socket is limited to 107 bytes; one below ``/proc/self/fd`` is short however deep its folder lies.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.devices import Outcome

SERVICE_SOCKET, GUARDIAN_SOCKET = "stop.sock", "guardian.sock"
"""Names of the sockets in the state folder."""
SITE = "converters.json"
"""Name of the file there that names all converters which may hold a setpoint."""
REQUEST = b"stop\n"
LINE_BYTES = 1 << 16


@dataclass(frozen=True)
class StopProgress:
    """The outcome of each converter's release so far; ``ended``: nothing more is attempted."""

    outcomes: Mapping[str, Outcome]
    ended: bool

    @property
    def line(self) -> bytes:
        """As a line of JSON."""
        return json.dumps({"outcomes": dict(self.outcomes), "ended": self.ended}).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "StopProgress":
        """Read from a line.

        Raises:
            ValueError: it is none.
        """
        try:
            values = json.loads(line)
            outcomes = {str(name): Outcome(outcome) for name, outcome in values["outcomes"].items()}
            return cls(outcomes, bool(values["ended"]))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not an answer to a stop: {line!r}") from error


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """A path of the socket ``name`` in a folder, valid in the block.

    Raises:
        OSError: there is no such folder.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
