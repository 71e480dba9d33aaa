"""Declare the application `tiktok-assets` and run it.

This module is imported at every start. It declares commands with their options, and imports the module of a
command only when that command runs.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tiktok_assets.cli.account_commands import creatives, duplicate, get_app, top
from tiktok_assets.cli.errors import CommandError, UsageError, explain_error
from tiktok_assets.cli.options import JsonOption, VersionOption
from tiktok_assets.cli.output import log_line, print_line, print_text
from tiktok_assets.cli.process import set_up_process, skip_collection_at_exit
from tiktok_assets.cli.refresh_commands import plan, sync
from tiktok_assets.cli.table_commands import compact, compare, publish

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    suggest_commands=False,  # click suggests the nearest command already
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root_options(version: VersionOption = False) -> None:
    """TikTok Ads reporting on Dagster."""


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Run the scenario without a webserver, print the result and exit.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster webserver.")] = 3000,
    as_json: JsonOption = False,
) -> None:
    """Start a sandbox with demo ad accounts, and Dagster on it; no TikTok account is needed."""
    from tiktok_assets.cli import demo as demo_command  # noqa: PLC0415 - loads Dagster
    from tiktok_assets.cli.rendering import print_json, print_top_spenders  # noqa: PLC0415
    from tiktok_assets.cli.top import describe_leader_change, sort_top_spenders  # noqa: PLC0415
    from tiktok_assets.duplication import formatting  # noqa: PLC0415

    def _print_result(result: demo_command.DemoResult) -> None:
        top_spenders = sort_top_spenders(result.top_spenders, campaign=None, by="spend")
        sentences = [describe_leader_change(change) for change in result.changes]
        if as_json:
            duplications = [formatting.entry_to_row(entry) for entry in result.duplications]
            shown = {"top_spenders": top_spenders.to_dicts(), "overtook": sentences}
            print_json({**shown, "alerts": result.alerts, "duplications": duplications})
            return
        print_top_spenders(top_spenders)
        for sentence in sentences or ["No campaign has a new top spender."]:
            print_line(sentence)
        for alert in result.alerts:
            print_line(f"Flagged the ad and sent an alert: {alert['title']} (alert {alert['alert_id']})")
        for entry in result.duplications:
            print_line(formatting.format_done(entry))

    if once:
        _print_result(demo_command.run_once(log_line))
        return
    try:
        demo_command.run_with_dagster(port, log_line, _print_result)
    except KeyboardInterrupt:
        log_line("Stopped; all processes of the demo have ended.")


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the webserver.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; TIKTOK_UI_PASSWORD is required unless it is loopback.")
    ] = "127.0.0.1",
) -> None:
    """Start Dagster's webserver and daemon on the configured instance."""
    from tiktok_assets.cli.dev import run_dev  # noqa: PLC0415 - loads Dagster
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415

    run_dev(load_storage_settings(), host, port)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="Port; 0 chooses a free one.")] = 8080,
    seed: Annotated[int, typer.Option(help="Seed of the generated data.")] = 7,
    advertisers: Annotated[int, typer.Option(help="Number of ad accounts.")] = 5,
    ads: Annotated[int | None, typer.Option(help="Ads in each account.")] = None,
    qps: Annotated[int, typer.Option(help="Requests a second before code 40100; 0 disables all limits.")] = 10,
    now: Annotated[
        str | None, typer.Option(help="Start time of the sandbox's clock, such as 2026-11-06T18:00:00Z.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the sandbox, an imitation of the TikTok API, and print its URL and a token."""
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415
    from tiktok_assets.cli.sandbox import format_exports, serve_sandbox  # noqa: PLC0415

    def _announce(facts: dict[str, str]) -> None:
        print_json(facts) if as_json else print_text(format_exports(facts))
        sys.stdout.flush()  # a program that reads a pipe waits for this

    serve_sandbox(port=port, seed=seed, advertisers=advertisers, ads=ads, qps=qps, now=now, announce=_announce)


@app.command()
def auth(
    redirected_url: Annotated[
        str | None, typer.Argument(help="The full URL that the browser was redirected to, in quotes.")
    ] = None,
    redirect_uri: Annotated[str | None, typer.Option(help="Redirect URL to use, if the app has several.")] = None,
    without_state: Annotated[
        bool, typer.Option("--without-state", help="Accept a code that was not requested with `auth` here.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the URL that grants ad accounts; with the redirected URL, store the access token in `.env`."""
    from tiktok_assets.cli import auth as auth_command  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_frame, print_json  # noqa: PLC0415
    from tiktok_assets.cli.session import load_command_settings  # noqa: PLC0415

    settings = load_command_settings()
    if redirected_url is not None:
        accounts = auth_command.exchange_code(settings, redirected_url, log_line, without_state=without_state)
        print_frame(accounts, "advertisers", as_json=as_json, as_csv=False)
        return
    url = auth_command.build_login_url(settings, redirect_uri)
    if as_json:
        print_json({"authorization_url": url})
        return
    log_line("Open this URL, select the ad accounts, and run `tiktok-assets auth` with the URL you are sent to:")
    print_line(url)


@app.command()
def doctor(
    first_contact: Annotated[
        bool,
        typer.Option(
            "--first-contact",
            help="Send each request once to a new account, and write what differs from the expected responses to a"
            " file without names, ids or amounts.",
        ),
    ] = False,
    advertiser: Annotated[str | None, typer.Option(help="Advertiser id for --first-contact.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check settings, folders, destinations, host, token and accounts, and print the fix for each fault."""
    from tiktok_assets.cli.doctor import run_checks  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415

    if first_contact:
        from tiktok_assets.cli.first_contact import run_first_contact  # noqa: PLC0415
        from tiktok_assets.cli.session import load_command_settings  # noqa: PLC0415

        run_first_contact(load_command_settings(), advertiser, as_json=as_json)
        return
    if advertiser:
        raise UsageError("--advertiser needs --first-contact; `doctor` alone checks all accounts.")
    report = run_checks()
    if as_json:
        print_json(report.to_rows())
    else:
        for result in report.results:
            print_line(str(result))
    if report.faulty_checks:
        raise CommandError(f"some checks failed: {', '.join(report.faulty_checks)}.")


def overview(
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    advertiser: Annotated[
        str | None,
        typer.Option(help="Only this account, for example for a client; the file holds nothing of the others."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the page to this file instead of beside the tables.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build `account_overview.html` from stored tables and print its path; no request is sent."""
    from tiktok_assets.cli.overview import browser_url, build_page  # noqa: PLC0415 - loads the templates
    from tiktok_assets.cli.rendering import print_json  # noqa: PLC0415
    from tiktok_assets.cli.session import load_command_settings  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    with open_session(load_command_settings()) as session:
        page = build_page(session, advertiser, out)
    if as_json:
        print_json({"path": page.path, "bytes": page.bytes, "accounts": len(page.contents.accounts)})
    else:
        print_line(page.path)
    if open_it:
        typer.launch(browser_url(page))


app.add_typer(get_app, name="get")
app.command()(overview)
app.command()(duplicate)
app.command()(top)
app.command()(creatives)
app.command()(compare)
app.command()(plan)
app.command()(sync)
app.command()(publish)
app.command()(compact)


def main() -> None:
    """Run a command; print an error that the user can fix as one sentence, without a traceback."""
    set_up_process()
    try:
        app()
    except KeyboardInterrupt:
        _exit_with_error("stopped; finished work is stored.", 130)
    except Exception as error:
        if explained := explain_error(error):
            _exit_with_error(*explained)
        raise
    finally:
        skip_collection_at_exit()


def _exit_with_error(message: str, exit_code: int) -> None:
    log_line(f"Error: {message}")
    sys.exit(exit_code)
