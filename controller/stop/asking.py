"""The client of a stop socket."""

import socket
import time
from collections.abc import Generator
from pathlib import Path

from controller.stop.wire import LINE_BYTES, REQUEST, StopProgress, short_path

SLICE_S = 0.1
"""Time (s) after which a client that waits for a line looks up."""


class NobodyListensError(Exception):
    """There is no such socket, or no process behind it."""


def ask_to_stop(state: Path, name: str) -> Generator[StopProgress | None, None, None]:
    """Ask for a stop at the socket ``name`` of a state folder; yields each answer, and None while there is none yet.

    It goes on until the server has ended; the caller decides how long it waits. The request is on its way before the
    first answer: a process that is suspended finds it when it continues.

    Raises:
        NobodyListensError: no process will read the request.
        PermissionError: the socket belongs to another user.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        _connect(client, state, name)
        client.settimeout(SLICE_S)
        received = b""
        while True:
            try:
                data = client.recv(LINE_BYTES)
            except TimeoutError:
                yield None
                continue
            except OSError:
                return
            if not data:
                return
            *lines, received = (received + data).split(b"\n")
            yield from map(StopProgress.of, lines)


def _connect(client: socket.socket, state: Path, name: str) -> None:
    client.settimeout(SLICE_S)
    try:
        with short_path(state, name) as path:
            _until_admitted(client, path)
        client.sendall(REQUEST)
    except (FileNotFoundError, NotADirectoryError, ConnectionError, TimeoutError) as error:
        raise NobodyListensError(name) from error


def _until_admitted(client: socket.socket, path: str) -> None:
    """Connect; a queue that is full is tried again for a second.

    Raises:
        OSError: it cannot be connected to.
    """
    give_up_s = time.monotonic() + 1.0
    while True:
        try:
            client.connect(path)
            return
        except BlockingIOError:  # how Linux says that the queue of a socket file is full
            if time.monotonic() > give_up_s:
                raise TimeoutError from None
            time.sleep(SLICE_S)
