"""The public Python interface of gridlab: prices, plans and simulated days as pandas data frames.

```python
import gridlab

config = gridlab.load("demo/gridlab9.yaml")
day = gridlab.plan(config)
day.plan  # a row for each step and prosumer
```

:func:`load` reads a configuration. :func:`plan` computes the prices and plans of its day, :func:`simulate` runs the day
in closed loop, :func:`solve` solves a problem of any kind, and :func:`open_run` reads a recorded run. Names of columns
contain the unit; demand is positive.

Importing the package loads nothing else: a name loads its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.errors import GridlabError, InputError
    from gridlab.configuration import Configuration, load
    from gridlab.day_ahead import plan
    from gridlab.results import Results, open_run
    from gridlab.simulation import SimulationOptions, simulate
    from gridlab.solving import solve

    __version__: str

__all__ = [
    "Configuration",
    "GridlabError",
    "InputError",
    "Results",
    "SimulationOptions",
    "__version__",
    "load",
    "open_run",
    "plan",
    "simulate",
    "solve",
]

_MODULES = {
    "Configuration": "gridlab.configuration",
    "GridlabError": "core.errors",
    "InputError": "core.errors",
    "Results": "gridlab.results",
    "SimulationOptions": "gridlab.simulation",
    "load": "gridlab.configuration",
    "open_run": "gridlab.results",
    "plan": "gridlab.day_ahead",
    "simulate": "gridlab.simulation",
    "solve": "gridlab.solving",
}


def __getattr__(name: str) -> object:
    """The public name, from the module that defines it; it is loaded now."""
    if name == "__version__":
        from importlib.metadata import version

        return version("gridlab")
    if name not in _MODULES:
        raise AttributeError(f"module 'gridlab' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return __all__
