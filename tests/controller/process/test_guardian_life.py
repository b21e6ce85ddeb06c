"""When a guardian counts as living: a young sign of this boot and of our converters, and a process behind it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from math import inf, nan
from pathlib import Path

import pytest

from controller.process.failures import RecordError
from controller.process.guardian_life import SIGN, GuardianSign, ReliedOn, guarded_hash
from controller.process.lock import GUARDIAN_LOCK, exclusive_lock
from core.load import load_config
from tests.support.disks import child, on_a_full_disk
from tests.support.paths import CONFIG

BOOT, NOW_S = "this boot", 1000.0
OURS = ReliedOn("ours", BOOT)
YOUNG = GuardianSign("ours", datetime(2018, 6, 21, tzinfo=UTC), NOW_S - 1.0, BOOT)


@contextmanager
def living(state: Path, sign: GuardianSign = YOUNG) -> Iterator[None]:
    with exclusive_lock(state, GUARDIAN_LOCK, "guardian"):
        sign.write(state)
        yield


def test_a_young_sign_of_a_living_process(tmp_path: Path) -> None:
    with living(tmp_path):
        assert OURS.life(tmp_path, NOW_S).living
        assert OURS.life(tmp_path, NOW_S + 9.0).living
    assert OURS.life(tmp_path, NOW_S).absent == "it has ended"


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"monotonic_s": NOW_S - 10.5}, "its last sign of life is 10 s old"),
        ({"monotonic_s": NOW_S + 1.0}, "guardian.json lies in the future"),
        ({"monotonic_s": nan}, "guardian.json lies in the future"),
        ({"monotonic_s": -inf}, "guardian.json lies in the future"),
        ({"boot": "another boot"}, "it has not been started since this computer was"),
        ({"boot": None}, "it has not been started since this computer was"),
        ({"guards": "others"}, "it was started with other converters: restart it"),
        ({"schema_version": 2}, "guardian.json is of version 2"),
    ],
)
def test_a_sign_that_proves_nothing(change: dict[str, object], absent: str, tmp_path: Path) -> None:
    with living(tmp_path, replace(YOUNG, **change)):  # type: ignore[arg-type]
        assert OURS.life(tmp_path, NOW_S).absent == absent


def test_no_sign_or_none_that_can_be_read(tmp_path: Path) -> None:
    with living(tmp_path):
        (tmp_path / SIGN).unlink()
        assert OURS.life(tmp_path, NOW_S).absent == "it was never started"
        for damaged in (b"", b"{", b"\0" * 512, json.dumps({"at": 1}).encode()):
            (tmp_path / SIGN).write_bytes(damaged)
            assert "guardian.json is unreadable" in OURS.life(tmp_path, NOW_S).absent


def test_a_lock_file_that_was_removed_hides_no_living_guardian(tmp_path: Path) -> None:
    with living(tmp_path):
        (tmp_path / GUARDIAN_LOCK).unlink()
        assert OURS.life(tmp_path, NOW_S).living


HOLDER = """
import sys
from pathlib import Path
from controller.process.lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "guardian.lock", "guardian"):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_leaves_no_life_behind(tmp_path: Path) -> None:
    YOUNG.write(tmp_path)
    with ExitStack() as stack:
        process = stack.enter_context(child(HOLDER, tmp_path))
        assert process.stdout
        assert process.stdout.readline() == "holds\n"
        assert OURS.life(tmp_path, NOW_S).living
        process.kill()
        process.wait()
        assert OURS.life(tmp_path, NOW_S).absent == "it has ended"


SIGNS = """
from datetime import UTC, datetime
from pathlib import Path
from controller.process.guardian_life import GuardianSign
GuardianSign("ours", datetime(2018, 6, 21, tzinfo=UTC), {at}, None).write(Path("."))
"""


def test_a_full_disk_keeps_nobody_from_giving_a_sign(tmp_path: Path) -> None:
    then = SIGNS.format(at=2.0) + 'print(Path("guardian.json").read_text())'
    assert json.loads(on_a_full_disk(SIGNS.format(at=1.0), then, tmp_path))["monotonic_s"] == 2.0


def test_a_sign_that_cannot_be_written_is_a_record_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=SIGN):
        YOUNG.write(tmp_path / "nowhere")


def test_what_is_guarded_is_every_converter_with_its_address() -> None:
    config = load_config(CONFIG)
    first, *others = config.devices
    assert guarded_hash(config) == guarded_hash(load_config(CONFIG))
    moved = config.model_copy(update={"devices": (first.model_copy(update={"host": "192.0.2.9"}), *others)})
    assert first.name in config.converters
    assert guarded_hash(moved) != guarded_hash(config)
