"""Tests of what a top spender shows: its kind, Smart+ ad and video are those of its rows, the sums plain sums."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGNS, SMART_PLUS_ADS, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets.top_spenders.creatives import CREATIVE_COLUMNS, AccountTables, add_creatives
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA, rank_top_spenders
from tiktok_assets.top_spenders.stored_rows import read_account_tables

OWNER = "7001"
NOW = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
MEDIA = ("video_id", "tiktok_item_id", "smart_plus_ad_id")
NAMES = [column.name for column in CREATIVE_COLUMNS]

ids = st.sampled_from([None, "", "0", "1", "2"])
ads = st.dictionaries(
    st.tuples(st.sampled_from(["11", "12"]), st.integers(20, 26).map(str)),
    st.fixed_dictionaries(
        {
            "spend": st.sampled_from(["0", "0.0001", "10", "10.0001"]).map(Decimal),
            "is_listed": st.booleans(),
            **dict.fromkeys(MEDIA, ids),
        }
    ),
    min_size=1,
    max_size=8,
)
"""Ads by campaign and id: their spend, media, and whether TikTok lists them."""


def rank(spends: dict[tuple[str, str], Decimal]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rank the ads of campaigns, and return the leaders and the report."""
    rows = [
        {
            "advertiser_id": OWNER,
            "campaign_id": campaign,
            "ad_group_id": "5",
            "ad_id": ad,
            "currency": "EUR",
            "spend": spend,
            "fetched_at": NOW,
        }
        for (campaign, ad), spend in spends.items()
    ]
    totals: dict[str, Decimal] = {}
    for (campaign, _), spend in spends.items():
        totals[campaign] = totals.get(campaign, Decimal(0)) + spend
    report = pl.DataFrame(rows, report_schema(REPORTS_BY_TABLE["ad_report_lifetime"], STANDARD_METRICS))
    campaigns = [
        {"advertiser_id": OWNER, "campaign_id": campaign, "currency": "EUR", "spend": spend}
        for campaign, spend in totals.items()
    ]
    schema = report_schema(REPORTS_BY_TABLE["campaign_report_lifetime"], STANDARD_METRICS)
    return rank_top_spenders(report, pl.DataFrame(campaigns, schema)), report


@settings(max_examples=60)
@given(ads)
def test_shares_are_those_of_plain_sums(table: dict[tuple[str, str], dict[str, Any]]) -> None:
    """For any ads the Smart+ ad and the video or post have the spend of all their ads in the campaign."""
    leaders, report = rank({key: ad["spend"] for key, ad in table.items()})
    listed = {key: ad for key, ad in table.items() if ad["is_listed"]}
    names = ("advertiser_id", "ad_id", *MEDIA)
    media = pl.DataFrame(
        [{"advertiser_id": OWNER, "ad_id": ad_id, **ad} for (_, ad_id), ad in listed.items()],
        dict.fromkeys(names, pl.String()),
    )
    known = {ad_id: listed[key] for key in reversed(listed) for ad_id in (key[1],)}
    described = add_creatives(leaders, report, AccountTables(media, {(OWNER, "1"): "One"}, {}, {}, {}))
    assert described.drop(NAMES).equals(leaders.drop(NAMES))
    assert described.schema == TOP_SPENDERS_SCHEMA
    for row in described.to_dicts():
        own = {name: _clean(known.get(row["ad_id"], {}).get(name)) for name in MEDIA}
        assert {name: row[name] for name in MEDIA} == own
        spent = {ad_id: ad["spend"] for (campaign, ad_id), ad in table.items() if campaign == row["campaign_id"]}

        def add_spend_of(*names: str, own: Any = own, spent: Any = spent) -> list[Decimal]:  # noqa: ANN401 - rows
            return [
                spend
                for ad_id, spend in spent.items()
                if spend and any(own[name] and own[name] == known.get(ad_id, {}).get(name) for name in names)
            ]

        same = add_spend_of("video_id", "tiktok_item_id")
        assert (row["media_ads"] or 0, row["media_spend"] or 0) == (len(same), sum(same))
        creatives = add_spend_of("smart_plus_ad_id")
        assert (row["smart_plus_ad_spend"] or 0) == sum(creatives)
        assert row["smart_plus_ad_name"] == ("One" if own["smart_plus_ad_id"] == "1" else None)
        for share, amount, total in (
            ("media_share", sum(same), row["campaign_spend"]),
            ("smart_plus_ad_share", row["spend"], sum(creatives)),
        ):
            assert row[share] == (float(amount) / float(total) if amount and total else None)


def _clean(value: str | None) -> str | None:
    return None if value in ("", "0") else value


def write(store: HiveStore, entity: Entity, *rows: dict[str, Any]) -> None:
    """Write the table of an entity."""
    frame = pl.DataFrame([{"advertiser_id": OWNER, **row} for row in rows], build_schema(entity_columns(entity)))
    store.write(entity.table, Partition(OWNER), frame)


def test_leader_is_described_by_the_stored_rows(tmp_path: Path) -> None:
    """Kind, deletion and names come from the account tables; an ad without a row there keeps null."""
    store = HiveStore(str(tmp_path))
    spends = {("11", "20"): Decimal(5), ("12", "21"): Decimal(7), ("13", "22"): Decimal(1)}
    leaders, report = rank(spends)
    unknown = add_creatives(leaders, report, read_account_tables(store, leaders))
    assert unknown.select(NAMES).equals(leaders.select(NAMES))
    write(
        store,
        ADS,
        {"ad_id": "20", "smart_plus_ad_id": "9", "campaign_automation_type": "UPGRADED_SMART_PLUS_CREATIVE"},
        {"ad_id": "21", "secondary_status": "AD_STATUS_DELETE", "tiktok_item_id": "7"},
    )
    write(store, AD_GROUPS, {"ad_group_id": "5", "secondary_status": "ADGROUP_STATUS_DELIVERY_OK"})
    write(store, CAMPAIGNS, {"campaign_id": "11"}, {"campaign_id": "12"}, {"campaign_id": "13"})
    write(store, SMART_PLUS_ADS, {"smart_plus_ad_id": "9", "ad_name": "Hooks"})
    described = add_creatives(leaders, report, read_account_tables(store, leaders))
    names = ("ad_kind", "is_deleted", "smart_plus_ad_name", "smart_plus_ad_share", "media_ads")
    assert described.select(names).rows() == [
        ("upgraded_smart_plus", False, "Hooks", 1.0, None),
        ("spark", True, None, None, 1),
        (None, None, None, None, None),
    ]
