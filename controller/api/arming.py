"""ACTIVE in two steps: armed, then confirmed within 30 s by a word that is good once."""

from dataclasses import dataclass
from hmac import compare_digest
from secrets import token_urlsafe

from controller.process.modes import Mode
from core.time import Clock

ARMED_S = 30.0


@dataclass(frozen=True)
class _Given:
    nonce: str
    mode: Mode
    until_s: float


class Arming:
    """One nonce at a time; a newer one, and whatever changes the mode, takes it back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: _Given | None = None

    def arm(self, mode: Mode) -> str:
        """A nonce that is good in this mode."""
        self._given = _Given(token_urlsafe(16), mode, self._clock.monotonic_s() + ARMED_S)
        return self._given.nonce

    def disarm(self) -> None:
        """Nothing may be confirmed."""
        self._given = None

    def confirms(self, nonce: str, mode: Mode) -> bool:
        """Whether it is the one that stands; then it has been used."""
        given = self._given
        if given is None or not compare_digest(given.nonce.encode(), nonce.encode()):
            return False
        self._given = None
        return given.mode is mode and self._clock.monotonic_s() < given.until_s
