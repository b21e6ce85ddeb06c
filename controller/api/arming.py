"""ACTIVE in two steps: arm, then confirm within 30 s with a nonce that is valid once."""

from dataclasses import dataclass
from hmac import compare_digest
from secrets import token_urlsafe

from controller.process.modes import Mode
from core.time import Clock

ARMED_S = 30.0


@dataclass(frozen=True)
class _Nonce:
    text: str
    mode: Mode
    until_s: float


class Arming:
    """One nonce at a time; a newer one, or a change of mode, invalidates it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nonce: _Nonce | None = None

    def arm(self, mode: Mode) -> str:
        """A nonce that is valid in this mode."""
        self._nonce = _Nonce(token_urlsafe(16), mode, self._clock.monotonic_s() + ARMED_S)
        return self._nonce.text

    def disarm(self) -> None:
        """Invalidate the nonce."""
        self._nonce = None

    def confirms(self, nonce: str, mode: Mode) -> bool:
        """Whether the nonce is the valid one; then it is used up."""
        issued = self._nonce
        if issued is None or not compare_digest(issued.text.encode(), nonce.encode()):
            return False
        self._nonce = None
        return issued.mode is mode and self._clock.monotonic_s() < issued.until_s
