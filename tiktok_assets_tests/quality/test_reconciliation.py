"""Test reconciliation: levels agree within the tolerance, per currency, in additive metrics only."""

from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.quality.reconciliation import (
    compare_levels,
    compare_lifetime_with_days,
    drop_mixed_currency_groups,
    find_first_day,
)
from tiktok_assets.spec.metric_selection import METRICS_BY_API_NAME, STANDARD_METRICS
from tiktok_assets_tests.quality.sample_frames import BERLIN, DAY, MONDAY, READ_AT, ads, report

TWO_PERCENT = Decimal("0.02")
METRICS = tuple(METRICS_BY_API_NAME[name] for name in ("spend", "clicks", "reach"))
NAMES = ("ad", "ad_group")


def ad_groups(*rows: dict[str, object]) -> pl.DataFrame:
    """Build rows of `ad_group_report_daily`."""
    return report("ad_group_report_daily", *rows)


@pytest.mark.parametrize(
    ("below", "above", "passes"),
    [
        (["60", "40"], "100", True),
        (["60", "38"], "100", True),  # exactly the tolerance is accepted
        (["60", "37.9999"], "100", False),
        (["60", "42.1"], "100", False),  # the lower level has more
        ([], "100", False),
        (["0"], "0", True),
    ],
)
def test_spend_of_levels_may_differ_by_the_tolerance(below: list[str], above: str, *, passes: bool) -> None:
    """The spend of ads may be lower or higher than that of their ad groups by the tolerance at most."""
    lower = ads(*({"ad_id": str(n), "spend": spend} for n, spend in enumerate(below)))
    outcome = compare_levels(
        lower, ad_groups({"ad_group_id": "11", "spend": above}), METRICS[:1], TWO_PERCENT, NAMES
    )
    assert outcome.passed == passes
    if not passes:
        (fault,) = outcome.faults
        gap = Decimal(above) - sum(map(Decimal, below))
        assert Decimal(fault["gap"]) == gap
        assert fault["percent"] == f"{gap:.2f}"
        assert (fault["date"], fault["levels"], fault["currency"]) == (str(MONDAY), "ad of ad_group", "EUR")


def test_spend_is_compared_for_each_day() -> None:
    """Two days whose gaps cancel each other out are both faults."""
    days = (MONDAY, MONDAY + DAY)
    lower = ads(
        *({"ad_id": "1", "date": day, "spend": spend} for day, spend in zip(days, ("90", "110"), strict=True))
    )
    upper = ad_groups(*({"ad_group_id": "1", "date": day, "spend": "100"} for day in days))
    outcome = compare_levels(lower, upper, METRICS[:1], TWO_PERCENT, NAMES)
    assert [fault["date"] for fault in outcome.faults] == [str(day) for day in days]
    assert [figure["gap"] for figure in outcome.figures] == ["0.0000"]


def test_counts_are_compared_over_all_days_and_reach_is_not() -> None:
    """A count that differs is a fault; reach is not additive and therefore not compared."""
    lower = ads(*({"ad_id": n, "spend": "1", "clicks": 40, "reach": 900} for n in "12"))
    upper = ad_groups({"ad_group_id": "1", "spend": "2", "clicks": 100, "reach": 1000})
    outcome = compare_levels(lower, upper, METRICS, TWO_PERCENT, NAMES)
    assert [(fault["metric"], fault["lower"], fault["upper"]) for fault in outcome.faults] == [
        ("clicks", "80", "100")
    ]
    assert {figure["metric"] for figure in outcome.figures} == {"spend", "clicks"}


def test_a_refused_metric_is_not_compared() -> None:
    """A metric that TikTok served at one level only is not compared."""
    lower, upper = ads({"ad_id": "1", "spend": "2"}), ad_groups({"ad_group_id": "1", "spend": "2", "clicks": 100})
    assert compare_levels(lower, upper, METRICS, TWO_PERCENT, NAMES).passed


@pytest.mark.parametrize(("clicks", "faults"), [(7, []), (5, ["clicks"])])
def test_without_spend_the_other_metrics_are_compared(clicks: int, faults: list[str]) -> None:
    """If TikTok served no spend, the other metrics are compared."""
    lower, upper = ads({"ad_id": "1", "clicks": clicks}), ad_groups({"ad_group_id": "1", "clicks": 7})
    outcome = compare_levels(lower, upper, METRICS, TWO_PERCENT, NAMES)
    assert [fault["metric"] for fault in outcome.faults] == faults
    assert [figure["metric"] for figure in outcome.figures] == ["clicks"]


def test_a_lifetime_report_without_spend_is_not_checked() -> None:
    """Spend that was not served is not zero: the check passes with a note."""
    daily = report("advertiser_report_daily", *({"date": day, "spend": "10"} for day in WINDOW.days))
    outcome = compare_lifetime_with_days(
        report("advertiser_report_lifetime", {}), daily, WINDOW, BERLIN, TWO_PERCENT
    )
    assert (outcome.passed, outcome.notes) == (True, ("7001 was not checked: TikTok served no spend",))


def test_currencies_are_compared_separately() -> None:
    """Amounts of two currencies are never summed, so a gap in one does not offset a gap in the other."""
    lower = ads({"ad_id": "1", "spend": "10"}, {"ad_id": "2", "spend": "0", "currency": "JPY"})
    upper = ad_groups({"ad_group_id": "1", "spend": "5"}, {"ad_group_id": "2", "spend": "5", "currency": "JPY"})
    outcome = compare_levels(lower, upper, METRICS[:1], TWO_PERCENT, NAMES)
    assert sorted(fault["currency"] for fault in outcome.faults) == ["EUR", "JPY"]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_a_level_agrees_with_its_own_sum(amounts_in_units: list[int]) -> None:
    """Ads agree with an ad group that spent exactly their sum, however the spend is split."""
    amounts = [Decimal(part).scaleb(-4) for part in amounts_in_units]
    lower = ads(*({"ad_id": str(n), "spend": amount} for n, amount in enumerate(amounts)))
    upper = ad_groups({"ad_group_id": "1", "spend": sum(amounts)})
    assert compare_levels(lower, upper, METRICS[:1], Decimal(0), NAMES).passed


WINDOW = DateWindow(MONDAY, MONDAY + 3 * DAY)
READ_ON_NEXT_DAY = READ_AT.replace(day=6)


@pytest.mark.parametrize(
    ("lifetime_spend", "passes"),
    [
        ("40", True),
        ("50", True),  # today may have cost as much as the most expensive day
        ("39.5", True),  # within the tolerance
        ("51.1", False),
        ("39", False),  # less than the sum of the days
    ],
)
def test_lifetime_spend_is_the_sum_of_the_days(lifetime_spend: str, *, passes: bool) -> None:
    """Lifetime spend is the sum of the days, within the tolerance and the spend that today may have added."""
    daily = report("advertiser_report_daily", *({"date": day, "spend": "10"} for day in WINDOW.days))
    lifetime = report("advertiser_report_lifetime", {"spend": lifetime_spend, "fetched_at": READ_ON_NEXT_DAY})
    outcome = compare_lifetime_with_days(lifetime, daily, WINDOW, BERLIN, TWO_PERCENT)
    assert outcome.passed == passes
    (figure,) = outcome.figures
    assert (figure["lower"], Decimal(figure["upper"])) == ("40.0000", Decimal(lifetime_spend))


def test_a_lifetime_report_in_two_currencies_is_not_checked() -> None:
    """If an account changed its currency, its lifetime is not compared, and a note says so."""
    lifetime = report("ad_report_lifetime", {"spend": "1", "currency": "JPY"})
    outcome = compare_lifetime_with_days(lifetime, ads({"ad_id": "1", "spend": "1"}), WINDOW, BERLIN, TWO_PERCENT)
    assert outcome.passed
    assert outcome.figures == ()
    assert outcome.notes == (f"{BERLIN.advertiser_id} was not checked: its days are in EUR and JPY",)


def test_a_day_in_two_currencies_is_not_compared() -> None:
    """A day whose levels are in different currencies is not compared; a day that one level lacks is a fault."""
    days = (MONDAY, MONDAY + DAY, MONDAY + 2 * DAY)
    lower = ads(*({"ad_id": "1", "date": day, "spend": "100"} for day in days[:2]))
    upper = ad_groups(
        {"ad_group_id": "1", "date": days[0], "spend": "15000", "currency": "JPY"},
        {"ad_group_id": "1", "date": days[1], "spend": "100"},
        {"ad_group_id": "1", "date": days[2], "spend": "100"},
    )
    kept = drop_mixed_currency_groups(lower, upper, ["advertiser_id", "date"])
    assert [one.get_column("date").unique().sort().to_list() for one in kept] == [[days[1]], list(days[1:])]
    outcome = compare_levels(*kept, METRICS[:1], TWO_PERCENT, NAMES)
    assert [fault["date"] for fault in outcome.faults] == [str(days[2])]


def test_the_first_day_is_in_the_time_zone_of_the_account() -> None:
    """The first day of an account created late in the evening UTC is the next day in Berlin."""
    assert find_first_day(READ_AT.replace(hour=23, minute=30), BERLIN) == (READ_AT + timedelta(1)).date()
    assert find_first_day(None, BERLIN) is None


def test_every_additive_metric_of_the_standard_set_is_compared() -> None:
    """The figures contain each additive metric that was served, and no other."""
    served: dict[str, object] = {metric.name: 1 for metric in STANDARD_METRICS if metric.kind == "count"}
    served["spend"] = "1"
    outcome = compare_levels(
        ads({"ad_id": "1", **served}),
        ad_groups({"ad_group_id": "1", **served}),
        STANDARD_METRICS,
        Decimal(0),
        NAMES,
    )
    assert {figure["metric"] for figure in outcome.figures} == {
        metric.name for metric in STANDARD_METRICS if metric.is_additive and metric.name in served
    }
