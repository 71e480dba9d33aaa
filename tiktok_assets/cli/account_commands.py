"""Declare the commands that read or change the data of ad accounts: `get`, `top`, `plan`, `sync` and `duplicate`.

This module is imported at every start, so it imports the modules of its commands only when they run.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.options import (
    AdGroup,
    Advertiser,
    Campaign,
    Csv,
    From,
    Json,
    Raw,
    To,
    load_command_settings,
    load_storage_settings,
    print_frame,
)
from tiktok_assets.cli.output import log_line, print_line, print_text

if TYPE_CHECKING:
    from tiktok_assets.session import Session

get_app = typer.Typer(
    help="Read the account live, without Dagster and without storing anything.", no_args_is_help=True
)


@get_app.command("advertisers")
def get_advertisers(as_json: Json = False, as_csv: Csv = False, raw: Raw = False) -> None:
    """The ad accounts that may be read."""
    from tiktok_assets.cli import get  # noqa: PLC0415
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        print_frame(get.fetch_advertisers(session), "advertisers", as_json=as_json, as_csv=as_csv, raw=raw)


def _print_entities(
    session: "Session",
    table: str,
    asked: tuple[str | None, str | None, str | None],
    *,
    as_json: bool,
    as_csv: bool,
    raw: bool,
) -> None:
    from tiktok_assets.cli import get  # noqa: PLC0415

    advertiser, campaign, ad_group = asked
    owner = get.select_advertiser(session, advertiser)
    rows = get.fetch_entities(session, table, owner, get.EntityFilter(campaign, ad_group))
    print_frame(rows, table, as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("campaigns")
def get_campaigns(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The campaigns of an account, deleted ones included."""
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        _print_entities(
            session, "campaigns", (advertiser, campaign, None), as_json=as_json, as_csv=as_csv, raw=raw
        )


@get_app.command("ad-groups")
def get_ad_groups(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    ad_group: AdGroup = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The ad groups of an account or of one campaign, deleted ones included."""
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        _print_entities(
            session, "ad_groups", (advertiser, campaign, ad_group), as_json=as_json, as_csv=as_csv, raw=raw
        )


@get_app.command("ads")
def get_ads(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    ad_group: AdGroup = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The ads of an account, a campaign or an ad group, deleted ones included."""
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        _print_entities(session, "ads", (advertiser, campaign, ad_group), as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("report")
def get_report(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    ad_group: AdGroup = None,
    level: Annotated[str, typer.Option(help="advertiser, campaign, ad-group or ad.")] = "ad",
    lifetime: Annotated[bool, typer.Option("--lifetime", help="Over the whole life, not by day.")] = False,
    first: From = None,
    last: To = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """What was spent and brought, by day or over the whole life, most spend first."""
    from tiktok_assets.cli import get  # noqa: PLC0415
    from tiktok_assets.cli.session import open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        owner = get.select_advertiser(session, advertiser)
        days = get.resolve_report_days(first, last, lifetime=lifetime, now=session.now)
        narrowed = get.EntityFilter(campaign, ad_group)
        rows = get.fetch_report(session, level, owner, narrowed, days)
        print_frame(rows, "report", as_json=as_json, as_csv=as_csv, raw=raw)


def duplicate(
    ad_id: Annotated[str | None, typer.Argument(help="The ad to duplicate.")] = None,
    campaign: Annotated[str | None, typer.Option("--to", help="Campaign; else TIKTOK_SCALING_CAMPAIGNS'.")] = None,
    advertiser: Advertiser = None,
    ad_group: Annotated[
        str | None, typer.Option("--ad-group", help="Into this ad group; else a copy of the source's is made.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Of that copy; else the source's.")] = None,
    again: Annotated[int, typer.Option(min=0, help="Ask for another copy: 1, 2, …")] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="Send the requests once approved; else they are printed.")
    ] = False,
    enable: Annotated[
        bool, typer.Option("--enable", help="Let what is made deliver at once; needs TIKTOK_SCALING_ENABLE=allow.")
    ] = False,
    without_emoji: Annotated[
        bool, typer.Option("--without-emoji", help="Cut emoji from the ad's texts, which TikTok refuses.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; not where several hosts share the state.")
    ] = False,
    code: Annotated[
        bool, typer.Option("--code", help="Read the alert's approval code from standard input instead of asking.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Say where each duplication stands.")] = False,
    as_json: Json = False,
) -> None:
    """Duplicate an ad into another campaign, switched off; a dry run that prints the requests unless --live."""
    from tiktok_assets.cli import duplicate  # noqa: PLC0415
    from tiktok_assets.cli.approval import obtain_approval  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.duplication import formatting  # noqa: PLC0415
    from tiktok_assets.duplication.models import DuplicationRequest  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    settings = load_storage_settings()
    if (ad_id is None) != status:
        raise UsageError("name the ad to duplicate, or ask for --status.")
    with open_session(settings) as session:
        if ad_id is None:
            rows = [
                formatting.entry_to_row(entry)
                for entry in duplicate.list_duplications(session, [advertiser] if advertiser else None)
            ]
            print_json(rows) if as_json else print_rows(rows, formatting.STATUS_COLUMNS)
            return
        if live:
            duplicate.require_write_mode(settings, enable=enable)
        owner = duplicate.find_ad_account(session, advertiser, duplicate.parse_id(ad_id, "the ad"))
        group = duplicate.parse_id(ad_group, "--ad-group") if ad_group else None
        target = duplicate.select_campaign(settings, campaign, owner)
        amount = duplicate.parse_budget(budget)
        wish = DuplicationRequest(owner, ad_id, target, group, amount, again, enable, without_emoji=without_emoji)
        if not live:
            rehearsal = duplicate.dry_run(session, wish)
            print_json(formatting.dry_run_to_row(rehearsal)) if as_json else print_text(
                formatting.format_dry_run(rehearsal)
            )
            if rehearsal.refusals:
                raise CommandError(f"a live run would be refused: {'; '.join(rehearsal.refusals)}.")
            return
        approval = obtain_approval(session, wish, yes=yes, code=code)
        entry, was_done = duplicate.execute(session, wish, approval)
        if was_done:
            log_line("It was done before; nothing was sent. Another copy is asked for with --again.")
        print_json(formatting.entry_to_row(entry)) if as_json else print_line(formatting.format_done(entry))
