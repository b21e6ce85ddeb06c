"""Commands on finished runs."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.arguments import ConfigArgument, QuietOption, RunArgument
from core.errors import Fault, GridlabError, InputError


def report(
    run_dir: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN_DIR", show_default=False)],
    other: Annotated[
        Path | None, typer.Argument(help="A second run of the same kind to compare with.", metavar="RUN_DIR_2")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="Of `serve`: local date or time, 2026-11-30 or 2026-11-30T14:30.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Likewise; a date is included.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Build the report of a plan, a closed loop, a study (two of one kind side by side), or a span of `serve`.

    The report lies in the run directory, with its figures as SVG and PNG files; an earlier one that differs stays.
    """
    from controller.cli.screens.terminal import print_path
    from controller.report import write_report, write_service_report
    from controller.report.service.record import is_service
    from controller.report.service.span import AskedSpan

    asked = AskedSpan(begin, end)
    if not is_service(run_dir):
        if asked.given:
            raise InputError([Fault("--from, --to", "", str(run_dir), "a run of `serve`; others are reported whole")])
        path = write_report(run_dir, other)
    elif other is not None:
        raise InputError([Fault("report", "", str(other), "one run; a run of `serve` is not compared with another")])
    else:
        path = write_service_report(run_dir, asked)
    if not quiet:
        print_path("report", path)


def export(
    run_dir: RunArgument,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="One file per measurement; needs gridlab[parquet].")
    ] = False,
    line_protocol: Annotated[bool, typer.Option("--line-protocol", help="One file in InfluxDB line protocol.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the files.", show_default="RUN_DIR/export")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the telemetry of a run for other programs."""
    from controller.cli.screens.terminal import print_path
    from controller.record.export import export_line_protocol, export_parquet
    from core.config import TelemetryConfig

    if parquet == line_protocol:
        raise InputError([Fault("export", "", "both forms" if parquet else "no form", "--parquet or --line-protocol")])
    folder, database = out or run_dir / "export", run_dir / TelemetryConfig().sqlite
    write = export_parquet if parquet else export_line_protocol
    write(database, folder)
    if not quiet:
        print_path("export", folder)


def audit(
    run_dir: RunArgument,
    state: Annotated[
        Path | None,
        typer.Option(help="State folder of the service.", show_default="RUN_DIR if it has a journal, else state"),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Verify the audit trail of a run, running or ended, and name the first line that is not as it was written."""
    from controller.cli.screens.terminal import console
    from controller.record.audit_check import AUDIT, check_run
    from controller.record.audit_parts import trail_parts
    from controller.record.reading import JOURNAL

    if not trail_parts(run_dir / AUDIT):
        raise InputError([Fault(str(run_dir), AUDIT, "no such file", "a run of `serve` or `simulate`")])
    checks = check_run(run_dir, state or (run_dir if (run_dir / JOURNAL).exists() else Path("state")))
    if broken := [f"{check.name}: {check.text}" for check in checks if check.whole is False]:
        raise GridlabError("\n".join(broken))
    if unproven := [check for check in checks if check.whole is None]:
        raise InputError([Fault(str(run_dir), check.name, check.text, "lines with hashes") for check in unproven])
    if not quiet:
        for check in checks:
            console.print(f"{check.name}: {check.text}", soft_wrap=True)


def import_influx(run_dir: RunArgument, config: ConfigArgument, quiet: QuietOption = False) -> None:
    """Send the telemetry of a past run to the InfluxDB of CONFIG; repeating it is harmless."""
    from controller.cli.screens.plan import steps
    from controller.cli.screens.terminal import print_path
    from controller.record import export
    from controller.record.influx import with_token_path
    from controller.record.outbox import DEAD_LETTERS
    from core.load import load_config

    telemetry = load_config(config).telemetry
    if telemetry.influx is None:
        raise InputError(
            [Fault(str(config), "telemetry.influx", "nothing", "a section {url, org, bucket, token_file}")]
        )
    with steps("import", quiet) as advance:
        done = export.import_influx(
            run_dir / telemetry.sqlite,
            with_token_path(config, telemetry.influx),
            lambda n, total: advance(n / max(total, 1)),
        )
    if done.dead_letters:
        raise GridlabError(
            f"{done.dead_letters} of {done.sent + done.dead_letters} points refused: {run_dir / DEAD_LETTERS}"
        )
    if not quiet:
        print_path(f"{done.sent} points", run_dir)
