"""Invariant 16, the commanded mode: broken by one thing at a time in runs written by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller.chaos.command_log import commanding
from controller.judge.case import Kind
from controller.judge.histories import COMMANDS, STOP_ORDER, GivenCommand, Histories
from controller.process.talk import FollowerError
from controller.record.audit_lines import AuditNote
from tests.controller.judge.handmade import at, calm, fault, numbers

RESUMED = calm(dead=range(5, 6))
"""Died after cycle 4, and was ACTIVE again in cycle 6."""
DEATH = fault(Kind.DEATH, 4.5, 5.5)


def commanded(run: Histories, *commands: GivenCommand) -> set[int]:
    return numbers(replace(run, commands=commands), DEATH)


def given(k: float, order: str, error: str | None = None) -> GivenCommand:
    return GivenCommand(at(k), order, error)


@pytest.mark.parametrize("order", ["off", "monitor", STOP_ORDER])
def test_active_after_a_death_although_something_lower_was_commanded(order: str) -> None:
    assert commanded(RESUMED) == set()
    assert commanded(RESUMED, given(4.2, order)) == {16}


def test_a_later_command_to_active_is_obeyed() -> None:
    assert commanded(RESUMED, given(4.2, STOP_ORDER), given(5, "active")) == set()
    assert commanded(RESUMED, given(4.2, STOP_ORDER), given(5, "monitor")) == {16}


def test_a_refused_command_raises_and_lowers_nothing() -> None:
    assert commanded(RESUMED, given(4.2, "monitor", "refused")) == set()
    assert commanded(RESUMED, given(4.2, "monitor"), given(5, "active", "refused")) == {16}


def test_setpoints_that_go_on_after_a_command() -> None:
    assert numbers(replace(calm(), commands=(given(10.5, "monitor"),))) == {16}


def begun_again(mode: str, *, by_command: bool = False) -> Histories:
    """Released and ended in cycle 10; another service begins in cycle 15."""
    run = calm(10)
    seq = max(record.seq for record in run.audit) + 1
    command = (AuditNote(seq, at(15), "command", f"mode {mode}, operator"),) if by_command else ()
    note = AuditNote(seq + len(command), at(15), "mode", f"off → {mode}")
    return replace(run, audit=(*run.audit, *command, note))


def test_off_stays_off_also_after_a_stop() -> None:
    end, stop, off = fault(Kind.STOP, 10, 20), given(10, STOP_ORDER), given(10, "off")
    monitor = begun_again("monitor")
    assert numbers(replace(monitor, commands=(stop,)), end) == set()
    assert numbers(replace(monitor, commands=(off, stop)), end) == {16}
    assert numbers(replace(monitor, commands=(off, given(14, "monitor"))), end) == set()


def test_a_release_on_record_binds_the_next_service() -> None:
    """Nobody's command is on record: that the predecessor left ACTIVE is enough."""
    death = fault(Kind.DEATH, 10, 15)
    assert numbers(begun_again("active"), death) == {16}
    assert numbers(begun_again("active", by_command=True), death) == set()


def test_the_clock_master_records_what_it_commands(tmp_path: Path) -> None:
    with commanding(tmp_path, at(1), {"poll": 30.0}):
        pass
    assert not (tmp_path / COMMANDS).exists()
    with commanding(tmp_path, at(1), {"mode": "active", "who": "operator"}):
        pass
    with pytest.raises(FollowerError), commanding(tmp_path, at(2), {"stop": 60.0}):
        raise FollowerError("refused")
    first, second = (tmp_path / COMMANDS).read_text(encoding="utf-8").splitlines()
    assert '"order": "active", "error": null' in first
    assert '"order": "stop", "error": "refused"' in second
