"""`tiktok-assets`: the commands. Each loads only what it needs, so that the small ones start at once."""

import gc
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.commands.core_dumps import forbid_core_dumps
from tiktok_assets.commands.duplicate import duplicate
from tiktok_assets.commands.getting import get
from tiktok_assets.commands.options import (
    Advertisers,
    Campaign,
    Csv,
    From,
    Json,
    Raw,
    Select,
    To,
    Version,
    print_frame,
    settings_now,
    settings_to_store,
)
from tiktok_assets.commands.output import say, say_text, tell
from tiktok_assets.commands.overview import overview
from tiktok_assets.commands.problems import Problem, WrongUsage, told

if TYPE_CHECKING:
    from tiktok_assets.settings import Settings

COLLECT_RARELY = (20_000, 20, 20)
"""Rows are freed by counting; at Python's 700 the cycle collector would walk all of Dagster again and again."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    suggest_commands=False,  # click names the nearest command already
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options_of_all(version: Version = False) -> None:
    """TikTok Ads reporting on Dagster."""


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="No webserver: tell the story, print it, end.")] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster webserver.")] = 3000,
    as_json: Json = False,
) -> None:
    """Start a sandbox with an agency's accounts, and Dagster on it; needs no TikTok account."""
    from tiktok_assets.commands import demo as demo_command  # noqa: PLC0415 - loads Dagster
    from tiktok_assets.commands.leaders import overtaking_in_words, print_leaders, ranked  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json  # noqa: PLC0415

    def _show(told: demo_command.Told) -> None:
        leaders = ranked(told.leaders, campaign=None, by="spend")
        words = [overtaking_in_words(change) for change in told.changes]
        if as_json:
            print_json({"top_spenders": leaders.to_dicts(), "overtook": words, "alerts": told.alerts})
            return
        print_leaders(leaders)
        for sentence in words or ["No ad overtook."]:
            say(sentence)
        for alert in told.alerts:
            say(f"Flagged, and a person told: {alert['title']} (alert {alert['alert_id']})")

    if once:
        _show(demo_command.run_once(tell))
        return
    try:
        demo_command.run_served(port, tell, _show)
    except KeyboardInterrupt:
        tell("Stopped; nothing is left running.")


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the webserver.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; anything but loopback needs TIKTOK_UI_PASSWORD.")
    ] = "127.0.0.1",
) -> None:
    """Start Dagster's webserver and daemon on the one instance."""
    from tiktok_assets.commands.dev import run_dev  # noqa: PLC0415 - loads Dagster

    run_dev(settings_to_store(), host, port)


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
    from tiktok_assets.commands.sandboxed import as_exports, serve_sandbox  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json  # noqa: PLC0415

    def _announce(facts: dict[str, str]) -> None:
        print_json(facts) if as_json else say_text(as_exports(facts))
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
    from tiktok_assets.commands import auth as auth_command  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json  # noqa: PLC0415

    settings = settings_now()
    if redirected_url is not None:
        accounts = auth_command.authorise(settings, redirected_url, tell, without_state=without_state)
        print_frame(accounts, "advertisers", as_json=as_json, as_csv=False)
        return
    address = auth_command.address_to_open(settings, redirect_uri)
    if as_json:
        print_json({"authorization_url": address})
        return
    tell("Open this, tick the ad accounts, and run `tiktok-assets auth` with the address you are sent to:")
    say(address)


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
    from tiktok_assets.commands.doctor import examine  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json  # noqa: PLC0415

    if first_contact:
        from tiktok_assets.commands.first_contact import run_first_contact  # noqa: PLC0415

        run_first_contact(settings_now(), advertiser, as_json=as_json)
        return
    if advertiser:
        raise WrongUsage("--advertiser goes with --first-contact; `doctor` checks every account.")
    chart = examine()
    if as_json:
        print_json(chart.as_rows())
    else:
        for finding in chart.findings:
            say(str(finding))
    if chart.faults:
        raise Problem(f"not everything is well: {', '.join(chart.faults)}.")


app.add_typer(get, name="get")
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
    from tiktok_assets.commands.asked import asked_advertisers  # noqa: PLC0415
    from tiktok_assets.commands.leaders import live_leaders, ranked, stored_leaders  # noqa: PLC0415
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415

    with open_briefly(settings_now()) as session:
        if live:
            leaders = live_leaders(session, asked_advertisers(advertisers or [], session.advertiser_ids))
        else:
            leaders = stored_leaders(session, advertisers)
        print_frame(ranked(leaders, campaign=campaign, by=by), "top", as_json=as_json, as_csv=as_csv, raw=raw)


@app.command()
def plan(
    advertisers: Advertisers = None,
    first: From = None,
    last: To = None,
    select: Select = None,
    as_json: Json = False,
) -> None:
    """What a refresh takes: requests, minutes at this tier, rows; costs a few one-row requests."""
    _plan(settings_to_store(), advertisers, first, last, select, as_json=as_json)


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
    from tiktok_assets.commands.allocator import return_memory_soon  # noqa: PLC0415

    return_memory_soon()
    settings = settings_to_store()
    if plan_only:
        _plan(settings, advertisers, first, last, select, as_json=as_json)
        return
    from tiktok_assets.commands.ahead import ask_ahead  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    with open_session(settings) as session:
        ask_ahead(session, advertisers or (), first, last, select)
        from tiktok_assets.commands.progress import sync_with_progress  # noqa: PLC0415 - loads Dagster
        from tiktok_assets.commands.sync import Asked  # noqa: PLC0415

        synced = sync_with_progress(settings, session, Asked(advertisers or (), first, last, select), tell)
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
        say(
            f"{synced.requests} requests, {synced.retries} retries, {synced.megabytes} MB,"
            f" {synced.runs} runs, {synced.seconds} s"
        )
    if synced.failures:
        raise Problem("part of the refresh failed; the rest is stored. " + " ".join(synced.failures))


def _plan(
    settings: "Settings",
    advertisers: list[str] | None,
    first: str | None,
    last: str | None,
    select: str | None,
    *,
    as_json: bool,
) -> None:
    from tiktok_assets.commands.asked import asked_advertisers, asked_tables, asked_window  # noqa: PLC0415
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415
    from tiktok_assets.commands.planning import planned  # noqa: PLC0415
    from tiktok_assets.commands.show import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.spec.entities import ENTITIES  # noqa: PLC0415

    with open_briefly(settings) as session:
        names = [entity.table for entity in ENTITIES] + [report.table for report in settings.chosen_reports]
        tables = asked_tables(select, names)
        owners = asked_advertisers(advertisers or [], session.advertiser_ids)
        window = asked_window(first, last, start=settings.start_date, now=session.now())
        result = planned(session, owners, window, tables, is_end_named=bool(last))
    rows = [{"table": line.what, "requests": line.requests, "rows": line.rows} for line in result.lines]
    if as_json:
        print_json({"lines": rows, "requests": result.requests, "rows": result.rows, "minutes": result.minutes})
        return
    print_rows(rows, ("table", "requests", "rows"))
    say(
        f"{result.requests} requests for {result.rows:,} rows: {result.minutes or 'under 0.1'} minutes at"
        f" {settings.requests_per_second:g} requests a second; finding out took {result.probes} requests."
    )


def main() -> None:
    """Run a command; what a person can mend is one sentence on standard error, and no traceback."""
    gc.set_threshold(*COLLECT_RARELY)
    forbid_core_dumps()
    try:
        app()
    except KeyboardInterrupt:
        _end("stopped; what was finished is stored.", 130)
    except Exception as error:
        if sentence := told(error):
            _end(*sentence)
        raise
    finally:
        # The memory ends with the process: no collection at exit. DuckDB alone complains if nobody collects.
        if "_duckdb" not in sys.modules:
            gc.freeze()


def _end(sentence: str, exit_code: int) -> None:
    tell(f"Error: {sentence}")
    sys.exit(exit_code)
