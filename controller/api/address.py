"""How clients find the service of a state folder."""

import json
from pathlib import Path

from controller.process.lock import SERVICE_LOCK, is_held
from core.errors import Fault, GridlabError, InputError

ADDRESS = "api.json"


def port_of(state: Path) -> int:
    """The port of the service of a state folder.

    A service that was killed leaves its file behind, and another program may use its port now: a client sends its token
    only while the folder is locked.

    Raises:
        InputError: no service runs.
        GridlabError: it does not listen yet, or not any more.
    """
    path = state / ADDRESS
    if not is_held(state, SERVICE_LOCK):
        raise InputError([Fault("--state", "", str(state), "the state folder of a running `gridlab serve`")])
    try:
        return int(json.loads(path.read_text(encoding="ascii"))["port"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GridlabError(
            f"{path}: no address; the service may be starting or stopping, or finds no port: see its log"
        ) from error
