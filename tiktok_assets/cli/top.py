"""Run the `top` command: read and rank the top-spending ad of each campaign, from the store or live."""

from collections.abc import Sequence

import polars as pl

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.get import find_report
from tiktok_assets.cli.rendering import print_rows
from tiktok_assets.ingest.accounts import require_accounts
from tiktok_assets.ingest.report_reader import build_report_queries, read_reports
from tiktok_assets.session import Session
from tiktok_assets.spec.money import format_amount
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA, LeaderChange, rank_top_spenders

TOP_COLUMNS = ("campaign_name", "ad_name", "ad_id", "spend", "share", "lead")


def read_stored_top_spenders(session: Session, advertisers: Sequence[str] | None = None) -> pl.DataFrame:
    """The stored `top_spenders`, of some accounts or all."""
    return session.store.scan("top_spenders", TOP_SPENDERS_SCHEMA, advertiser_ids=advertisers).collect()


def read_live_top_spenders(session: Session, advertisers: Sequence[str]) -> pl.DataFrame:
    """The leaders by a lifetime report read now; nothing is stored.

    Raises:
        TikTokError: if an account cannot be read.
    """
    accounts = require_accounts(session.reader, session.store, session.settings, advertisers)
    frames: dict[str, list[pl.DataFrame]] = {"ad": [], "campaign": []}
    questions = [
        question
        for account in accounts
        for level in frames
        for question in build_report_queries(find_report(level, "lifetime"), account, ())
    ]
    for question, answer in read_reports(session.reader, questions):
        if isinstance(answer, TikTokError):
            raise answer
        frames[question.report.level.name].append(answer.frame)
    return rank_top_spenders(pl.concat(frames["ad"]), pl.concat(frames["campaign"]))


def sort_top_spenders(leaders: pl.DataFrame, *, campaign: str | None, by: str) -> pl.DataFrame:
    """The leaders of one campaign or all, the largest first within each currency.

    Amounts of different currencies are never compared: each account's rows stand together.

    Raises:
        WrongUsage: if `by` is no number of the table.
        Problem: if there is nothing to rank.
    """
    if campaign:
        leaders = leaders.filter(pl.col("campaign_id") == campaign)
    if leaders.is_empty():
        raise CommandError("no leader is stored; run `tiktok-assets sync` first, or ask with --live.")
    numeric = [name for name, kind in leaders.schema.items() if kind.is_numeric()]
    if by not in numeric:
        raise UsageError(f"cannot rank by {by!r}; the numbers are: {', '.join(numeric)}.")
    return leaders.sort(
        "currency", "advertiser_id", by, "campaign_id", descending=[False, False, True, False], nulls_last=True
    )


def print_top_spenders(leaders: pl.DataFrame) -> None:
    """A table for each account, in the order given; its heading names the currency of every amount."""
    for (owner, currency), rows in leaders.group_by("advertiser_id", "currency", maintain_order=True):
        heading = f"The top-spending ad of each campaign of account {owner}, in {currency}"
        print_rows(rows.to_dicts(), TOP_COLUMNS, title=heading)


def describe_leader_change(change: LeaderChange) -> str:
    """One sentence on a campaign whose leader changed."""
    margin = f", {change.lead:.0%} ahead of the runner-up" if change.lead is not None else ""
    return (
        f"{change.ad_name or 'An ad'} ({change.ad_id}) overtook {change.old_ad_name or 'an ad'}"
        f" ({change.old_ad_id}) in {change.campaign_name or change.campaign_id}:"
        f" {format_amount(change.spend, change.currency)} {change.currency} spent{margin}."
    )
