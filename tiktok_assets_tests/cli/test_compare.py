"""Tests of `compare`: sums, rates and changes equal those recomputed from the Parquet files by other code."""

import csv
import io
import json
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tiktok_assets.cli.compare import FIGURES, SUBJECTS, Comparison, compare
from tiktok_assets.cli.compare_periods import parse_periods
from tiktok_assets.cli.compare_rendering import print_comparison
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.creatives.daily import read_ads, update_creative_days
from tiktok_assets.ingest.partitions import FETCHED_AT_KEY, IS_COMPLETE_KEY
from tiktok_assets.spec.entities import ADS, ADVERTISERS
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema

LAST = date(2026, 11, 8)
CURRENCIES = {"7001": "USD", "7002": "USD", "7003": "JPY"}
TABLES = {
    "account": "advertiser_report_daily",
    "campaign": "campaign_report_daily",
    "adgroup": "ad_group_report_daily",
    "ad": "ad_report_daily",
    "creative": "ad_report_daily",
    "country": "campaign_audience_country_daily",
}
VALUES = ("total_complete_payment_value", "total_onsite_shopping_value")
Row = dict[str, Any]


def write_day(store: HiveStore, table: str, owner: str, day: date, rows: Iterable[Row], *, complete: bool) -> None:
    """Write a day of a report with the metadata that a refresh writes."""
    schema = report_schema(REPORTS_BY_TABLE[table], STANDARD_METRICS)
    common = {"advertiser_id": owner, "date": day, "currency": CURRENCIES[owner], "is_complete": complete}
    frame = pl.DataFrame([{**common, **row} for row in rows], schema)
    metadata = {FETCHED_AT_KEY: datetime.now(UTC).isoformat(), IS_COMPLETE_KEY: str(complete).lower()}
    store.write(table, Partition(owner, day), frame, metadata=metadata)


def make_rows(chosen: random.Random, owner: str, day: date) -> dict[str, list[Row]]:
    """Make a day's rows of all levels by table: some ads deliver, some have no value, and names change."""
    ads: list[Row] = []
    for number in range(6):
        if chosen.random() < 0.3:
            continue
        ads.append(
            {
                "ad_id": f"{owner}{number}",
                "ad_name": f"ad {number} of {day}",
                "ad_group_id": f"{owner}1{number // 2}",
                "ad_group_name": f"group {number // 2}",
                "campaign_id": f"{owner}2{number // 4}",
                "campaign_name": f"campaign {number // 4}",
                "spend": Decimal(chosen.randrange(0, 900_000)) / 10_000,
                "impressions": chosen.randrange(3000),
                "clicks": chosen.randrange(60),
                "conversion": chosen.randrange(3),
                "total_complete_payment_value": Decimal(chosen.randrange(300)) if number % 2 else None,
                "total_onsite_shopping_value": Decimal(chosen.randrange(9)) if number == 5 else None,
            }
        )
    return {
        "advertiser_report_daily": group(ads, ()),
        "campaign_report_daily": group(ads, ("campaign_id", "campaign_name")),
        "ad_group_report_daily": group(ads, ("ad_group_id", "ad_group_name", "campaign_id", "campaign_name")),
        "ad_report_daily": ads,
        "campaign_audience_country_daily": [
            {"campaign_id": row["campaign_id"], "country_code": code, "spend": row["spend"], "impressions": 9}
            for row in group(ads, ("campaign_id",))
            for code in ("DE", "FR")
        ],
    }


def group(rows: Iterable[Row], keys: tuple[str, ...]) -> list[Row]:
    """Sum rows by some keys, in plain Python."""
    groups: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        total = groups.setdefault(tuple(row[key] for key in keys), {key: row[key] for key in keys})
        for name in ("spend", "impressions", "clicks", "conversion", *VALUES):
            total[name] = add(total.get(name), row.get(name))
    return list(groups.values())


def add(*values: Any) -> Any:  # noqa: ANN401 - amounts and counts
    """Add what is not null; null if all are."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> HiveStore:
    """Three accounts over five weeks; one lacks days and ends a day earlier, one has a day without delivery."""
    store = HiveStore(str(tmp_path_factory.mktemp("compared")))
    accounts = [{"advertiser_id": one, "name": f"Account {one}", "currency": of} for one, of in CURRENCIES.items()]
    store.write("advertisers", Partition(), pl.DataFrame(accounts, build_schema(entity_columns(ADVERTISERS))))
    chosen = random.Random(7)  # noqa: S311 - test data
    for owner in CURRENCIES:
        videos = [
            {"advertiser_id": owner, "ad_id": f"{owner}{number}", "video_id": f"v{owner}{number // 3}"}
            for number in range(6)
        ]
        store.write("ads", Partition(owner), pl.DataFrame(videos, build_schema(entity_columns(ADS))))
        for back in range(-1, 34):
            day = LAST - timedelta(back)
            if owner == "7002" and back in {5, 12, 33}:
                continue
            made = make_rows(chosen, owner, day)
            for table, rows in made.items():
                empty = owner == "7003" and back == 3
                complete = back >= (1 if owner == "7002" else 0) and not (owner == "7001" and back == 20)
                write_day(store, table, owner, day, [] if empty else rows, complete=complete)
        days = update_creative_days(store, owner, read_ads(store, owner))
        store.write("creative_daily", Partition(owner), days.rows, metadata=days.metadata)
    return store


def expect(store: HiveStore, by: str, this: tuple[date, date], before: tuple[date, date]) -> dict[Any, Row]:
    """Compute a comparison of fixed days again, in plain Python from the files of the table."""
    key = SUBJECTS[by].key
    found: dict[Any, list[list[Row]]] = {}
    for path in Path(str(store.base), TABLES[by]).rglob("*.parquet"):
        if pl.read_parquet_metadata(path)[IS_COMPLETE_KEY] != "true":
            continue
        for row in pl.read_parquet(path).to_dicts():
            if by == "creative":
                row["creative_id"] = f"v{row['advertiser_id']}{int(row['ad_id'][-1]) // 3}"
                row["total_onsite_shopping_value"] = None  # not in the table of creatives
            for number, (first, last) in enumerate((this, before)):
                if first <= row["date"] <= last:
                    for subject in ((row["advertiser_id"], row[key], row["currency"]), row["currency"]):
                        found.setdefault(subject, [[], []])[number].append(row)
    return {subject: compute(*periods) for subject, periods in found.items()}


def compute(this: list[Row], before: list[Row]) -> Row:
    """Compute the figures of both periods, and their changes."""
    result: Row = {}
    for end, rows in (("", this), ("_before", before)):
        sums = {
            name: add(*(row.get(name) for row in rows)) if rows else 0
            for name in ("spend", "impressions", "clicks", "conversion", *VALUES)
        }
        value = add(*(sums[name] for name in VALUES))
        result |= {f"{name}{end}": sums[name] for name in ("spend", "impressions", "clicks", "conversion")}
        result[f"value{end}"] = value
        result[f"ctr{end}"] = 100 * (sums["clicks"] or 0) / sums["impressions"] if sums["impressions"] else None
        result[f"cpa{end}"] = float(sums["spend"]) / sums["conversion"] if sums["conversion"] else None
        result[f"roas{end}"] = float(value) / float(sums["spend"]) if value is not None and sums["spend"] else None
    for name in FIGURES:
        now, then = result[name], result[f"{name}_before"]
        result[f"{name}_change"] = 100 * (float(now) / float(then) - 1) if now is not None and then else None
    return result


def check(comparison: Comparison, expected: dict[Any, Row]) -> None:
    """Compare all rows and totals with the expected ones."""
    key = SUBJECTS[comparison.by].key
    found = {
        row["currency"] if row["is_total"] else (row["advertiser_id"], row[key], row["currency"]): row
        for row in comparison.rows.to_dicts()
    }
    assert found.keys() == expected.keys()
    for subject, row in expected.items():
        for name, value in row.items():
            got = found[subject][name]
            if name.split("_")[0] in {"spend", "impressions", "clicks", "conversion"} and "change" not in name:
                if value is not None:  # of no rows, a metric that is stored nowhere is null and not zero
                    assert got in {value, None if value == 0 else value}, (subject, name)
            elif value is None or got is None:
                assert not got, (subject, name)
                assert not value, (subject, name)
            else:
                assert float(got) == pytest.approx(float(value), rel=1e-4), (subject, name)


@pytest.mark.slow
@pytest.mark.parametrize("by", SUBJECTS)
def test_figures_are_those_of_the_files(store: HiveStore, by: str) -> None:
    """Every figure of every subject and total equals the one recomputed; incomplete days are left out."""
    comparison = compare(store, None, by=by, this="2026-11-02:2026-11-09", against="2026-10-18:2026-10-25")
    expected = expect(store, by, (date(2026, 11, 2), date(2026, 11, 9)), (date(2026, 10, 18), date(2026, 10, 25)))
    assert len(expected) > len(CURRENCIES)
    check(comparison, expected)
    totals = comparison.rows.filter("is_total")
    assert totals.get_column("currency").to_list() == ["JPY", "USD"]


@pytest.mark.slow
def test_periods_end_on_the_last_complete_day_of_each_account(store: HiveStore) -> None:
    """Days are counted back from each account's last complete day; a missing day is counted and named."""
    comparison = compare(store, None, by="account", this="7d", against="previous")
    rows = {row["advertiser_id"]: row for row in comparison.rows.to_dicts() if not row["is_total"]}
    assert {one: str(row["last_day"]) for one, row in rows.items()} == {
        "7001": "2026-11-08",
        "7002": "2026-11-07",
        "7003": "2026-11-08",
    }
    counts = {one: (row["missing_days"], row["missing_days_before"]) for one, row in rows.items()}
    assert counts == {"7001": (0, 0), "7002": (1, 1), "7003": (0, 0)}
    assert any("7002" in note and "only 6 of the 7 days" in note for note in comparison.notes)
    assert not any("7003" in note for note in comparison.notes)
    assert rows["7003"]["advertiser_name"] == "Account 7003"


def test_printed_changes_of_incomplete_periods_are_marked(
    store: HiveStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the table, a change is marked where days are missing, and not elsewhere; three lines per subject."""
    print_comparison(
        compare(store, None, by="account", this="7d", against="previous"), as_json=False, as_csv=False, raw=False
    )
    yen, dollars = capsys.readouterr().out.split("in USD")
    assert " %*" not in yen
    assert " %*" in dollars
    assert yen.count("before") == 2
    assert "2026-11-02 to 2026-11-08 against 2026-10-26 to 2026-11-01 (account 7001, 7003)" in dollars


def test_json_and_csv_have_the_same_rows(store: HiveStore, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has exact amounts, CSV the same; sentences about days go to standard error."""
    comparison = compare(store, ["7002"], by="campaign", this="7d", against="previous")
    print_comparison(comparison, as_json=True, as_csv=False, raw=False)
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    print_comparison(comparison, as_json=False, as_csv=True, raw=False)
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert "only 6 of the 7 days" in printed.err
    assert [row["spend_before"] for row in rows] == [line["spend_before"] for line in lines]
    assert {row["advertiser_id"] for row in rows} == {"7002", None}
    assert Decimal(rows[0]["spend"]) == comparison.rows.get_column("spend")[0]


def test_rows_are_sorted_and_limited(store: HiveStore) -> None:
    """The largest rise or fall of spend is first; a limit is for each currency and leaves its total as it is."""
    whole = compare(store, None, by="ad", this="7d", against="previous")
    assert whole.rows.filter("is_total").height == 2
    for _, rows in whole.rows.filter(~pl.col("is_total")).group_by("currency"):
        sizes = rows.get_column("spend_difference").abs().to_list()
        assert sizes == sorted(sizes, reverse=True)
    limited = compare(store, None, by="ad", this="7d", against="previous", sort="cpa", limit=2)
    assert limited.rows.get_column("is_total").to_list() == [False, False, True] * 2
    assert limited.rows.filter("is_total").equals(whole.rows.filter("is_total"))
    costs = limited.rows.get_column("cpa")[:2].to_list()
    assert costs == sorted(costs, reverse=True)


def test_period_without_a_complete_day_has_no_figures(store: HiveStore) -> None:
    """Against days that are not stored, figures and changes are null, and not minus or plus a hundred percent."""
    comparison = compare(store, None, by="campaign", this="7d", against="year")
    assert comparison.rows.get_column("spend").null_count() == 0
    names = [name for name in comparison.rows.columns if name.endswith(("_change", "spend_before"))]
    assert comparison.rows.select(names).null_count().row(0) == (comparison.rows.height,) * len(names)
    assert any("none of the 7 days" in note for note in comparison.notes)


LAST_COMPLETE, NEWEST = date(2026, 3, 10), date(2026, 3, 11)


@pytest.mark.parametrize(
    ("this", "against", "expected"),
    [
        ("7d", "previous", "2026-03-04..2026-03-10 2026-02-25..2026-03-03"),
        ("28d", "year", "2026-02-11..2026-03-10 2025-02-12..2025-03-11"),
        ("month", "previous", "2026-03-01..2026-03-10 2026-02-19..2026-02-28"),
        ("last-month", "previous", "2026-02-01..2026-02-28 2026-01-04..2026-01-31"),
        ("2026-01-01:2026-01-01", "2025-12-24:2025-12-31", "2026-01-01..2026-01-01 2025-12-24..2025-12-31"),
    ],
)
def test_periods(this: str, against: str, expected: str) -> None:
    """Each form of a period has its days; a year is 52 weeks, so that weekdays match."""
    periods = parse_periods(this, against).resolve(LAST_COMPLETE, NEWEST)
    assert f"{periods.this} {periods.before}" == expected
    if against == "year":
        assert periods.this.first.weekday() == periods.before.first.weekday()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "video"}, "cannot compare by 'video'; choose one of: account"),
        ({"this": "7"}, "--this '7' is not a period; use a number of days such as 7d"),
        ({"this": "0d"}, "--this '0d' is not a period"),
        ({"this": "2026-11-07:2026-11-01"}, "ends before it begins; swap the two days"),
        ({"this": "2026-02-30:2026-03-01"}, "'2026-02-30' is not a day"),
        ({"against": "last"}, "--against 'last' is not a period; use previous, year"),
        ({"sort": "reach"}, "cannot sort by 'reach'; choose one of: spend"),
    ],
)
def test_wrong_option_is_named(store: HiveStore, options: dict[str, Any], message: str) -> None:
    """An option with a wrong value is answered with one sentence that says what it can be."""
    with pytest.raises(UsageError, match=r"^[^\n]+$") as error:
        compare(store, None, **{"by": "campaign", "this": "7d", "against": "previous", **options})
    assert message in str(error.value)


def test_what_is_not_stored_is_named(store: HiveStore, tmp_path: Path) -> None:
    """An account or table without stored days is named, with what to do."""
    choice: dict[str, Any] = {"this": "7d", "against": "previous"}
    with pytest.raises(CommandError, match="no day of account 7009 is stored in ad_report_daily"):
        compare(store, ["7001", "7009"], by="ad", **choice)
    with pytest.raises(CommandError, match=r"TIKTOK_REPORTS=.advertiser_audience_country_daily"):
        compare(HiveStore(str(tmp_path)), None, by="country", **choice)
    empty = HiveStore(str(tmp_path / "new"))
    write_day(empty, "campaign_report_daily", "7001", LAST, [], complete=False)
    with pytest.raises(CommandError, match="is complete yet"):
        compare(empty, None, by="campaign", **choice)
