"""Memory that a process no longer needs."""

import ctypes

_LIBC = ctypes.CDLL(None)


def give_back() -> None:
    """Return to the system what was freed; else the C library keeps it, which after reading files is some 10 MB.

    Does nothing where the C library (another one than glibc) cannot.
    """
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
