"""Which ad of a campaign has spent the most, and by how much: pure functions over stored reports."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.spec.columns import Column
from tiktok_assets.tables import INSTANT, schema_of

TOP_SPENDERS_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("campaign_id", "", "id", "the campaign"),
    Column("campaign_name", "", "text", "the campaign's name"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("ad_id", "", "id", "the ad that has spent the most in the campaign's life"),
    Column("ad_name", "", "text", "its name"),
    Column("ad_group_id", "", "id", "its ad group"),
    Column("ad_group_name", "", "text", "its ad group's name"),
    Column("spend", "", "money", "its lifetime spend"),
    Column("campaign_spend", "", "money", "the campaign's lifetime spend"),
    Column("share", "", "ratio", "spend divided by the campaign's spend"),
    Column("runner_up_ad_id", "", "id", "the ad that comes second; null where there is no other"),
    Column("runner_up_ad_name", "", "text", "its name"),
    Column("runner_up_spend", "", "money", "its lifetime spend"),
    Column("lead", "", "ratio", "by which part of the runner-up's spend the leader is ahead; null without one"),
    Column("ads", "", "count", "ads with spend in the campaign"),
    Column("fetched_at", "", "instant", "when the lifetime report was read"),
)
TOP_SPENDERS_SCHEMA = schema_of(TOP_SPENDERS_COLUMNS)

_LEADER = ("ad_id", "ad_name", "ad_group_id", "ad_group_name", "spend")


def top_spenders(ad_lifetime: pl.DataFrame, campaign_lifetime: pl.DataFrame) -> pl.DataFrame:
    """The leader of each campaign by lifetime spend, as the tutorial finds it.

    Ties go to the smaller ad id, so that the same report always names the same leader. A campaign whose ads
    have all spent nothing has none.

    Args:
        ad_lifetime: rows of `ad_report_lifetime`, of any accounts.
        campaign_lifetime: rows of `campaign_report_lifetime` of the same accounts.

    Returns:
        Rows of `top_spenders`, sorted by its key.
    """
    campaign = ["advertiser_id", "campaign_id"]
    ranked = ad_lifetime.filter(pl.col("spend") > 0).sort(
        [*campaign, "spend", "ad_id"], descending=[False, False, True, False]
    )
    groups = ranked.group_by(campaign, maintain_order=True)
    leaders = groups.agg(
        *(pl.col(name).first() for name in (*_LEADER, "campaign_name", "currency", "fetched_at")),
        pl.col("ad_id").get(1, null_on_oob=True).alias("runner_up_ad_id"),
        pl.col("ad_name").get(1, null_on_oob=True).alias("runner_up_ad_name"),
        pl.col("spend").get(1, null_on_oob=True).alias("runner_up_spend"),
        pl.len().cast(pl.Int64).alias("ads"),
    )
    totals = campaign_lifetime.select(*campaign, pl.col("spend").alias("campaign_spend"))
    spend = pl.col("spend").cast(pl.Float64)
    runner_up = pl.col("runner_up_spend").cast(pl.Float64)
    return (
        leaders.join(totals, on=campaign, how="left")
        .with_columns(
            share=spend / pl.col("campaign_spend").cast(pl.Float64),
            lead=spend / runner_up - 1,
            fetched_at=pl.col("fetched_at").cast(INSTANT),
        )
        .select(TOP_SPENDERS_SCHEMA.names())
        .cast(TOP_SPENDERS_SCHEMA)
        .sort(campaign)
    )


@dataclass(frozen=True, slots=True)
class Overtaking:
    """A campaign whose leader changed: who led, who leads now, and by what."""

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


def overtakings(before: pl.DataFrame, now: pl.DataFrame) -> list[Overtaking]:
    """The campaigns of which another ad leads than before; a campaign seen for the first time is a baseline."""
    was = before.select("advertiser_id", "campaign_id", old_ad_id="ad_id", old_ad_name="ad_name")
    changed = now.join(was, on=["advertiser_id", "campaign_id"]).filter(pl.col("ad_id") != pl.col("old_ad_id"))
    names = Overtaking.__slots__
    rows: list[dict[str, Any]] = changed.sort("advertiser_id", "campaign_id").select(names).to_dicts()
    return [Overtaking(**row) for row in rows]
