"""Declare the application `tiktok-assets` and run it.

This module is imported at every start. It declares commands with their options, and imports the module of a
command only when that command runs.
"""

import gc
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.cli.account_commands import duplicate, get_app
from tiktok_assets.cli.errors import CommandError, UsageError, explain_error
from tiktok_assets.cli.options import (
    Advertisers,
    Campaign,
    Csv,
    From,
    Json,
    Raw,
    Select,
    To,
    Version,
    load_command_settings,
    load_storage_settings,
    print_frame,
)
from tiktok_assets.cli.output import log_line, print_line, print_text
from tiktok_assets.cli.process import disable_core_dumps


def overview(
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False, as_json: Json = False
) -> None:
    """Make `account_overview.html` from what is stored and print where it is; asks TikTok nothing."""
    from tiktok_assets.cli.overview import browser_url, build_page  # noqa: PLC0415 - loads the templates
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    with open_session(load_command_settings()) as session:
        page = build_page(session)
    if as_json:
        print_json({"path": page.path, "bytes": page.bytes, "accounts": len(page.contents.accounts)})
    else:
        print_line(page.path)
    if open_it:
        typer.launch(browser_url(page))


if TYPE_CHECKING:
    from tiktok_assets.settings import Settings

GC_THRESHOLDS = (20_000, 20, 20)
"""Rows are freed by counting; at Python's 700 the cycle collector would walk all of Dagster again and again."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    suggest_commands=False,  # click names the nearest command already
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root_options(version: Version = False) -> None:
    """TikTok Ads reporting on Dagster."""


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="No webserver: run the scenario, print the result and exit.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster webserver.")] = 3000,
    as_json: Json = False,
) -> None:
    """Start a sandbox with an agency's accounts, and Dagster on it; needs no TikTok account."""
    from tiktok_assets.cli import demo as demo_command  # noqa: PLC0415 - loads Dagster
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415
    from tiktok_assets.cli.top import describe_leader_change, print_top_spenders, sort_top_spenders  # noqa: PLC0415

    def _show(told: demo_command.DemoResult) -> None:
        leaders = sort_top_spenders(told.leaders, campaign=None, by="spend")
        words = [describe_leader_change(change) for change in told.changes]
        if as_json:
            print_json({"top_spenders": leaders.to_dicts(), "overtook": words, "alerts": told.alerts})
            return
        print_top_spenders(leaders)
        for sentence in words or ["No ad overtook."]:
            print_line(sentence)
        for alert in told.alerts:
            print_line(f"Flagged, and a person told: {alert['title']} (alert {alert['alert_id']})")

    if once:
        _show(demo_command.run_once(log_line))
        return
    try:
        demo_command.run_with_dagster(port, log_line, _show)
    except KeyboardInterrupt:
        log_line("Stopped; nothing is left running.")


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the webserver.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback needs TIKTOK_UI_PASSWORD.")
    ] = "127.0.0.1",
) -> None:
    """Start Dagster's webserver and daemon on the one instance."""
    from tiktok_assets.cli.dev import run_dev  # noqa: PLC0415 - loads Dagster

    run_dev(load_storage_settings(), host, port)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8080,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 7,
    advertisers: Annotated[int, typer.Option(help="Ad accounts in the world.")] = 5,
    ads: Annotated[int | None, typer.Option(help="Ads of each account.")] = None,
    qps: Annotated[int, typer.Option(help="Requests a second before 40100; 0 lifts every limit.")] = 10,
    now: Annotated[str | None, typer.Option(help="The world's clock, such as 2026-11-06T18:00:00Z.")] = None,
    as_json: Json = False,
) -> None:
    """Start the imitation of the API alone; prints its address and a token."""
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415
    from tiktok_assets.cli.sandbox import format_exports, serve_sandbox  # noqa: PLC0415

    def _announce(facts: dict[str, str]) -> None:
        print_json(facts) if as_json else print_text(format_exports(facts))
        sys.stdout.flush()  # whoever reads a pipe waits for it

    serve_sandbox(port=port, seed=seed, advertisers=advertisers, ads=ads, qps=qps, now=now, announce=_announce)


@app.command()
def auth(
    redirected_url: Annotated[
        str | None, typer.Argument(help="The whole address the browser was sent to, in quotes.")
    ] = None,
    redirect_uri: Annotated[str | None, typer.Option(help="One of the app's, where it has several.")] = None,
    without_state: Annotated[
        bool, typer.Option("--without-state", help="Take a code that `auth` here did not ask for.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the address that grants accounts; with the one it sent you to, in quotes, keep a token in `.env`."""
    from tiktok_assets.cli import auth as auth_command  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415

    settings = load_command_settings()
    if redirected_url is not None:
        accounts = auth_command.exchange_code(settings, redirected_url, log_line, without_state=without_state)
        print_frame(accounts, "advertisers", as_json=as_json, as_csv=False)
        return
    address = auth_command.build_login_url(settings, redirect_uri)
    if as_json:
        print_json({"authorization_url": address})
        return
    log_line("Open this, tick the ad accounts, and run `tiktok-assets auth` with the address you are sent to:")
    print_line(address)


@app.command()
def doctor(
    first_contact: Annotated[
        bool,
        typer.Option(
            "--first-contact",
            help="Ask a new account for everything once; write what differs from what is expected to a file that"
            " names nobody.",
        ),
    ] = False,
    advertiser: Annotated[str | None, typer.Option(help="The account for --first-contact.")] = None,
    as_json: Json = False,
) -> None:
    """Check settings, folders, host, token, permissions and accounts; each fault comes with its mend."""
    from tiktok_assets.cli.doctor import run_checks  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415

    if first_contact:
        from tiktok_assets.cli.first_contact import run_first_contact  # noqa: PLC0415

        run_first_contact(load_command_settings(), advertiser, as_json=as_json)
        return
    if advertiser:
        raise UsageError("--advertiser goes with --first-contact; `doctor` checks every account.")
    chart = run_checks()
    if as_json:
        print_json(chart.as_rows())
    else:
        for finding in chart.findings:
            print_line(str(finding))
    if chart.faults:
        raise CommandError(f"not everything is well: {', '.join(chart.faults)}.")


app.add_typer(get_app, name="get")
app.command()(overview)
app.command()(duplicate)


@app.command()
def top(
    advertisers: Advertisers = None,
    campaign: Campaign = None,
    by: Annotated[str, typer.Option(help="The number to rank by.")] = "spend",
    live: Annotated[bool, typer.Option("--live", help="Ask the API instead of the store.")] = False,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The top-spending ad of each campaign, ranked."""
    from tiktok_assets.cli.arguments import select_advertisers  # noqa: PLC0415
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415
    from tiktok_assets.cli.top import read_live_top_spenders, read_stored_top_spenders, sort_top_spenders  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        if live:
            leaders = read_live_top_spenders(
                session, select_advertisers(advertisers or [], session.advertiser_ids)
            )
        else:
            leaders = read_stored_top_spenders(session, advertisers)
        print_frame(
            sort_top_spenders(leaders, campaign=campaign, by=by), "top", as_json=as_json, as_csv=as_csv, raw=raw
        )


@app.command()
def plan(
    advertisers: Advertisers = None,
    first: From = None,
    last: To = None,
    select: Select = None,
    as_json: Json = False,
) -> None:
    """What a refresh takes: requests, minutes at this tier, rows; costs a few one-row requests."""
    _print_plan(load_storage_settings(), advertisers, first, last, select, as_json=as_json)


@app.command()
def sync(
    advertisers: Advertisers = None,
    first: From = None,
    last: To = None,
    select: Select = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Say what it would take, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Refresh everything in one process: hierarchy, daily and lifetime reports, top spenders, warehouse."""
    from tiktok_assets.cli.process import return_freed_memory_early  # noqa: PLC0415

    return_freed_memory_early()
    settings = load_storage_settings()
    if plan_only:
        _print_plan(settings, advertisers, first, last, select, as_json=as_json)
        return
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import prefetch_daily_report  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    with open_session(settings) as session:
        prefetch_daily_report(session, advertisers or (), first, last, select)
        from tiktok_assets.cli.progress import sync_with_progress  # noqa: PLC0415 - loads Dagster
        from tiktok_assets.cli.sync import SyncRequest  # noqa: PLC0415

        synced = sync_with_progress(
            settings, session, SyncRequest(advertisers or (), first, last, select), log_line
        )
    if as_json:
        print_json(
            {name: getattr(synced, name) for name in ("rows", "partitions", "runs", "requests", "retries")}
            | {"megabytes": synced.megabytes, "seconds": synced.seconds}
            | {"failures": synced.failures, "warnings": synced.warnings}
        )
    else:
        rows = [
            {"table": table, "partitions": count, "rows": synced.rows[table]}
            for table, count in synced.partitions.items()
        ]
        print_rows(rows, ("table", "partitions", "rows"))
        print_line(
            f"{synced.requests} requests, {synced.retries} retries, {synced.megabytes} MB,"
            f" {synced.runs} runs, {synced.seconds} s"
        )
    if synced.failures:
        raise CommandError("part of the refresh failed; the rest is stored. " + " ".join(synced.failures))


def _print_plan(
    settings: "Settings",
    advertisers: list[str] | None,
    first: str | None,
    last: str | None,
    select: str | None,
    *,
    as_json: bool,
) -> None:
    from tiktok_assets.cli.arguments import parse_window, select_advertisers, select_tables  # noqa: PLC0415
    from tiktok_assets.cli.plan import plan_refresh  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415
    from tiktok_assets.spec.entities import ENTITIES  # noqa: PLC0415

    with open_interactive_session(settings) as session:
        names = [entity.table for entity in ENTITIES] + [report.table for report in settings.chosen_reports]
        tables = select_tables(select, names)
        owners = select_advertisers(advertisers or [], session.advertiser_ids)
        window = parse_window(first, last, start=settings.start_date, now=session.now())
        result = plan_refresh(session, owners, window, tables, is_end_named=bool(last))
    rows = [{"table": line.what, "requests": line.requests, "rows": line.rows} for line in result.lines]
    if as_json:
        print_json({"lines": rows, "requests": result.requests, "rows": result.rows, "minutes": result.minutes})
        return
    print_rows(rows, ("table", "requests", "rows"))
    print_line(
        f"{result.requests} requests for {result.rows:,} rows: {result.minutes or 'under 0.1'} minutes at"
        f" {settings.requests_per_second:g} requests a second; finding out took {result.probes} requests."
    )


def main() -> None:
    """Run a command; what a person can mend is one sentence on standard error, and no traceback."""
    gc.set_threshold(*GC_THRESHOLDS)
    disable_core_dumps()
    try:
        app()
    except KeyboardInterrupt:
        _exit_with_error("stopped; what was finished is stored.", 130)
    except Exception as error:
        if sentence := explain_error(error):
            _exit_with_error(*sentence)
        raise
    finally:
        # The memory ends with the process: no collection at exit. DuckDB alone complains if nobody collects.
        if "_duckdb" not in sys.modules:
            gc.freeze()


def _exit_with_error(sentence: str, exit_code: int) -> None:
    log_line(f"Error: {sentence}")
    sys.exit(exit_code)
