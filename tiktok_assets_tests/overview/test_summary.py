"""Test that totals use only complete days and additive metrics, and that missing values stay missing."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.overview.loader import load_tables
from tiktok_assets.overview.summary import MAX_CHART_SERIES, summarize
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.overview.sample_store import NOW, TODAY, YESTERDAY, SampleStore

DAYS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.decimals(0, 10_000, places=2), st.integers(0, 50), st.booleans()),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=20, deadline=None)
@given(days=DAYS)
def test_week_ends_with_the_latest_complete_day(
    days: list[tuple[Decimal, int, bool] | None],
) -> None:
    """For any stored days, complete or not and with or without delivery, the totals are the sums of their rows."""
    with TemporaryDirectory() as folder:
        sample = SampleStore(Path(folder))
        sample.account("1", "USD")
        rows = {}
        for back, one in enumerate(days):
            day = TODAY - timedelta(back)
            if one is None:
                sample.day("1", "USD", day)  # complete, without delivery
            else:
                rows[day] = one
                sample.day("1", "USD", day, spend=one[0], conversion=one[1], is_complete=one[2])
        ((account,),) = [one.accounts for one in summarize(load_tables(sample.store), NOW).currencies]
    complete = [TODAY - timedelta(back) for back, one in enumerate(days) if one is None or one[2]]
    last = max(complete, default=None)
    assert account.freshness
    assert account.freshness.complete_day == last
    week = [rows[day] for back in range(7) if last and (day := last - timedelta(back)) in rows]
    assert account.week.spend == (sum((one[0] for one in week), Decimal(0)) if week else None)
    assert account.week.conversion == (sum(one[1] for one in week) if week else None)
    spend, conversions = account.week.spend, account.week.conversion
    assert account.week.cost_per_conversion == (spend / conversions if spend is not None and conversions else None)


def test_rates_are_computed_from_totals(agency: SampleStore) -> None:
    """The cost per conversion of a currency is total spend by total conversions, not a mean over accounts."""
    dollars = next(one for one in agency.build()[0].currencies if one.currency == "USD")
    assert dollars.week.conversion == 7 * (1 + 2)
    assert dollars.week.spend == sum(10 + back for back in range(1, 8)) + sum(20 + back for back in range(1, 8))
    assert dollars.week.cost_per_conversion == dollars.week.spend / 21
    assert dollars.week.click_rate == 0.01


def test_unselected_metric_is_missing_and_not_zero(sample: SampleStore) -> None:
    """Without conversions in the tables the page shows none and has no chart of them."""
    sample.account("1", "USD")
    sample.day("1", "USD", YESTERDAY, spend=Decimal(5))
    contents, document = sample.build()
    assert contents.accounts[0].week.conversion is None
    assert "Conversions per day" not in document
    assert "Spend per day, USD" in document


def test_ranking_is_by_spend_then_id(sample: SampleStore) -> None:
    """The largest spend is first, then the smaller id; ads without spend are left out; shares are of the total."""
    sample.account("1", "USD")
    amounts = [Decimal(number) for number in (5, 0, 20, 5, *range(30, 42))]
    sample.lifetime(
        "1", "USD", "ad", [{"ad_name": f"ad {index}", "spend": one} for index, one in enumerate(amounts)]
    )
    account = sample.build()[0].accounts[0]
    assert [one.totals.spend for one in account.ads] == sorted(amounts, reverse=True)[:10]
    assert account.ad_count == len(amounts) - 1
    assert account.ads[0].share == float(Decimal(41) / sum(amounts))


def test_small_accounts_share_one_chart_series(sample: SampleStore) -> None:
    """With many accounts the largest have their own series and all others share one, and the total is kept."""
    for number in range(MAX_CHART_SERIES + 3):
        sample.account(str(number), "USD", "Same name")
        sample.day(str(number), "USD", YESTERDAY, spend=Decimal(number + 1), conversion=1)
    (dollars,) = sample.build()[0].currencies
    assert len(dollars.chart_rows) == MAX_CHART_SERIES + 1
    assert len({row["series"] for row in dollars.chart_rows}) == MAX_CHART_SERIES + 1
    assert sum(row["spend"] for row in dollars.chart_rows) == dollars.week.spend


def test_missing_days_are_counted(sample: SampleStore) -> None:
    """Days of the last thirty that were never read are counted and shown on the page."""
    sample.account("1", "USD")
    for back in (0, 1, 3, 40):
        sample.day("1", "USD", TODAY - timedelta(back), spend=Decimal(1))
    contents, document = sample.build()
    assert contents.accounts[0].freshness
    assert contents.accounts[0].freshness.missing_days == 27
    assert "27 of the last 30 days missing" in document


def test_campaign_without_budget_uses_its_ad_groups_budgets(sample: SampleStore) -> None:
    """Daily budgets of active ad groups are summed for the latest complete day; mixed budget modes are not."""
    sample.account("1", "USD")
    sample.day("1", "USD", YESTERDAY, spend=Decimal(15))
    on = {"advertiser_id": "1", "operation_status": "ENABLE", "secondary_status": "CAMPAIGN_STATUS_ENABLE"}
    infinite = {"budget_mode": "BUDGET_MODE_INFINITE", "budget": Decimal(0)}
    campaigns = [
        {**on, **infinite, "campaign_id": "a"},
        {**on, **infinite, "campaign_id": "mixed"},
        {**on, **infinite, "campaign_id": "off", "operation_status": "DISABLE"},
        {**on, "campaign_id": "own", "budget_mode": "BUDGET_MODE_DAY", "budget": Decimal(10)},
    ]
    sample.write("campaigns", Partition("1"), campaigns)
    daily = {**on, "budget_mode": "BUDGET_MODE_DAY", "budget": Decimal(20)}
    groups = [
        *({**daily, "campaign_id": campaign} for campaign in ("a", "a", "mixed", "off")),
        {**daily, "campaign_id": "a", "operation_status": "DISABLE"},
        {**daily, "campaign_id": "mixed", "budget_mode": "BUDGET_MODE_TOTAL"},
    ]
    sample.write("ad_groups", Partition("1"), groups)
    spent = {"advertiser_id": "1", "currency": "USD", "date": YESTERDAY}
    spends = [
        {**spent, "campaign_id": "a", "spend": Decimal(8)},
        {**spent, "campaign_id": "own", "spend": Decimal(12)},
    ]
    sample.write("campaign_report_daily", Partition("1", YESTERDAY), spends)
    usages = {usage.campaign_id: usage for usage in sample.build()[0].accounts[0].budgets}
    assert usages.keys() == {"a", "own"}
    assert (usages["a"].budget, usages["a"].share, usages["a"].is_from_ad_groups) == (Decimal(40), 0.2, True)
    assert (usages["own"].share, usages["own"].day) == (1.2, YESTERDAY)
    sample.write(
        "campaign_report_daily", Partition("1", YESTERDAY), [{**one, "currency": "EUR"} for one in spends]
    )
    (changed,) = [page for page in sample.build()[0].currencies if page.currency == "USD"]
    assert changed.accounts[0].budgets == []  # spend in EUR cannot be compared with a budget in USD
