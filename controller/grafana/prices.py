"""Dashboard *Prices*: price signal of each prosumer, compensations, and costs of the day."""

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, mean, over_time
from controller.grafana.panels import Chart, TablePanel
from controller.grafana.sdk import model
from controller.grafana.style import fixed
from controller.live.site import PageSite


def prices(site: PageSite) -> model.Dashboard:
    """Build the dashboard."""
    return board(
        "prices",
        "Prices",
        "The price signal of every prosumer against the tariff, compensations and costs.",
        BoardSection("Signal", (_prices(site), _signal(site))),
        BoardSection("Money", (_compensation(site), shared.costs(site))),
        BoardSection("Now", (_table(site),)),
    )


def _prices(site: PageSite) -> Chart:
    return (
        shared.by_prosumer(
            site,
            "Prices and tariff",
            "Marginal price of the current plan; the tariff is what a prosumer pays without coordination.",
            shared.per_kwh(site),
            over_time("price", {"price": mean("price_chf_per_kwh")}, by="prosumer"),
            Query(over_time("price", {"tariff": mean("tariff_chf_per_kwh")})),
        )
        .stairs()
        .series([("tariff", fixed("text", dashed=True))])
    )


def _signal(site: PageSite) -> Chart:
    signal = f"{mean('price_chf_per_kwh')} - {mean('tariff_chf_per_kwh')}"
    return shared.by_prosumer(
        site,
        "Price above the tariff",
        "Price signal on top of the tariff: positive asks for less demand, negative for more.",
        shared.per_kwh(site),
        over_time("price", {"signal": signal}, by="prosumer"),
    ).stairs()


def _compensation(site: PageSite) -> Chart:
    return shared.by_prosumer(
        site,
        "Compensation",
        "Compensation that the current plan promises for the rest of its horizon.",
        shared.money(site),
        over_time("price", {"compensation": last("compensation_chf")}, by="prosumer"),
    ).stairs()


def _table(site: PageSite) -> TablePanel:
    columns = {
        "price": last("price_chf_per_kwh"),
        "tariff": last("tariff_chf_per_kwh"),
        "compensation": last("compensation_chf"),
        "cost today": last("cost_chf"),
    }
    per_kwh, money = shared.per_kwh(site), shared.money(site)
    units = {"price": per_kwh, "tariff": per_kwh, "compensation": money, "cost today": money}
    query = Query(in_range("price", columns, by="prosumer"), table=True)
    description = "The last values of the chosen range."
    return TablePanel("Prosumers", description, query, units=units, width=24).decimals(3).without("Time")
