"""Tests of the search for worn-out creatives: planted declines are found, noise is not, and conditions hold."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.creatives.fatigue import (
    Decline,
    Thresholds,
    find_declines,
    find_replacement,
    select_closed_days,
)
from tiktok_assets_tests.creatives.noisy_days import LAST, Loss, Noise, simulate_account, simulate_creative

THRESHOLDS = Thresholds(0.2, Decimal(50), 0.0)
HALF = Loss(part=0.5, since=13, days=3)
"""Half of both rates is lost, two weeks before the last day."""


def find(days: pl.DataFrame, thresholds: Thresholds = THRESHOLDS) -> dict[str, Decline]:
    """Return the declines on the last day by creative."""
    return {one.creative_id: one for one in find_declines(days, LAST, thresholds)}


@pytest.mark.parametrize("persistence", [0.0, 0.5])
def test_large_declines_at_volume_are_found(persistence: float) -> None:
    """A creative that lost half of its rates two weeks ago is found, with the day it began and both rates."""
    for seed in range(8):
        noise = Noise(impressions=20_000, persistence=persistence)
        decline = find(simulate_account(seed, 6, 60, noise, {"worn": HALF}))["worn"]
        began = LAST - timedelta(HALF.since)
        assert abs((decline.since - began).days) <= 4
        assert decline.drop == pytest.approx(0.5, abs=0.2)
        assert decline.best_from + timedelta(6) < decline.recent_from == LAST - timedelta(6)
        assert decline.z > decline.z_threshold > 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "noise", [Noise(), Noise(click_variation=0.4, hook_variation=0.2), Noise(persistence=0.5)]
)
def test_noise_is_quiet(noise: Noise) -> None:
    """Of sixty mornings with six creatives whose rates only vary, at most one reports any."""
    alarms = sum(bool(find(simulate_account(seed, 6, 60, noise))) for seed in range(60))
    assert alarms <= 1


def test_rates_are_those_of_the_sums() -> None:
    """Both rates and the spend of a decline are quotients and sums of the rows of their seven days."""
    days = simulate_account(1, 3, 60, Noise(), {"worn": HALF})
    decline = find(days)["worn"]
    weeks: list[tuple[date, float, Decimal]] = [
        (decline.best_from, decline.best_rate, decline.best_spend),
        (decline.recent_from, decline.recent_rate, decline.recent_spend),
    ]
    for first, rate, spend in weeks:
        week = days.filter(pl.col("creative_id") == "worn", pl.col("date").is_between(first, first + timedelta(6)))
        views = "video_watched_2s" if decline.metric == "hook_rate" else "clicks"
        viewed, shown = week.select(views, "impressions").sum().row(0)
        assert rate == pytest.approx(100 * viewed / shown)
        assert spend == week.get_column("spend").sum()


def test_creative_that_is_shown_less_is_not_worn_out() -> None:
    """A rate that fell while spend and impressions fell too is not reported."""
    fading = Loss(part=0.5, since=13, days=3, growth=0.2)
    assert find(simulate_account(1, 3, 60, Noise(impressions=50_000), {"worn": fading})) == {}


@pytest.mark.parametrize(
    "thresholds",
    [
        Thresholds(0.0, Decimal(50), 0.0),
        Thresholds(0.7, Decimal(50), 0.0),
        Thresholds(0.2, Decimal(1_000_000), 0.0),
        Thresholds(0.2, Decimal(50), 9.0),
    ],
)
def test_each_threshold_holds_a_decline_back(thresholds: Thresholds) -> None:
    """Below the smallest drop, spend or rise nothing is reported, and a drop of 0 switches the search off."""
    days = simulate_account(1, 3, 60, Noise(), {"worn": HALF})
    assert find(days).keys() == {"worn"}
    assert find(days, thresholds) == {}


def test_days_on_which_a_metric_was_not_read_do_not_count() -> None:
    """Days without 2-second views are not days without a hook rate: no decline of it is found."""
    days = simulate_account(1, 3, 60, Noise(impressions=20_000)).with_columns(
        video_watched_2s=pl.when(pl.col("date") <= LAST - timedelta(4)).then(pl.col("video_watched_2s"))
    )
    assert find(days) == {}


def test_only_complete_days_count() -> None:
    """A day counts if it is listed as complete, or was read more than two days after it began; in one currency."""
    read_early = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC)
    days = simulate_creative("1", "c0", 20, Noise()).with_columns(
        fetched_at=pl.lit(read_early),
        currency=pl.when(pl.col("date") < LAST - timedelta(15)).then(pl.lit("EUR")).otherwise(pl.col("currency")),
    )
    known = [LAST - timedelta(4)]
    kept = select_closed_days(days, known).get_column("date").to_list()
    assert kept == [LAST - timedelta(back) for back in range(15, 3, -1)]
    assert select_closed_days(days, []).is_empty()


def test_replacement_is_the_creative_whose_spend_rose_most() -> None:
    """The replacement is another creative, with its spend in both weeks; without a rise there is none."""
    days = simulate_account(1, 2, 60, Noise(), {"worn": HALF})
    decline = find(days)["worn"]
    is_recent = pl.col("date") >= decline.recent_from
    spend = pl.when(pl.col("creative_id") == "worn", is_recent).then(pl.col("spend"))
    without = days.with_columns(spend=spend.otherwise(Decimal(1)).cast(days.schema["spend"]))
    assert find_replacement(without, decline) is None
    more = pl.when(pl.col("creative_id") == "c1", is_recent).then(Decimal(5)).otherwise(pl.col("spend"))
    found = find_replacement(without.with_columns(spend=more.cast(days.schema["spend"])), decline)
    assert found == ("c1", Decimal(7), Decimal(35))


def test_earlier_decline_starts_the_comparison_anew() -> None:
    """Of a creative whose earlier decline ended, only days from then on are compared."""
    days = simulate_account(1, 3, 60, Noise(), {"worn": HALF})
    assert find_declines(days, LAST, THRESHOLDS, {"worn": LAST - timedelta(8)}) == []
    assert len(find_declines(days, LAST, THRESHOLDS, {"worn": LAST - timedelta(40)})) == 1


def test_account_without_days_has_no_declines() -> None:
    """An empty table, and one with a few days only, have no declines."""
    days = simulate_account(1, 2, 12, Noise())
    assert find(days.clear()) == find(days) == {}
