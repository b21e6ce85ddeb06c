"""What the pages say about the repository is true: links, anchors, paths, names of code and of tests."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.support import source_tree
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(page for top in ("docs", "configs") for page in (ROOT / top).rglob("*.md"))])
PACKAGES = "gridlab|controller|core|drivers|mpc|realtime|sim_plant|benchmarks"
PROSE = 140
"""Characters of a line of prose; tables and code may be longer."""
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)\s]*)\)")
PATH = re.compile(rf"(?<![\w/.])(?:{PACKAGES}|configs|docs|tests)/[\w./-]*+(?![…*])")
NAME = re.compile(rf"`(?!\w+\.md`)((?:{PACKAGES})(?:\.\w+)+)(?:\(\))?`")
MEMBER = re.compile(r"`([A-Z]\w+\.\w+)")
TEST = re.compile(r"`(?:…::)?(?:test_\w+\.py::)?(test_\w+)`")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def without_code(page: Path) -> str:
    """The text of a page with empty lines in place of its fenced blocks."""
    return FENCED.sub(lambda block: "\n" * block[0].count("\n"), read(page))


def wrong(find: Callable[[Path], Iterator[str]]) -> list[tuple[str, str]]:
    """What ``find`` finds on each page, with the page."""
    return [(str(page.relative_to(ROOT)), found) for page in PAGES for found in find(page)]


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = source_tree.headings(read(page))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(without_code(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_paths(page: Path) -> Iterator[str]:
    """Paths from the top of the repository, other than links and outside code blocks, that lead nowhere."""
    named = (path.rstrip("./") for path in PATH.findall(LINK.sub("]", without_code(page))))
    return (path for path in named if not (ROOT / path).exists())


def missing_names(page: Path) -> Iterator[str]:
    return (dotted for dotted in NAME.findall(read(page)) if not defined(dotted))


def missing_members(page: Path) -> Iterator[str]:
    """``Class.member`` where no class of that name mentions such a member."""
    found = (member.split(".") for member in MEMBER.findall(read(page)))
    return (f"{owner}.{member}" for owner, member in found if member not in members().get(owner, ()))


@cache
def members() -> Mapping[str, set[str]]:
    """The words within each class of the packages, by its name."""
    found: dict[str, set[str]] = {}
    for path in (path for package in PACKAGES.split("|") for path in (ROOT / package).rglob("*.py")):
        text = read(path)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(re.findall(r"\w+", ast.get_source_segment(text, node) or ""))
    return found


def defined(dotted: str) -> bool:
    """Whether a dotted name is a module, or something that a module or a class of it defines."""
    words = dotted.split(".")
    for length in range(len(words), 0, -1):
        try:
            found: object = import_module(".".join(words[:length]))
        except ModuleNotFoundError:
            continue
        for word in words[length:]:
            found = getattr(found, word, None)
        return found is not None
    return False


def long_lines(page: Path) -> Iterator[str]:
    """Lines of prose that are too long; an image has its text on its line."""
    return (line for line in source_tree.prose(read(page)) if len(line) > PROSE and not line.startswith("!["))


def long_comments(file: Path) -> Iterator[str]:
    lines = (line.strip() for line in read(file).splitlines())
    return (line for line in lines if line.startswith("#") and len(line) > PROSE)


def test_lines_of_prose_fit_the_screen() -> None:
    assert wrong(long_lines) == []
    suffixes = ("*.yaml", "*.service", "*.conf", "Dockerfile")
    files = [file for suffix in suffixes for file in (ROOT / "configs").rglob(suffix)]
    assert len(files) > 10
    assert [(file.name, line) for file in files for line in long_comments(file)] == []


def test_links_and_anchors_resolve() -> None:
    assert wrong(dead_links) == []


def test_paths_exist() -> None:
    assert wrong(missing_paths) == []


def test_names_of_code_exist() -> None:
    assert wrong(missing_names) == []


def test_members_of_classes_exist() -> None:
    assert wrong(missing_members) == []


def test_tests_that_pages_name_exist() -> None:
    code = "\n".join(read(path) for path in (ROOT / "tests").rglob("test_*.py"))
    existing = {*re.findall(r"def (test_\w+)", code), *(path.stem for path in (ROOT / "tests").rglob("test_*.py"))}
    named = {test for page in PAGES for test in TEST.findall(read(page))}
    assert len(named) > 50
    assert sorted(named - existing) == []


def test_every_page_of_docs_is_in_an_index() -> None:
    pages = {page for page in PAGES if ROOT / "docs" in page.parents}
    indexes = {page for page in pages if page.name == "README.md"}
    linked = {(page.parent / link).resolve() for page in indexes for link in LINK.findall(without_code(page))}
    assert sorted(map(str, pages - linked - indexes)) == []


def test_the_checks_find_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`: c?\n[x](#a-b-c) [y](#d) [z](gone.md) [w](page.md#a-b-c)\n```\n[v](gone.md)\n```\n")
    assert list(dead_links(page)) == ["#d", "gone.md"]
    page.write_text("`mpc/price.py`, tests/gone. /opt/docs/a, configs/registers/….yaml, controller/…, [docs/a.md](x)")
    assert list(missing_paths(page)) == ["tests/gone", "docs/a.md"]
    page.write_text(f"{'x ' * 71}\n\n![{'x ' * 71}](y.svg)\n\n| {'x ' * 71} |\n```\n{'x ' * 71}\n```\n")
    assert len(list(long_lines(page))) == 1
    page.write_text("`mpc.price` `core.prices.PriceSignal` `mpc.gone` `core.prices.Gone`")
    assert list(missing_names(page)) == ["mpc.gone", "core.prices.Gone"]
    page.write_text("`PriceSignal.h` `PriceSignal.gone` `Gone.h`")
    assert list(missing_members(page)) == ["PriceSignal.gone", "Gone.h"]
