"""Tests of the result tables: the same days for both ads, only complete days, exact money and rates."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.duplication.models import LedgerEntry, Step
from tiktok_assets.duplication.results import (
    DUPLICATIONS_SCHEMA,
    RESULTS_SCHEMA,
    build_duplications_table,
    build_results_table,
    find_compared_days,
)
from tiktok_assets.tables.schema import INSTANT, MONEY

FIRST = date(2026, 11, 2)
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
SCHEMA = pl.Schema(
    {
        "advertiser_id": pl.String(),
        "date": pl.Date(),
        "ad_id": pl.String(),
        "currency": pl.String(),
        "spend": MONEY,
        "impressions": pl.Int64(),
        "clicks": pl.Int64(),
        "conversion": pl.Int64(),
        "total_complete_payment_value": MONEY,
        "fetched_at": INSTANT,
    }
)


def build_step(name: str, object_id: str | None) -> Step:
    """Build a step of the ledger."""
    return Step(name, "2", "[tta-aaaaaaaaaaaa]", "{}", AT, 1, object_id, AT, "r")


def build_entry(status: str = "done", copy: str | None = "20") -> LedgerEntry:
    """Build the ledger entry of a duplication of ad 10."""
    steps = (build_step("ad_group", "5"), build_step("ad", copy))
    money = (Decimal(50), "USD", Decimal(50))
    return LedgerEntry("aaaaaaaaaaaa", "1", "10", "2", None, 0, False, *money, status, None, None, AT, AT, steps)


def build_day(
    number: int, ad: str, spend: str, *counts: int, value: str = "0", owner: str = "1", currency: str = "USD"
) -> dict[str, Any]:
    """Build a row of `ad_report_daily`."""
    impressions, clicks, conversion = counts or (0, 0, 0)
    numbers = {"impressions": impressions, "clicks": clicks, "conversion": conversion}
    at = {"advertiser_id": owner, "date": FIRST + timedelta(number), "ad_id": ad, "spend": Decimal(spend)}
    at["currency"] = currency
    return {**at, **numbers, "total_complete_payment_value": Decimal(value), "fetched_at": AT}


DAYS = pl.DataFrame(
    [
        build_day(-1, "10", "999", 1, 1, 1),
        build_day(-1, "20", "0"),
        build_day(0, "10", "10.01", 1000, 10, 1, value="40.04"),
        build_day(0, "20", "0.10", 30, 3, 0),
        build_day(1, "10", "20.02", 3000, 30, 2),
        build_day(2, "20", "0.20", 60, 0, 0),
        build_day(3, "10", "500", 9, 9, 9),
    ],
    SCHEMA,
)


def complete_days(days: int) -> dict[str, set[date]]:
    """Return so many complete days from the first on."""
    return {"1": {FIRST + timedelta(number) for number in range(days)}}


def test_both_ads_are_compared_on_the_copys_days() -> None:
    """Days count from the copy's first day with spend; days without a row count as zero, days outside not."""
    three, seven, fourteen = build_results_table([build_entry()], DAYS, complete_days(3)).to_dicts()
    assert (three["first_day"], three["last_day"]) == (FIRST, FIRST + timedelta(2))
    assert (three["spend"], three["copy_spend"]) == (Decimal("30.0300"), Decimal("0.3000"))
    assert three["fetched_at"] == AT
    assert three["cpm"] == Decimal("7.5075")  # 30.03 for 4,000
    assert three["ctr"] == 1.0
    assert three["cpa"] == Decimal("10.0100")
    assert three["roas"] == 40.04 / 30.03
    assert three["copy_cpm"] == Decimal("3.3333")
    assert three["copy_ctr"] == 300 / 90
    assert three["copy_cpa"] is None  # nothing converted
    assert three["copy_roas"] == 0
    assert [one["days"] for one in (three, seven, fourteen)] == [3, 7, 14]
    assert seven["last_day"] == FIRST + timedelta(6)
    assert {seven[name] for name in ("spend", "copy_spend", "cpm", "copy_ctr", "roas")} == {None}


def test_numbers_need_all_days_complete() -> None:
    """One incomplete day leaves a period without numbers, and each period needs its own days."""
    for whole, expected in ((2, []), (3, [3]), (6, [3]), (7, [3, 7]), (14, [3, 7, 14])):
        rows = build_results_table([build_entry()], DAYS, complete_days(whole)).to_dicts()
        assert [row["days"] for row in rows if row["spend"] is not None] == expected


def test_copy_without_spend_has_rows_without_days() -> None:
    """A copy without spend has no days, unfinished duplications have no rows, and other accounts do not count."""
    rows = build_results_table([build_entry(copy="21")], DAYS, complete_days(14)).to_dicts()
    assert [(row["days"], row["first_day"], row["copy_spend"]) for row in rows] == [
        (3, None, None),
        (7, None, None),
        (14, None, None),
    ]
    assert build_results_table([build_entry("started", None), build_entry("refused")], DAYS, {}).equals(
        RESULTS_SCHEMA.to_frame()
    )
    foreign = pl.DataFrame([build_day(0, "20", "5", owner="2")], SCHEMA)
    assert find_compared_days([build_entry()], foreign) == {}
    assert find_compared_days([build_entry()], DAYS) == complete_days(14)


def test_metric_that_was_not_selected_is_null() -> None:
    """Without conversions and purchases there is spend, and the metrics computed from them are null."""
    row = build_results_table(
        [build_entry()],
        DAYS.select("advertiser_id", "date", "ad_id", "currency", "spend", "fetched_at"),
        complete_days(3),
    ).to_dicts()[0]
    assert row["spend"] == Decimal("30.0300")
    assert {row[name] for name in ("cpm", "ctr", "cpa", "roas", "copy_roas")} == {None}


def test_days_in_two_currencies_are_not_summed() -> None:
    """A period in which the currency changes has no numbers, and one after the change has the new currency."""
    at = [(0, "USD"), (1, "USD"), (2, "EUR")]
    mixed = pl.DataFrame([build_day(n, ad, "5", currency=code) for n, code in at for ad in ("10", "20")], SCHEMA)
    three = build_results_table([build_entry()], mixed, complete_days(3)).row(0, named=True)
    assert (three["last_day"], three["spend"], three["copy_spend"]) == (FIRST + timedelta(2), None, None)
    later = mixed.with_columns(currency=pl.lit("EUR"))
    three = build_results_table([build_entry()], later, complete_days(3)).row(0, named=True)
    assert (three["currency"], three["spend"]) == ("EUR", Decimal(15))


def test_duplications_table() -> None:
    """One row per duplication, exact, with its steps as JSON; an empty ledger gives an empty table."""
    (row,) = build_duplications_table([build_entry()], AT).to_dicts()
    assert (row["copy_ad_group_id"], row["copy_ad_id"], row["marker"]) == ("5", "20", "[tta-aaaaaaaaaaaa]")
    assert row["added_budget"] == Decimal(50)
    steps = json.loads(row["steps"])
    assert [(one["step"], one["object_id"], one["sent_at"]) for one in steps] == [
        ("ad_group", "5", AT.isoformat()),
        ("ad", "20", AT.isoformat()),
    ]
    assert build_duplications_table([], AT).schema == DUPLICATIONS_SCHEMA
