"""Run the `top` command: read and sort the top-spending ad of each campaign, from the store or live."""

from collections.abc import Sequence

import polars as pl

from tiktok_assets.api import TikTokError
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.get import find_report
from tiktok_assets.creatives import WATCHED_SCHEMA, add_watch_rates
from tiktok_assets.ingest import plan_report_requests, read_reports, require_accounts
from tiktok_assets.session import Session
from tiktok_assets.spec import format_amount
from tiktok_assets.top_spenders import (
    TOP_SPENDERS_SCHEMA,
    LeaderChange,
    add_creatives,
    rank_top_spenders,
    read_account_tables,
)


def read_stored_top_spenders(session: Session, advertisers: Sequence[str] | None = None) -> pl.DataFrame:
    """Read the stored table `top_spenders`, for some accounts or for all, with hook and hold rates."""
    stored = session.store.scan("top_spenders", TOP_SPENDERS_SCHEMA, advertiser_ids=advertisers).collect()
    ads = session.store.scan("ad_report_lifetime", WATCHED_SCHEMA, advertiser_ids=advertisers).collect()
    return add_watch_rates(stored, ads)


def read_live_top_spenders(session: Session, advertisers: Sequence[str]) -> pl.DataFrame:
    """Read lifetime reports from the API and rank their ads; kind, media and Smart+ ad are those stored, if any.

    Raises:
        TikTokError: if an account cannot be read.
    """
    accounts = require_accounts(session.reader, session.store, session.settings, advertisers)
    frames: dict[str, list[pl.DataFrame]] = {"ad": [], "campaign": []}
    queries = [
        query
        for account in accounts
        for level in frames
        for query in plan_report_requests(find_report(level, "lifetime"), account, ())
    ]
    for query, result in read_reports(session.reader, queries):
        if isinstance(result, TikTokError):
            raise result
        frames[query.report.level.name].append(result.frame)
    ads = pl.concat(frames["ad"])
    ranked = rank_top_spenders(ads, pl.concat(frames["campaign"]))
    return add_watch_rates(add_creatives(ranked, ads, read_account_tables(session.store, ranked)), ads)


def sort_top_spenders(top_spenders: pl.DataFrame, *, campaign: str | None, by: str) -> pl.DataFrame:
    """Sort the top spenders of one campaign or of all, the largest number first within each account.

    Rows of one currency and of one account stay together, so amounts of different currencies are never compared.

    Raises:
        UsageError: if `by` is not a numeric column of the table.
        CommandError: if there are no rows.
    """
    if campaign:
        top_spenders = top_spenders.filter(pl.col("campaign_id") == campaign)
    if top_spenders.is_empty():
        raise CommandError("no top spender is stored; run `tiktok-assets sync` first, or use --live.")
    numeric = [name for name, kind in top_spenders.schema.items() if kind.is_numeric()]
    if by not in numeric:
        raise UsageError(f"cannot sort by {by!r}; the numeric columns are: {', '.join(numeric)}.")
    return top_spenders.sort(
        "currency", "advertiser_id", by, "campaign_id", descending=[False, False, True, False], nulls_last=True
    )


def describe_leader_change(change: LeaderChange) -> str:
    """Return a sentence about a campaign that has another top spender than before."""
    lead = f", {change.lead:.0%} ahead of the runner-up" if change.lead is not None else ""
    return (
        f"{change.ad_name or 'An ad'} ({change.ad_id}) overtook {change.old_ad_name or 'an ad'}"
        f" ({change.old_ad_id}) in {change.campaign_name or change.campaign_id}:"
        f" {format_amount(change.spend, change.currency)} {change.currency} spent{lead}."
    )
