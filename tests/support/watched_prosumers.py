"""Every plan and every answer of a prosumer in this process is checked, whatever the test that asks for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import pytest

from core.arrays import FloatArray
from core.plan import ProsumerPlan, ResourcePlan
from core.prices import DemandProfile, PriceSignal
from mpc.prosumer import ProsumerProgram
from tests.support.sound_plans import check_cost, check_cycles, check_sound


@contextmanager
def watched() -> Iterator[list[str]]:
    """The faults that are found, also where whoever asked survives them, such as a service that keeps its old plan.

    Day-ahead plans, baselines, the optimum in hindsight and the MPC all ask :class:`mpc.prosumer.ProsumerProgram`.
    """
    faults: list[str] = []
    of_resources, respond, plan = ProsumerProgram._plans, ProsumerProgram.respond, ProsumerProgram.plan
    behind: WeakKeyDictionary[ProsumerProgram, Mapping[str, ResourcePlan]] = WeakKeyDictionary()

    def remembered(self: ProsumerProgram, y: FloatArray) -> dict[str, ResourcePlan]:
        found = of_resources(self, y)
        behind[self] = found
        return found

    def checked_answer(self: ProsumerProgram, signal: PriceSignal) -> DemandProfile:
        answer = respond(self, signal)
        with _kept(faults):
            plan = ProsumerPlan(*answer.x.T, behind[self])
            check_sound(self.site, plan, self.dt_h)
            check_cost(self.site, self.tariff, self.dt_h, signal, answer, plan)
        return answer

    def checked_plan(self: ProsumerProgram, signal: PriceSignal) -> ProsumerPlan:
        found = plan(self, signal)
        with _kept(faults):
            check_sound(self.site, found, self.dt_h)
            check_cycles(self.site, self.tariff, self.dt_h, signal, found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProsumerProgram, "_plans", remembered)
        patch.setattr(ProsumerProgram, "respond", checked_answer)
        patch.setattr(ProsumerProgram, "plan", checked_plan)
        yield faults


@contextmanager
def _kept(faults: list[str]) -> Iterator[None]:
    try:
        yield
    except AssertionError as fault:
        faults.append(str(fault))
        raise
