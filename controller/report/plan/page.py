"""The page of a day-ahead plan."""

from controller.report.plan.chapters import chapters
from controller.report.plan.header import header
from controller.report.plan.record import Record
from controller.report.primitives.markup import Markup
from controller.report.primitives.page import document


def page(record: Record, other: Record | None) -> Markup:
    """report.html of a day-ahead plan, with a second plan to compare if there is one."""
    title = f"{record.summary.name}, {record.summary.scenario.date}"
    return document(title, header(record), *chapters(record, other))
