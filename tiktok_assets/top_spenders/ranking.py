"""Rank the ads of each campaign by lifetime spend, as pure functions over stored reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.spec import Column
from tiktok_assets.tables import INSTANT, MONEY, build_schema
from tiktok_assets.top_spenders.creatives import CREATIVE_COLUMNS

WINDOW_DAYS = (3, 7, 30)
"""Windows of complete days next to lifetime spend; they show an old leader that no longer spends."""


def _build_window_columns(days: int) -> Iterator[Column]:
    over = f"the last {days} complete days; null where they are not all stored"
    yield Column(f"spend_{days}d", "", "money", f"the top spender's spend over {over}")
    yield Column(f"campaign_spend_{days}d", "", "money", f"the spend of all ads of the campaign over {over}")
    yield Column(
        f"rank_{days}d", "", "count", f"the top spender's rank by spend over {over}, or if it spent nothing"
    )
    yield Column(f"top_{days}d_ad_id", "", "id", f"the ad with the highest spend over {over}, or if none spent")
    yield Column(f"top_{days}d_ad_name", "", "text", "its name")
    yield Column(f"top_{days}d_spend", "", "money", "its spend over them")


TOP_SPENDERS_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("campaign_id", "", "id", "the campaign"),
    Column("campaign_name", "", "text", "the campaign's name"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("ad_id", "", "id", "the ad with the highest lifetime spend of the campaign"),
    Column("ad_name", "", "text", "its name"),
    Column("ad_group_id", "", "id", "its ad group"),
    Column("ad_group_name", "", "text", "its ad group's name"),
    Column("spend", "", "money", "its lifetime spend"),
    Column("campaign_spend", "", "money", "the campaign's lifetime spend"),
    Column("share", "", "ratio", "spend divided by the campaign's spend"),
    Column("runner_up_ad_id", "", "id", "the second ad by spend; null where there is no other"),
    Column("runner_up_ad_name", "", "text", "its name"),
    Column("runner_up_spend", "", "money", "its lifetime spend"),
    Column("lead", "", "ratio", "spend above the runner-up's, divided by the runner-up's spend; null without one"),
    Column("ads", "", "count", "the number of ads with spend in the campaign"),
    Column("leads_since", "", "instant", "when the report that first showed it in the lead was read"),
    Column("complete_until", "", "day", "the last complete day; null where none was stored recently"),
    Column(
        "complete_days",
        "",
        "count",
        "the number of complete days without a gap up to that day, in this currency, at most thirty",
    ),
    *(column for days in WINDOW_DAYS for column in _build_window_columns(days)),
    Column("fetched_at", "", "instant", "when the lifetime report was read"),
    *CREATIVE_COLUMNS,
)
TOP_SPENDERS_SCHEMA = build_schema(TOP_SPENDERS_COLUMNS)

_LEADER = ("ad_id", "ad_name", "ad_group_id", "ad_group_name", "spend")
_CAMPAIGN = ["advertiser_id", "campaign_id"]


@dataclass(frozen=True, slots=True)
class CompleteDays:
    """The stored complete days of each account, without a gap.

    Attributes:
        days: one row for each account: `advertiser_id`, `complete_until` (Date), `complete_days` (Int64).
        rows: of `ad_report_daily` on those days.
    """

    days: pl.DataFrame
    rows: pl.DataFrame


def rank_top_spenders(
    ad_lifetime: pl.DataFrame, campaign_lifetime: pl.DataFrame, complete_days: CompleteDays | None = None
) -> pl.DataFrame:
    """Rank the ads of each campaign by lifetime spend and return the leaders.

    Of equal spend the smaller ad id leads, so that the result is deterministic. A campaign without spend has no
    leader.

    Args:
        ad_lifetime: rows of `ad_report_lifetime`, of any accounts.
        campaign_lifetime: rows of `campaign_report_lifetime` of the same accounts.
        complete_days: for the windows, which are null without it.

    Returns:
        Rows of `top_spenders`, sorted by its key; `leads_since` is null, see `record_leader_changes`, as are the
        columns of `add_creatives`.
    """
    ranked = ad_lifetime.filter(pl.col("spend") > 0).sort(
        [*_CAMPAIGN, "spend", "ad_id"], descending=[False, False, True, False]
    )
    groups = ranked.group_by(_CAMPAIGN, maintain_order=True)
    leaders = groups.agg(
        *(pl.col(name).first() for name in (*_LEADER, "campaign_name", "currency", "fetched_at")),
        pl.col("ad_id").get(1, null_on_oob=True).alias("runner_up_ad_id"),
        pl.col("ad_name").get(1, null_on_oob=True).alias("runner_up_ad_name"),
        pl.col("spend").get(1, null_on_oob=True).alias("runner_up_spend"),
        pl.len().cast(pl.Int64).alias("ads"),
    )
    totals = campaign_lifetime.select(*_CAMPAIGN, "currency", pl.col("spend").alias("campaign_spend"))
    spend = pl.col("spend").cast(pl.Float64)
    runner_up = pl.col("runner_up_spend").cast(pl.Float64)
    ranked_leaders = leaders.join(totals, on=[*_CAMPAIGN, "currency"], how="left").with_columns(
        share=spend / pl.col("campaign_spend").cast(pl.Float64),
        lead=spend / runner_up - 1,
        fetched_at=pl.col("fetched_at").cast(INSTANT),
        leads_since=pl.lit(None, INSTANT),
        **{column.name: pl.lit(None) for column in CREATIVE_COLUMNS},
    )
    return (
        _add_windows(ranked_leaders, complete_days)
        .select(TOP_SPENDERS_SCHEMA.names())
        .cast(TOP_SPENDERS_SCHEMA)
        .sort(_CAMPAIGN)
    )


def _add_windows(leaders: pl.DataFrame, complete_days: CompleteDays | None) -> pl.DataFrame:
    if complete_days is None:
        missing = [name for name in TOP_SPENDERS_SCHEMA if name not in leaders.columns]
        return leaders.with_columns(pl.lit(None, TOP_SPENDERS_SCHEMA[name]).alias(name) for name in missing)
    complete_days = _keep_current_currency(leaders, complete_days)
    leaders = leaders.join(complete_days.days, on="advertiser_id", how="left")
    for days in WINDOW_DAYS:
        leaders = _add_window(leaders, complete_days, days)
    return leaders


def _keep_current_currency(leaders: pl.DataFrame, complete_days: CompleteDays) -> CompleteDays:
    """Drop the days up to the last one in another currency than the lifetime report's."""
    currencies = leaders.select("advertiser_id", now="currency").unique("advertiser_id", keep="first")
    others = complete_days.rows.join(currencies, on="advertiser_id").filter(pl.col("currency") != pl.col("now"))
    if others.is_empty():
        return complete_days
    last = others.group_by("advertiser_id").agg(pl.col("date").max().alias("other"))
    since = (pl.col("complete_until") - pl.col("other")).dt.total_days()
    days = complete_days.days.join(last, on="advertiser_id", how="left").with_columns(
        complete_days=pl.min_horizontal("complete_days", since)
    )
    rows = complete_days.rows.join(last, on="advertiser_id", how="left").filter(
        pl.col("other").is_null() | (pl.col("date") > pl.col("other"))
    )
    return CompleteDays(days.drop("other"), rows.drop("other"))


def _add_window(leaders: pl.DataFrame, complete_days: CompleteDays, days: int) -> pl.DataFrame:
    """Add the columns of one window: zero where nothing was spent, null where not all days are stored."""
    names = [column.name for column in _build_window_columns(days)]
    spend, campaign_spend, rank, ad_id, ad_name, top_spend = names
    is_in_window = (pl.col("complete_days") >= days) & (
        pl.col("date") > pl.col("complete_until") - pl.duration(days=days)
    )
    ads = (
        complete_days.rows.join(complete_days.days, on="advertiser_id")
        .filter(is_in_window & (pl.col("spend") > 0))
        .sort("date")
        .group_by([*_CAMPAIGN, "ad_id"], maintain_order=True)
        .agg(pl.col("spend").sum().cast(MONEY), pl.col("ad_name").last())
        .sort([*_CAMPAIGN, "spend", "ad_id"], descending=[False, False, True, False])
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(_CAMPAIGN).alias(rank))
    )
    campaigns = ads.group_by(_CAMPAIGN, maintain_order=True).agg(
        pl.col("spend").sum().cast(MONEY).alias(campaign_spend),
        pl.col("ad_id").first().alias(ad_id),
        pl.col("ad_name").first().alias(ad_name),
        pl.col("spend").first().alias(top_spend),
    )
    own = ads.select(*_CAMPAIGN, "ad_id", rank, pl.col("spend").alias(spend))
    zero = pl.when(pl.col("complete_days") >= days).then(pl.lit(0, MONEY))
    return (
        leaders.join(own, on=[*_CAMPAIGN, "ad_id"], how="left")
        .join(campaigns, on=_CAMPAIGN, how="left")
        .with_columns(pl.coalesce(pl.col(name), zero).alias(name) for name in (spend, campaign_spend))
    )


@dataclass(frozen=True, slots=True)
class LeaderChange:
    """A campaign whose leader changed: the old and the new leader with their numbers."""

    advertiser_id: str
    campaign_id: str
    campaign_name: str | None
    currency: str
    old_ad_id: str
    old_ad_name: str | None
    ad_id: str
    ad_name: str | None
    spend: Decimal
    runner_up_spend: Decimal | None
    lead: float | None
    fetched_at: datetime


def find_leader_changes(before: pl.DataFrame, now: pl.DataFrame) -> list[LeaderChange]:
    """Find the campaigns with another leader than before; a campaign that is new is not a change."""
    old = before.select("advertiser_id", "campaign_id", old_ad_id="ad_id", old_ad_name="ad_name")
    changed = now.join(old, on=["advertiser_id", "campaign_id"]).filter(pl.col("ad_id") != pl.col("old_ad_id"))
    names = LeaderChange.__slots__
    rows: list[dict[str, Any]] = changed.sort("advertiser_id", "campaign_id").select(names).to_dicts()
    return [LeaderChange(**row) for row in rows]
