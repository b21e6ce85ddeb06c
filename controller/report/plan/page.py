"""The page: one HTML file without scripts, fonts or anything else from elsewhere."""

from importlib.resources import files

from controller.report.plan.chapters import chapters
from controller.report.plan.header import header
from controller.report.plan.record import Record
from controller.report.primitives.markup import Markup, joined, tag


def page(record: Record, other: Record | None) -> str:
    """report.html of a day-ahead plan, beside another one if there is one."""
    title = f"{record.summary.name}, {record.summary.scenario.date}"
    return document(title, header(record), *chapters(record, other))


def document(title: str, *content: Markup) -> str:
    """A whole HTML file."""
    css = files("controller.report").joinpath("page.css").read_text(encoding="utf-8")
    head = joined(
        Markup('<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        tag("title", title),
        Markup(f"\n<style>\n{css}</style>"),
    )
    body = tag("main", *content)
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
