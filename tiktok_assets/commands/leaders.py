"""`top`: the leading ad of each campaign, from the store or live."""

from collections.abc import Sequence

import polars as pl

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.commands.live import report_of
from tiktok_assets.commands.problems import Problem, WrongUsage
from tiktok_assets.commands.show import print_rows
from tiktok_assets.refresh.accounts import required_accounts
from tiktok_assets.refresh.reading import read_reports, report_questions
from tiktok_assets.scaling.ranking import TOP_SPENDERS_SCHEMA, Overtaking, top_spenders
from tiktok_assets.session import Session
from tiktok_assets.spec.currencies import written

SHOWN = ("campaign_name", "ad_name", "ad_id", "spend", "share", "lead")


def stored_leaders(session: Session, advertisers: Sequence[str] | None = None) -> pl.DataFrame:
    """The stored `top_spenders`, of some accounts or all."""
    return session.store.scan("top_spenders", TOP_SPENDERS_SCHEMA, advertiser_ids=advertisers).collect()


def live_leaders(session: Session, advertisers: Sequence[str]) -> pl.DataFrame:
    """The leaders by a lifetime report read now; nothing is stored.

    Raises:
        TikTokError: if an account cannot be read.
    """
    accounts = required_accounts(session.reader, session.store, session.settings, advertisers)
    frames: dict[str, list[pl.DataFrame]] = {"ad": [], "campaign": []}
    questions = [
        question
        for account in accounts
        for level in frames
        for question in report_questions(report_of(level, "lifetime"), account, ())
    ]
    for question, answer in read_reports(session.reader, questions):
        if isinstance(answer, TikTokError):
            raise answer
        frames[question.report.level.name].append(answer.frame)
    return top_spenders(pl.concat(frames["ad"]), pl.concat(frames["campaign"]))


def ranked(leaders: pl.DataFrame, *, campaign: str | None, by: str) -> pl.DataFrame:
    """The leaders of one campaign or all, the largest first within each currency.

    Amounts of different currencies are never compared: each account's rows stand together.

    Raises:
        WrongUsage: if `by` is no number of the table.
        Problem: if there is nothing to rank.
    """
    if campaign:
        leaders = leaders.filter(pl.col("campaign_id") == campaign)
    if leaders.is_empty():
        raise Problem("no leader is stored; run `tiktok-assets sync` first, or ask with --live.")
    numeric = [name for name, kind in leaders.schema.items() if kind.is_numeric()]
    if by not in numeric:
        raise WrongUsage(f"cannot rank by {by!r}; the numbers are: {', '.join(numeric)}.")
    return leaders.sort(
        "currency", "advertiser_id", by, "campaign_id", descending=[False, False, True, False], nulls_last=True
    )


def print_leaders(leaders: pl.DataFrame) -> None:
    """A table for each account, in the order given; its heading names the currency of every amount."""
    for (owner, currency), rows in leaders.group_by("advertiser_id", "currency", maintain_order=True):
        heading = f"The top-spending ad of each campaign of account {owner}, in {currency}"
        print_rows(rows.to_dicts(), SHOWN, title=heading)


def overtaking_in_words(change: Overtaking) -> str:
    """One sentence on a campaign whose leader changed."""
    margin = f", {change.lead:.0%} ahead of the runner-up" if change.lead is not None else ""
    return (
        f"{change.ad_name or 'An ad'} ({change.ad_id}) overtook {change.old_ad_name or 'an ad'}"
        f" ({change.old_ad_id}) in {change.campaign_name or change.campaign_id}:"
        f" {written(change.spend, change.currency)} {change.currency} spent{margin}."
    )
