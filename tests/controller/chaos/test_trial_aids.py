"""What plays a part in trials: a database in bad health, a planner that lies."""

import asyncio
from pathlib import Path

import pytest

from controller.chaos.faulty_planner import FaultyPlanner, Mood
from controller.chaos.sink import Sink, influx
from controller.planner.link import PlannerLink
from controller.planner.planner import DayAheadJob, PlannerError
from controller.record.influx import Influx, InfluxError, RefusedLinesError
from core.config import InfluxConfig
from core.errors import SolverError
from core.scenario import Scenario
from tests.support.asynchronous import run

LINES = ["node,node=N3 v_pu=1.0 1", "service cycle_ms=20.0 1", "service cycle_ms=21.0 2"]


def test_a_well_database_keeps_every_line_and_an_unwell_one_fails_in_turns(tmp_path: Path) -> None:
    sink = Sink()

    def write(port: int) -> list[str]:
        told = []
        with Influx(InfluxConfig.model_validate(influx(port, tmp_path)), answer_s=5.0) as database:
            for lines in (LINES[:1], *[LINES] * 4, LINES[1:2], LINES[2:]):
                sink.unwell = bool(told)
                try:
                    database.write(lines)
                    told.append("kept")
                except (InfluxError, RefusedLinesError) as error:
                    told.append(type(error).__name__)
        return told

    async def both() -> list[str]:
        async with sink.listening() as port:
            return await asyncio.to_thread(write, port)

    told = run(both())
    assert told[0] == "kept"
    assert "InfluxError" in told
    assert sink.poison == LINES[1]
    assert sink.poison not in sink.lines
    assert LINES[0] in sink.lines


@pytest.mark.parametrize("mood", [Mood.INFEASIBLE, Mood.GARBAGE])
def test_a_lie_is_no_plan(mood: Mood, gridlab9: Scenario, gridlab9_config, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    async def asked() -> None:
        planner = FaultyPlanner()
        planner.mood = mood
        async with planner.listening(tmp_path / "s"), PlannerLink(tmp_path / "s") as link:
            await link.answer(DayAheadJob(gridlab9, gridlab9_config.coordination, "piqp", coordinate=True))

    with pytest.raises((PlannerError, SolverError)):
        run(asked())
