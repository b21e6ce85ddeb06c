"""The console program ``gridlab``.

Exit codes: 0 done; 1 failed while running; 2 bad input (one line per fault on stderr, nothing overwritten).
"""

import asyncio
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from controller import loop_screen, planning, run_directory, screen, study
from controller.clock import WallClock
from controller.probe import compared
from controller.probe import probe as read_devices
from controller.probe_screen import print_probe
from controller.record.export import export_line_protocol, export_parquet, import_influx
from controller.record.influx import seen_from
from controller.record.outbox import DEAD_LETTERS
from controller.report import write_report
from controller.service import operator
from controller.service import serve as serving
from controller.service.books import AUDIT
from controller.service.modes import Mode
from controller.service.setup import Setup
from controller.simulation import options
from controller.simulation.faults import load_faults
from controller.simulation.master import Job
from controller.simulation.run import run_simulation
from core.config import Config, TelemetryConfig
from core.devices import Outcome
from core.errors import Fault, GridlabError, InputError, SolverLicenceError
from core.load import load_config, load_scenario

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Price-based control of prosumers in a distribution grid.",
)
study_app = typer.Typer(no_args_is_help=True, help="Counterparts of the paper's convergence studies.")
app.add_typer(study_app, name="study")

ConfigArgument = Annotated[Path, typer.Argument(help="Scenario, a YAML file.", metavar="CONFIG", show_default=False)]
RunArgument = Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN_DIR", show_default=False)]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder of the run; new, or empty.", show_default="runs/<UTC time>-<name>")
]
StateOption = Annotated[Path, typer.Option(help="Folder of what outlives a run: journal, lock, operator's socket.")]
ServerKeyOption = Annotated[
    Path | None, typer.Option(help="Private key of the plant's OPC UA servers, where CONFIG secures them.")
]
LivePortOption = Annotated[
    int, typer.Option("--live-port", min=0, max=65535, help="Of the live page, on 127.0.0.1; 0: any free one.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


@app.command(epilog="Example: gridlab plan configs/gridlab9.yaml --splitting constraint --max-iterations 300")
def plan(
    config: ConfigArgument,
    out: OutOption = None,
    splitting: Annotated[
        Literal["profile", "constraint"] | None, typer.Option(help="Algorithm.", show_default="as in CONFIG")
    ] = None,
    uncoordinated: Annotated[bool, typer.Option("--uncoordinated", help="The selfish baseline alone.")] = False,
    max_iterations: Annotated[
        int | None, typer.Option(min=1, help="Rounds at most.", show_default="as in CONFIG")
    ] = None,
    budget_s: Annotated[
        float | None, typer.Option(min=0.001, help="Wall clock at most, s.", show_default="as in CONFIG")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Compute day-ahead price signals and plans."""
    clock = WallClock()
    settings = with_options(load_config(config), splitting=splitting, max_iterations=max_iterations, budget_s=budget_s)
    run_path = run_directory.choose(out, settings.name, clock.now())
    with screen.progress(settings.coordination, quiet) as observer:
        summary = planning.plan(settings, config, run_path, clock, not uncoordinated, observer)
    if not quiet:
        screen.print_result(summary, run_path)


@app.command(epilog="Example: gridlab simulate configs/gridlab9.yaml --start 10:00 --end 19:00")
def simulate(
    config: ConfigArgument,
    out: OutOption = None,
    start: Annotated[str | None, typer.Option(help="Local time of the day.", metavar="HH:MM")] = None,
    end: Annotated[str | None, typer.Option(help="Local time of the day.", metavar="HH:MM")] = None,
    pace: Annotated[str, typer.Option(help="max, realtime, or a factor such as 60x.")] = "max",
    uncoordinated: Annotated[bool, typer.Option("--uncoordinated", help="The selfish baseline.")] = False,
    margin: Annotated[
        str | None, typer.Option(help="auto, off, or p.u. to the voltage limits.", show_default="as in CONFIG")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="YAML list of faults of the plant's devices.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the meters' noise.")] = 0,
    server_key: ServerKeyOption = None,
    live: Annotated[bool, typer.Option("--live", help="With a live page to watch it on.")] = False,
    live_port: LivePortOption = 8484,
    quiet: QuietOption = False,
) -> None:
    """Run a day in closed loop against the simulated plant, over real sockets of this machine."""
    clock, settings = WallClock(), load_config(config)
    require_converters(settings, config)
    for variant in ("forecast", "realised"):
        load_scenario(settings, config, variant)
    begin, over = options.span(settings, start, end)
    job = Job(
        config=settings,
        path=config,
        start=begin,
        end=over,
        seed=seed,
        coordinate=not uncoordinated,
        margin=options.margin(margin),
        pace=options.pace(pace),
        faults=load_faults(faults, settings) if faults else (),
        server_key=server_key,
        live_port=live_port if live else None,
    )
    run_path = run_directory.choose(out, settings.name, clock.now())
    with loop_screen.progress(job, quiet) as observe:
        announce = partial(loop_screen.print_live, quiet=quiet)
        summary = run_simulation(job, run_path, clock, observe, announce)
    if not quiet:
        loop_screen.print_result(summary, run_path)


@app.command(epilog="Example: gridlab serve configs/gridlab9.yaml")
def serve(
    config: ConfigArgument,
    out: OutOption = None,
    state: StateOption = Path("state"),
    live_port: LivePortOption = 8484,
    quiet: QuietOption = False,
) -> None:
    """Control the devices of a scenario until SIGTERM; begins in MONITOR, see `gridlab mode`.

    An --out that an earlier `serve` has written to is continued.
    """
    clock, settings = WallClock(), load_config(config)
    if not any(prosumer.converter for prosumer in settings.prosumers):
        require_converters(settings, config)
    run_path = out if out and (out / AUDIT).exists() else run_directory.choose(out, settings.name, clock.now())
    setup = Setup(settings, config, run_path, state)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    started = partial(loop_screen.print_serving, run_path=run_path, quiet=quiet)
    outcomes = asyncio.run(serving.serve(setup, clock, live_port, started))
    if not quiet:
        loop_screen.print_released(outcomes)
    if unsafe := [name for name, outcome in outcomes.items() if outcome is not Outcome.VERIFIED]:
        raise GridlabError(f"not known to be safe, their leases end within 75 s: {', '.join(unsafe)}")


@app.command(epilog="Example: gridlab mode active")
def mode(
    wanted: Annotated[Mode | None, typer.Argument(help="off, monitor or active; without: what it is.")] = None,
    state: StateOption = Path("state"),
    quiet: QuietOption = False,
) -> None:
    """Tell a running service what it may do: OFF, MONITOR (read and decide) or ACTIVE (write as well)."""
    request = {"ask": "status"} if wanted is None else {"mode": wanted.value}
    answer = asyncio.run(operator.ask(state, request))
    if not quiet:
        loop_screen.print_mode(answer)


@app.command(epilog="Example: gridlab report runs/20180620T210000Z-gridlab9")
def report(
    run_dir: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN_DIR", show_default=False)],
    other: Annotated[
        Path | None, typer.Argument(help="A second closed-loop run, to stand beside it.", metavar="RUN_DIR_2")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Rebuild report.html from a run, or from two of the closed loop."""
    path = write_report(run_dir, other)
    if not quiet:
        screen.print_path("report", path)


@app.command(epilog="Example: gridlab export runs/20180620T210000Z-gridlab9 --parquet")
def export(
    run_dir: RunArgument,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="One file per measurement; needs gridlab[parquet].")
    ] = False,
    line_protocol: Annotated[bool, typer.Option("--line-protocol", help="One file, as InfluxDB takes it.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the files.", show_default="RUN_DIR/export")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the telemetry of a run for other programs."""
    if parquet == line_protocol:
        raise InputError([Fault("export", "", "both forms" if parquet else "no form", "--parquet or --line-protocol")])
    folder, database = out or run_dir / "export", run_dir / TelemetryConfig().sqlite
    write = export_parquet if parquet else export_line_protocol
    write(database, folder)
    if not quiet:
        screen.print_path("export", folder)


@app.command("import-influx", epilog="Example: gridlab import-influx runs/20180620T210000Z-gridlab9 lab.yaml")
def import_into_influx(run_dir: RunArgument, config: ConfigArgument, quiet: QuietOption = False) -> None:
    """Send the telemetry of a past run to the InfluxDB of CONFIG; doing it again does no harm."""
    telemetry = load_config(config).telemetry
    if telemetry.influx is None:
        raise InputError(
            [Fault(str(config), "telemetry.influx", "nothing", "a section {url, org, bucket, token_file}")]
        )
    with screen.steps("import", quiet) as advance:
        done = import_influx(
            run_dir / telemetry.sqlite, seen_from(config, telemetry.influx), lambda n, total: advance(n / max(total, 1))
        )
    if done.dead_letters:
        raise GridlabError(
            f"{done.dead_letters} of {done.sent + done.dead_letters} points refused: {run_dir / DEAD_LETTERS}"
        )
    if not quiet:
        screen.print_path(f"{done.sent} points", run_dir)


@app.command(epilog="Example: gridlab check configs/gridlab9.yaml --probe")
def check(
    config: ConfigArgument,
    probe: Annotated[bool, typer.Option("--probe", help="Read every device as well; nothing is written.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Validate a scenario and all files that it names."""
    checked = load_config(config)
    for variant in ("forecast", "realised"):
        load_scenario(checked, config, variant)
    if not quiet:
        screen.print_checked(checked, config)
    if probe:
        reports = asyncio.run(read_devices(checked, config, WallClock()))
        if not quiet:
            print_probe(reports, compared(checked, reports))
        if silent := [report.name for report in reports if not report.answered]:
            raise GridlabError(f"no answer: {', '.join(silent)}")


@app.command(epilog="Example: gridlab plant configs/gridlab9.yaml --pace 60")
def plant(
    config: ConfigArgument,
    pace: Annotated[float, typer.Option(min=0.001, help="Simulated seconds per second.")] = 1.0,
    server_key: ServerKeyOption = None,
) -> None:
    """Run the simulated laboratory at the addresses of its devices, until it is told to stop."""
    load_config(config)
    key = () if server_key is None else ("--server-key", str(server_key))
    os.execv(sys.executable, [sys.executable, "-m", "sim_plant", str(config), "--pace", str(pace), *key])


@study_app.command("rho", epilog="Example: gridlab study rho configs/gridlab9.yaml")
def study_rho(config: ConfigArgument, out: OutOption = None, quiet: QuietOption = False) -> None:
    """Residuals after 80 iterations over a constant penalty (figure 6 of the paper)."""
    run_study(study.rho, "study-rho", config, out, quiet)


@study_app.command("price-response", epilog="Example: gridlab study price-response configs/gridlab9.yaml")
def study_price_response(config: ConfigArgument, out: OutOption = None, quiet: QuietOption = False) -> None:
    """Cost and violation when everybody minimises the advertised price, over the penalty in it (figure 7)."""
    run_study(study.price_response, "study-price-response", config, out, quiet)


def run_study(kind: study.Study, name: str, config: Path, out: Path | None, quiet: bool) -> None:
    """Run a study into a folder of its own and say where it is."""
    clock = WallClock()
    settings = load_config(config)
    run_path = run_directory.choose(out, f"{settings.name}-{name}", clock.now())
    with screen.steps(name, quiet) as advance, run_directory.written(run_path) as folder:
        kind(settings, config, folder, clock, advance)
    if not quiet:
        screen.print_path(name, run_path)


def require_converters(settings: Config, path: Path) -> None:
    """A simulated run reproduces every prosumer by a converter.

    Raises:
        InputError: somebody has none.
    """
    allowed = "the name of a converter in `devices`"
    faults = [
        Fault(str(path), f"prosumers[{k}].converter", "none", allowed)
        for k, prosumer in enumerate(settings.prosumers)
        if prosumer.converter is None
    ]
    if faults:
        raise InputError(faults)


def with_options(config: Config, **options: Any) -> Config:
    """The configuration with command-line options in place of its coordination settings; None leaves one as it is."""
    given = {key: value for key, value in options.items() if value is not None}
    return config.model_copy(update={"coordination": config.coordination.model_copy(update=given)})


def main() -> None:
    """Entry point: errors become one line each on stderr, and an exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        code = fail(2, error.format_message())
    except (InputError, SolverLicenceError) as error:
        code = fail(2, error)
    except (GridlabError, OSError) as error:
        code = fail(1, error)
    except (KeyboardInterrupt, typer.Abort):
        code = fail(1, "interrupted")
    raise SystemExit(code)


def fail(code: int, message: object) -> int:
    """Say what is wrong, give back the exit code."""
    if text := str(message):
        print(text, file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    main()
