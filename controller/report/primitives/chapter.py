"""A chapter: a heading, a table or figure, and how to read it."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from controller.report.primitives import svg
from controller.report.primitives.markup import Markup, tag


def chapter(title: str, *content: Markup, key: str | None = None) -> Markup:
    """A heading and what belongs to it; ``key`` is the id by which others of the page refer to it."""
    return tag("section", tag("h2", title), *content, **({} if key is None else {"id": key}))


def drawn(title: str, figure: Figure, key: str, reading: str) -> Markup:
    """A chapter that consists of a figure; ``key`` tells it from others of the page."""
    shown = drawing(figure, key, title)
    return tag("section", tag("h2", title), shown, tag("p", reading, class_="reading"), class_="drawn", id=key)


def drawing(figure: Figure, key: str, title: str) -> Markup:
    """The figure alone."""
    return tag("figure", Markup(svg.inline(figure, key, title)))


def note(text: str) -> Markup:
    """How to read what stands above it."""
    return tag("p", text, class_="note")


def origin(command: str, given: Mapping[str, str]) -> Markup:
    """How to get the same again."""
    items = [part for name, value in given.items() for part in (tag("dt", name), tag("dd", value))]
    return chapter("How to reproduce it", tag("pre", command), tag("dl", *items, class_="origin"))
