"""What a fuzzing campaign counts, and the limit it must not reach: one crash, one wrong value."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from pymodbus.exceptions import ModbusIOException

SHOWN = 10
"""Findings of a kind that are kept in words."""


@dataclass
class Findings:
    """Inputs tried, those that were accepted, and what should not have happened."""

    tried: int = 0
    accepted: int = 0
    crashes: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    def crash(self, text: str) -> None:
        """Something other than the promised error came out."""
        self.crashes += 1
        self._keep(f"crash: {text}")

    def stray(self, error: BaseException) -> None:
        """An error that nobody awaited; pymodbus says so of a frame, and loses the connection for it."""
        if not isinstance(error, ModbusIOException):
            self.crash(repr(error))

    def falsehood(self, text: str) -> None:
        """A value was accepted that is not there, or one refused that is."""
        self.wrong += 1
        self._keep(f"wrong: {text}")

    def _keep(self, text: str) -> None:
        if len(self.examples) < SHOWN:
            self.examples.append(text)

    @property
    def clean(self) -> bool:
        return not self.crashes and not self.wrong


def total(parts: Iterable[Findings]) -> Findings:
    """The sum of several campaigns."""
    whole = Findings()
    for part in parts:
        whole.tried += part.tried
        whole.accepted += part.accepted
        whole.crashes += part.crashes
        whole.wrong += part.wrong
        whole.examples += part.examples[: SHOWN - len(whole.examples)]
    return whole


def dice(seed: int, *names: object) -> random.Random:
    """A source of chance of its own for each campaign."""
    return random.Random(f"{seed} {names}")
