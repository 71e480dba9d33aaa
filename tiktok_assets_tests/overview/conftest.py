"""A shop in a fresh folder, and one with accounts of three currencies."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tiktok_assets.storage.hive_store import Partition
from tiktok_assets_tests.overview.sample_store import NOW, TODAY, YESTERDAY, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Nothing was read yet."""
    return Shop(tmp_path)


@pytest.fixture
def agency(shop: Shop) -> Shop:
    """Two accounts in dollars, one in yen, one in euro that never delivered; twenty days each."""
    for number, currency in enumerate(("USD", "USD", "JPY"), 1):
        owner = f"700{number}"
        shop.account(owner, currency, f"Account {number}")
        for back in range(20):
            metrics = {
                "spend": Decimal(number * 10) + back,
                "impressions": 1000 * number,
                "clicks": 10 * number,
                "conversion": number,
            }
            shop.day(owner, currency, TODAY - timedelta(back), is_complete=back > 0, **metrics)
        spend = [Decimal(900) * number, Decimal(300) * number, Decimal(0)]
        rows = [
            {"campaign_name": f"Campaign {number}{rank}", "spend": amount, "conversion": 7, "impressions": 1000}
            for rank, amount in enumerate(spend)
        ]
        shop.lifetime(owner, currency, "campaign", rows)
        shop.lifetime(owner, currency, "ad", [row | {"ad_name": f"Ad of {row['campaign_name']}"} for row in rows])
        _further(shop, owner, currency)
    shop.account("7004", "EUR", "Account 4")
    shop.day("7004", "EUR", YESTERDAY)
    return shop


def _further(shop: Shop, owner: str, currency: str) -> None:
    """Budgets, leaders, a newcomer and a restatement."""
    campaign = {
        "advertiser_id": owner,
        "campaign_id": f"{owner}1",
        "campaign_name": "Campaign on",
        "operation_status": "ENABLE",
        "secondary_status": "CAMPAIGN_STATUS_ENABLE",
        "budget_mode": "BUDGET_MODE_TOTAL",
        "budget": Decimal(1800),
    }
    shop.write("campaigns", Partition(owner), [campaign])
    mine = {
        "advertiser_id": owner,
        "currency": currency,
        "campaign_id": f"{owner}1",
        "campaign_name": "Campaign on",
    }
    leader = {**mine, "ad_id": f"{owner}9", "ad_name": "Winner", "spend": Decimal(600), "share": 0.5, "lead": 0.25}
    shop.write("top_spenders", Partition(owner), [leader])
    newcomer = {**mine, "ad_id": f"{owner}9", "ad_name": "Winner", "spend": Decimal(600), "lead": 0.25}
    held = {**newcomer, "status": "held", "reason": "it spent too little", "leads_since": NOW}
    shop.write("duplication_candidates", Partition(owner), [held])
    moved = {
        "advertiser_id": owner,
        "currency": currency,
        "date": YESTERDAY,
        "report": "advertiser_report_daily",
        "fetched_at": NOW,
        "previous_fetched_at": NOW - timedelta(1),
        "spend_change": Decimal("1.50"),
        "conversion_change": 2,
    }
    shop.write("report_restatements", Partition(owner, YESTERDAY), [moved])
