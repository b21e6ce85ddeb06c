"""The guardian's sign of life, and whether a service may rely on it: a guardian that lives, of this very folder and of
these converters.

``guardian.json`` is overwritten in place after every look at the heartbeat, which needs no free block of the disk. The
file alone proves nothing: it must be young on the clock of this boot, and a living process must hold the guardian's
lock of the folder.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from math import isfinite
from pathlib import Path

from controller.process.failures import recording
from controller.process.files import overwrite
from controller.process.lock import GUARDIAN_LOCK, is_held
from core.codec import CodecError, decode, encode
from core.config import Config

SIGN = "guardian.json"
YOUNG_S = 10.0
"""Age (s) up to which a sign of life counts in real time, in which the guardian gives one every second."""
_BYTES = 512
_SCHEMA_VERSION = 1
_TOLERANCE_S = 0.1
"""How far a sign may lie ahead: its writer read the clock on another processor."""


@dataclass(frozen=True)
class GuardianSign:
    """A sign of life.

    Attributes:
        guards: :func:`guarded_hash` of the configuration that it was started with.
        at: wall clock, for human readers; no decision depends on it.
        monotonic_s, boot: as in :class:`~controller.process.heartbeat.Heartbeat`.
    """

    guards: str
    at: datetime
    monotonic_s: float
    boot: str | None
    schema_version: int = _SCHEMA_VERSION

    def write(self, state: Path) -> None:
        """Overwrite the file of this state folder; it is created if needed.

        Raises:
            RecordError: it cannot be written.
        """
        path = state / SIGN
        line = json.dumps(encode(self)).encode("ascii").ljust(_BYTES - 1) + b"\n"
        with recording(path):
            path.touch(0o640)
            overwrite(path, line, 0, durable=False)


@dataclass(frozen=True)
class GuardianLife:
    """Whether a guardian lives that may be relied on: ``absent`` says why not, and is empty if it does."""

    absent: str = ""

    @property
    def living(self) -> bool:
        """Whether it does."""
        return not self.absent


@dataclass(frozen=True)
class ReliedOn:
    """What a service asks of its guardian.

    Attributes:
        guards: :func:`guarded_hash` of its own configuration.
        boot: of its own clock; None in virtual time.
        young_s: age up to which a sign of life counts.
    """

    guards: str
    boot: str | None
    young_s: float = YOUNG_S

    def life(self, state: Path, now_s: float) -> GuardianLife:
        """Whether a guardian of this state folder lives, at ``now_s`` of the service's clock; reads two files."""
        try:
            sign = decode(GuardianSign, json.loads((state / SIGN).read_bytes()))
        except FileNotFoundError:
            return GuardianLife("it was never started")
        except (OSError, CodecError, ValueError) as error:
            return GuardianLife(f"{SIGN} is unreadable: {error}")
        return GuardianLife(self._fault(sign, now_s) or ("" if is_held(state, GUARDIAN_LOCK) else "it has ended"))

    def _fault(self, sign: GuardianSign, now_s: float) -> str:
        age_s = now_s - sign.monotonic_s
        if sign.schema_version != _SCHEMA_VERSION:
            return f"{SIGN} is of version {sign.schema_version}"
        if sign.boot != self.boot:
            return "it has not been started since this computer was"
        if not isfinite(age_s) or age_s < -_TOLERANCE_S:
            return f"{SIGN} lies in the future"
        if age_s > self.young_s:
            return f"its last sign of life is {age_s:.0f} s old"
        if sign.guards != self.guards:
            return "it was started with other converters: restart it"
        return ""


def guarded_hash(config: Config) -> str:
    """Hash of all converters, with their addresses and everything else that a release of them needs."""
    converters = {name: device.model_dump(mode="json") for name, device in config.converters.items()}
    return sha256(json.dumps(converters, sort_keys=True).encode()).hexdigest()
