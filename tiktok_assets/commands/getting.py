"""The `get` commands: the account, live."""

from typing import TYPE_CHECKING, Annotated

import typer

from tiktok_assets.commands.options import (
    AdGroup,
    Advertiser,
    Campaign,
    Csv,
    From,
    Json,
    Raw,
    To,
    print_frame,
    settings_now,
)

if TYPE_CHECKING:
    from tiktok_assets.session import Session

get = typer.Typer(
    help="Read the account live, without Dagster and without storing anything.", no_args_is_help=True
)


@get.command("advertisers")
def get_advertisers(as_json: Json = False, as_csv: Csv = False, raw: Raw = False) -> None:
    """The ad accounts that may be read."""
    from tiktok_assets.commands import live  # noqa: PLC0415
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415

    with open_briefly(settings_now()) as session:
        print_frame(live.get_advertisers(session), "advertisers", as_json=as_json, as_csv=as_csv, raw=raw)


def _get(
    session: "Session",
    table: str,
    asked: tuple[str | None, str | None, str | None],
    *,
    as_json: bool,
    as_csv: bool,
    raw: bool,
) -> None:
    from tiktok_assets.commands import live  # noqa: PLC0415

    advertiser, campaign, ad_group = asked
    owner = live.one_advertiser(session, advertiser)
    rows = live.get_entities(session, table, owner, live.Narrowed(campaign, ad_group))
    print_frame(rows, table, as_json=as_json, as_csv=as_csv, raw=raw)


@get.command("campaigns")
def get_campaigns(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The campaigns of an account, deleted ones included."""
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415

    with open_briefly(settings_now()) as session:
        _get(session, "campaigns", (advertiser, campaign, None), as_json=as_json, as_csv=as_csv, raw=raw)


@get.command("ad-groups")
def get_ad_groups(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    ad_group: AdGroup = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The ad groups of an account or of one campaign, deleted ones included."""
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415

    with open_briefly(settings_now()) as session:
        _get(session, "ad_groups", (advertiser, campaign, ad_group), as_json=as_json, as_csv=as_csv, raw=raw)


@get.command("ads")
def get_ads(
    advertiser: Advertiser = None,
    campaign: Campaign = None,
    ad_group: AdGroup = None,
    as_json: Json = False,
    as_csv: Csv = False,
    raw: Raw = False,
) -> None:
    """The ads of an account, a campaign or an ad group, deleted ones included."""
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415

    with open_briefly(settings_now()) as session:
        _get(session, "ads", (advertiser, campaign, ad_group), as_json=as_json, as_csv=as_csv, raw=raw)


@get.command("report")
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
    from tiktok_assets.commands import live  # noqa: PLC0415
    from tiktok_assets.commands.patience import open_briefly  # noqa: PLC0415

    with open_briefly(settings_now()) as session:
        owner = live.one_advertiser(session, advertiser)
        days = live.report_days(first, last, lifetime=lifetime, now=session.now)
        narrowed = live.Narrowed(campaign, ad_group)
        rows = live.get_report(session, level, owner, narrowed, days)
        print_frame(rows, "report", as_json=as_json, as_csv=as_csv, raw=raw)
