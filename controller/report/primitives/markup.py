"""HTML with automatic escaping: text becomes markup only through :func:`tag`."""

from dataclasses import dataclass
from html import escape
from typing import Self


@dataclass(frozen=True)
class Drawn:
    """A figure of a page: its ``key``, unique in the page, and its SVG and PNG files."""

    key: str
    svg: str
    png: bytes


class Markup(str):
    """Text that is HTML already, with the figures drawn in it."""

    figures: tuple[Drawn, ...]

    def __new__(cls, text: str, figures: tuple[Drawn, ...] = ()) -> Self:
        """Attach the figures to the text."""
        markup = super().__new__(cls, text)
        markup.figures = figures
        return markup


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """An element; children are escaped unless they are markup. ``class_`` stands for class, ``_`` for ``-``."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    content = joined(*children)
    return Markup(f"<{name}{given}>{content}</{name}>", content.figures)


def joined(*children: object) -> Markup:
    """The children in sequence, escaped unless they are markup."""
    text = "".join(child if isinstance(child, Markup) else escape(str(child)) for child in children)
    return Markup(text, tuple(one for child in children if isinstance(child, Markup) for one in child.figures))


def table(head: list[Markup], rows: list[Markup], foot: Markup | None = None) -> Markup:
    """A table that scrolls horizontally on a narrow page."""
    end = [tag("tfoot", foot)] if foot else []
    return tag("div", tag("table", tag("thead", *head), tag("tbody", *rows), *end), class_="scroll")


def row(cell: str, first: object, *others: object) -> Markup:
    """A row of ``cell`` elements (td or th); the first is the row's header. Others may be complete cells."""
    name = tag("th", first, scope="row" if cell == "td" else "col")
    more = {"scope": "col"} if cell == "th" else {}
    return tag("tr", name, *(other if isinstance(other, Markup) else tag(cell, other, **more) for other in others))
