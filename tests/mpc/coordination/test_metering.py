"""Messages are counted with the numbers in them, whatever carries them."""

from dataclasses import dataclass

import numpy as np
import pytest

from mpc.coordination import rounds
from mpc.coordination.metering import MessageMeter, payload_bytes
from mpc.coordination.participants import ProsumerNode


@dataclass(frozen=True)
class Body:
    text: str
    numbers: np.ndarray
    pairs: dict[tuple[int, int], float]


@pytest.mark.parametrize(
    ("body", "numbers"),
    [(1.5, 1), (None, 0), (np.zeros((3, 2)), 6), ((1, [2, 3.0]), 3), (Body("a", np.ones(4), {(1, 2): 0.5}), 7)],
)
def test_a_number_has_eight_bytes(body: object, numbers: int) -> None:
    assert payload_bytes(body) == 8 * numbers


def test_a_meter_changes_nothing() -> None:
    meter, answered = MessageMeter(), list[str]()

    class Asker(ProsumerNode):
        def __init__(self) -> None:
            self.name = "asker"

        def start(self):
            return [rounds.Message("asker", "asker", 1, 2.0)]

        def react(self, inbox):
            answered.extend(message.sender for message in inbox)
            return ()

    carried = meter.over(rounds.run)([Asker()])
    assert (carried.messages, meter.messages, meter.payload_bytes, answered) == (1, 1, 8, ["asker"])
