"""A chapter: a heading, a table or figure, and an explanation."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from controller.report.primitives import svg
from controller.report.primitives.markup import Drawn, Markup, tag


def chapter(title: str, *content: Markup, key: str | None = None) -> Markup:
    """A heading and its content; ``key`` is an id for links within the page."""
    return tag("section", tag("h2", title), *content, **({} if key is None else {"id": key}))


def figure_chapter(title: str, figure: Figure, key: str, reading: str) -> Markup:
    """A chapter with a figure; ``key`` is its unique id in the page."""
    shown = figure_element(figure, key, title)
    return tag("section", tag("h2", title), shown, tag("p", reading, class_="reading"), class_="drawn", id=key)


def figure_element(figure: Figure, key: str, title: str) -> Markup:
    """The figure alone."""
    drawn = Drawn(key, svg.rendered(figure), svg.png(figure))
    return tag("figure", Markup(svg.inline(drawn.svg, key, title), (drawn,)))


def note(text: str) -> Markup:
    """A text that explains the content above it."""
    return tag("p", text, class_="note")


def origin(command: str, given: Mapping[str, str]) -> Markup:
    """The chapter on reproducing the run."""
    items = [part for name, value in given.items() for part in (tag("dt", name), tag("dd", value))]
    return chapter("How to reproduce it", tag("pre", command), tag("dl", *items, class_="origin"))
