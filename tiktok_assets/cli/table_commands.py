"""Declare the commands that answer questions from stored tables, without a request.

This module is imported at every start, so it imports the modules of its commands only when they run.
"""

from typing import Annotated

import typer

from tiktok_assets.cli.errors import UsageError
from tiktok_assets.cli.options import AdvertisersOption, CsvOption, JsonOption, RawOption


def compare(
    by: Annotated[
        str, typer.Option(help="account, campaign, adgroup, ad, creative, or country where that report is stored.")
    ] = "campaign",
    this: Annotated[
        str,
        typer.Option(
            help="The period: 7d, 28d or another number of days up to the last complete one, month, last-month, or"
            " two days such as 2026-11-01:2026-11-07."
        ),
    ] = "7d",
    against: Annotated[
        str,
        typer.Option(
            help="previous (as many days just before), year (52 weeks earlier, so that weekdays match), or two"
            " days as above."
        ),
    ] = "previous",
    sort: Annotated[
        str,
        typer.Option(
            help="Column to sort by, largest first, such as spend, cpa_change or roas_before; spend_difference is"
            " the amount by which spend rose or fell."
        ),
    ] = "spend_difference",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rows of each currency; its total stays that of all rows.")
    ] = None,
    advertisers: AdvertisersOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    raw: RawOption = False,
) -> None:
    """Compare spend, results and rates of two periods, from stored complete days and without a request."""
    from tiktok_assets.cli.compare import compare as compare_periods  # noqa: PLC0415
    from tiktok_assets.cli.compare_rendering import print_comparison  # noqa: PLC0415
    from tiktok_assets.cli.session import load_storage_settings  # noqa: PLC0415
    from tiktok_assets.session import open_session  # noqa: PLC0415

    if as_json and as_csv:
        raise UsageError("--json and --csv cannot be used together.")
    if raw and not as_csv:
        raise UsageError("--raw needs --csv: add it, or remove --raw.")
    with open_session(load_storage_settings()) as session:
        comparison = compare_periods(
            session.store, advertisers, by=by, this=this, against=against, sort=sort, limit=limit
        )
    print_comparison(comparison, as_json=as_json, as_csv=as_csv, raw=raw)
