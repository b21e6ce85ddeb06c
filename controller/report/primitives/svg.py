"""Figures as SVG: reproducible bytes, small, and with ids that do not collide within a page."""

import io
import re
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from controller.report.primitives.style import THEMED, settings

NO_METADATA: dict[str, None] = {"Creator": None, "Date": None, "Format": None, "Type": None}
NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
TAG = re.compile(r"<[^>]*>")
PNG_DPI = 200
NUMBER = re.compile(r"-?\d+\.\d{3,}")
PATH = re.compile(r'(?<= d=")[^"]*')
HASHED = re.compile(r'((?:\bid="|#))([A-Za-z]+[0-9a-f]{10})\b')
"""Definition or use of an id that contains a hash."""
THEMED_COLOUR = re.compile("|".join(THEMED))
POINT = re.compile(r"([ML]) (\S+) (\S+)")


def save(figure: Figure, path: Path) -> None:
    """Write the figure to a file."""
    path.write_text(rendered(figure), encoding="utf-8")


def png(figure: Figure) -> bytes:
    """The figure as pixels on white, for texts that cannot hold an SVG."""
    file = io.BytesIO()
    with settings():
        figure.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return file.getvalue()


def inline(svg: str, key: str, label: str) -> str:
    """An SVG element for a page, whose style sheet may set ``--figure-*`` to replace the colours of :data:`THEMED`.

    Args:
        svg: the text of an SVG file.
        key: prefix of its ids, unique in the page.
        label: text for screen readers.
    """
    svg = svg[svg.index("<svg") :]
    svg = TAG.sub(lambda tag: THEMED_COLOUR.sub(_themed, tag[0]), svg)
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{key}-", svg)
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box is not None, "matplotlib writes a viewBox"
    return f'<svg {NAMESPACES} {view_box[0]} role="img" aria-label="{escape(label)}">' + svg[svg.index(">") + 1 :]


def _themed(colour: re.Match[str]) -> str:
    return f"var(--figure-{THEMED[colour[0]]}, {colour[0]})"


def rendered(figure: Figure) -> str:
    """The text of an SVG file of the figure."""
    file = io.StringIO()
    with settings():
        figure.savefig(file, format="svg", metadata=NO_METADATA)
    svg = TAG.sub(lambda tag: NUMBER.sub(_rounded, tag[0]), _renamed(file.getvalue()))
    svg = PATH.sub(lambda path: _shortened(path[0]), svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _renamed(svg: str) -> str:
    """Number the ids in order of appearance: their hashes depend on digits that differ between two runs."""
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return found[1] + names.setdefault(found[2], f"n{len(names)}")

    return TAG.sub(lambda tag: HASHED.sub(named, tag[0]), svg)


def _rounded(number: re.Match[str]) -> str:
    """Round to a hundredth of a point."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _shortened(path: str) -> str:
    """Path data with one coordinate where only one changes, as at the corners of a step plot."""
    words, x, y = [], "", ""
    for command in filter(None, map(str.strip, path.splitlines())):
        point = POINT.fullmatch(command)
        if point is None:
            words.append(command)
            x, y = "", ""
        else:
            kind, new_x, new_y = point.groups()
            moved = [f"H{new_x}"] if kind == "L" and new_y == y else [f"V{new_y}"] if kind == "L" and new_x == x else []
            words += moved or [f"{kind}{new_x} {new_y}"]
            x, y = new_x, new_y
    return "".join(words)
