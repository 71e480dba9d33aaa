"""Tests of the ranking: the leader is the one found by reading the report line by line."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.tables.schema import report_schema
from tiktok_assets.top_spenders.ranking import (
    TOP_SPENDERS_SCHEMA,
    WINDOW_DAYS,
    CompleteDays,
    find_leader_changes,
    rank_top_spenders,
)

AD_REPORT = report_schema(REPORTS_BY_TABLE["ad_report_lifetime"], STANDARD_METRICS)
CAMPAIGN_REPORT = report_schema(REPORTS_BY_TABLE["campaign_report_lifetime"], STANDARD_METRICS)
DAILY_REPORT = report_schema(REPORTS_BY_TABLE["ad_report_daily"], STANDARD_METRICS)
NOW = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)

Spends = dict[tuple[str, str, str], Decimal | None]
"""Lifetime spend by advertiser, campaign and ad."""

# Few different amounts, so that ties are frequent.
amounts = st.sampled_from([None, "0", "0.0001", "10", "10.0001", "99999999999999.9999"]).map(
    lambda text: None if text is None else Decimal(text)
)
spends = st.dictionaries(
    st.tuples(
        st.sampled_from(["7001", "7002"]),
        st.sampled_from(["1680000000000001", "1680000000000002"]),
        st.integers(1680000000000010, 1680000000000016).map(str),
    ),
    amounts,
)


def build_ad_report(table: Spends) -> pl.DataFrame:
    """Build the lifetime report of ads, in the order given."""
    rows = [
        {
            "advertiser_id": advertiser,
            "campaign_id": campaign,
            "campaign_name": f"name of {campaign}",
            "ad_group_id": f"group of {ad}",
            "ad_group_name": f"name of group of {ad}",
            "ad_id": ad,
            "ad_name": f"name of {ad}",
            "currency": "EUR",
            "spend": spend,
            "fetched_at": NOW,
        }
        for (advertiser, campaign, ad), spend in table.items()
    ]
    return pl.DataFrame(rows, AD_REPORT)


def build_campaign_report(totals: dict[tuple[str, str], Decimal]) -> pl.DataFrame:
    """Build the lifetime report of campaigns."""
    rows = [
        {"advertiser_id": a, "campaign_id": c, "currency": "EUR", "spend": spend}
        for (a, c), spend in totals.items()
    ]
    return pl.DataFrame(rows, CAMPAIGN_REPORT)


def rank_by_hand(table: Spends) -> list[tuple[Any, ...]]:
    """Return leader, its spend, the runner-up, its spend and the number of ads with spend of each campaign."""
    found: dict[tuple[str, str], list[tuple[Decimal, str]]] = defaultdict(list)
    for (advertiser, campaign, ad), spend in table.items():
        if spend:
            found[advertiser, campaign].append((-spend, ad))
    rows = []
    for key, entries in sorted(found.items()):
        (spend, leader), *others = sorted(entries)
        second, runner_up = others[0] if others else (None, None)
        rows.append((*key, leader, -spend, runner_up, None if second is None else -second, len(entries)))
    return rows


@settings(max_examples=40)
@given(spends)
def test_ranking_matches_a_plain_sort(table: Spends) -> None:
    """For any report, ties included, leader, runner-up and number of ads are those of a plain sort."""
    ranked = rank_top_spenders(build_ad_report(table), build_campaign_report({}))
    names = ("advertiser_id", "campaign_id", "ad_id", "spend", "runner_up_ad_id", "runner_up_spend", "ads")
    assert ranked.select(names).rows() == rank_by_hand(table)
    assert ranked.schema == TOP_SPENDERS_SCHEMA


@settings(max_examples=40)
@given(spends, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(table: Spends, chance: Any) -> None:  # noqa: ANN401 - Hypothesis' own
    """The same report in any order has the same leaders."""
    shuffled = list(table.items())
    chance.shuffle(shuffled)
    assert rank_top_spenders(build_ad_report(dict(shuffled)), build_campaign_report({})).equals(
        rank_top_spenders(build_ad_report(table), build_campaign_report({}))
    )


@settings(max_examples=40)
@given(spends)
def test_names_belong_to_their_ids(table: Spends) -> None:
    """Names and ad group belong to the ad in their row, and the campaign's name to the campaign."""
    for row in rank_top_spenders(build_ad_report(table), build_campaign_report({})).to_dicts():
        assert row["ad_name"] == f"name of {row['ad_id']}"
        assert row["ad_group_id"] == f"group of {row['ad_id']}"
        assert row["ad_group_name"] == f"name of group of {row['ad_id']}"
        assert row["campaign_name"] == f"name of {row['campaign_id']}"
        assert (row["runner_up_ad_id"] is None) == (row["runner_up_ad_name"] is None) == (row["lead"] is None)
        assert (row["currency"], row["fetched_at"]) == ("EUR", NOW)


def test_share_and_lead() -> None:
    """The share is relative to the campaign's total, the lead to the runner-up's spend."""
    table: Spends = {("1", "2", "3"): Decimal(60), ("1", "2", "4"): Decimal(40)}
    row = rank_top_spenders(build_ad_report(table), build_campaign_report({("1", "2"): Decimal(120)})).to_dicts()[
        0
    ]
    assert (row["campaign_spend"], row["share"]) == (Decimal(120), 0.5)
    assert row["lead"] == pytest.approx(0.5)


def test_tie_goes_to_the_smaller_id() -> None:
    """Of two ads with equal spend the smaller id leads, with a lead of 0."""
    table: Spends = {("1", "2", "4"): Decimal("0.1"), ("1", "2", "3"): Decimal("0.1")}
    row = rank_top_spenders(build_ad_report(table), build_campaign_report({})).to_dicts()[0]
    assert (row["ad_id"], row["runner_up_ad_id"], row["lead"]) == ("3", "4", 0.0)


def test_amounts_are_compared_exactly() -> None:
    """Amounts are compared exactly, also where floats would be equal."""
    least = Decimal("99999999999999.9998")
    table: Spends = {("1", "2", "3"): least, ("1", "2", "4"): least + Decimal("0.0001")}
    assert float(least) == float(least + Decimal("0.0001"))
    assert rank_top_spenders(build_ad_report(table), build_campaign_report({}))["ad_id"].to_list() == ["4"]


def test_campaign_without_spend_has_no_leader() -> None:
    """A campaign without spend has no leader, and an empty report has no rows."""
    table: Spends = {("1", "2", "3"): Decimal(0), ("1", "2", "4"): None}
    for report in (build_ad_report(table), build_ad_report({})):
        assert rank_top_spenders(report, build_campaign_report({("1", "2"): Decimal(0)})).equals(
            TOP_SPENDERS_SCHEMA.to_frame()
        )


def test_missing_campaign_total_leaves_the_share_null() -> None:
    """Without the campaign's total the share is null, and the leader is still returned."""
    row = rank_top_spenders(build_ad_report({("1", "2", "3"): Decimal(5)}), build_campaign_report({})).to_dicts()[
        0
    ]
    assert (row["ad_id"], row["campaign_spend"], row["share"]) == ("3", None, None)


@settings(max_examples=40)
@given(spends, spends)
def test_leader_changes_between_two_rankings(earlier: Spends, later: Spends) -> None:
    """Leader changes are just the campaigns in both rankings with another leader."""
    before, now = (
        rank_top_spenders(build_ad_report(earlier), build_campaign_report({})),
        rank_top_spenders(build_ad_report(later), build_campaign_report({})),
    )
    led = {(row[0], row[1]): row[2] for row in rank_by_hand(earlier)}
    expected = [
        (*row[:2], led[row[0], row[1]], *row[2:4])
        for row in rank_by_hand(later)
        if led.get((row[0], row[1]), row[2]) != row[2]
    ]
    results = find_leader_changes(before, now)
    assert [
        (one.advertiser_id, one.campaign_id, one.old_ad_id, one.ad_id, one.spend) for one in results
    ] == expected
    assert all(one.old_ad_name == f"name of {one.old_ad_id}" for one in results)
    assert find_leader_changes(now, now) == []


TODAY = date(2026, 3, 17)
"""The last complete day."""

AD_IDS = ("1680000000000010", "1680000000000011", "1680000000000012")
small = st.sampled_from([None, "0", "0.0001", "10", "10.0001"]).map(lambda text: Decimal(text) if text else None)
daily_spends = st.dictionaries(st.tuples(st.integers(0, 34), st.sampled_from(AD_IDS)), small, max_size=25)
"""Daily spend by days before the last complete one and ad."""


def build_complete_days(
    spent: dict[tuple[int, str], Decimal | None], complete: int, since: int = 99
) -> CompleteDays:
    """Build daily rows of one campaign, with the newest days complete and so many in the report's currency."""
    rows = [
        {
            "advertiser_id": "7001",
            "date": TODAY - timedelta(ago),
            "campaign_id": "1",
            "ad_id": ad,
            "ad_name": f"name of {ad}",
            "currency": "EUR" if ago < since else "USD",
            "spend": spend,
        }
        for (ago, ad), spend in spent.items()
    ]
    days = {"advertiser_id": "7001", "complete_until": TODAY if complete else None, "complete_days": complete}
    schema = {"advertiser_id": pl.String(), "complete_until": pl.Date(), "complete_days": pl.Int64()}
    return CompleteDays(pl.DataFrame([days], schema), pl.DataFrame(rows, DAILY_REPORT))


@settings(max_examples=60)
@given(daily_spends, st.integers(0, 30))
def test_windows_match_plain_sums(spent: dict[tuple[int, str], Decimal | None], complete: int) -> None:
    """Each complete window has the leader's spend and rank, the campaign's spend and the top ad."""
    leader = AD_IDS[1]
    lifetime = build_ad_report({("7001", "1", leader): Decimal(99)})
    (row,) = rank_top_spenders(
        lifetime, build_campaign_report({}), build_complete_days(spent, complete)
    ).to_dicts()
    assert (row["complete_until"], row["complete_days"]) == (TODAY if complete else None, complete)
    for days in WINDOW_DAYS:
        results = [
            row[name.format(days)] for name in ("spend_{}d", "campaign_spend_{}d", "rank_{}d", "top_{}d_ad_id")
        ]
        if complete < days:
            assert results == [None] * 4
            continue
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for (ago, ad), spend in spent.items():
            if ago < days and spend:
                sums[ad] += spend
        order = sorted(sums, key=lambda ad: (-sums[ad], ad))
        rank = order.index(leader) + 1 if leader in order else None
        assert results == [sums.get(leader, 0), sum(sums.values()), rank, order[0] if order else None]
        assert row[f"top_{days}d_spend"] == (sums[order[0]] if order else None)
        assert row[f"top_{days}d_ad_name"] == (f"name of {order[0]}" if order else None)


def test_account_without_daily_reports_has_no_windows() -> None:
    """Without daily reports every window is null, and the lifetime ranking is the same."""
    table: Spends = {("7001", "1", AD_IDS[0]): Decimal(5), ("7002", "1", AD_IDS[0]): Decimal(5)}
    with_days = rank_top_spenders(
        build_ad_report(table), build_campaign_report({}), build_complete_days({(0, AD_IDS[0]): Decimal(1)}, 30)
    )
    known, unknown = with_days.to_dicts()
    assert (known["spend_3d"], unknown["spend_3d"], unknown["complete_days"]) == (Decimal(1), None, None)
    alone = rank_top_spenders(build_ad_report(table), build_campaign_report({}))
    assert alone.to_dicts()[1] == unknown
    assert alone.schema == with_days.schema == TOP_SPENDERS_SCHEMA


@pytest.mark.slow
@settings(max_examples=60)
@given(daily_spends, st.integers(0, 30), st.integers(0, 31))
def test_windows_start_after_a_currency_change(
    spent: dict[tuple[int, str], Decimal | None], complete: int, since: int
) -> None:
    """After a currency change a window is as if the days before were not stored."""
    lifetime = build_ad_report({("7001", "1", AD_IDS[1]): Decimal(99)})
    results = rank_top_spenders(lifetime, build_campaign_report({}), build_complete_days(spent, complete, since))
    others = [ago for ago, _ in spent if ago >= since]
    own = {key: spend for key, spend in spent.items() if key[0] < since}
    reach = min([complete, *others])
    expected = rank_top_spenders(lifetime, build_campaign_report({}), build_complete_days(own, reach))
    assert results.drop("complete_until").equals(expected.drop("complete_until"))


def test_campaign_total_in_another_currency_gives_no_share() -> None:
    """A campaign total in another currency leaves total and share null."""
    totals = build_campaign_report({("1", "2"): Decimal(120)}).with_columns(currency=pl.lit("JPY"))
    row = rank_top_spenders(build_ad_report({("1", "2", "3"): Decimal(60)}), totals).row(0, named=True)
    assert (row["currency"], row["campaign_spend"], row["share"]) == ("EUR", None, None)
