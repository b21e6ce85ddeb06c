"""The only module of core that reads files: YAML configurations and the CSV series they name."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from core.config import Config, HorizonConfig, tariff_of
from core.config_check import check_config, check_document
from core.config_devices import MappedModbus
from core.config_fields import DayFile, Document, Section, Variant
from core.config_hierarchy import HierarchyConfig
from core.config_kinds import KINDS, AnyProblem, kind_of
from core.config_resources import ANY
from core.config_rules import SLACK_BAND_PU
from core.csv_text import decoded
from core.errors import Fault, InputError, shown
from core.hierarchy import TreeProblem
from core.hierarchy_faults import hierarchy_faults
from core.plausibility import implausible
from core.profiles import Profiles, Range
from core.rules import BrokenRule
from core.scenario import LoadedTree, Scenario, Site
from core.table import Table, parse_table
from core.yaml_text import parse_yaml

D = TypeVar("D", bound=Document)
_SLACK = Range(*SLACK_BAND_PU, "a supply voltage of {:g} to {:g} p.u.".format(*SLACK_BAND_PU))


def load_yaml(path: Path) -> object:
    """The document as dict, list, str, int, float, bool or None.

    Raises:
        InputError: the file cannot be read, or is not YAML.
    """
    data, faults = _read_yaml(path)
    if faults:
        raise InputError(faults)
    return data


def load_config(path: Path) -> Config:
    """The configuration, with every key and rule checked.

    Raises:
        InputError: with all faults of the file.
    """
    return _of_file(path, config_of)


def _of_file(path: Path, checked: Callable[[object, Path], D]) -> D:
    """The content of a YAML file after its check; faults of its text come first.

    Raises:
        InputError: with all faults of the file.
    """
    data, faults = _read_yaml(path)
    if data is None and faults:
        raise InputError(faults)
    try:
        config = checked(data, path)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from error
    if faults:
        raise InputError(faults)
    return config


def config_of(document: object, path: Path) -> Config:
    """The configuration in ``document``, checked as if it were the content of ``path``.

    Raises:
        InputError: with all faults.
    """
    if isinstance(document, dict) and document.get("kind") in KINDS:
        allowed = "the configuration of a day, without this key; `gridlab solve` solves a problem of this kind"
        raise InputError([Fault(str(path), "kind", shown(document["kind"]), allowed)])
    config, faults = check_config(document, str(path), lambda file: (path.parent / file).is_file())
    if config is None:
        raise InputError(faults)
    return config


def load_document(path: Path) -> Config | AnyProblem:
    """The content of a file of either sort: with a key ``kind`` a problem, else the configuration of a day.

    Raises:
        InputError: with all faults of the file.
    """
    return _of_file(path, document_of)


def load_problem(path: Path) -> AnyProblem:
    """The content of a file of ``gridlab solve``, with every key and rule of its kind checked.

    Raises:
        InputError: with all faults of the file.
    """
    return _of_file(path, _problem_of)


def document_of(document: object, path: Path) -> Config | AnyProblem:
    """As :func:`load_document`, of the content itself."""
    is_problem = isinstance(document, dict) and "kind" in document
    return _problem_of(document, path) if is_problem else config_of(document, path)


def _problem_of(document: object, path: Path) -> AnyProblem:
    kind = kind_of(document)
    if isinstance(kind, BrokenRule):
        raise InputError([Fault(str(path), *kind)])
    problem, faults = check_document(kind, document, str(path), lambda problem: problem.broken_rules())
    if problem is None:
        raise InputError(faults)
    return problem


def load_scenario(config: Config, path: Path, variant: Variant = "forecast") -> Scenario:
    """Everything that a price computation needs, with the series of the horizon's day.

    Args:
        path: file of ``config``, to which paths in it are relative.
        variant: forecast or realised series; a series given only once serves as both.

    Raises:
        InputError: with all faults of all files of the series.
    """
    grid, axis = config.grid, config.horizon.axis()
    profiles = Profiles(axis, config.horizon.date, lambda file: _read_table(path.parent / file))
    slack_voltage_pu = profiles.means(grid.slack_voltage(variant), _SLACK)
    tariff = tariff_of(config.tariff, profiles.means)
    sites = tuple(
        Site(p.name, p.node, p.resources(profiles.means, variant), config.rating_kva_of.get(p.name)).led_back()
        for p in config.prosumers
    )
    if faults := profiles.faults:
        raise InputError(faults)
    scenario = Scenario(
        name=config.name,
        axis=axis,
        network=grid.network(),
        limits=config.limits.limits(),
        slack_voltage_pu=slack_voltage_pu,
        tariff=tariff,
        sites=sites,
        feeders=tuple(aggregator.feeder() for aggregator in config.hierarchy),
    )
    cautions = (*profiles.cautions, *implausible(config, scenario, str(path), variant))
    return replace(scenario, cautions=cautions)


def load_tree(config: HierarchyConfig, path: Path) -> LoadedTree:
    """A tree of aggregators with its prosumers, and the series of the horizon's day.

    Args:
        path: file of ``config``, to which paths in it are relative.

    Raises:
        InputError: with all faults of all files of the series, or of limits that they cross.
    """
    axis = config.horizon.axis()
    profiles = Profiles(axis, config.horizon.date, lambda file: _read_table(path.parent / file))
    tariff = tariff_of(config.tariff, profiles.means)
    target_kw = profiles.means(config.objective.target_kw, ANY)
    hierarchy = config.hierarchy(profiles.means)
    sites = tuple(Site(p.name, p.branch, p.resources(profiles.means, "forecast")) for p in config.prosumers)
    if faults := profiles.faults or hierarchy_faults(hierarchy, axis.n_steps, str(path)):
        raise InputError(faults)
    problem = TreeProblem(axis, tariff, hierarchy, config.objective.peak_weight_per_kw2, target_kw)
    return LoadedTree(problem, sites, tuple(profiles.cautions))


def fingerprint(path: Path, config: Document) -> str:
    """SHA-256, hexadecimal, of the configuration file and of every file of series and registers that it names.

    Raises:
        InputError: one of them cannot be read.
    """
    horizon = getattr(config, "horizon", None)
    day = horizon.date if isinstance(horizon, HorizonConfig) else date.min
    files = sorted({path.parent / file for file in _data_files(config, day)})
    contents = [_read_bytes(file) for file in (path, *files)]
    if faults := [content for content in contents if isinstance(content, Fault)]:
        raise InputError(faults)
    return sha256(b"".join(sha256(content).digest() for content in contents if isinstance(content, bytes))).hexdigest()


def _data_files(section: Section, day: date) -> Iterator[Path]:
    match section:
        case DayFile():
            yield section.on(day)
        case MappedModbus():
            yield section.registers
    for _, value in section:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Section):
                yield from _data_files(part, day)


def _read_yaml(path: Path) -> tuple[object, list[Fault]]:
    text = _read_text(path)
    return (None, [text]) if isinstance(text, Fault) else parse_yaml(text, str(path))


def _read_table(path: Path) -> Table | Fault:
    text = _read_text(path, any_letters=True)
    return text if isinstance(text, Fault) else parse_table(text, str(path))


def _read_text(path: Path, *, any_letters: bool = False) -> str | Fault:
    content = _read_bytes(path)
    text = content if isinstance(content, Fault) else decoded(content, any_letters=any_letters)
    return Fault(str(path), "", "a file that is no text", "text in UTF-8 or UTF-16") if text is None else text


def _read_bytes(path: Path) -> bytes | Fault:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        return Fault(str(path), "", shown(getattr(error, "strerror", None) or str(error)), "a readable file")
