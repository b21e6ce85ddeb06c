"""A full disk, a killed process, a power loss: what the recorders must survive."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Limit files of this process to ``size`` bytes; a write stops there, wherever that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def child(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Another Python process with pipes; killed at the end if it has not ended."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def as_after_power_loss(database: Path, folder: Path) -> Path:
    """Copy the files of an open database, as a crash would leave them."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        source = database.with_name(database.name + suffix)
        if source.exists():
            shutil.copy(source, folder / source.name)
    return folder / database.name


def on_a_full_disk(before: str, then: str, folder: Path) -> str:
    """Run two programs in a file system of 64 kB mounted at ``folder``, which is full for the second; its output.

    Skips the test where this machine allows no such mount.
    """
    python = f"PYTHONPATH={ROOT} {sys.executable} -c"
    steps = (
        f"mount -t tmpfs -o size=64k tmpfs {folder}",
        f"cd {folder}",
        f"{python} '{before}'",
        "! cat /dev/zero > rest 2> /dev/null",
        f"{python} '{then}'",
    )
    unshared = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*unshared, steps[0]], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount")
    return subprocess.run([*unshared, "\n".join(steps)], stdout=subprocess.PIPE, text=True, check=True).stdout
