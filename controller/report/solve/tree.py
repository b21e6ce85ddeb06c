"""The chapters of a solved tree of aggregators: the counterpart of paper B's figure 2, and what it costs."""

from collections.abc import Iterator

import numpy as np

from controller.report.primitives.amounts import UNKNOWN, magnitude, number
from controller.report.primitives.chapter import chapter, figure_chapter, note
from controller.report.primitives.markup import Markup, row, table, tag
from controller.report.primitives.times import edge
from controller.report.solve.record import SolveRecord
from controller.report.solve.tree_figures import powers_figure, reactive_figure, rows_figure, storage_figure
from controller.report.solve.tree_record import TreeRecord, read_tree

MOST_DRAWN = 8
"""Panels of a figure; of more branches those that coordination moves most are drawn."""
MOVED_KVAR = 0.01
"""Reactive power that coordination moves by more than this is drawn."""
HELD_REL = 1e-3
"""As on the terminal: a limit left by more than this share of its size is not held."""


def tree_chapters(solved: SolveRecord, key: str) -> Iterator[Markup]:
    """All chapters; ``key`` begins the ids of figures."""
    record = read_tree(solved)
    yield _branches(record)
    yield _powers(record, key)
    if drawn := _with_reactive_power(record):
        yield _reactive(record, drawn, key)
    if record.rows:
        yield _rows(record, key)
    if record.priced or record.charged:
        yield _storage(record, key)
    yield _costs(record, solved.summary.status == "infeasible")


def _branches(record: TreeRecord) -> Markup:
    """The tree as a table, each branch below its parent."""
    head = row("th", "branch", "prosumers", "peak without (kW)", "peak with (kW)", "limits",
               f"price from … to ({record.summary.currency}/kWh)")  # fmt: skip
    rows = []
    for name in _depth_first(record):
        branch, prices = record.summary.branches[name], record.branches[name]["price_per_kwh"]
        label = tag("span", name, style=f"padding-left: {1.2 * branch.level}em")
        peaks = (branch.peak_kw.uncoordinated, branch.peak_kw.coordinated)
        span = UNKNOWN if prices.isna().all() else f"{number(prices.min(), 3)} … {number(prices.max(), 3)}"
        rows.append(row("td", label, branch.prosumers, *(number(kw, 1) for kw in peaks), _limits(record, name), span))
    text = f"""Each branch is an aggregator that knows its own children only: limits of its power and of rows over its
        children. The peak is the largest |P| of the day. The price is what one more kWh of a branch costs besides the
        tariff, by its limits and those above it. A limit is held if it is left by at most {HELD_REL:g} of its size."""
    return chapter("The tree and its limits", table([head], rows), note(text), key="branches")


def _limits(record: TreeRecord, name: str) -> Markup:
    """Whether the limits of a branch hold; else the one that is left most, with the time."""
    worst = max(_excesses(record, name), default=None)
    if worst is None:
        return tag("td", "none")
    share, what, step, excess = worst
    if share <= HELD_REL:
        return tag("td", tag("span", "held", class_="held"))
    left = f"{what} left by {magnitude(excess)} at {edge(record.axis, step)}"
    return tag("td", tag("span", left, class_="broken"), class_="prose")


def _excesses(record: TreeRecord, name: str) -> Iterator[tuple[float, str, int, float]]:
    """Each row of a branch that has a limit: largest excess relative to the limit, name, step, and excess."""
    branch = record.branches[name]
    sides = {"power (kW)": ("lower_kw", "upper_kw", "unheld_kw"),
             "reactive power (kvar)": ("lower_kvar", "upper_kvar", "unheld_kvar")}  # fmt: skip
    tables = {what: branch[list(columns)].to_numpy(float) for what, columns in sides.items()}
    rows = {row: each for (of, row), each in record.rows.items() if of == name}
    tables |= {row: each[["lower", "upper", "unheld"]].to_numpy(float) for row, each in rows.items()}
    for what, values in tables.items():
        if not np.isnan(values[:, :2]).all():
            size = np.nan_to_num(np.abs(values[:, :2])).max(axis=1)
            share = values[:, 2] / np.where(size > 0, size, 1)
            step = int(share.argmax())
            yield float(share[step]), what, step, float(values[step, 2])


def _powers(record: TreeRecord, key: str) -> Markup:
    names, left = _drawn(record)
    text = """Active power of each branch, the sum of the prosumers below it, without coordination and as agreed.
        Beyond the dashed lines, in the tinted areas, a branch is overloaded. Without coordination everybody follows the
        tariff alone. Counterpart of figure 2 of the paper."""
    if record.summary.peak_weight_per_kw2:
        text += " The root also shaves its peak: every kW costs more, the further the power is from its target."
    return figure_chapter("Powers of the branches", powers_figure(record, names), f"{key}-powers", text + left)


def _reactive(record: TreeRecord, names: list[str], key: str) -> Markup:
    text = """Reactive power costs nothing under the tariff, so that batteries and PV inverters with a rating hold
        voltages with it first, as far as the limits of the branches allow."""
    return figure_chapter("Reactive power of the branches", reactive_figure(record, names), f"{key}-reactive", text)


def _rows(record: TreeRecord, key: str) -> Markup:
    names = [name for name in _drawn(record)[0] if name in record.with_rows] or record.with_rows[:MOST_DRAWN]
    text = """Rows over the children of a branch, such as the voltage deviation that sensitivities give (3), as a share
        of their limits: 1 is the upper one, −1 the lower one. Grey is the range of all rows of the branch without
        coordination. Counterpart of the voltages in figure 2 of the paper."""
    return figure_chapter("Rows over the children", rows_figure(record, names), f"{key}-rows", text)


def _storage(record: TreeRecord, key: str) -> Markup:
    prices = """What one more kWh costs a branch besides the tariff is zero while nothing on the way to the root limits
        it or costs more. """
    text = "The state of charge of every battery is that at the end of each step, in the colour of its branch."
    text = (prices if record.priced else "") + (text if record.charged else "")
    return figure_chapter("Prices and states of charge", storage_figure(record), f"{key}-storage", text)


def _costs(record: TreeRecord, infeasible: bool) -> Markup:
    summary = record.summary
    head = row("th", "prosumer", "branch", *(f"{what} ({summary.currency})" for what in
               ("without coordination", "with coordination", "compensation")))  # fmt: skip
    rows = [
        row("td", name, summary.branch_of[name],
            *map(number, (cost.uncoordinated, cost.coordinated, cost.compensation)))
        for name, cost in summary.cost_chf.items()
    ]  # fmt: skip
    owed = sum(cost.compensation for cost in summary.cost_chf.values())
    total = summary.total_cost_chf
    foot = row("td", "total", "", *map(number, (total.uncoordinated, total.coordinated, owed)))
    text = """Cost under the retail tariff; negative amounts are earned. The compensation makes following the prices
        cost nothing against the prosumer’s own optimum."""
    if infeasible:
        text += f" What cannot be held is priced at {number(summary.unheld_chf, 2)} {summary.currency}."
    return chapter("What coordination costs", table([head], rows, foot), note(text), key="costs")


def _depth_first(record: TreeRecord, parent: str | None = None) -> Iterator[str]:
    for name, branch in record.summary.branches.items():
        if branch.parent == parent:
            yield name
            yield from _depth_first(record, name)


def _drawn(record: TreeRecord) -> tuple[list[str], str]:
    """Branches with a panel, in the order of the tree, and a note on those without."""
    names = list(_depth_first(record))
    if len(names) <= MOST_DRAWN:
        return names, ""

    def moved(name: str) -> float:
        each = record.branches[name]
        return float(np.abs(each["p_kw"] - each["uncoordinated_kw"]).max())

    chosen = {names[0], *sorted(names[1:], key=moved, reverse=True)[: MOST_DRAWN - 1]}
    return [name for name in names if name in chosen], f" Of {len(names)} branches, those that move most are drawn."


def _with_reactive_power(record: TreeRecord) -> list[str]:
    """The branches that are drawn whose reactive power is limited, or moved by coordination."""

    def matters(name: str) -> bool:
        table = record.branches[name]
        limited = table[["lower_kvar", "upper_kvar"]].notna().any(axis=None)
        return bool(limited or (table["q_kvar"] - table["uncoordinated_kvar"]).abs().max() > MOVED_KVAR)

    return [name for name in _drawn(record)[0] if matters(name)]
