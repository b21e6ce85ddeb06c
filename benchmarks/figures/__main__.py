"""Draw the figures of the docs into docs/figures; the same code always gives the same bytes."""

from argparse import ArgumentParser
from collections.abc import Callable

from matplotlib.figure import Figure

from benchmarks.cases import ROOT
from benchmarks.figures import coordination, day, dispatching, grid, studies
from benchmarks.figures.style import save

FOLDER = ROOT / "docs" / "figures"
FIGURES: dict[str, Callable[[], Figure]] = {
    "power_flow": grid.power_flow,
    "current_polygon": grid.current_polygon,
    "elastic": grid.elastic,
    "voltages": day.voltages,
    "prosumer": day.prosumer,
    "prices": day.prices,
    "convergence": coordination.convergence,
    "certificate": coordination.certificate,
    "dispatch": dispatching.convergence,
    "reference": studies.reference,
    "rho": studies.rho,
}


def main() -> None:
    """Draw the figures that the command line names, or all."""
    parser = ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}; all by default")
    names = parser.parse_args().names
    if unknown := set(names) - set(FIGURES):
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    for name in names or FIGURES:
        path = FOLDER / f"{name}.svg"
        save(FIGURES[name], path)
        print(f"{path.relative_to(ROOT)} {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
