"""Commands for simulated and real devices, besides the service itself."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.arguments import (
    ConfigArgument,
    LivePortOption,
    OutOption,
    QuietOption,
    ServerKeyOption,
)
from core.errors import Fault, GridlabError, InputError

if TYPE_CHECKING:
    from core.config import Config


def simulate(
    config: ConfigArgument,
    out: OutOption = None,
    start: Annotated[str | None, typer.Option(help="Local time of the day.", metavar="HH:MM")] = None,
    end: Annotated[str | None, typer.Option(help="Local time of the day.", metavar="HH:MM")] = None,
    pace: Annotated[str, typer.Option(help="max, realtime, or a factor such as 60x.")] = "max",
    uncoordinated: Annotated[bool, typer.Option("--uncoordinated", help="The baseline without coordination.")] = False,
    margin: Annotated[
        str | None, typer.Option(help="auto, off, or p.u. to the voltage limits.", show_default="as in CONFIG")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="YAML list of faults of the plant's devices.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the meters' noise.")] = 0,
    plant: Annotated[
        Path | None, typer.Option(help="Configuration of the plant, to differ from the controller's.")
    ] = None,
    server_key: ServerKeyOption = None,
    live: Annotated[bool, typer.Option("--live", help="Serve a live page.")] = False,
    live_port: LivePortOption = 8484,
    quiet: QuietOption = False,
) -> None:
    """Run a day in closed loop against the simulated plant, over real sockets of this machine."""
    from functools import partial

    from controller.cli.screens import loop as screen
    from controller.cli.screens.terminal import print_cautions
    from controller.process.clocks import WallClock
    from controller.runs import directory as run_directory
    from controller.simulation.options import SimulationRequest
    from controller.simulation.run import run_simulation
    from core.load import load_config

    clock, settings = WallClock(), load_config(config)
    port = live_port if live else None
    request = SimulationRequest(start, end, pace, not uncoordinated, margin, faults, seed, server_key, port, plant)
    job = request.job(settings, config)
    print_cautions(job.cautions, quiet)
    run_path = run_directory.choose(out, settings.name, clock.now())
    with screen.progress(job, quiet) as observe:
        summary = run_simulation(job, run_path, clock, observe, partial(screen.print_live, quiet=quiet))
    if not quiet:
        screen.print_result(summary, run_path)


def plant(
    config: ConfigArgument,
    pace: Annotated[float, typer.Option(min=0.001, help="Simulated seconds per second.")] = 1.0,
    server_key: ServerKeyOption = None,
) -> None:
    """Run the simulated laboratory at the addresses of its devices, until SIGTERM or Ctrl-C."""
    from core.load import load_config

    load_config(config)
    key = () if server_key is None else ("--server-key", str(server_key))
    os.execv(sys.executable, [sys.executable, "-m", "sim_plant", str(config), "--pace", str(pace), *key])


def check(
    config: ConfigArgument,
    probe: Annotated[bool, typer.Option("--probe", help="Read every device as well; nothing is written.")] = False,
    reads: Annotated[int, typer.Option(min=2, help="Readings of each device with --probe, one a second.")] = 3,
    quiet: QuietOption = False,
) -> None:
    """Validate a scenario, or a problem of `solve`, and all files that it names."""
    from controller.cli.screens.terminal import console
    from core.config_problem import ProblemConfig
    from core.load import load_document

    checked = load_document(config)
    if isinstance(checked, ProblemConfig):
        from controller.solve.kinds import prepare

        if probe:
            raise InputError([Fault("--probe", "", str(config), "a scenario with devices; a problem has none")])
        words = prepare(checked, config).words
        if not quiet:
            console.print(f"{config}: valid; {checked.kind}, {words}", soft_wrap=True)
    else:
        check_scenario(checked, config, probe, reads, quiet)


def check_scenario(checked: "Config", config: Path, probe: bool, reads: int, quiet: bool) -> None:
    """Validate all files that a scenario names, and read its devices if ``probe``."""
    import asyncio

    from controller.cli.screens import plan as screen
    from controller.cli.screens.probe import print_probe
    from controller.cli.screens.terminal import print_cautions
    from controller.process.clocks import WallClock
    from controller.service.named_files import check_all
    from controller.service.probe import check_meters, model_check
    from controller.service.probe import probe as read_devices
    from mpc.carrying import require_power_flow

    scenarios = check_all(checked, config)
    print_cautions((caution for scenario in scenarios.values() for caution in scenario.cautions), quiet)
    for scenario in scenarios.values():
        require_power_flow(scenario, str(config))
    if not quiet:
        screen.print_checked(checked, config)
    if probe:
        reports = asyncio.run(read_devices(checked, config, WallClock(), reads))
        if not quiet:
            print_probe(reports, model_check(checked, reports), check_meters(checked, reports))
        if silent := [report.name for report in reports if not report.answered]:
            raise GridlabError(f"no answer: {', '.join(silent)}")


def chaos(
    config: ConfigArgument,
    fault: Annotated[str | None, typer.Option(help="Number or name of one fault.", show_default="all")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trials of each fault.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = os.cpu_count() or 1,
    out: OutOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run the closed loop under every fault, and judge its histories; records of trials are kept with --out."""
    from controller.chaos.campaign import FaultCampaign, fault_numbers, run_campaign
    from controller.cli.screens import chaos as screen
    from controller.cli.screens.terminal import print_path
    from controller.process.clocks import WallClock
    from controller.runs import directory as run_directory
    from controller.simulation.options import require_converter
    from core.load import load_config

    settings = load_config(config)
    require_converter(settings, config)
    folder = run_directory.choose(out, f"{settings.name}-chaos", WallClock().now())
    with screen.progress(quiet) as observe:
        results = run_campaign(
            FaultCampaign(config, fault_numbers(fault), seeds, folder, out is not None, jobs), observe
        )
    if not quiet:
        screen.print_table(results)
        print_path("tables", folder)
    if failed := [result for result in results if not result.passed]:
        raise GridlabError(f"{len(failed)} of {len(results)} trials not judged safe; records in {folder}")
