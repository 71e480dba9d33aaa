"""Laws of the results: the same days for both, nothing before they are complete, exact money, true rates."""

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
from tiktok_assets.tables.text_columns import INSTANT, MONEY

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


def step(name: str, object_id: str | None) -> Step:
    """A step of the ledger."""
    return Step(name, "2", "[tta-aaaaaaaaaaaa]", "{}", AT, 1, object_id, AT, "r")


def entry(status: str = "done", copy: str | None = "20") -> LedgerEntry:
    """A duplication of ad 10."""
    steps = (step("ad_group", "5"), step("ad", copy))
    money = (Decimal(50), "USD", Decimal(50))
    return LedgerEntry("aaaaaaaaaaaa", "1", "10", "2", None, 0, False, *money, status, None, None, AT, AT, steps)


def day(
    number: int, ad: str, spend: str, *counts: int, value: str = "0", owner: str = "1", currency: str = "USD"
) -> dict[str, Any]:
    """A row of `ad_report_daily`."""
    impressions, clicks, conversion = counts or (0, 0, 0)
    numbers = {"impressions": impressions, "clicks": clicks, "conversion": conversion}
    at = {"advertiser_id": owner, "date": FIRST + timedelta(number), "ad_id": ad, "spend": Decimal(spend)}
    at["currency"] = currency
    return {**at, **numbers, "total_complete_payment_value": Decimal(value), "fetched_at": AT}


DAYS = pl.DataFrame(
    [
        day(-1, "10", "999", 1, 1, 1),
        day(-1, "20", "0"),
        day(0, "10", "10.01", 1000, 10, 1, value="40.04"),
        day(0, "20", "0.10", 30, 3, 0),
        day(1, "10", "20.02", 3000, 30, 2),
        day(2, "20", "0.20", 60, 0, 0),
        day(3, "10", "500", 9, 9, 9),
    ],
    SCHEMA,
)


def complete(days: int) -> dict[str, set[date]]:
    """So many days from the first on are whole."""
    return {"1": {FIRST + timedelta(number) for number in range(days)}}


def test_both_are_compared_on_the_copys_days() -> None:
    """From the copy's first day with spend, days without a row count as nothing, and no day outside counts."""
    three, seven, fourteen = build_results_table([entry()], DAYS, complete(3)).to_dicts()
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


def test_numbers_come_when_all_days_are_complete() -> None:
    """One incomplete day keeps a window empty; the next window needs its own days."""
    for whole, told in ((2, []), (3, [3]), (6, [3]), (7, [3, 7]), (14, [3, 7, 14])):
        rows = build_results_table([entry()], DAYS, complete(whole)).to_dicts()
        assert [row["days"] for row in rows if row["spend"] is not None] == told


def test_a_copy_that_never_spent_has_rows_without_days() -> None:
    """What is switched off waits; what is not finished is not compared; another account's rows do not count."""
    rows = build_results_table([entry(copy="21")], DAYS, complete(14)).to_dicts()
    assert [(row["days"], row["first_day"], row["copy_spend"]) for row in rows] == [
        (3, None, None),
        (7, None, None),
        (14, None, None),
    ]
    assert build_results_table([entry("started", None), entry("refused")], DAYS, {}).equals(
        RESULTS_SCHEMA.to_frame()
    )
    foreign = pl.DataFrame([day(0, "20", "5", owner="2")], SCHEMA)
    assert find_compared_days([entry()], foreign) == {}
    assert find_compared_days([entry()], DAYS) == complete(14)


def test_a_metric_that_was_not_chosen_is_null() -> None:
    """Without conversions and purchases there is spend, and no cost of what nobody counted."""
    row = build_results_table(
        [entry()], DAYS.select("advertiser_id", "date", "ad_id", "currency", "spend", "fetched_at"), complete(3)
    ).to_dicts()[0]
    assert row["spend"] == Decimal("30.0300")
    assert {row[name] for name in ("cpm", "ctr", "cpa", "roas", "copy_roas")} == {None}


def test_days_in_two_currencies_are_not_summed() -> None:
    """A window within which the account changed its currency has no numbers; one after it has the new one."""
    at = [(0, "USD"), (1, "USD"), (2, "EUR")]
    mixed = pl.DataFrame([day(n, ad, "5", currency=code) for n, code in at for ad in ("10", "20")], SCHEMA)
    three = build_results_table([entry()], mixed, complete(3)).row(0, named=True)
    assert (three["last_day"], three["spend"], three["copy_spend"]) == (FIRST + timedelta(2), None, None)
    later = mixed.with_columns(currency=pl.lit("EUR"))
    three = build_results_table([entry()], later, complete(3)).row(0, named=True)
    assert (three["currency"], three["spend"]) == ("EUR", Decimal(15))


def test_the_ledger_as_a_table() -> None:
    """One row a duplication, exact, with its steps as JSON; an empty ledger is a table without rows."""
    (row,) = build_duplications_table([entry()], AT).to_dicts()
    assert (row["copy_ad_group_id"], row["copy_ad_id"], row["marker"]) == ("5", "20", "[tta-aaaaaaaaaaaa]")
    assert row["added_budget"] == Decimal(50)
    steps = json.loads(row["steps"])
    assert [(one["step"], one["object_id"], one["sent_at"]) for one in steps] == [
        ("ad_group", "5", AT.isoformat()),
        ("ad", "20", AT.isoformat()),
    ]
    assert build_duplications_table([], AT).schema == DUPLICATIONS_SCHEMA
