"""A library that makes every fsync of a program take 3 s while a file exists, also those of SQLite."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FLAG = "SLOW_FSYNC"
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slowly(const char *name, int fd) {
    const char *flag = getenv("SLOW_FSYNC");
    if (flag && access(flag, F_OK) == 0) sleep(3);
    return ((int (*)(int)) dlsym(RTLD_NEXT, name))(fd);
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""


def slow_fsync(folder: Path) -> tuple[dict[str, str], Path]:
    """The environment of a program, and the file that makes its disk slow as long as it exists."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: fsync of SQLite cannot be made slow")
    source, library, flag = folder / "slow.c", folder / "slow.so", folder / "slow"
    source.write_text(SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library), FLAG: str(flag)}, flag
