"""Options of ``gridlab simulate`` as values."""

from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import get_args

from controller.simulation.faults import load_faults
from controller.simulation.master import SimulationJob
from core.config import Config
from core.config_fields import Variant
from core.errors import Fault, InputError
from core.load import load_config, load_scenario
from core.time import TimeAxis
from mpc.carrying import require_power_flow

PACES = {"max": None, "realtime": 1.0}


@dataclass(frozen=True)
class SimulationRequest:
    """A user's options of a simulated run.

    Attributes:
        start, end: HH:MM, local time of the horizon's day; None is its begin and its end.
        pace: ``max``, ``realtime``, or a factor such as ``60x``.
        coordinate: False for the baseline without coordination.
        margin: ``auto``, ``off``, or p.u. to the voltage limits; None keeps that of the configuration.
        faults: a file of faults of the plant's devices.
        seed: of the noise of the meters.
        server_key: private key of the plant's servers if the configuration asks for security or TLS.
        live_port: port of a live page on this machine; 0 selects a free one, None serves none.
        plant: configuration file of the plant if it differs from the controller's.
    """

    start: str | None = None
    end: str | None = None
    pace: str = "max"
    coordinate: bool = True
    margin: str | None = None
    faults: Path | None = None
    seed: int = 0
    server_key: Path | None = None
    live_port: int | None = None
    plant: Path | None = None

    def job(self, config: Config, path: Path) -> SimulationJob:
        """The run to simulate; ``config`` was read from ``path``.

        Raises:
            InputError: an option, a series, the file of faults, or the plant's configuration is invalid, or the grid
                cannot carry the load.
        """
        scenarios = [load_scenario(config, path, variant) for variant in get_args(Variant)]
        for scenario in scenarios:
            require_power_flow(scenario, str(path))
        if self.plant is not None:
            load_config(self.plant)
        start, end = span(config, self.start, self.end)
        return SimulationJob(
            config=config,
            path=path,
            start=start,
            end=end,
            seed=self.seed,
            coordinate=self.coordinate,
            margin=margin(self.margin),
            pace=pace(self.pace),
            faults=load_faults(self.faults, config) if self.faults else (),
            server_key=self.server_key,
            live_port=self.live_port,
            plant_path=self.plant,
            cautions=tuple(caution for scenario in scenarios for caution in scenario.cautions),
        )


def pace(text: str) -> float | None:
    """``max`` (None), ``realtime`` (1), or a factor such as ``60x``.

    Raises:
        InputError: any other text.
    """
    if text in PACES:
        return PACES[text]
    try:
        factor = float(text.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf") or not text.endswith("x"):
        raise InputError([Fault("--pace", "", text, "max, realtime, or a factor such as 60x")])
    return factor


def margin(text: str | None) -> str | float | None:
    """``auto``, ``off``, or a number (p.u.); None keeps that of the configuration.

    Raises:
        InputError: any other text.
    """
    if text is None or text in ("auto", "off"):
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 0.1:
        raise InputError([Fault("--margin", "", text, "auto, off, or a number from 0 to 0.1 p.u.")])
    return number


def span(config: Config, begin: str | None, end: str | None) -> tuple[datetime, datetime]:
    """Start and end (aware) on the horizon's day from HH:MM in its local time; ``24:00`` or None is the end of the day.

    Raises:
        InputError: there is no such time, it is not at a step, or the end is not after the start.
    """
    axis = config.horizon.axis()
    first = axis.times[0] if begin is None else _instant("--start", begin, axis)
    last = axis.end if end in (None, "24:00") else _instant("--end", str(end), axis)
    if not first < last:
        raise InputError([Fault("--end", "", str(end), f"a time after {first:%H:%M}")])
    return first, last


def require_converter(settings: Config, path: Path) -> None:
    """Check that there is something to control.

    Raises:
        InputError: no prosumer has a converter.
    """
    if len(settings.passive) == len(settings.prosumers):
        raise InputError([Fault(str(path), "prosumers", "none with a converter", "at least one with a `converter`")])


def _instant(option: str, text: str, axis: TimeAxis) -> datetime:
    allowed = f"HH:MM, a multiple of {axis.step_min} min within the day"
    try:
        wanted = time.fromisoformat(text)
    except ValueError as error:
        raise InputError([Fault(option, "", text, allowed)]) from error
    steps = [instant for instant in axis.times if instant.time() == wanted]
    if not steps:
        raise InputError([Fault(option, "", text, allowed)])
    return steps[0]
