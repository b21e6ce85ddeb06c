"""What the files of ``gridlab solve`` have in common, whatever their kind.

A kind is a subclass with a key ``kind``, its own keys and its own rules; :mod:`core.config_kinds` lists all kinds.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

from core.config_fields import Document
from core.rules import BrokenRule


class ProblemConfig(Document):
    """The whole file.

    Attributes:
        ALGORITHMS: names of the algorithms that solve the kind, the default first.
    """

    ALGORITHMS: ClassVar[type[StrEnum]]

    kind: str

    def broken_rules(self) -> Iterable[BrokenRule]:
        """Every rule between keys that does not hold.

        The configuration may be partial: a faulty key is no attribute (:func:`core.rules.known` tests for it), and a
        rule that needs it is skipped.
        """
        raise NotImplementedError
