"""The descriptors of this process, which sockets of devices, files and clients share."""

import resource
from contextlib import suppress


def raise_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one where that is allowed; returns the limit in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """How many descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
