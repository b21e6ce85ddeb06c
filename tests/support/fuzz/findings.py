"""Counts of a fuzzing campaign; neither a crash nor a wrong value is allowed."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from pymodbus.exceptions import ModbusIOException

SHOWN = 10
"""Number of findings of a kind whose text is kept."""


@dataclass
class Findings:
    """Numbers of inputs tried, inputs accepted, crashes and wrong values."""

    tried: int = 0
    accepted: int = 0
    crashes: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    def crash(self, text: str) -> None:
        """Count an error other than the promised one."""
        self.crashes += 1
        self._keep(f"crash: {text}")

    def stray(self, error: BaseException) -> None:
        """Count an error that nothing awaited; pymodbus raises one for a malformed frame, and closes the connection."""
        if not isinstance(error, ModbusIOException):
            self.crash(repr(error))

    def wrong_value(self, text: str) -> None:
        """Count a value that was accepted though it is not there, or refused though it is."""
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
    """A random generator of its own for each campaign."""
    return random.Random(f"{seed} {names}")
