"""HTML with automatic escaping: text becomes markup only through :func:`tag`."""

from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """An element; children are escaped unless they are markup. ``class_`` stands for class, ``_`` for ``-``."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """The children in sequence, escaped unless they are markup."""
    return Markup("".join(child if isinstance(child, Markup) else escape(str(child)) for child in children))


def table(head: list[Markup], rows: list[Markup], foot: Markup | None = None) -> Markup:
    """A table that scrolls horizontally on a narrow page."""
    end = [tag("tfoot", foot)] if foot else []
    return tag("div", tag("table", tag("thead", *head), tag("tbody", *rows), *end), class_="scroll")


def row(cell: str, first: object, *others: object) -> Markup:
    """A row of ``cell`` elements (td or th); the first is the row's header. Others may be complete cells."""
    name = tag("th", first, scope="row" if cell == "td" else "col")
    more = {"scope": "col"} if cell == "th" else {}
    return tag("tr", name, *(other if isinstance(other, Markup) else tag(cell, other, **more) for other in others))
