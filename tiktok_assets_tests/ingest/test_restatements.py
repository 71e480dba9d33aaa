"""Test restatements: each reading of a day is a row with the change since the previous one."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.ingest.partitions import READINGS_KEY, WrittenPartition, fetched_at_metadata
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.restatements import (
    RESTATEMENTS_SCHEMA,
    DayReading,
    build_restatements,
    compute_restatement_by_age,
    parse_readings,
    refresh_restatements,
    write_restatements,
)
from tiktok_assets.ingest.writer import refresh_report
from tiktok_assets.spec.derived_tables import RESTATEMENTS, RESTATEMENTS_KEY
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import DAILY_REPORTS, REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import (
    days_back,
    expected_report,
    granted_accounts,
    open_reader,
    read_files,
)

TABLES = [report.table for report in DAILY_REPORTS]
AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
DAY = date(2026, 3, 1)
PARTITION = Partition("7001", DAY)
FIRST_READ = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def read_stored(store: HiveStore) -> pl.DataFrame:
    """Read the whole table."""
    return store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect().sort(RESTATEMENTS_KEY)


def read_days(
    one: Reader, store: HiveStore, reports: Iterable[Report], account: Account, days: list[date]
) -> list[WrittenPartition]:
    """Read days of an account and update their restatements, as a refresh does."""
    sequence = [written for report in reports for written in refresh_report(one, store, report, {account: days})]
    partitions = [Partition(account.advertiser_id, day) for day in days]
    list(refresh_restatements(store, TABLES, partitions))
    written = [one for one in sequence if isinstance(one, WrittenPartition)]
    assert len(written) == len(sequence)
    return written


def expected_sums(host: Host, account: Account, day: date) -> tuple[int, Decimal, int]:
    """Return the current rows, spend and conversions of a day in the sandbox."""
    rows = expected_report(host, AD_DAILY, account, STANDARD_METRICS, [day]).values()
    spend = sum((row["spend"] for row in rows), Decimal(0))
    return len(rows), spend, sum(row["conversion"] for row in rows)


def test_each_reading_is_a_row_with_its_change(agency: Host, store: HiveStore) -> None:
    """Before and after are the values of the two reads, and change is their difference; null for the first."""
    account, (day,) = granted_accounts(agency)[0], days_back(1, 1)
    expected, read_at = [], []
    agency.advance(hours=-8)  # before TikTok's correction at noon
    with open_reader(agency) as one:
        for _ in range(3):
            expected.append(expected_sums(agency, account, day))
            (written,) = read_days(one.reader, store, [AD_DAILY], account, [day])
            read_at.append(written.fetched_at)
            agency.advance(days=4)
    rows = read_stored(store).to_dicts()
    assert [row["fetched_at"] for row in rows] == read_at
    assert [row["previous_fetched_at"] for row in rows] == [None, *read_at[:2]]
    assert [row["age_days"] for row in rows] == [1, 5, 9]
    assert [(row["rows_after"], row["spend_after"], row["conversion_after"]) for row in rows] == expected
    before = [(row["rows_before"], row["spend_before"], row["conversion_before"]) for row in rows]
    assert before == [(None, None, None), *expected[:2]]
    assert expected[0][1] != expected[1][1]
    assert expected[0][2] < expected[1][2] < expected[2][2]
    for name in ("rows", "spend", "conversion"):
        changes = [row[f"{name}_change"] for row in rows]
        after = [row[f"{name}_after"] for row in rows]
        assert changes == [None, after[1] - after[0], after[2] - after[1]]
    assert [(row["was_complete"], row["is_complete"]) for row in rows] == [
        (None, False),
        (False, True),
        (True, True),
    ]
    assert {(row["advertiser_id"], row["currency"], row["report"]) for row in rows} == {
        (account.advertiser_id, account.currency, AD_DAILY.table)
    }


def test_each_report_has_its_own_rows_and_other_days_are_unchanged(small: Host, store: HiveStore) -> None:
    """The file of a day has the readings of every report, and reading a day again changes no other day."""
    account, days = granted_accounts(small)[0], days_back(3, 1)
    with open_reader(small) as one:
        read_days(one.reader, store, DAILY_REPORTS, account, days)
        assert read_stored(store).group_by("report", "date").len().get_column("len").to_list() == [1] * 12
        before = {name: text for name, text in read_files(store).items() if name.startswith(RESTATEMENTS)}
        small.advance(days=1)
        read_days(one.reader, store, [AD_DAILY], account, days[1:2])
        list(refresh_restatements(store, TABLES, [Partition(account.advertiser_id, day) for day in days]))
    changed = [name for name, text in before.items() if read_files(store)[name] != text]
    assert [f"date={days[1]}" in name for name in changed] == [True]


def test_the_table_can_be_rebuilt_from_the_metadata(small: Host, store: HiveStore) -> None:
    """A removed table is rebuilt identically from the metadata; rebuilding it again changes no file."""
    account, days = granted_accounts(small)[0], days_back(3, 1)
    with open_reader(small) as one:
        for _ in range(2):
            read_days(one.reader, store, DAILY_REPORTS, account, days)
            small.advance(days=1)
    rows = read_stored(store)
    for path in [path for path in store.base.rglob("*.parquet") if RESTATEMENTS in str(path)]:
        path.unlink()
    partitions = [Partition(account.advertiser_id, day) for day in days_back(5, 1)]
    sequence = list(refresh_restatements(store, TABLES, partitions))
    assert [one.partition for one in sequence] == partitions[2:]  # a day that was never read has no restatements
    assert [one.rows for one in sequence] == [8, 8, 8]
    assert read_stored(store).equals(rows)
    before = read_files(store)
    assert list(refresh_restatements(store, TABLES, partitions)) == sequence
    assert read_files(store) == before


def test_a_day_without_readings_metadata_is_its_first_reading(small: Host, store: HiveStore) -> None:
    """A day that was stored without readings in its metadata counts as read once."""
    account, (day,) = granted_accounts(small)[0], days_back(1, 1)
    with open_reader(small) as one:
        (first,) = read_days(one.reader, store, [AD_DAILY], account, [day])
        first_rows = read_stored(store)
        frame = store.scan_partition(AD_DAILY.table, first.partition)
        assert frame is not None
        store.write(
            AD_DAILY.table, first.partition, frame.collect(), metadata=fetched_at_metadata(first.fetched_at)
        )
        assert parse_readings(store.read_metadata(AD_DAILY.table, first.partition)) == []
        small.advance(days=1)
        read_days(one.reader, store, [AD_DAILY], account, [day])
    assert read_stored(store).height == 2
    assert read_stored(store).get_column("timezone").to_list() == [
        None,
        account.timezone,
    ]  # the older release did not store it
    assert read_stored(store).drop("timezone").head(1).equals(first_rows.drop("timezone"))


def test_a_day_without_readings_metadata_keeps_its_currency(small: Host, store: HiveStore) -> None:
    """Its first reading is in the currency of its rows; no change is computed between currencies."""
    account, (day,) = granted_accounts(small)[0], days_back(1, 1)
    with open_reader(small) as one:
        (first,) = read_days(one.reader, store, [AD_DAILY], account, [day])
        frame = store.scan_partition(AD_DAILY.table, first.partition)
        assert frame is not None
        store.write(
            AD_DAILY.table, first.partition, frame.collect(), metadata=fetched_at_metadata(first.fetched_at)
        )
        small.advance(days=1)
        read_days(one.reader, store, [AD_DAILY], replace(account, currency="BRL"), [day])
    before, after = read_stored(store).sort("fetched_at").to_dicts()
    assert (before["currency"], after["currency"]) == (account.currency, "BRL")
    assert (after["spend_before"], after["spend_change"]) == (None, None)
    assert after["rows_change"] == 0


def test_a_file_of_an_earlier_release_is_extended(store: HiveStore) -> None:
    """Rows without newer columns are kept, with nulls in these columns."""
    sequence = [
        DayReading(FIRST_READ + timedelta(n), n + 1, "USD", 3, Decimal(n), 5, True, False, "UTC") for n in range(2)
    ]
    write_restatements(store, PARTITION, {"ad_report_daily": sequence[:1]})
    store.write(RESTATEMENTS, PARTITION, read_stored(store).drop("timezone"))
    assert write_restatements(store, PARTITION, {"ad_report_daily": sequence[1:]})
    assert read_stored(store).get_column("timezone").to_list() == [None, "UTC"]


money = st.decimals(0, 10**9, places=4)
counts = st.none() | st.integers(0, 10**9)
day_readings = st.builds(
    DayReading,
    st.integers(0, 60 * 24 * 60).map(lambda minutes: FIRST_READ + timedelta(minutes=minutes)),
    st.integers(0, 60),
    st.sampled_from(["USD", "JPY"]),
    st.integers(0, 1000),
    money,
    counts,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "UTC", "Asia/Tokyo"]),
)


@given(st.lists(day_readings, max_size=5, unique_by=lambda one: one.fetched_at))
def test_changes_add_up(sequence: list[DayReading]) -> None:
    """The first value and all changes add up to the last value exactly, and JSON keeps readings exactly.

    Between two currencies there is no change: the sum starts again.
    """
    sequence.sort(key=lambda one: one.fetched_at)
    assert [DayReading.from_json(one.to_json()) for one in sequence] == sequence
    rows = build_restatements("ad_report_daily", PARTITION, sequence)
    assert rows.schema == RESTATEMENTS_SCHEMA
    assert rows.height == len(sequence)
    if sequence:
        total = Decimal(0)
        for before, one, change in zip(
            [None, *sequence], sequence, rows.get_column("spend_change").to_list(), strict=False
        ):
            is_same_currency = before is not None and before.currency == one.currency
            assert (change is not None) == is_same_currency
            total = total + change if is_same_currency else one.spend
        assert total == sequence[-1].spend
        assert rows.get_column("previous_fetched_at").to_list() == [
            None,
            *(one.fetched_at for one in sequence[:-1]),
        ]


def test_writing_the_same_readings_changes_nothing(store: HiveStore) -> None:
    """Writing the same readings again leaves the file unchanged, byte for byte."""
    sequence = [
        DayReading(FIRST_READ + timedelta(n), n + 1, "USD", 3, Decimal(n), 5, True, False) for n in range(3)
    ]
    first = write_restatements(store, PARTITION, {"ad_report_daily": sequence[:2]})
    before = read_files(store)
    assert write_restatements(store, PARTITION, {"ad_report_daily": sequence[:2]}) == first
    assert read_files(store) == before
    last = write_restatements(
        store, PARTITION, {"ad_report_daily": sequence, "campaign_report_daily": sequence[:1]}
    )
    assert first
    assert last
    assert (first.rows, last.rows) == (2, 4)


def test_a_metric_that_is_not_served_is_null() -> None:
    """Conversions that were not requested or not served are null, and so is their change."""
    account = Account("7001", "USD", "UTC")
    frames = [
        pl.DataFrame({"spend": [Decimal(1)], "conversion": [3]}),
        pl.DataFrame({"spend": [Decimal(1)], "conversion": [None]}, schema_overrides={"conversion": pl.Int64}),
        pl.DataFrame({"spend": [Decimal(1)]}),
    ]
    sequence = [
        DayReading.from_frame(DAY, account, frame, FIRST_READ + timedelta(n)) for n, frame in enumerate(frames)
    ]
    rows = build_restatements("ad_report_daily", PARTITION, sequence)
    assert rows.get_column("conversion_after").to_list() == [3, None, None]
    assert rows.get_column("conversion_change").to_list() == [None, None, None]


def build_restatement_rows(day: date, currency: str, values: dict[int, tuple[int, int]]) -> pl.DataFrame:
    """Build the restatements of a day with the spend and conversions at each age."""
    sequence = [
        DayReading(FIRST_READ + timedelta(age), age, currency, 1, Decimal(spend), conversions, True, age > 28)
        for age, (spend, conversions) in values.items()
    ]
    owner = {"USD": "7001", "JPY": "7002"}[currency]
    return build_restatements("advertiser_report_daily", Partition(owner, day), sequence)


def test_the_missing_part_is_computed_by_age_and_currency() -> None:
    """By age and currency: the missing part of the final value, for days whose final value is known."""
    table = pl.concat(
        [
            build_restatement_rows(DAY, "USD", {1: (90, 50), 8: (100, 80), 29: (100, 100)}),
            build_restatement_rows(DAY + timedelta(1), "USD", {1: (110, 30), 25: (100, 100)}),
            build_restatement_rows(
                DAY + timedelta(2), "USD", {1: (1, 1), 8: (1, 2)}
            ),  # its final value is unknown
            build_restatement_rows(DAY, "JPY", {1: (1000, 0), 28: (1000, 0)}),
        ]
    )
    by_age = {(row["currency"], row["age_days"]): row for row in compute_restatement_by_age(table).to_dicts()}
    assert by_age.keys() == {("USD", 1), ("USD", 8), ("USD", 25), ("JPY", 1), ("JPY", 28)}
    first = by_age["USD", 1]
    assert (first["days"], first["spend_to_come"], first["conversion_to_come"]) == (2, 10.0, 60.0)
    assert by_age["USD", 8]["conversion_to_come"] == pytest.approx(20.0)
    assert (by_age["USD", 25]["days"], by_age["USD", 25]["spend_to_come"]) == (1, 0.0)
    assert by_age["JPY", 1]["spend_to_come"] == 0.0
    assert by_age["JPY", 1]["conversion_to_come"] is None  # no percentage of zero


def test_readings_in_another_currency_or_time_zone_are_ignored() -> None:
    """A reading counts only in the currency and, if both are known, the time zone of the last reading."""
    sequence = [
        DayReading(FIRST_READ + timedelta(age), age, currency, 1, Decimal(spend), 1, True, age > 28, zone)
        for age, currency, spend, zone in (
            (1, "USD", 90, "UTC"),
            (2, "EUR", 90, "UTC"),
            (3, "EUR", 95, "Asia/Tokyo"),
            (4, "EUR", 99, None),
            (29, "EUR", 100, "Asia/Tokyo"),
        )
    ]
    table = build_restatements("advertiser_report_daily", Partition("7001", DAY), sequence)
    by_age = {
        (row["currency"], row["age_days"]): row["spend_to_come"]
        for row in compute_restatement_by_age(table).to_dicts()
    }
    assert by_age == {("EUR", 3): 5.0, ("EUR", 4): 1.0}


def test_the_metadata_of_a_reading_is_small(small: Host, store: HiveStore) -> None:
    """A reading takes less than 250 bytes in the metadata of a day."""
    account, (day,) = granted_accounts(small)[0], days_back(1, 1)
    with open_reader(small) as one:
        (written,) = read_days(one.reader, store, [AD_DAILY], account, [day])
    notes = store.read_metadata(AD_DAILY.table, written.partition) or {}
    assert len(notes[READINGS_KEY]) < 250
