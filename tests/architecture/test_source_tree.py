"""What no other tool counts about the source: the order of the packages, cycles, names, lengths, headings.

The order within packages is import-linter's, the number of arguments is ruff's (PLR0913).
"""

import pytest

from tests.support import source_tree
from tests.support.paths import ROOT
from tests.support.source_tree import BENCHMARKS, TESTS, Module, Name

ORDER = (
    ("gridlab",),
    ("controller", "sim_plant"),
    ("agents",),
    ("realtime",),
    ("mpc", "drivers"),
    ("core",),
)
"""From docs/architecture.md, the highest first. A package that is not here has not chosen its place."""
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 41
EXCLUDED = frozenset(
    """desk field book scribe ward post cast stage take taken played told prop director liar siege forger
    desks fields books scribes wards posts casts stages props directors liars sieges forgers""".split()  # noqa: SIM905
)
GIVEN = {
    "controller/grafana/": "fields of InfluxDB",
    "controller/record/line_protocol.py": "fields of InfluxDB",
    "core/config_": "fields of pydantic",
    "tests/core/": "fields of dataclasses and of pydantic",
    "tests/mpc/coordination/star/test_privacy.py": "fields of dataclasses",
}
"""Where "field" is the word of a library that is spoken of, by the begin of the path."""
GIVEN_NAMES = frozenset({"__post_init__", "do_POST"})
"""Names of methods that the standard library calls."""


@pytest.fixture(scope="module")
def tree() -> tuple[Module, ...]:
    return source_tree.modules(ROOT, source_tree.packages(ROOT))


def test_every_package_has_its_place() -> None:
    named = {package for floor in ORDER for package in floor} | {BENCHMARKS, TESTS}
    assert set(source_tree.packages(ROOT)) <= named


def test_no_import_against_the_order(tree: tuple[Module, ...]) -> None:
    assert source_tree.against(ORDER, source_tree.imports(tree)) == []


def test_no_import_cycle(tree: tuple[Module, ...]) -> None:
    assert source_tree.cycles(source_tree.imports(tree)) == []


def test_only_benchmarks_import_tests_and_only_what_supports_them(tree: tuple[Module, ...]) -> None:
    product = [module for module in tree if not module.name.startswith(TESTS)]
    found = [(module.name, name) for module in product for name in module.imported if name.split(".")[0] == TESTS]
    assert [x for x in found if not (x[0].startswith(f"{BENCHMARKS}.") and x[1].startswith("tests.support."))] == []


def test_no_identifier_bears_an_excluded_word(tree: tuple[Module, ...]) -> None:
    assert [str(name) for module in tree for name in module.names if name.words & EXCLUDED and not given(name)] == []


def given(name: Name) -> bool:
    """Whether Python, pydantic, HTTP or InfluxDB give the name."""
    only_field = name.words & EXCLUDED <= {"field", "fields"}
    return name.text in GIVEN_NAMES or (only_field and name.file.startswith(tuple(GIVEN)))


def test_every_exemption_is_needed(tree: tuple[Module, ...]) -> None:
    names = [name for module in tree for name in module.names if name.words & EXCLUDED]
    assert {name.text for name in names} >= GIVEN_NAMES
    assert [path for path in GIVEN if not any(name.file.startswith(path) for name in names)] == []


def test_every_class_has_a_name_of_its_own(tree: tuple[Module, ...]) -> None:
    product = [module for module in tree if not module.name.startswith(TESTS)]
    assert source_tree.repeated_classes(product) == {}


def test_no_heading_bears_an_excluded_word() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    headings = [(page.name, text) for page in pages for text in source_tree.headings(page.read_text(encoding="utf-8"))]
    assert len(headings) > 100
    assert [heading for heading in headings if Name("heading", heading[1], heading[0]).words & EXCLUDED] == []


def test_files_and_functions_are_short(tree: tuple[Module, ...]) -> None:
    assert [(module.file, module.lines) for module in tree if module.lines > MAX_FILE_LINES] == []
    functions = [(module.file, name, lines) for module in tree for name, lines in module.functions]
    assert [function for function in functions if function[2] > MAX_FUNCTION_LINES] == []
