"""Laws of restatements: each reading of a day is a row, and tells what it has changed."""

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
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import DAILY_REPORTS, REPORTS_BY_TABLE, Report
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back, files_of, reading, true_report

TABLES = [report.table for report in DAILY_REPORTS]
AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
DAY = date(2026, 3, 1)
HERE = Partition("7001", DAY)
AT = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def stored(store: HiveStore) -> pl.DataFrame:
    """The whole table."""
    return store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect().sort(RESTATEMENTS_KEY)


def read(
    one: Reader, store: HiveStore, reports: Iterable[Report], account: Account, days: list[date]
) -> list[WrittenPartition]:
    """Read days of an account, and gather what moved, as a refresh does."""
    made = [landed for report in reports for landed in refresh_report(one, store, report, {account: days})]
    partitions = [Partition(account.advertiser_id, day) for day in days]
    list(refresh_restatements(store, TABLES, partitions))
    landed = [one for one in made if isinstance(one, WrittenPartition)]
    assert len(landed) == len(made)
    return landed


def true_sums(host: Host, account: Account, day: date) -> tuple[int, Decimal, int]:
    """Rows, spend and conversions of an account's day, as the world has them now."""
    rows = true_report(host, AD_DAILY, account, STANDARD_METRICS, [day]).values()
    spend = sum((row["spend"] for row in rows), Decimal(0))
    return len(rows), spend, sum(row["conversion"] for row in rows)


def test_each_reading_tells_what_moved(agency: Host, store: HiveStore) -> None:
    """Before and after are the truth of the two readings, the change their difference, null for the first."""
    account, (day,) = accounts_of(agency)[0], days_back(1, 1)
    truths, read_at = [], []
    agency.advance(hours=-8)  # before the correction at noon
    with reading(agency) as one:
        for _ in range(3):
            truths.append(true_sums(agency, account, day))
            (landed,) = read(one.reader, store, [AD_DAILY], account, [day])
            read_at.append(landed.fetched_at)
            agency.advance(days=4)
    rows = stored(store).to_dicts()
    assert [row["fetched_at"] for row in rows] == read_at
    assert [row["previous_fetched_at"] for row in rows] == [None, *read_at[:2]]
    assert [row["age_days"] for row in rows] == [1, 5, 9]
    assert [(row["rows_after"], row["spend_after"], row["conversion_after"]) for row in rows] == truths
    before = [(row["rows_before"], row["spend_before"], row["conversion_before"]) for row in rows]
    assert before == [(None, None, None), *truths[:2]]
    assert truths[0][1] != truths[1][1]
    assert truths[0][2] < truths[1][2] < truths[2][2]
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


def test_each_level_has_its_own_rows_and_other_days_are_untouched(small: Host, store: HiveStore) -> None:
    """A day's file holds the readings of every report, and a day read again changes no other day's file."""
    account, days = accounts_of(small)[0], days_back(3, 1)
    with reading(small) as one:
        read(one.reader, store, DAILY_REPORTS, account, days)
        assert stored(store).group_by("report", "date").len().get_column("len").to_list() == [1] * 12
        before = {name: text for name, text in files_of(store).items() if name.startswith(RESTATEMENTS)}
        small.advance(days=1)
        read(one.reader, store, [AD_DAILY], account, days[1:2])
        list(refresh_restatements(store, TABLES, [Partition(account.advertiser_id, day) for day in days]))
    changed = [name for name, text in before.items() if files_of(store)[name] != text]
    assert [f"date={days[1]}" in name for name in changed] == [True]


def test_the_table_can_be_made_anew_from_the_days(small: Host, store: HiveStore) -> None:
    """Removed, the table comes back the same from the notes of the days; made again, no file changes."""
    account, days = accounts_of(small)[0], days_back(3, 1)
    with reading(small) as one:
        for _ in range(2):
            read(one.reader, store, DAILY_REPORTS, account, days)
            small.advance(days=1)
    rows = stored(store)
    for path in [path for path in store.base.rglob("*.parquet") if RESTATEMENTS in str(path)]:
        path.unlink()
    partitions = [Partition(account.advertiser_id, day) for day in days_back(5, 1)]
    made = list(refresh_restatements(store, TABLES, partitions))
    assert [one.partition for one in made] == partitions[2:]  # a day nobody read has no restatements
    assert [one.rows for one in made] == [8, 8, 8]
    assert stored(store).equals(rows)
    before = files_of(store)
    assert list(refresh_restatements(store, TABLES, partitions)) == made
    assert files_of(store) == before


def test_a_day_from_before_the_notes_is_its_own_first_reading(small: Host, store: HiveStore) -> None:
    """A day stored without notes of readings counts as read once, when and as it stands."""
    account, (day,) = accounts_of(small)[0], days_back(1, 1)
    with reading(small) as one:
        (first,) = read(one.reader, store, [AD_DAILY], account, [day])
        noted = stored(store)
        frame = store.open(AD_DAILY.table, first.partition)
        assert frame is not None
        store.write(AD_DAILY.table, first.partition, frame.collect(), notes=fetched_at_metadata(first.fetched_at))
        assert parse_readings(store.notes(AD_DAILY.table, first.partition)) == []
        small.advance(days=1)
        read(one.reader, store, [AD_DAILY], account, [day])
    assert stored(store).height == 2
    assert stored(store).get_column("timezone").to_list() == [None, account.timezone]  # nobody had noted it
    assert stored(store).drop("timezone").head(1).equals(noted.drop("timezone"))


def test_a_day_from_before_the_notes_keeps_its_currency(small: Host, store: HiveStore) -> None:
    """Its first reading is in the currency of its rows, whatever the account has now; nothing is subtracted."""
    account, (day,) = accounts_of(small)[0], days_back(1, 1)
    with reading(small) as one:
        (first,) = read(one.reader, store, [AD_DAILY], account, [day])
        frame = store.open(AD_DAILY.table, first.partition)
        assert frame is not None
        store.write(AD_DAILY.table, first.partition, frame.collect(), notes=fetched_at_metadata(first.fetched_at))
        small.advance(days=1)
        read(one.reader, store, [AD_DAILY], replace(account, currency="BRL"), [day])
    before, after = stored(store).sort("fetched_at").to_dicts()
    assert (before["currency"], after["currency"]) == (account.currency, "BRL")
    assert (after["spend_before"], after["spend_change"]) == (None, None)
    assert after["rows_change"] == 0


def test_a_file_of_an_earlier_release_is_read_on(store: HiveStore) -> None:
    """Rows without the columns that came later stay, and get them empty."""
    made = [DayReading(AT + timedelta(n), n + 1, "USD", 3, Decimal(n), 5, True, False, "UTC") for n in range(2)]
    write_restatements(store, HERE, {"ad_report_daily": made[:1]})
    store.write(RESTATEMENTS, HERE, stored(store).drop("timezone"))
    assert write_restatements(store, HERE, {"ad_report_daily": made[1:]})
    assert stored(store).get_column("timezone").to_list() == [None, "UTC"]


money = st.decimals(0, 10**9, places=4)
counts = st.none() | st.integers(0, 10**9)
readings = st.builds(
    DayReading,
    st.integers(0, 60 * 24 * 60).map(lambda minutes: AT + timedelta(minutes=minutes)),
    st.integers(0, 60),
    st.sampled_from(["USD", "JPY"]),
    st.integers(0, 1000),
    money,
    counts,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "UTC", "Asia/Tokyo"]),
)


@given(st.lists(readings, max_size=5, unique_by=lambda one: one.fetched_at))
def test_changes_add_up(made: list[DayReading]) -> None:
    """The first value and all changes give the last value, to the last digit; a note keeps a reading exactly.

    Between two currencies there is no change: the sum begins anew.
    """
    made.sort(key=lambda one: one.fetched_at)
    assert [DayReading.from_json(one.as_json()) for one in made] == made
    rows = build_restatements("ad_report_daily", HERE, made)
    assert rows.schema == RESTATEMENTS_SCHEMA
    assert rows.height == len(made)
    if made:
        total = Decimal(0)
        for before, one, change in zip(
            [None, *made], made, rows.get_column("spend_change").to_list(), strict=False
        ):
            alike = before is not None and before.currency == one.currency
            assert (change is not None) == alike
            total = total + change if alike else one.spend
        assert total == made[-1].spend
        assert rows.get_column("previous_fetched_at").to_list() == [None, *(one.fetched_at for one in made[:-1])]


def test_a_repeat_changes_nothing(store: HiveStore) -> None:
    """Recording the same readings again leaves the file as it was, byte for byte."""
    made = [DayReading(AT + timedelta(n), n + 1, "USD", 3, Decimal(n), 5, True, False) for n in range(3)]
    first = write_restatements(store, HERE, {"ad_report_daily": made[:2]})
    before = files_of(store)
    assert write_restatements(store, HERE, {"ad_report_daily": made[:2]}) == first
    assert files_of(store) == before
    last = write_restatements(store, HERE, {"ad_report_daily": made, "campaign_report_daily": made[:1]})
    assert first
    assert last
    assert (first.rows, last.rows) == (2, 4)


def test_a_metric_that_is_not_served_has_not_fallen_to_nothing() -> None:
    """Where conversions were not asked for, or withdrawn, they are null and have not changed."""
    account = Account("7001", "USD", "UTC")
    frames = [
        pl.DataFrame({"spend": [Decimal(1)], "conversion": [3]}),
        pl.DataFrame({"spend": [Decimal(1)], "conversion": [None]}, schema_overrides={"conversion": pl.Int64}),
        pl.DataFrame({"spend": [Decimal(1)]}),
    ]
    made = [DayReading.of(DAY, account, frame, AT + timedelta(n)) for n, frame in enumerate(frames)]
    rows = build_restatements("ad_report_daily", HERE, made)
    assert rows.get_column("conversion_after").to_list() == [3, None, None]
    assert rows.get_column("conversion_change").to_list() == [None, None, None]


def known(day: date, currency: str, values: dict[int, tuple[int, int]]) -> pl.DataFrame:
    """Restatements of a day, with spend and conversions by its age."""
    made = [
        DayReading(AT + timedelta(age), age, currency, 1, Decimal(spend), conversions, True, age > 28)
        for age, (spend, conversions) in values.items()
    ]
    owner = {"USD": "7001", "JPY": "7002"}[currency]
    return build_restatements("advertiser_report_daily", Partition(owner, day), made)


def test_how_much_was_still_to_come() -> None:
    """By age and currency: the missing part of what is known at the end, of days whose end is known."""
    table = pl.concat(
        [
            known(DAY, "USD", {1: (90, 50), 8: (100, 80), 29: (100, 100)}),
            known(DAY + timedelta(1), "USD", {1: (110, 30), 25: (100, 100)}),
            known(DAY + timedelta(2), "USD", {1: (1, 1), 8: (1, 2)}),  # nobody knows its end
            known(DAY, "JPY", {1: (1000, 0), 28: (1000, 0)}),
        ]
    )
    moved = {(row["currency"], row["age_days"]): row for row in compute_restatement_by_age(table).to_dicts()}
    assert moved.keys() == {("USD", 1), ("USD", 8), ("USD", 25), ("JPY", 1), ("JPY", 28)}
    first = moved["USD", 1]
    assert (first["days"], first["spend_to_come"], first["conversion_to_come"]) == (2, 10.0, 60.0)
    assert moved["USD", 8]["conversion_to_come"] == pytest.approx(20.0)
    assert (moved["USD", 25]["days"], moved["USD", 25]["spend_to_come"]) == (1, 0.0)
    assert moved["JPY", 1]["spend_to_come"] == 0.0
    assert moved["JPY", 1]["conversion_to_come"] is None  # of nothing there is no part


def test_another_currency_or_zone_tells_nothing_of_what_is_to_come() -> None:
    """A reading counts only in the currency and, where both are known, the zone of the day's last one."""
    made = [
        DayReading(AT + timedelta(age), age, currency, 1, Decimal(spend), 1, True, age > 28, zone)
        for age, currency, spend, zone in (
            (1, "USD", 90, "UTC"),
            (2, "EUR", 90, "UTC"),
            (3, "EUR", 95, "Asia/Tokyo"),
            (4, "EUR", 99, None),
            (29, "EUR", 100, "Asia/Tokyo"),
        )
    ]
    table = build_restatements("advertiser_report_daily", Partition("7001", DAY), made)
    moved = {
        (row["currency"], row["age_days"]): row["spend_to_come"]
        for row in compute_restatement_by_age(table).to_dicts()
    }
    assert moved == {("EUR", 3): 5.0, ("EUR", 4): 1.0}


def test_the_note_is_small(small: Host, store: HiveStore) -> None:
    """A reading takes less than 250 bytes of a day's file."""
    account, (day,) = accounts_of(small)[0], days_back(1, 1)
    with reading(small) as one:
        (landed,) = read(one.reader, store, [AD_DAILY], account, [day])
    notes = store.notes(AD_DAILY.table, landed.partition) or {}
    assert len(notes[READINGS_KEY]) < 250
