"""When a guardian takes over, and when it steps back: a pure function of its state, the heartbeat and the time.

Silence is counted from the time that a heartbeat was written, or from when it was first seen if its clock is not
comparable with ours: one of an earlier boot, or one ahead of us.

| heartbeat | action |
|---|---|
| never any | none: no service has been ACTIVE here |
| ACTIVE | watch it; take over after ``silence_s`` without a new one |
| OFF, MONITOR | none: such a service cannot write |
| damaged, or gone | silence goes on; a damaged file starts it, as its content is unknown |
| ACTIVE again with the epoch that was overtaken | the old writer is back: release again, once per heartbeat |
| ACTIVE with a later epoch | a new writer is active: step back, and watch it |
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from controller.process.heartbeat import Heartbeat, NoHeartbeat
from controller.process.modes import Mode
from core.epochs import NOBODY, later

SILENCE_S = 60.0
"""Time (s) without a completed cycle before the guardian takes over: two cycles. The leases (75 s) expire after
that.
"""
UNKNOWN_EPOCH = NOBODY
"""Before that of any writer."""


class Action(StrEnum):
    """What the guardian does next."""

    NOTHING = "nothing"
    TAKE_OVER = "take over"
    STEP_BACK = "step back"


@dataclass(frozen=True)
class WatchState:
    """What the guardian knows of the service.

    Attributes:
        heartbeat: the newest valid one.
        alive_s: time from which silence is counted; None while there is no writer to watch.
        overtaken: epoch of the writer that the guardian has replaced; None if it has not taken over.
    """

    heartbeat: Heartbeat | None = None
    alive_s: float | None = None
    overtaken: int | None = None


def watch(
    known: WatchState, found: Heartbeat | NoHeartbeat, now_s: float, boot: str | None, silence_s: float = SILENCE_S
) -> tuple[WatchState, Action]:
    """The state after a check of the heartbeat, and the action to take.

    Args:
        now_s: on the clock of ``boot`` that heartbeats use.
    """
    action = Action.NOTHING
    if isinstance(found, Heartbeat) and found != known.heartbeat:
        known, action = _on_new_heartbeat(known, found, now_s, boot)
    elif found is NoHeartbeat.DAMAGED and known.alive_s is None and known.overtaken is None:
        known = replace(known, alive_s=now_s)
    if known.alive_s is not None and now_s - known.alive_s >= silence_s:
        overtaken = known.heartbeat.epoch if known.heartbeat else UNKNOWN_EPOCH
        return WatchState(known.heartbeat, overtaken=overtaken), Action.TAKE_OVER
    return known, action


def _on_new_heartbeat(known: WatchState, found: Heartbeat, now_s: float, boot: str | None) -> tuple[WatchState, Action]:
    if found.mode is not Mode.ACTIVE:
        return WatchState(found), Action.NOTHING
    if known.overtaken is not None and not later(found.epoch, known.overtaken):
        return replace(known, heartbeat=found), Action.TAKE_OVER
    alive_s = min(found.monotonic_s, now_s) if found.boot == boot else now_s
    return WatchState(found, alive_s), Action.STEP_BACK
