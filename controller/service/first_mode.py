"""The mode in which a service begins: the commanded one, or a lower one.

| commanded | begins in |
|---|---|
| OFF, MONITOR | that mode |
| ACTIVE | ACTIVE after a short absence; MONITOR after a long or unknown one, and in a crash loop |
| damaged, or gone from a folder that has been used | OFF, the lowest |
| nothing, in the journal of an older version | as that journal says, but MONITOR for ACTIVE |
| nothing, in a new folder | MONITOR |
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.process.commanded import COMMANDED, Commanded, NoCommand
from controller.process.failures import RecordError
from controller.process.heartbeat import NoHeartbeat, read_heartbeat
from controller.process.modes import Mode
from controller.record.records import Severity
from controller.service.alarms import Finding
from controller.service.memory import RESUME_WITHIN_S, Memory

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstMode:
    """The mode and why; ``alarms`` by kind if an operator has to look."""

    mode: Mode
    why: str
    alarms: Mapping[str, Finding] = field(default_factory=dict)


def unrecorded_mode(found: NoCommand, memory: Memory, state: Path) -> FirstMode:
    """The mode to begin with where no commanded one is known."""
    older = memory.older_mode()
    if found is NoCommand.MISSING and older is not None:
        return FirstMode(older.at_most(Mode.MONITOR), f"{older} in the journal of an older version")
    used = memory.absence() is not None or read_heartbeat(state) is not NoHeartbeat.MISSING
    if found is NoCommand.MISSING and not used:
        return FirstMode(Mode.MONITOR, "first start")
    return _alarmed(Mode.OFF, "damaged", f"{COMMANDED} is {found}: what was commanded is unknown")


def first_mode(found: Commanded | NoCommand, memory: Memory) -> FirstMode:
    """The mode to begin with; a start in ACTIVE is counted in the journal."""
    if not isinstance(found, Commanded):
        return FirstMode(Mode.OFF, f"{COMMANDED} is {found}")
    return _resumed(memory) if found.mode is Mode.ACTIVE else FirstMode(found.mode, found.why)


def _resumed(memory: Memory) -> FirstMode:
    absence = memory.absence()
    if absence is None or absence.at_most_s > RESUME_WITHIN_S:
        ago = "of unknown length" if absence is None or absence.at_most_s > absence.at_least_s else "too long"
        return FirstMode(Mode.MONITOR, f"an absence {ago}")
    try:
        looped = memory.crash_loop()
    except RecordError as error:
        return _alarmed(Mode.MONITOR, "crash loop", f"starts cannot be counted: {error}")
    if looped:
        text = "ended in ACTIVE again and again without being told to: an operator has to look"
        return _alarmed(Mode.MONITOR, "crash loop", text)
    return FirstMode(Mode.ACTIVE, "resumed")


def _alarmed(mode: Mode, kind: str, text: str) -> FirstMode:
    _log.error("begins in %s: %s: %s", mode, kind, text)
    return FirstMode(mode, text, {kind: Finding(kind, Severity.ALARM, "service", text)})
