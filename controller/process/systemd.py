"""Messages to the service manager (sd_notify), over the datagram socket that systemd names in ``NOTIFY_SOCKET``.

Without that variable nothing is sent. A manager that cannot be reached is no reason to stop controlling: if it waits
for a watchdog message it restarts the service by itself.
"""

import logging
import os
import socket

_log = logging.getLogger(__name__)

ADDRESS = "NOTIFY_SOCKET"
READY = "READY=1"
"""Start-up is complete; units that wait for this service start."""
WATCHDOG = "WATCHDOG=1"
"""Sign of life for ``WatchdogSec=``; send it where the work is done, never from a timer."""
STOPPING = "STOPPING=1"


def status(text: str) -> str:
    """One line of text for ``systemctl status``."""
    return f"STATUS={' '.join(text.split())}"


def notify(*assignments: str) -> None:
    """Send to the manager, e.g. ``notify(READY, status("MONITOR"))``; never blocks and never raises."""
    address = os.environ.get(ADDRESS)
    if not address:
        return
    abstract = address.startswith("@")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
            manager.connect(f"\0{address[1:]}" if abstract else address)
            manager.send("\n".join(assignments).encode())
    except OSError as error:
        _log.warning("service manager at %s: not notified of %s: %s", address, ", ".join(assignments), error)
