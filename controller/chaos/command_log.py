"""commands.jsonl of a run under faults: what its clock master has commanded, for the judge.

A line is written when a command is answered, refused, or cut off by a death.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.judge.histories import COMMANDS, STOP_ORDER
from controller.process.talk import FollowerError

_SCHEMA_VERSION = 1


@contextmanager
def commanding(folder: Path, at: datetime, request: Mapping[str, Any]) -> Iterator[None]:
    """Record a request to the controller of ``folder`` that commands a mode or a stop; others leave no line.

    Raises:
        FollowerError: of the request.
    """
    order = _order(request)
    try:
        yield
    except FollowerError as error:
        _write(folder, at, order, str(error))
        raise
    _write(folder, at, order, None)


def _order(request: Mapping[str, Any]) -> str | None:
    match request:
        case {"mode": str(mode)}:
            return mode
        case {"emergency_stop": _} | {"stop": _}:
            return STOP_ORDER
    return None


def _write(folder: Path, at: datetime, order: str | None, error: str | None) -> None:
    if order is None:
        return
    line = {"time": at.isoformat(), "order": order, "error": error, "schema_version": _SCHEMA_VERSION}
    with (folder / COMMANDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
