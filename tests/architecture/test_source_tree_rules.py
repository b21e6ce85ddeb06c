"""What the checks of the source tree find in trees made for them."""

from pathlib import Path

import pytest

from tests.support import source_tree
from tests.support.source_tree import Module, Name

ORDER = (("roof",), ("left", "right"), ("cellar",))


def tree(root: Path, **files: str) -> tuple[Module, ...]:
    """Modules by path, with __ for /."""
    for name, source in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return source_tree.modules(root, source_tree.packages(root))


@pytest.mark.parametrize(
    ("importer", "target", "found"),
    [
        ("roof__a", "cellar.a", []),
        ("cellar__a", "roof.a", ["cellar.a → roof.a"]),
        ("left__a", "right.a", ["left.a → right.a"]),
        ("cellar__a", "json", []),
    ],
)
def test_imports_upwards_and_sideways_are_found_within_functions_too(
    importer: str, target: str, found: list[str], tmp_path: Path
) -> None:
    empty = dict.fromkeys(("roof__a", "left__a", "right__a", "cellar__a"), "")
    modules = tree(tmp_path, **(empty | {importer: f"def f():\n    import {target}\n"}))
    assert source_tree.against(ORDER, source_tree.imports(modules)) == found


def test_a_cycle_is_found_between_modules_and_between_packages(tmp_path: Path) -> None:
    modules = tree(
        tmp_path,
        top__one__a="from top.two import b\n",
        top__two__b="from top.one.c import x\n",
        top__one__c="import top.one.d\n",
        top__one__d="from top.one import c\n",
        other__e="",
    )
    assert source_tree.cycles(source_tree.imports(modules)) == [("top.one", "top.two"), ("top.one.c", "top.one.d")]


def test_a_package_that_imports_what_imports_it_is_a_cycle(tmp_path: Path) -> None:
    modules = tree(tmp_path, top__one__a="from top.one import f\n")
    (tmp_path / "top" / "one" / "__init__.py").write_text("from top.one.a import f\n")
    modules = source_tree.modules(tmp_path, ["top"])
    assert source_tree.cycles(source_tree.imports(modules)) == [("top.one", "top.one.a")]


def test_a_chain_is_no_cycle(tmp_path: Path) -> None:
    modules = tree(tmp_path, top__a="from top import b\n", top__b="from top.c import x\n", top__c="x = 1\n")
    assert source_tree.imports(modules)["top.b"] == {"top.c"}
    assert source_tree.cycles(source_tree.imports(modules)) == []


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"top/a.py:1: a relative import"):
        source_tree.imports(tree(tmp_path, top__a="from . import b\n", top__b=""))


def test_names_are_those_of_modules_classes_functions_and_parameters(tmp_path: Path) -> None:
    (module,) = tree(tmp_path, top__a="class ReadBack:\n    async def f(self, p_kw, *rest, q=0, **more): ...\n")
    assert {(name.kind, name.text) for name in module.names} == {
        ("module", "a"), ("class", "ReadBack"), ("function", "f"),
        *(("parameter", text) for text in ("self", "p_kw", "rest", "q", "more")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [("read_back", "read back"), ("ReadBack", "read back"), ("OpcUaTLS", "opc ua tls"), ("_x2_kW", "x 2 k w")],
)
def test_words_of_a_name(text: str, words: str) -> None:
    assert Name("class", text, "a.py").words == set(words.split())


def test_a_class_that_two_files_define(tmp_path: Path) -> None:
    modules = tree(tmp_path, top__a="class A: ...\nclass B: ...\n", top__b="class A: ...\n")
    assert source_tree.repeated_classes(modules) == {"A": ["top/a.py", "top/b.py"]}


def test_lengths_are_those_of_the_file_and_from_def_to_the_last_line(tmp_path: Path) -> None:
    (module,) = tree(tmp_path, top__a="@staticmethod\ndef f():\n    return 1\n")
    assert (module.lines, list(module.functions)) == (3, [("f", 2)])


def test_headings_and_prose_are_outside_code() -> None:
    page = "# One\ntext [a](b.md)\n```sh\n# no heading\n```\n| a | table |\n## Two\n"
    assert source_tree.headings(page) == ["One", "Two"]
    assert source_tree.prose(page) == ["# One", "text [a](b.md)", "## Two"]
