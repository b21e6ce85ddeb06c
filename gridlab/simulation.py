"""Days in closed loop against the simulated plant."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from threading import Event
from types import UnionType
from typing import Any, TypedDict, Unpack
from weakref import finalize

from controller.process.clocks import WallClock
from controller.process.talk import FollowerError
from controller.runs.directory import choose
from controller.simulation.master import RunProgress, SimulationJob
from controller.simulation.options import SimulationRequest
from controller.simulation.run import run_simulation
from core.errors import Fault, InputError, SolverError, shown
from gridlab.configuration import Configuration, day
from gridlab.results import Results, open_run


class SimulationOptions(TypedDict, total=False):
    """Options of :func:`simulate`, as of ``gridlab simulate``.

    Attributes:
        start, end: local time HH:MM of the day; left out: the whole day.
        seed: of the noise of the meters; one seed gives one run.
        coordinate: False for the selfish baseline.
        faults: a file of faults of the plant's devices.
        pace: ``max`` (the default), ``realtime``, or a factor such as ``60x``.
        server_key: private key of the plant's servers where the configuration asks for security or TLS.
    """

    start: str
    end: str
    seed: int
    coordinate: bool
    faults: str | Path
    pace: str
    server_key: str | Path


_KINDS: Mapping[str, tuple[type | UnionType, str]] = {
    "start": (str, "a text HH:MM"),
    "end": (str, "a text HH:MM"),
    "seed": (int, "a whole number ≥ 0"),
    "coordinate": (bool, "True or False"),
    "faults": (str | Path, "a path"),
    "pace": (str, "max, realtime, or a factor such as 60x"),
    "server_key": (str | Path, "a path"),
}
"""Kind of each of :class:`SimulationOptions`, and how a fault names it."""


def simulate(
    config: Configuration | str | Path, out: str | Path | None = None, **options: Unpack[SimulationOptions]
) -> Results:
    """Run the day in closed loop against the simulated plant, as ``gridlab simulate`` does.

    Plant, controller and guardian are processes of their own, which talk over real sockets of this machine. The first
    Ctrl-C ends the run after the current cycle (``summary["interrupted"]``); below a running event loop it gives it up.

    Args:
        config: a configuration, or the path of one; a prosumer without a converter is a passive house.
        out: a run directory to write, new or empty; a changed configuration is kept beside it, as ``<out>.yaml``.
            None: a temporary one, deleted with the results.

    Raises:
        InputError: configuration, series, options or ``out`` are not valid.
        GridlabError: a process failed.
    """
    chosen = day(config)
    if out is not None:
        return _simulated(chosen, Path(out), options)
    folder = Path(mkdtemp(prefix="gridlab-"))
    try:
        results = _simulated(chosen, folder / chosen.values.name, options)
    except (FollowerError, SolverError):
        raise  # its text says where in the folder the logs are
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise
    finalize(results.tables, rmtree, folder, ignore_errors=True)
    return results


def _simulated(config: Configuration, out: Path, options: Mapping[str, Any]) -> Results:
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    _check_kinds(given)
    files: dict[str, Path] = {name: Path(given[name]) for name in ("faults", "server_key") if name in given}
    job = SimulationRequest(**{**given, **files}).job(config.values, config.path)
    run_path = choose(out, config.values.name, WallClock().now())
    with config.written(run_path.with_name(f"{run_path.name}.yaml")) as written:
        _run(replace(job, config=written.values, path=written.path), run_path)
    return open_run(run_path)


def _check_kinds(options: Mapping[str, Any]) -> None:
    """Refuse options that only a type checker would have found.

    Raises:
        InputError: values of another kind than :class:`SimulationOptions` says, or a negative seed.
        TypeError: an unknown option.
    """
    if unknown := [name for name in options if name not in _KINDS]:
        raise TypeError(f"simulate() got an unexpected keyword argument {unknown[0]!r}")
    faults = [
        Fault("simulate", name, shown(value), _KINDS[name][1])
        for name, value in options.items()
        if not isinstance(value, _KINDS[name][0])
    ]
    seed = options.get("seed")
    if not faults and seed is not None and (isinstance(seed, bool) or seed < 0):
        faults = [Fault("simulate", "seed", shown(seed), _KINDS["seed"][1])]
    if faults:
        raise InputError(faults)


def _run(job: SimulationJob, run_path: Path) -> None:
    """Simulate; below a running event loop, such as that of a notebook, in a thread of its own."""
    given_up = Event()

    def observe(_: RunProgress) -> None:
        if given_up.is_set():
            raise KeyboardInterrupt

    def work() -> None:
        run_simulation(job, run_path, WallClock(), observe, lambda _: None)

    if not _in_event_loop():
        work()
        return
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            done.result()
        except KeyboardInterrupt:
            given_up.set()
            raise


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
