"""Add to each top spender what it shows: its kind, its video or post, and its Smart+ ad, with their shares.

Of an Upgraded Smart+ ad the reports by `ad_id` have the creatives, so there the top spender of a campaign is a
creative (mengxingxinqing/tiktok_ads, retrieve_data_for_upgrade_smart_smart_and_manual_campaigns). The spend of its
Smart+ ad is the sum over the ad's creatives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tiktok_assets.duplication import UNKNOWN, find_kinds, is_deleted
from tiktok_assets.spec import Column
from tiktok_assets.tables import build_schema

CREATIVE_COLUMNS: tuple[Column, ...] = (
    Column("ad_kind", "", "text", "the kind of the ad, see docs/flags.md; null where it is not in `ads`"),
    Column("is_deleted", "", "flag", "whether the ad, its ad group or its campaign is deleted"),
    Column("video_id", "", "id", "the ad's video"),
    Column("tiktok_item_id", "", "id", "the TikTok post the ad shows"),
    Column("smart_plus_ad_id", "", "id", "the Upgraded Smart+ ad, if ad_id is one of its creatives"),
    Column("smart_plus_ad_name", "", "text", "its name"),
    Column("smart_plus_ad_spend", "", "money", "its lifetime spend: that of all its creatives"),
    Column("smart_plus_ad_share", "", "ratio", "spend divided by that of the Smart+ ad"),
    Column("media_ads", "", "count", "the ads with spend in the campaign that have the same video or post"),
    Column("media_spend", "", "money", "their lifetime spend"),
    Column("media_share", "", "ratio", "their spend divided by the campaign's spend"),
)
"""The columns that come from the account tables; null where an ad has no row there."""

_CAMPAIGN = ["advertiser_id", "campaign_id"]
_AD = ["advertiser_id", "ad_id"]
_MEDIA = ("video_id", "tiktok_item_id", "smart_plus_ad_id")
_SCHEMA = build_schema(CREATIVE_COLUMNS)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AccountTables:
    """What the account tables have about the top spenders and the other ads of their accounts.

    Attributes:
        media: of every ad: advertiser_id, ad_id, video_id, tiktok_item_id, smart_plus_ad_id.
        smart_plus_names: the names of Smart+ ads by advertiser and id.
        ads: the rows of the top spenders by advertiser and id.
        ad_groups: the rows of their ad groups likewise.
        campaigns: the rows of their campaigns likewise.
    """

    media: pl.DataFrame
    smart_plus_names: Mapping[tuple[str, str], str | None]
    ads: Mapping[tuple[str, str], Row]
    ad_groups: Mapping[tuple[str, str], Row]
    campaigns: Mapping[tuple[str, str], Row]


def add_creatives(leaders: pl.DataFrame, ad_lifetime: pl.DataFrame, tables: AccountTables) -> pl.DataFrame:
    """Fill the columns about kind, media and Smart+ ad of the top spenders; the other columns stay as they are.

    Args:
        leaders: rows of `top_spenders`.
        ad_lifetime: the rows of `ad_report_lifetime` that were ranked.
        tables: of the same accounts.
    """
    media = tables.media.with_columns(
        pl.when(~pl.col(name).is_in(["", "0"])).then(pl.col(name)).alias(name) for name in _MEDIA
    ).unique(_AD, keep="first")
    spent = (
        ad_lifetime.filter(pl.col("spend") > 0)
        .select(*_CAMPAIGN, "ad_id", "spend")
        .join(media, on=_AD, how="left")
    )
    described = (
        leaders.drop(_SCHEMA.names())
        .join(
            pl.DataFrame(_describe_rows(leaders, tables), _DESCRIBED),
            on=_CAMPAIGN,
            how="left",
            maintain_order="left",
        )
        .join(media, on=_AD, how="left", maintain_order="left")
    )
    smart_plus = (
        spent.drop_nulls("smart_plus_ad_id")
        .group_by([*_CAMPAIGN, "smart_plus_ad_id"])
        .agg(smart_plus_ad_spend=pl.col("spend").sum())
    )
    others = spent.select(
        *_CAMPAIGN, other_spend="spend", other_video_id="video_id", other_tiktok_item_id="tiktok_item_id"
    )
    same_media = (
        described.select(*_CAMPAIGN, "video_id", "tiktok_item_id")
        .join(others, on=_CAMPAIGN)
        .filter(
            (pl.col("video_id") == pl.col("other_video_id"))
            | (pl.col("tiktok_item_id") == pl.col("other_tiktok_item_id"))
        )
        .group_by(_CAMPAIGN)
        .agg(media_ads=pl.len(), media_spend=pl.col("other_spend").sum())
    )
    names = [
        {"advertiser_id": owner, "smart_plus_ad_id": ad_id, "smart_plus_ad_name": name}
        for (owner, ad_id), name in tables.smart_plus_names.items()
    ]
    return (
        described.join(smart_plus, on=[*_CAMPAIGN, "smart_plus_ad_id"], how="left", maintain_order="left")
        .join(
            pl.DataFrame(names, _SMART_PLUS_NAMES),
            on=["advertiser_id", "smart_plus_ad_id"],
            how="left",
            maintain_order="left",
        )
        .join(same_media, on=_CAMPAIGN, how="left", maintain_order="left")
        .with_columns(
            smart_plus_ad_share=_divide("spend", "smart_plus_ad_spend"),
            media_share=_divide("media_spend", "campaign_spend"),
        )
        .select(leaders.columns)
        .cast(leaders.schema)
    )


_DESCRIBED = pl.Schema(
    dict.fromkeys(_CAMPAIGN, pl.String()) | {name: _SCHEMA[name] for name in ("ad_kind", "is_deleted")}
)
_SMART_PLUS_NAMES = pl.Schema(
    dict.fromkeys(("advertiser_id", "smart_plus_ad_id", "smart_plus_ad_name"), pl.String())
)


def _describe_rows(leaders: pl.DataFrame, tables: AccountTables) -> list[Row]:
    """Describe each top spender by its rows: its kind, and whether it is deleted."""
    described: list[Row] = []
    for row in leaders.select(*_CAMPAIGN, "ad_group_id", "ad_id").to_dicts():
        owner = row["advertiser_id"]
        ad = tables.ads.get((owner, row["ad_id"]))
        ad_group = tables.ad_groups.get((owner, row["ad_group_id"]))
        campaign = tables.campaigns.get((owner, row["campaign_id"]))
        kind = find_kinds(ad, ad_group, campaign)[0]
        described.append(
            {
                "advertiser_id": owner,
                "campaign_id": row["campaign_id"],
                "ad_kind": None if kind is UNKNOWN else kind.name,
                "is_deleted": any(is_deleted(one or {}) for one in (ad, ad_group, campaign)) if ad else None,
            }
        )
    return described


def _divide(amount: str, total: str) -> pl.Expr:
    """Divide two amounts; null where the total is null or zero."""
    divisor = pl.col(total).cast(pl.Float64)
    return pl.when(divisor > 0).then(pl.col(amount).cast(pl.Float64) / divisor)
