"""Options of ``gridlab solve``, checked."""

from collections.abc import Iterator, Mapping

from controller.solve.problem import SolveRequest
from core.algorithms import alternatives
from core.config_kinds import AnyProblem
from core.errors import Fault, InputError
from mpc.coordination.links import MessageLink

MAX_ROUNDS, BUDGET_S = 1000, 60.0
LINK: Mapping[str, tuple[type[int] | type[float], str]] = {
    "loss": (float, "a probability from 0 to 1"),
    "delay_rounds": (int, "a whole number of rounds ≥ 0"),
    "seed": (int, "a whole number ≥ 0"),
}
"""Type and allowed values of what a link can have."""


def request(
    config: AnyProblem,
    algorithm: str | None = None,
    max_rounds: int | None = None,
    budget_s: float | None = None,
    link: str | None = None,
) -> SolveRequest:
    """The request by the options of the command; None: the default.

    Raises:
        InputError: one of them is not valid.
    """
    known, faults = config.ALGORITHMS, list[Fault]()
    if algorithm is not None and algorithm not in list(known):
        faults.append(Fault("--algorithm", "", algorithm, f"{alternatives(known)}, for the kind {config.kind}"))
    for option, value in (("--max-rounds", max_rounds), ("--budget-s", budget_s)):
        if value is not None and not value > 0:
            faults.append(Fault(option, "", f"{value:g}", "a number > 0"))
    parsed = MessageLink() if link is None else _link(link, faults)
    if faults:
        raise InputError(faults)
    return SolveRequest(
        algorithm or str(next(iter(known))), max_rounds or MAX_ROUNDS, budget_s or BUDGET_S, parsed if link else None
    )


def _link(text: str, faults: list[Fault]) -> MessageLink:
    """The link that ``loss=0.3,seed=1`` describes; what is wrong is added to ``faults``."""
    values = {name: _number(name, word, faults) for name, word in _pairs(text, faults)}
    if faults:
        return MessageLink()
    return MessageLink(
        loss=float(values.get("loss", 0.0)),
        delay_rounds=int(values.get("delay_rounds", 0)),
        seed=int(values.get("seed", 0)),
    )


def _pairs(text: str, faults: list[Fault]) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, _, word = part.partition("=")
        if name in LINK:
            yield name, word
        else:
            faults.append(Fault("--link", "", part or "nothing", f"{', '.join(LINK)}, such as loss=0.3,seed=1"))


def _number(name: str, word: str, faults: list[Fault]) -> float:
    kind, allowed = LINK[name]
    try:
        value = kind(word)
    except ValueError:
        value = -1
    if not 0 <= value <= (1 if name == "loss" else 1e9):
        faults.append(Fault("--link", name, word or "nothing", allowed))
    return value
