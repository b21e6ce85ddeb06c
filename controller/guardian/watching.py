"""When a guardian takes over, and when it steps back. Pure: what is known, what is found and the time go in.

Silence counts from the moment a heartbeat was written, or from when it was first seen if its clock cannot be compared
with ours: that of an earlier boot, or one ahead of us.

| found | then |
|---|---|
| nothing, ever | nothing to guard: no service has been ACTIVE here |
| ACTIVE | armed; silent for ``silence_s``: take over |
| OFF, MONITOR | disarmed: such a service has no object that could write |
| damaged, or gone | silence goes on; a damaged file arms, as nobody knows what it said |
| ACTIVE again of the epoch that was overtaken | the old writer is back: release again, once per sign of it |
| ACTIVE of a higher epoch | a new writer has begun: step back, armed again |
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from controller.process.heartbeat import Heartbeat, Sight
from controller.process.modes import Mode

SILENCE_S = 60.0
"""Without a completed cycle, before the guardian takes over: two cycles. The leases of 75 s end after that."""
UNKNOWN_EPOCH = 0
"""Below that of any writer."""


class Action(StrEnum):
    """What to do now."""

    NOTHING = "nothing"
    TAKE_OVER = "take over"
    STEP_BACK = "step back"


@dataclass(frozen=True)
class Watching:
    """What a guardian knows.

    Attributes:
        heartbeat: the newest good one.
        alive_s: from when silence counts; None while there is nobody to guard.
        overtaken: epoch of the writer that the guardian stands in for; None while it does not.
    """

    heartbeat: Heartbeat | None = None
    alive_s: float | None = None
    overtaken: int | None = None


def watch(
    known: Watching, found: Heartbeat | Sight, now_s: float, boot: str | None, silence_s: float = SILENCE_S
) -> tuple[Watching, Action]:
    """What is known after a look at the heartbeat, and what to do.

    Args:
        now_s: on the clock of ``boot`` that heartbeats carry.
    """
    action = Action.NOTHING
    if isinstance(found, Heartbeat) and found != known.heartbeat:
        known, action = _heard(known, found, now_s, boot)
    elif found is Sight.DAMAGED and known.alive_s is None and known.overtaken is None:
        known = replace(known, alive_s=now_s)
    if known.alive_s is not None and now_s - known.alive_s >= silence_s:
        overtaken = known.heartbeat.epoch if known.heartbeat else UNKNOWN_EPOCH
        return Watching(known.heartbeat, overtaken=overtaken), Action.TAKE_OVER
    return known, action


def _heard(known: Watching, found: Heartbeat, now_s: float, boot: str | None) -> tuple[Watching, Action]:
    if found.mode is not Mode.ACTIVE:
        return Watching(found), Action.NOTHING
    if known.overtaken is not None and found.epoch <= known.overtaken:
        return replace(known, heartbeat=found), Action.TAKE_OVER
    alive_s = min(found.monotonic_s, now_s) if found.boot == boot else now_s
    return Watching(found, alive_s), Action.STEP_BACK
