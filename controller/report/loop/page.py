"""The page of a closed loop."""

from controller.report.loop.chapters import chapters
from controller.report.loop.header import header
from controller.report.loop.record import LoopRecord
from controller.report.primitives.markup import Markup
from controller.report.primitives.page import document


def loop_page(record: LoopRecord, other: LoopRecord | None) -> Markup:
    """report.html of a closed-loop run, with a second run to compare if there is one."""
    title = f"{record.summary.name}, {record.summary.scenario.date}, {record.summary.kind}"
    return document(title, header(record), *chapters(record, other))
