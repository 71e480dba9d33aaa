"""Laws of the sums: only complete days, only what may be summed, and what is missing stays missing."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.overview.loader import load_tables
from tiktok_assets.overview.summary import MAX_CHART_SERIES, summarize
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets_tests.overview.sample_store import NOW, TODAY, YESTERDAY, Shop

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
def test_a_week_is_the_seven_days_up_to_the_latest_complete_one(
    days: list[tuple[Decimal, int, bool] | None],
) -> None:
    """Whichever days were read, complete or not, with delivery or without, the sums are those of their rows."""
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        shop.account("1", "USD")
        rows = {}
        for back, one in enumerate(days):
            day = TODAY - timedelta(back)
            if one is None:
                shop.day("1", "USD", day)  # complete, without delivery
            else:
                rows[day] = one
                shop.day("1", "USD", day, spend=one[0], conversion=one[1], is_complete=one[2])
        ((account,),) = [one.accounts for one in summarize(load_tables(shop.store), NOW).currencies]
    complete = [TODAY - timedelta(back) for back, one in enumerate(days) if one is None or one[2]]
    last = max(complete, default=None)
    assert account.freshness
    assert account.freshness.complete_day == last
    week = [rows[day] for back in range(7) if last and (day := last - timedelta(back)) in rows]
    assert account.week.spend == (sum((one[0] for one in week), Decimal(0)) if week else None)
    assert account.week.conversion == (sum(one[1] for one in week) if week else None)
    spend, conversions = account.week.spend, account.week.conversion
    assert account.week.cost_per_conversion == (spend / conversions if spend is not None and conversions else None)


def test_rates_come_from_the_sums(agency: Shop) -> None:
    """The cost of a conversion in a currency is its spend by its conversions, not a mean of the accounts'."""
    dollars = next(one for one in agency.build()[0].currencies if one.currency == "USD")
    assert dollars.week.conversion == 7 * (1 + 2)
    assert dollars.week.spend == sum(10 + back for back in range(1, 8)) + sum(20 + back for back in range(1, 8))
    assert dollars.week.cost_per_conversion == dollars.week.spend / 21
    assert dollars.week.click_rate == 0.01


def test_a_metric_nobody_asked_for_is_missing_and_not_zero(shop: Shop) -> None:
    """Without conversions in the tables the page shows none, and draws no line of them."""
    shop.account("1", "USD")
    shop.day("1", "USD", YESTERDAY, spend=Decimal(5))
    contents, document = shop.build()
    assert contents.accounts[0].week.conversion is None
    assert "Conversions a day" not in document
    assert "Spend a day, USD" in document


def test_ranks_go_by_spend_and_ties_by_id(shop: Shop) -> None:
    """The largest first, ties to the smaller id, ads without spend nowhere, and shares are of all there is."""
    shop.account("1", "USD")
    amounts = [Decimal(number) for number in (5, 0, 20, 5, *range(30, 42))]
    shop.lifetime(
        "1", "USD", "ad", [{"ad_name": f"ad {index}", "spend": one} for index, one in enumerate(amounts)]
    )
    account = shop.build()[0].accounts[0]
    assert [one.sums.spend for one in account.ads] == sorted(amounts, reverse=True)[:10]
    assert account.ads_in_all == len(amounts) - 1
    assert account.ads[0].share == float(Decimal(41) / sum(amounts))


def test_accounts_beyond_the_lines_are_drawn_together(shop: Shop) -> None:
    """A currency with many accounts draws the largest and one line for all others, whose days add up."""
    for number in range(MAX_CHART_SERIES + 3):
        shop.account(str(number), "USD", "Same name")
        shop.day(str(number), "USD", YESTERDAY, spend=Decimal(number + 1), conversion=1)
    (dollars,) = shop.build()[0].currencies
    assert len(dollars.lines) == MAX_CHART_SERIES + 1
    assert len({line["series"] for line in dollars.lines}) == MAX_CHART_SERIES + 1
    assert sum(line["spend"] for line in dollars.lines) == dollars.week.spend


def test_a_hole_in_the_days_is_told(shop: Shop) -> None:
    """A day among the last thirty that nobody read is counted, and the page says so."""
    shop.account("1", "USD")
    for back in (0, 1, 3, 40):
        shop.day("1", "USD", TODAY - timedelta(back), spend=Decimal(1))
    contents, document = shop.build()
    assert contents.accounts[0].freshness
    assert contents.accounts[0].freshness.missing_days == 27
    assert "27 of the last 30 days missing" in document


def test_a_campaign_without_a_budget_has_that_of_its_ad_groups(shop: Shop) -> None:
    """Daily budgets of running ad groups add up, for the latest complete day; those of mixed kinds do not."""
    shop.account("1", "USD")
    shop.day("1", "USD", YESTERDAY, spend=Decimal(15))
    on = {"advertiser_id": "1", "operation_status": "ENABLE", "secondary_status": "CAMPAIGN_STATUS_ENABLE"}
    infinite = {"budget_mode": "BUDGET_MODE_INFINITE", "budget": Decimal(0)}
    campaigns = [
        {**on, **infinite, "campaign_id": "a"},
        {**on, **infinite, "campaign_id": "mixed"},
        {**on, **infinite, "campaign_id": "off", "operation_status": "DISABLE"},
        {**on, "campaign_id": "own", "budget_mode": "BUDGET_MODE_DAY", "budget": Decimal(10)},
    ]
    shop.write("campaigns", Partition("1"), campaigns)
    daily = {**on, "budget_mode": "BUDGET_MODE_DAY", "budget": Decimal(20)}
    groups = [
        *({**daily, "campaign_id": campaign} for campaign in ("a", "a", "mixed", "off")),
        {**daily, "campaign_id": "a", "operation_status": "DISABLE"},
        {**daily, "campaign_id": "mixed", "budget_mode": "BUDGET_MODE_TOTAL"},
    ]
    shop.write("ad_groups", Partition("1"), groups)
    spent = {"advertiser_id": "1", "currency": "USD", "date": YESTERDAY}
    spends = [
        {**spent, "campaign_id": "a", "spend": Decimal(8)},
        {**spent, "campaign_id": "own", "spend": Decimal(12)},
    ]
    shop.write("campaign_report_daily", Partition("1", YESTERDAY), spends)
    uses = {use.campaign_id: use for use in shop.build()[0].accounts[0].budgets}
    assert uses.keys() == {"a", "own"}
    assert (uses["a"].budget, uses["a"].share, uses["a"].of_ad_groups) == (Decimal(40), 0.2, True)
    assert (uses["own"].share, uses["own"].day) == (1.2, YESTERDAY)
    shop.write("campaign_report_daily", Partition("1", YESTERDAY), [{**one, "currency": "EUR"} for one in spends])
    (changed,) = [page for page in shop.build()[0].currencies if page.currency == "USD"]
    assert changed.accounts[0].budgets == []  # spent in euros of a budget in dollars
