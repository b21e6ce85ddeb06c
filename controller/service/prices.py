"""Prices of each prosumer at an instant, from the plan in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.service.plans import Plans


@dataclass(frozen=True)
class Price:
    """Prices of one prosumer in one step (CHF/kWh); ``compensation_chf`` is for the rest of the plan's horizon."""

    tariff_chf_per_kwh: float
    feed_in_chf_per_kwh: float
    price_chf_per_kwh: float
    compensation_chf: float

    def rate_chf_per_h(self, p_kw: float) -> float:
        """Cost rate of a demand by the tariff; feed-in (negative demand) is remunerated."""
        return p_kw * (self.tariff_chf_per_kwh if p_kw > 0 else self.feed_in_chf_per_kwh)


def prices_at(plans: Plans, at: datetime) -> Mapping[str, Price]:
    """Prices by prosumer; empty if no plan reaches ``at``."""
    current = plans.plan_at(at)
    if current is None:
        return {}
    step = current.day.step_of(at)
    tariff = current.day.forecast.tariff
    buy, sell = float(tariff.buy_chf_per_kwh[step]), float(tariff.sell_chf_per_kwh[step])
    return {
        name: Price(buy, sell, price, current.running.bills[name].compensation_chf)
        for name, price in current.running.prices_chf_per_kwh(step).items()
    }
