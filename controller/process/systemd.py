"""What the service manager is told: sd_notify, over the datagram socket that systemd names in ``NOTIFY_SOCKET``.

Without the variable nobody asked, and nothing happens. A manager that cannot be told is no reason to stop controlling:
one that waits for a sign of life restarts the service by itself.
"""

import logging
import os
import socket

_log = logging.getLogger(__name__)

ADDRESS = "NOTIFY_SOCKET"
READY = "READY=1"
"""The service does what it is there for; units that were to wait for it start."""
WATCHDOG = "WATCHDOG=1"
"""A sign of life, for ``WatchdogSec=``: to be sent where the work is done, never by a timer beside it."""
STOPPING = "STOPPING=1"


def status(text: str) -> str:
    """One line for ``systemctl status``."""
    return f"STATUS={' '.join(text.split())}"


def notify(*assignments: str) -> None:
    """Tell the manager, e.g. ``notify(READY, status("MONITOR"))``; never waits and never raises."""
    address = os.environ.get(ADDRESS)
    if not address:
        return
    abstract = address.startswith("@")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
            manager.connect(f"\0{address[1:]}" if abstract else address)
            manager.send("\n".join(assignments).encode())
    except OSError as error:
        _log.warning("service manager at %s: not told %s: %s", address, ", ".join(assignments), error)
