"""Settings of coordinations, in a module that knows nothing of what prosumers own."""

from typing import Annotated, Literal

from pydantic import Field

from core.algorithms import SplittingName, alternatives
from core.config_fields import Count, Number, Positive, Seconds, Section


class CoordinationConfig(Section):
    """Algorithm, tolerances and limits of a coordination (docs of ``mpc.coordination``)."""

    splitting: Annotated[SplittingName, Field(description=alternatives(SplittingName))] = SplittingName.PROFILE
    relaxation: Annotated[Number, Field(ge=1, le=1.9, description="a number from 1 to 1.9")] = 1.6
    rho: Annotated[Literal["auto"] | Positive, Field(description="auto, or a number > 0 CHF/kW²")] = "auto"
    adaptive: Annotated[bool, Field(strict=True, description="true or false")] = True
    stop: Annotated[Literal["certificate", "residual"], Field(description="certificate or residual")] = "certificate"
    gap_tol: Positive = 1e-3
    violation_tol_pu: Annotated[Positive, Field(description="a number > 0 p.u.")] = 2e-4
    linearisation_tol_pu: Annotated[Positive, Field(description="a number > 0 p.u.")] = 1e-5
    max_iterations: Count = 500
    budget_s: Seconds = 60.0
    violation_price_chf_per_kwh: Annotated[
        Literal["auto"] | Positive, Field(description="auto, or a number > 0 CHF/kWh")
    ] = "auto"


class TreeConfig(Section):
    """Tolerances and limits of a coordination by a tree of aggregators (docs of ``mpc.coordination.tree``).

    ``violation_tol_rel`` is the tolerable excess of a limit relative to its scale, and ``gap_tol`` a share of bound or
    turnover, whichever is larger.
    """

    relaxation: Annotated[Number, Field(ge=1, le=1.9, description="a number from 1 to 1.9")] = 1.6
    rho: Annotated[Literal["auto"] | Positive, Field(description="auto, or a number > 0 per kW²")] = "auto"
    gap_tol: Positive = 1e-3
    violation_tol_rel: Positive = 1e-3
    max_rounds: Count = 500
    budget_s: Seconds = 60.0
    violation_price_chf_per_kwh: Annotated[
        Literal["auto"] | Positive, Field(description="auto, or a number > 0 per kWh")
    ] = "auto"
