"""Laws of reconciliation: levels agree within the tolerance, one currency at a time, in additive metrics only."""

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
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME, STANDARD_METRICS
from tiktok_assets_tests.quality.sample_frames import BERLIN, DAY, MONDAY, READ_AT, ads, report

TWO_PERCENT = Decimal("0.02")
METRICS = tuple(METRICS_BY_API_NAME[name] for name in ("spend", "clicks", "reach"))
NAMES = ("ad", "ad_group")


def groups(*rows: dict[str, object]) -> pl.DataFrame:
    """Rows of `ad_group_report_daily`."""
    return report("ad_group_report_daily", *rows)


@pytest.mark.parametrize(
    ("below", "above", "passes"),
    [
        (["60", "40"], "100", True),
        (["60", "38"], "100", True),  # the tolerance itself is still within it
        (["60", "37.9999"], "100", False),
        (["60", "42.1"], "100", False),  # more below than above
        ([], "100", False),
        (["0"], "0", True),
    ],
)
def test_spend_agrees_within_the_tolerance(below: list[str], above: str, *, passes: bool) -> None:
    """Ads may miss the tolerance's share of what their ad groups spent and no more, nor exceed it by more."""
    lower = ads(*({"ad_id": str(n), "spend": spend} for n, spend in enumerate(below)))
    found = compare_levels(lower, groups({"ad_group_id": "11", "spend": above}), METRICS[:1], TWO_PERCENT, NAMES)
    assert found.passed == passes
    if not passes:
        (fault,) = found.faults
        gap = Decimal(above) - sum(map(Decimal, below))
        assert Decimal(fault["gap"]) == gap
        assert fault["percent"] == f"{gap:.2f}"
        assert (fault["date"], fault["levels"], fault["currency"]) == (str(MONDAY), "ad of ad_group", "EUR")


def test_each_day_is_judged_by_itself() -> None:
    """Two days whose gaps cancel each other out fail, each by its name."""
    days = (MONDAY, MONDAY + DAY)
    lower = ads(
        *({"ad_id": "1", "date": day, "spend": spend} for day, spend in zip(days, ("90", "110"), strict=True))
    )
    upper = groups(*({"ad_group_id": "1", "date": day, "spend": "100"} for day in days))
    found = compare_levels(lower, upper, METRICS[:1], TWO_PERCENT, NAMES)
    assert [fault["date"] for fault in found.faults] == [str(day) for day in days]
    assert [figure["gap"] for figure in found.figures] == ["0.0000"]


def test_counts_are_judged_over_all_days_and_reach_never() -> None:
    """A count that differs is a fault; people reached, who are not to be summed, are not compared at all."""
    lower = ads(*({"ad_id": n, "spend": "1", "clicks": 40, "reach": 900} for n in "12"))
    upper = groups({"ad_group_id": "1", "spend": "2", "clicks": 100, "reach": 1000})
    found = compare_levels(lower, upper, METRICS, TWO_PERCENT, NAMES)
    assert [(fault["metric"], fault["lower"], fault["upper"]) for fault in found.faults] == [
        ("clicks", "80", "100")
    ]
    assert {figure["metric"] for figure in found.figures} == {"spend", "clicks"}


def test_a_withdrawn_metric_is_not_a_gap() -> None:
    """A metric that TikTok served at one level only is left out."""
    lower, upper = ads({"ad_id": "1", "spend": "2"}), groups({"ad_group_id": "1", "spend": "2", "clicks": 100})
    assert compare_levels(lower, upper, METRICS, TWO_PERCENT, NAMES).passed


@pytest.mark.parametrize(("clicks", "faults"), [(7, []), (5, ["clicks"])])
def test_without_spend_the_other_metrics_are_judged(clicks: int, faults: list[str]) -> None:
    """Where TikTok served no spend, the levels are held against each other by what it did serve."""
    lower, upper = ads({"ad_id": "1", "clicks": clicks}), groups({"ad_group_id": "1", "clicks": 7})
    found = compare_levels(lower, upper, METRICS, TWO_PERCENT, NAMES)
    assert [fault["metric"] for fault in found.faults] == faults
    assert [figure["metric"] for figure in found.figures] == ["clicks"]


def test_a_life_without_spend_is_not_judged() -> None:
    """Spend that was not served is no life of nothing: the check says so and passes."""
    daily = report("advertiser_report_daily", *({"date": day, "spend": "10"} for day in LIFE.days))
    found = compare_lifetime_with_days(report("advertiser_report_lifetime", {}), daily, LIFE, BERLIN, TWO_PERCENT)
    assert (found.passed, found.notes) == (True, ("7001 was not judged: TikTok served no spend",))


def test_currencies_are_kept_apart() -> None:
    """Amounts of two currencies are never one total, so a gap in one is not made good by the other."""
    lower = ads({"ad_id": "1", "spend": "10"}, {"ad_id": "2", "spend": "0", "currency": "JPY"})
    upper = groups({"ad_group_id": "1", "spend": "5"}, {"ad_group_id": "2", "spend": "5", "currency": "JPY"})
    found = compare_levels(lower, upper, METRICS[:1], TWO_PERCENT, NAMES)
    assert sorted(fault["currency"] for fault in found.faults) == ["EUR", "JPY"]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_a_level_agrees_with_its_own_sum(parts: list[int]) -> None:
    """However spend is spread over ads, they agree with one ad group that spent their sum, to the last digit."""
    amounts = [Decimal(part).scaleb(-4) for part in parts]
    lower = ads(*({"ad_id": str(n), "spend": amount} for n, amount in enumerate(amounts)))
    upper = groups({"ad_group_id": "1", "spend": sum(amounts)})
    assert compare_levels(lower, upper, METRICS[:1], Decimal(0), NAMES).passed


LIFE = DateWindow(MONDAY, MONDAY + 3 * DAY)
READ_THE_DAY_AFTER = READ_AT.replace(day=6)


@pytest.mark.parametrize(
    ("life", "passes"),
    [
        ("40", True),
        ("50", True),  # today may have cost as much as the dearest day
        ("39.5", True),  # within the tolerance
        ("51.1", False),
        ("39", False),  # less in the life than on its days
    ],
)
def test_a_life_is_its_days(life: str, *, passes: bool) -> None:
    """Lifetime spend is the sum of the days, but for the tolerance and for what today may have cost."""
    daily = report("advertiser_report_daily", *({"date": day, "spend": "10"} for day in LIFE.days))
    lifetime = report("advertiser_report_lifetime", {"spend": life, "fetched_at": READ_THE_DAY_AFTER})
    found = compare_lifetime_with_days(lifetime, daily, LIFE, BERLIN, TWO_PERCENT)
    assert found.passed == passes
    (figure,) = found.figures
    assert (figure["lower"], Decimal(figure["upper"])) == ("40.0000", Decimal(life))


def test_a_life_in_two_currencies_is_not_judged() -> None:
    """There is no total of two currencies, and an account may have changed its own: a note says so."""
    lifetime = report("ad_report_lifetime", {"spend": "1", "currency": "JPY"})
    found = compare_lifetime_with_days(lifetime, ads({"ad_id": "1", "spend": "1"}), LIFE, BERLIN, TWO_PERCENT)
    assert found.passed
    assert found.figures == ()
    assert found.notes == (f"{BERLIN.advertiser_id} was not judged: its days are in EUR and JPY",)


def test_a_day_that_two_levels_hold_in_two_currencies_is_left_out() -> None:
    """Read before and after the account's change they cannot be compared; a day one level lacks still fails."""
    days = (MONDAY, MONDAY + DAY, MONDAY + 2 * DAY)
    lower = ads(*({"ad_id": "1", "date": day, "spend": "100"} for day in days[:2]))
    upper = groups(
        {"ad_group_id": "1", "date": days[0], "spend": "15000", "currency": "JPY"},
        {"ad_group_id": "1", "date": days[1], "spend": "100"},
        {"ad_group_id": "1", "date": days[2], "spend": "100"},
    )
    kept = drop_mixed_currency_groups(lower, upper, ["advertiser_id", "date"])
    assert [one.get_column("date").unique().sort().to_list() for one in kept] == [[days[1]], list(days[1:])]
    found = compare_levels(*kept, METRICS[:1], TWO_PERCENT, NAMES)
    assert [fault["date"] for fault in found.faults] == [str(days[2])]


def test_the_first_day_is_the_accounts_own() -> None:
    """An account created late in the evening of UTC began on the next day in Berlin."""
    assert find_first_day(READ_AT.replace(hour=23, minute=30), BERLIN) == (READ_AT + timedelta(1)).date()
    assert find_first_day(None, BERLIN) is None


def test_every_additive_metric_of_the_standard_set_is_compared() -> None:
    """The figures name each additive metric that was served, and no other."""
    served: dict[str, object] = {metric.name: 1 for metric in STANDARD_METRICS if metric.kind == "count"}
    served["spend"] = "1"
    found = compare_levels(
        ads({"ad_id": "1", **served}), groups({"ad_group_id": "1", **served}), STANDARD_METRICS, Decimal(0), NAMES
    )
    assert {figure["metric"] for figure in found.figures} == {
        metric.name for metric in STANDARD_METRICS if metric.additive and metric.name in served
    }
