"""Ablation of the coordination: rounds and time without each ingredient, and with more or less of it.

Every variant also runs at voltage limits of ± 4 % and on random feeders, since the default scenario alone would reward
luck.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from benchmarks.cases import scenario, with_band
from benchmarks.measure import medians_s
from benchmarks.tables import ResultTable, ratio
from benchmarks.variants import (
    AT_ANY_ERROR,
    CERTIFY_ALWAYS,
    EQUAL_WEIGHT,
    EVERY_FIFTH,
    ON_ABSOLUTE_RESIDUALS,
    ON_WHOLE_DUAL,
    UNSCALED_ROWS,
    Variant,
    constant,
    relaxation,
    start,
)
from core.algorithms import SplittingName
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.star import penalty, profile_splitting
from mpc.coordination.star.outcome import StarOutcome
from mpc.solvers import quadratic as quadratic_program
from tests.support import synthetic

FEEDERS, REPEATS = 7, 5
FIXED: dict[str, Any] = {"adaptive": False}
PLAIN: dict[str, Any] = {**FIXED, "relaxation": 1.0}
COARSE: dict[str, Any] = {"splitting": SplittingName.CONSTRAINT, "gap_tol": 1e-2, "violation_tol_pu": 1e-3}

LADDER = (
    Variant("constraint splitting, α = 1, fixed ρ, linearised every 5th round",
            {**PLAIN, "splitting": SplittingName.CONSTRAINT}, EVERY_FIFTH),
    Variant("profile splitting instead, ω = 1", PLAIN, (*EVERY_FIFTH, EQUAL_WEIGHT)),
    Variant("+ over-relaxation α", FIXED, (*EVERY_FIFTH, EQUAL_WEIGHT)),
    Variant("+ linearised when the error matters", FIXED, (EQUAL_WEIGHT,)),
    Variant("+ reactive weight ω", FIXED),
    Variant("+ adaptive ρ: the default"),
)  # fmt: skip
ONE_BY_ONE = (
    Variant("default"),
    *relaxation((1.0, 1.3, 1.6, 1.8)),
    *constant("reactive weight ω =", profile_splitting, "REACTIVE_WEIGHT", (1.0, 0.5, 0.3, 0.1)),
    Variant("linearised at any error above 1e-5 p.u.", {}, (AT_ANY_ERROR,)),
    Variant("linearised every 5th round", {}, EVERY_FIFTH),
    *(Variant(f"ρ starts at {value:g} × natural", {}, (start(value),)) for value in (0.01, 0.25, 0.5, 2.0, 4.0, 100.0)),
    Variant("fixed ρ", FIXED),
    *(Variant(f"fixed ρ, {value:g} × natural", FIXED, (start(value),)) for value in (0.01, 100.0)),
    *constant("ρ adapted from a ratio ν of", penalty, "NU", (2.0, 5.0, 10.0, 20.0)),
    Variant("ρ adapted on the whole dual residual", {}, (ON_WHOLE_DUAL,)),
    Variant("ρ adapted on absolute residuals", {}, (ON_ABSOLUTE_RESIDUALS,)),
    Variant("bound asked for in every round", {}, (CERTIFY_ALWAYS,)),
    Variant("stop by residuals, not by certificate", {"stop": "residual"}),
    Variant("objective of the prosumer QP not scaled", {}, ((quadratic_program, "SMALLEST_COST", 1.0),)),
)
ROWS = (
    Variant("default", COARSE),
    Variant("over-relaxation α = 1", {**COARSE, "relaxation": 1.0}),
    Variant("fixed ρ", {**COARSE, **FIXED}),
    *(Variant(v.label, COARSE, v.patches)
      for v in constant("ρ adapted from a ratio ν of", penalty, "NU", (2.0, 5.0, 10.0, 20.0))),
    *(Variant(f"ρ starts at {value:g} × natural", COARSE, (start(value, SplittingName.CONSTRAINT),))
      for value in (1.0, 8.0)),
    *(Variant(f"rows not equilibrated, ρ starts at {value:g} × natural", COARSE,
              (UNSCALED_ROWS, start(value, SplittingName.CONSTRAINT))) for value in (2.0, 2e4)),
)  # fmt: skip


def run() -> Iterator[ResultTable]:
    """Yield the ladder of ingredients, one change at a time, and the same for the constraint splitting."""
    yield table("From a plain splitting to the default, one step after the other", LADDER, LADDER[-1])
    yield table("Profile splitting, one change at a time", ONE_BY_ONE, ONE_BY_ONE[0])
    yield table("Constraint splitting to a gap of 1e-2 and 1e-3 p.u., one change at a time", ROWS, ROWS[0])


def table(title: str, variants: Sequence[Variant], default: Variant) -> ResultTable:
    """One row per variant: rounds, linearisations, and wall time alternating with that of ``default``."""
    result = ResultTable(
        title,
        ["", "rounds", "time / default", "linearisations", "rounds at ± 4 %", f"median of {FEEDERS} feeders",
         "worst of them"],
    )  # fmt: skip
    for variant in variants:
        outcome, tight = variant.coordinate(scenario()), variant.coordinate(with_band(scenario(), 0.04))
        others = sorted((variant.coordinate(feeder) for feeder in feeders()), key=lambda each: len(each.iterations))
        seconds = medians_s(REPEATS, this=bound_to(variant, scenario()), default=bound_to(default, scenario()))
        result.add(
            variant.label, rounds(outcome), ratio(seconds["this"], seconds["default"]), str(outcome.relinearisations),
            rounds(tight), rounds(others[FEEDERS // 2]), rounds(others[-1]),
        )  # fmt: skip
    return result


def bound_to(variant: Variant, case: Scenario) -> Callable[[], object]:
    """The coordination of ``case`` under ``variant``, as a callable without arguments."""
    return lambda: variant.coordinate(case)


@cache
def feeders() -> list[Scenario]:
    """Random grids of 15 nodes with 5 prosumers, 48 steps."""
    return [synthetic.scenario(seed=seed, step_min=30) for seed in range(FEEDERS)]


def rounds(outcome: StarOutcome) -> str:
    """The number of rounds, with ``>`` if the coordination did not converge."""
    n = len(outcome.iterations)
    return str(n) if outcome.status is CoordinationStatus.CONVERGED else f"> {n}"
