"""The file of a deployment: name, version and hashes of everything that runs, for ``pip install --require-hashes``.

``python -m tests.support.deployment_file`` writes it anew; pip asks its index for the hashes and downloads no package.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

FILE, CONSTRAINTS = ROOT / "requirements-deploy.txt", ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
GLIBC = (*(f"manylinux_2_{minor}" for minor in range(36, 16, -1)), "manylinux2014")
"""Of Debian 12, and older."""
HEADER = """\
# What runs, on CPython 3.11 to 3.13, Linux, x86_64 or aarch64: pip install --require-hashes -r requirements-deploy.txt
# and then the wheel with --no-deps. Names, versions and hashes of wheels; made by `make hashes` from constraints.txt.
"""


def constrained_versions() -> Mapping[str, str]:
    """Version of each package of constraints.txt, by its canonical name."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and line[0] != "#")
    return {canonicalize_name(name): version for name, version in pairs}


def runtime_names() -> tuple[str, ...]:
    """What `gridlab` without extras needs on Linux, direct and indirect, sorted."""
    found, rest = set[str](), [("gridlab", frozenset[str]())]
    while rest:
        name, extras = rest.pop()
        for requirement in map(Requirement, requires(name) or ()):
            needed = canonicalize_name(requirement.name)
            if _applies(requirement, extras) and needed not in found:
                found.add(needed)
                rest.append((needed, frozenset(requirement.extras)))
    return tuple(sorted(found))


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Whether it is needed with any of the Pythons."""
    if requirement.marker is None:
        return True
    return any(
        requirement.marker.evaluate({"python_version": python, "python_full_version": f"{python}.0", "extra": extra})
        for python in PYTHONS
        for extra in ("", *extras)
    )


def written() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Version and hashes of each package of the file, by its canonical name."""
    text = FILE.read_text(encoding="utf-8").replace("\\\n", " ")
    entries = (line.split() for line in text.splitlines() if line and line[0] != "#")
    found = {}
    for pin, *hashes in entries:
        name, version = pin.split("==")
        found[canonicalize_name(name)] = version, tuple(hashes)
    return found


def main() -> None:
    """Write the file."""
    versions = constrained_versions()
    pins = [f"{name}=={versions[name]}" for name in runtime_names()]
    hashes: dict[str, set[str]] = {pin: set() for pin in pins}
    for python in PYTHONS:
        for machine in MACHINES:
            for pin, digest in _wheels(pins, python, machine).items():
                hashes[pin].add(digest)
    entries = [" \\\n".join([pin, *(f"    --hash=sha256:{one}" for one in sorted(hashes[pin]))]) for pin in pins]
    FILE.write_text(HEADER + "\n".join(entries) + "\n", encoding="utf-8")


def _wheels(pins: Iterable[str], python: str, machine: str) -> Mapping[str, str]:
    """SHA-256 of the wheel of each pin that pip would install there."""
    platforms = [word for glibc in GLIBC for word in ("--platform", f"{glibc}_{machine}")]
    with tempfile.TemporaryDirectory() as folder:
        command = (
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--dry-run",
            "--no-deps",
        )
        options = ("--ignore-installed", "--only-binary", ":all:", "--target", folder, "--python-version", python)
        report = Path(folder) / "report.json"
        subprocess.run([*command, *options, *platforms, "--report", report, *pins], check=True)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        f"{canonicalize_name(item['metadata']['name'])}=={item['metadata']['version']}": _sha256(item)
        for item in installed
    }


def _sha256(item: Mapping[str, dict[str, dict[str, dict[str, str]]]]) -> str:
    digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
    assert re.fullmatch("[0-9a-f]{64}", digest)
    return digest


if __name__ == "__main__":
    main()
