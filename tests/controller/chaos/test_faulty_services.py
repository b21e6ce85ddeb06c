"""The faulty services of trials: a database and a planner."""

import asyncio
from pathlib import Path

import pytest

from controller.chaos.faulty_influx import FaultyInflux, influx
from controller.chaos.faulty_planner import FaultyPlanner, PlannerFault
from controller.planner.link import PlannerLink
from controller.planner.planner import DayAheadJob, PlannerError
from controller.record.influx import Influx, InfluxError, RefusedLinesError
from core.config import Config, InfluxConfig
from core.errors import SolverError
from core.scenario import Scenario

LINES = ["node,node=N3 v_pu=1.0 1", "service cycle_ms=20.0 1", "service cycle_ms=21.0 2"]


async def test_a_database_keeps_every_line_and_a_failing_one_answers_with_each_error_in_turn(tmp_path: Path) -> None:
    database = FaultyInflux()

    def write(port: int) -> list[str]:
        outcomes = []
        with Influx(InfluxConfig.model_validate(influx(port, tmp_path)), answer_s=5.0) as client:
            for lines in (LINES[:1], *[LINES] * 4, LINES[1:2], LINES[2:]):
                database.failing = bool(outcomes)
                try:
                    client.write(lines)
                    outcomes.append("kept")
                except (InfluxError, RefusedLinesError) as error:
                    outcomes.append(type(error).__name__)
        return outcomes

    async def both() -> list[str]:
        async with database.listening() as port:
            return await asyncio.to_thread(write, port)

    outcomes = await both()
    assert outcomes[0] == "kept"
    assert "InfluxError" in outcomes
    assert database.refused_line == LINES[1]
    assert database.refused_line not in database.lines
    assert LINES[0] in database.lines


@pytest.mark.parametrize("fault", [PlannerFault.INFEASIBLE, PlannerFault.GARBAGE])
async def test_a_faulty_answer_is_no_plan(
    fault: PlannerFault, gridlab9: Scenario, gridlab9_config: Config, tmp_path: Path
) -> None:
    async def asked() -> None:
        planner = FaultyPlanner()
        planner.fault = fault
        async with planner.listening(tmp_path / "s"), PlannerLink(tmp_path / "s") as link:
            await link.answer(DayAheadJob(gridlab9, gridlab9_config.coordination, "piqp", coordinate=True))

    with pytest.raises((PlannerError, SolverError)):
        await asked()
