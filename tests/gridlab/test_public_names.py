"""What `import gridlab` gives, and what it costs."""

import subprocess
import sys

import pytest

import gridlab
from tests.support.paths import ROOT

LIGHT = "import sys; import gridlab; print(*sorted(sys.modules))"


def test_importing_the_package_loads_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split() if not name.startswith("_")}
    assert loaded - sys.stdlib_module_names == {"gridlab"}


def test_every_public_name_is_there() -> None:
    assert dir(gridlab) == gridlab.__all__
    for name in gridlab.__all__:
        assert getattr(gridlab, name) is not None
    assert gridlab.__version__.count(".") == 2


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gridlab' has no attribute 'plam'"):
        gridlab.plam  # type: ignore[attr-defined]  # noqa: B018
