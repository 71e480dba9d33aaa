"""Test what the page says first: what changed since yesterday, the month's pacing, and week against week."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.overview.changes import Change
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.overview.sample_store import NOW, TODAY, YESTERDAY, SampleStore


def find_changes(sample: SampleStore, kind: str) -> list[Change]:
    """Build the page and return its changes of one kind."""
    return [one for one in sample.build()[0].changes if one.kind == kind]


@pytest.mark.parametrize(("hours", "is_listed"), [(0, True), (44, True), (46, False)])
def test_leader_is_a_change_until_the_end_of_the_next_day(
    sample: SampleStore, hours: int, *, is_listed: bool
) -> None:
    """An ad that took the lead today or yesterday is a change, with its campaign and spend; an older not."""
    sample.account("1", "USD")
    leader: dict[str, Any] = {
        "advertiser_id": "1",
        "currency": "USD",
        "ad_id": "9",
        "ad_name": "Hook",
        "campaign_name": "Spring",
    }
    leader |= {"spend": Decimal(60), "lead": 0.25, "leads_since": NOW - timedelta(hours=hours)}
    sample.write("duplication_candidates", Partition("1"), [leader])
    found = [(one.subject, one.within, one.text) for one in find_changes(sample, "leader")]
    text = "now spends most of its campaign: 60.00 USD, +25% over the next ad"
    assert found == ([("Hook", "Spring", text)] if is_listed else [])


@pytest.mark.parametrize(("hours", "is_told"), [(0, True), (44, True), (46, True), (0, False)])
def test_decline_of_a_creative_is_a_change_until_the_end_of_the_next_day(
    sample: SampleStore, hours: int, *, is_told: bool
) -> None:
    """A decline found and told today or yesterday is a change with both rates and its begin."""
    sample.account("1", "USD")
    decline: dict[str, Any] = {"advertiser_id": "1", "creative_id": "9", "creative_name": "Hook", "metric": "ctr"}
    decline |= {
        "currency": "USD",
        "best_rate": 1.5,
        "recent_rate": 0.75,
        "since": YESTERDAY,
        "replacement_id": "8",
    }
    decline |= {"found_at": NOW - timedelta(hours=hours), "is_told": is_told}
    sample.write("creative_declines", Partition("1"), [decline])
    found = [(one.advertiser_id, one.subject, one.text) for one in find_changes(sample, "fatigue")]
    text = f"click rate fell from 1.50% to 0.75% since about {YESTERDAY}; another creative spends in its place"
    assert found == ([("1", "Hook", text)] if is_told and hours < 46 else [])


@pytest.mark.slow
def test_used_up_budgets_are_changes(agency: SampleStore) -> None:
    """A campaign that spent at least its daily budget is a change with both amounts and the day."""
    found = {one.advertiser_id: one for one in find_changes(agency, "budget")}
    assert found.keys() == {"7001", "7002", "7003"}
    assert found["7001"].subject == "Shoes 1"
    assert found["7001"].text == f"spent 40.00 USD on {YESTERDAY}, 160% of its budget of 25.00 USD"


@pytest.mark.slow
def test_account_that_stopped_is_a_change(sample: SampleStore) -> None:
    """An account that spent nothing on its latest complete day, but did the day before, is a change."""
    for owner, spends in {"1": (0, 8), "2": (5, 8), "3": (0, 0)}.items():
        sample.account(owner, "USD")
        for back, spend in enumerate(spends, 1):
            sample.day(owner, "USD", TODAY - timedelta(back), spend=Decimal(spend))
    found = [(one.advertiser_id, one.text) for one in find_changes(sample, "delivery")]
    assert found == [("1", f"spent nothing on {YESTERDAY}, after 8.00 USD the day before")]


def test_missing_data_is_a_change(sample: SampleStore) -> None:
    """Days that were never read, and an account without any, are changes."""
    for owner in ("1", "2", "3"):
        sample.account(owner, "USD")
    for back in (1, 4):
        sample.day("1", "USD", TODAY - timedelta(back), spend=Decimal(1))
    sample.day("2", "USD", YESTERDAY, spend=Decimal(1))
    found = {one.advertiser_id: one.text for one in find_changes(sample, "data")}
    assert found == {"1": "2 of the last 30 days were never read", "3": "its daily report was never read"}


def test_quiet_page_says_so(sample: SampleStore) -> None:
    """Without a change the page says that there is nothing to act on."""
    sample.account("1", "USD")
    sample.day("1", "USD", YESTERDAY, spend=Decimal(1))
    contents, document = sample.build()
    assert list(contents.changes) == []
    assert "Nothing to act on" in document


def test_campaigns_are_compared_week_against_week(agency: SampleStore) -> None:
    """Both weeks end with complete days, their sums are exact, and rates are computed from the sums."""
    (dollars,) = [one for one in agency.build()[0].currencies if one.currency == "USD"]
    shoes, formula = dollars.compared[0], dollars.compared[2]
    assert dollars.compared_count == 4
    assert shoes.name == "Shoes 1"
    assert [shoes.week.spend, shoes.week_before.spend, shoes.growth] == [280, 140, 1]
    assert [shoes.week.cost_per_conversion, shoes.week_before.cost_per_conversion] == [20, 10]
    assert [formula.week.spend, formula.week.conversion] == [Decimal("21.875"), None]


def test_pacing_is_the_spend_of_budgeted_campaigns_over_their_budgets(agency: SampleStore) -> None:
    """The pace counts campaigns with a daily budget only, from the first stored day of the month on."""
    pacing = agency.build()[0].accounts[1].pacing
    assert pacing
    assert (pacing.last, pacing.days, pacing.month_days) == (YESTERDAY, 19, 30)  # stored from the 3rd on
    assert pacing.budgeted_spend == 7 * 40 + 7 * 20
    assert pacing.pace == float(Decimal(420) / (25 * 19))
    assert pacing.month_budget == 25 * 30
    week = sum((Decimal(20) + back for back in range(1, 8)), Decimal(0))
    assert pacing.spend == sum(20 + back for back in range(1, 20))
    assert pacing.projected == pacing.spend + week / 7 * 9


@pytest.mark.slow
def test_roas_is_the_value_of_purchases_by_spend(sample: SampleStore) -> None:
    """ROAS adds website and shop; without any value the page has no such column, not a zero."""
    sample.account("1", "USD")
    sample.day("1", "USD", YESTERDAY, spend=Decimal(10), total_complete_payment_value=Decimal(0))
    assert sample.build()[0].accounts[0].week.roas is None
    assert "ROAS" not in sample.build()[1].split("<script")[0]
    values: dict[str, Any] = {
        "total_complete_payment_value": Decimal(25),
        "total_onsite_shopping_value": Decimal(5),
    }
    sample.day("1", "USD", YESTERDAY, spend=Decimal(10), **values)
    contents, document = sample.build()
    assert contents.accounts[0].week.roas == 3
    assert "ROAS" in document.split("<script")[0]
