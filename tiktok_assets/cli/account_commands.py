"""Declare the commands that read or change the data of ad accounts, such as `get`, `top` and `duplicate`.

This module is imported at every start, so it imports the modules of its commands only when they run.
"""

from pathlib import Path
from typing import Annotated

import typer

from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.options import (
    AdGroupOption,
    AdvertiserOption,
    AdvertisersOption,
    CampaignOption,
    CsvOption,
    FromOption,
    JsonOption,
    RawOption,
    ToOption,
)
from tiktok_assets.cli.output import log_line, print_line, print_text

get_app = typer.Typer(
    help="Read an account live, without Dagster and without storing anything.", no_args_is_help=True
)


@get_app.command("advertisers")
def get_advertisers(as_json: JsonOption = False, as_csv: CsvOption = False, raw: RawOption = False) -> None:
    """Print the granted ad accounts."""
    from tiktok_assets.cli import get  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_frame  # noqa: PLC0415
    from tiktok_assets.cli.session import load_command_settings, open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        print_frame(get.fetch_advertisers(session), "advertisers", as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("campaigns")
def get_campaigns(
    advertiser: AdvertiserOption = None,
    campaign: CampaignOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the campaigns of an account, including deleted ones."""
    _print_entities("campaigns", advertiser, campaign, None, as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("ad-groups")
def get_ad_groups(
    advertiser: AdvertiserOption = None,
    campaign: CampaignOption = None,
    ad_group: AdGroupOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the ad groups of an account or of one campaign, including deleted ones."""
    _print_entities("ad_groups", advertiser, campaign, ad_group, as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("ads")
def get_ads(
    advertiser: AdvertiserOption = None,
    campaign: CampaignOption = None,
    ad_group: AdGroupOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the ads of an account, a campaign or an ad group, including deleted ones."""
    _print_entities("ads", advertiser, campaign, ad_group, as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("videos")
def get_videos(
    advertiser: AdvertiserOption = None,
    campaign: CampaignOption = None,
    ad_group: AdGroupOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the videos that the ads of an account, a campaign or an ad group use."""
    _print_entities("videos", advertiser, campaign, ad_group, as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("images")
def get_images(
    advertiser: AdvertiserOption = None,
    campaign: CampaignOption = None,
    ad_group: AdGroupOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the images of the ads of an account, a campaign or an ad group that have no video."""
    _print_entities("images", advertiser, campaign, ad_group, as_json=as_json, as_csv=as_csv, raw=raw)


def _print_entities(
    table: str,
    advertiser: str | None,
    campaign: str | None,
    ad_group: str | None,
    *,
    as_json: bool,
    as_csv: bool,
    raw: bool,
) -> None:
    from tiktok_assets.cli import get  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_frame  # noqa: PLC0415
    from tiktok_assets.cli.session import load_command_settings, open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        advertiser_id = get.select_advertiser(session, advertiser)
        fetch = get.fetch_media if table in {"videos", "images"} else get.fetch_entities
        rows = fetch(session, table, advertiser_id, get.EntityFilter(campaign, ad_group))
        print_frame(rows, table, as_json=as_json, as_csv=as_csv, raw=raw)


@get_app.command("report")
def get_report(
    advertiser: AdvertiserOption = None,
    campaign: CampaignOption = None,
    ad_group: AdGroupOption = None,
    level: Annotated[str, typer.Option(help="advertiser, campaign, ad-group or ad.")] = "ad",
    lifetime: Annotated[bool, typer.Option("--lifetime", help="The lifetime report instead of days.")] = False,
    first: FromOption = None,
    last: ToOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print spend and results by day or for the lifetime, highest spend first."""
    from tiktok_assets.cli import get  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_frame  # noqa: PLC0415
    from tiktok_assets.cli.session import load_command_settings, open_interactive_session  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        advertiser_id = get.select_advertiser(session, advertiser)
        days = get.resolve_report_days(first, last, lifetime=lifetime, now=session.now)
        rows = get.fetch_report(session, level, advertiser_id, get.EntityFilter(campaign, ad_group), days)
        print_frame(rows, "report", as_json=as_json, as_csv=as_csv, raw=raw)


def top(
    advertisers: AdvertisersOption = None,
    campaign: CampaignOption = None,
    by: Annotated[str, typer.Option(help="Numeric column to sort by.")] = "spend",
    live: Annotated[bool, typer.Option("--live", help="Read from the API instead of the stored tables.")] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the top-spending ad of each campaign with its hook and hold rate, sorted."""
    from tiktok_assets.cli.arguments import select_advertisers  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_frame  # noqa: PLC0415
    from tiktok_assets.cli.session import load_command_settings, open_interactive_session  # noqa: PLC0415
    from tiktok_assets.cli.top import read_live_top_spenders, read_stored_top_spenders, sort_top_spenders  # noqa: PLC0415

    with open_interactive_session(load_command_settings()) as session:
        if live:
            advertiser_ids = select_advertisers(advertisers or [], session.advertiser_ids)
            top_spenders = read_live_top_spenders(session, advertiser_ids)
        else:
            top_spenders = read_stored_top_spenders(session, advertisers)
        rows = sort_top_spenders(top_spenders, campaign=campaign, by=by)
        print_frame(rows, "top", as_json=as_json, as_csv=as_csv, raw=raw)


def creatives(
    advertisers: AdvertisersOption = None,
    by: Annotated[str, typer.Option(help="Figure to sort by, such as spend, hook, hold, ctr or roas.")] = "spend",
    days: Annotated[str, typer.Option(help="Period: 7 or 28 complete days, or lifetime.")] = "7",
    xlsx: Annotated[
        Path | None, typer.Option(help="Write all columns to this Excel workbook, with thumbnails.")
    ] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Print the stored videos, posts and images with spend, hook rate and hold rate over all their ads."""
    from tiktok_assets.cli.creatives import read_creatives, write_workbook  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_frame  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415
    from tiktok_assets.storage import ThumbnailStore  # noqa: PLC0415

    if xlsx and (as_json or as_csv):
        raise UsageError("--xlsx cannot be used with --json or --csv.")
    with open_session(load_storage_settings()) as session:
        rows = read_creatives(session, advertisers, by, days)
        if xlsx:
            pictures = write_workbook(rows, ThumbnailStore(session.store.base), xlsx)
            print_line(f"{rows.height:,} creatives with {pictures:,} thumbnails were written to {xlsx}.")
            return
        kind = "creatives_lifetime" if days == "lifetime" else f"creatives_{days}d"
        print_frame(rows, kind, as_json=as_json, as_csv=as_csv, raw=raw)


def duplicate(
    ad_id: Annotated[str | None, typer.Argument(help="The ad to duplicate.")] = None,
    campaign: Annotated[
        str | None, typer.Option("--to", help="Target campaign; by default that of TIKTOK_SCALING_CAMPAIGNS.")
    ] = None,
    advertiser: AdvertiserOption = None,
    ad_group: Annotated[
        str | None,
        typer.Option("--ad-group", help="Target ad group; by default a copy of the ad's own is created."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Budget of that new ad group; by default that of the original.")
    ] = None,
    again: Annotated[int, typer.Option(min=0, help="Number of a further copy of the same ad: 1, 2, …")] = 0,
    live: Annotated[
        bool, typer.Option("--live", help="Send the requests after approval, instead of printing them.")
    ] = False,
    enable: Annotated[
        bool, typer.Option("--enable", help="Enable the new ad at once; needs TIKTOK_SCALING_ENABLE=allow.")
    ] = False,
    without_emoji: Annotated[
        bool, typer.Option("--without-emoji", help="Remove emoji from the ad's texts; TikTok rejects them.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve without a prompt; refused if several hosts share the state.")
    ] = False,
    code: Annotated[
        bool, typer.Option("--code", help="Approve with the approval code of an alert, read from standard input.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="List all duplications with their status.")] = False,
    undo: Annotated[
        str | None,
        typer.Option(
            "--undo",
            metavar="KEY",
            help="Show what a duplication created; with --live switch it off, and delete what has no spend.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Duplicate an ad into another campaign, disabled; without --live, print the requests (a dry run)."""
    from tiktok_assets.cli import duplicate as command  # noqa: PLC0415
    from tiktok_assets.cli import undo as undo_command  # noqa: PLC0415
    from tiktok_assets.cli.rendering import print_json, print_rows  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415
    from tiktok_assets.duplication import DuplicationRequest, formatting  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    settings = load_storage_settings()
    if (ad_id is not None) + status + (undo is not None) != 1:
        raise UsageError("give the id of the ad to duplicate, or --status, or --undo with a duplication's key.")
    with open_session(settings) as session:
        if undo is not None:
            preview = undo_command.run_undo(session, undo, live=live, yes=yes)
            print_json(formatting.undo_to_row(preview)) if as_json else print_text(formatting.format_undo(preview))
            return
        if ad_id is None:
            entries = command.list_duplications(session, [advertiser] if advertiser else None)
            rows = [formatting.entry_to_row(entry) for entry in entries]
            print_json(rows) if as_json else print_rows(rows, formatting.STATUS_COLUMNS)
            return
        if live:
            command.require_write_mode(settings, enable=enable)
        advertiser_id = command.find_ad_account(session, advertiser, command.parse_id(ad_id, "the ad"))
        ad_group_id = command.parse_id(ad_group, "--ad-group") if ad_group else None
        campaign_id = command.select_campaign(settings, campaign, advertiser_id)
        amount = command.parse_budget(budget)
        request = DuplicationRequest(
            advertiser_id, ad_id, campaign_id, ad_group_id, amount, again, enable, without_emoji=without_emoji
        )
        if not live:
            dry_run = command.dry_run(session, request)
            if as_json:
                print_json(formatting.dry_run_to_row(dry_run))
            else:
                print_text(formatting.format_dry_run(dry_run))
            if dry_run.refusals:
                raise CommandError(f"a live run would be refused: {'; '.join(dry_run.refusals)}.")
            return
        approval = command.obtain_approval(session, request, yes=yes, code=code)
        entry, was_done = command.execute(session, request, approval)
        if was_done:
            log_line("This duplication was done before; nothing was sent. Use --again to create another copy.")
        print_json(formatting.entry_to_row(entry)) if as_json else print_line(formatting.format_done(entry))
