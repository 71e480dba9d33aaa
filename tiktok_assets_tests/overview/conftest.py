"""Fixtures: an empty sample store, and one with accounts in three currencies."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tiktok_assets.ingest.pictures import draw_tile
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets_tests.overview.sample_store import NOW, TODAY, YESTERDAY, SampleStore


@pytest.fixture
def sample(tmp_path: Path) -> SampleStore:
    """Return a store into which nothing was read yet."""
    return SampleStore(tmp_path)


@pytest.fixture
def agency(sample: SampleStore) -> SampleStore:
    """Fill a store with two accounts in USD and one in JPY, twenty days each, and one in EUR without delivery."""
    for number, currency in enumerate(("USD", "USD", "JPY"), 1):
        advertiser_id = f"700{number}"
        sample.account(advertiser_id, currency, f"Account {number}")
        for back in range(20):
            metrics = {
                "spend": Decimal(number * 10) + back,
                "impressions": 1000 * number,
                "clicks": 10 * number,
                "conversion": number,
            }
            sample.day(advertiser_id, currency, TODAY - timedelta(back), is_complete=back > 0, **metrics)
        spend = [Decimal(900) * number, Decimal(300) * number, Decimal(0)]
        rows = [
            {"campaign_name": f"Campaign {number}{rank}", "spend": amount, "conversion": 7, "impressions": 1000}
            for rank, amount in enumerate(spend)
        ]
        sample.lifetime(advertiser_id, currency, "campaign", rows)
        sample.lifetime(
            advertiser_id, currency, "ad", [row | {"ad_name": f"Ad of {row['campaign_name']}"} for row in rows]
        )
        _write_other_tables(sample, advertiser_id, currency)
        _write_campaign_days(sample, advertiser_id, currency)
        write_creatives(sample, advertiser_id, currency)
    sample.account("7004", "EUR", "Account 4")
    sample.day("7004", "EUR", YESTERDAY)
    return sample


def _write_campaign_days(sample: SampleStore, advertiser_id: str, currency: str) -> None:
    """Write two weeks of two campaigns: one with a daily budget, and one whose name a spreadsheet would run."""
    for back in range(1, 15):
        day = {"advertiser_id": advertiser_id, "currency": currency, "date": TODAY - timedelta(back)}
        spend = Decimal(40 if back <= 7 else 20)
        rows = [
            {**day, "campaign_id": f"{advertiser_id}5", "spend": spend, "conversion": 2, "impressions": 900},
            {**day, "campaign_id": f"{advertiser_id}6", "spend": Decimal("3.125"), "clicks": 4},
        ]
        sample.write("campaign_report_daily", Partition(advertiser_id, TODAY - timedelta(back)), rows)


def write_creatives(
    sample: SampleStore, advertiser_id: str, currency: str, count: int = 3, days: int = 35
) -> None:
    """Write creatives whose hook rate falls from week to week; every other one has a thumbnail."""
    ids = [f"{advertiser_id}c{number}" for number in range(count)]
    thumbnails = ThumbnailStore(sample.store.base)
    rows = [
        {
            "advertiser_id": advertiser_id,
            "currency": currency,
            "creative_id": one,
            "creative_kind": "video",
            "creative_name": f"Unboxing {number} of {advertiser_id}",
            "thumbnail": None if number % 2 else thumbnails.write(draw_tile(f"Unboxing {number}", one))[0],
            "ads": number + 1,
        }
        for number, one in enumerate(ids)
    ]
    sample.write("creatives", Partition(advertiser_id), rows)
    daily = [
        {
            "advertiser_id": advertiser_id,
            "currency": currency,
            "creative_id": one,
            "date": TODAY - timedelta(back),
            "spend": Decimal(100 - number),
            "impressions": 1000,
            "clicks": 10,
            "video_watched_2s": 200 + 10 * back,
            "video_watched_6s": 100,
        }
        for number, one in enumerate(ids)
        for back in range(1, days + 1)
    ]
    sample.write("creative_daily", Partition(advertiser_id), daily)


def _write_other_tables(sample: SampleStore, advertiser_id: str, currency: str) -> None:
    """Write a budget, a top spender, a held back candidate and a restatement."""
    campaign = {
        "advertiser_id": advertiser_id,
        "campaign_id": f"{advertiser_id}1",
        "campaign_name": "Campaign on",
        "operation_status": "ENABLE",
        "secondary_status": "CAMPAIGN_STATUS_ENABLE",
        "budget_mode": "BUDGET_MODE_TOTAL",
        "budget": Decimal(1800),
    }
    number = advertiser_id[-1]
    daily = {
        "campaign_id": f"{advertiser_id}5",
        "campaign_name": f"Shoes {number}",
        "budget_mode": "BUDGET_MODE_DAY",
    }
    formula = {"campaign_id": f"{advertiser_id}6", "campaign_name": f"=HYPERLINK({number})", "budget": None}
    sample.write(
        "campaigns",
        Partition(advertiser_id),
        [campaign, {**campaign, **daily, "budget": Decimal(25)}, {**campaign, **formula}],
    )
    ids = {
        "advertiser_id": advertiser_id,
        "currency": currency,
        "campaign_id": f"{advertiser_id}1",
        "campaign_name": "Campaign on",
    }
    leader = {
        **ids,
        "ad_id": f"{advertiser_id}9",
        "ad_name": "Winner",
        "spend": Decimal(600),
        "share": 0.5,
        "lead": 0.25,
        "ad_kind": "upgraded_smart_plus",
        "is_deleted": True,
        "smart_plus_ad_id": f"{advertiser_id}8",
        "smart_plus_ad_name": "Smart+ hooks",
        "smart_plus_ad_share": 0.75,
        "video_id": "v1",
        "media_ads": 3,
        "media_share": 0.41,
    }
    sample.write("top_spenders", Partition(advertiser_id), [leader])
    candidate = {**ids, "ad_id": f"{advertiser_id}9", "ad_name": "Winner", "spend": Decimal(600), "lead": 0.25}
    held = {**candidate, "status": "held", "reason": "it spent too little", "leads_since": NOW}
    held |= {"ad_kind": "catalogue", "duplicable": "by hand", "duplication_reason": "it is made from a catalogue"}
    held["duplication_steps"] = "copy it in Ads Manager"
    sample.write("duplication_candidates", Partition(advertiser_id), [held])
    restated = {
        "advertiser_id": advertiser_id,
        "currency": currency,
        "date": YESTERDAY,
        "report": "advertiser_report_daily",
        "fetched_at": NOW,
        "previous_fetched_at": NOW - timedelta(1),
        "spend_change": Decimal("1.50"),
        "conversion_change": 2,
    }
    sample.write("report_restatements", Partition(advertiser_id, YESTERDAY), [restated])
