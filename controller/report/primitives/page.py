"""The page: one HTML file without scripts, fonts or other external resources, and its header."""

from collections.abc import Iterable
from importlib.resources import files

from controller.report.primitives.markup import Markup, joined, tag


def document(title: str, *content: Markup) -> Markup:
    """A complete HTML file, with its figures."""
    css = files("controller.report").joinpath("page.css").read_text(encoding="utf-8")
    head = joined(
        Markup('<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        tag("title", title),
        Markup(f"\n<style>\n{css}</style>"),
    )
    body = tag("main", *content)
    text = f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
    return Markup(text, body.figures)


def masthead(command: str, name: str, facts: str, *words: Markup, tiles: Iterable[Markup] = ()) -> Markup:
    """The header of a page: what ran, on which data, how it ended, and the key figures."""
    return tag(
        "header",
        tag("p", f"gridlab {command}", class_="eyebrow"),
        tag("h1", name),
        tag("p", facts, class_="facts"),
        *words,
        tag("dl", *tiles, class_="tiles"),
    )


def banner(kind: str, title: str, text: str, *more: Markup) -> Markup:
    """A coloured box; ``kind`` is good, warn or bad."""
    return tag("div", tag("strong", title), tag("p", text), *more, class_=f"banner {kind}", role="status")


def tile(name: str, value: str, note: str) -> Markup:
    """A key figure, for a list of class tiles."""
    return tag("div", tag("dt", name), tag("dd", value, tag("small", note)), class_="tile")
