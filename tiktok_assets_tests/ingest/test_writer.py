"""Test refreshes: each partition is replaced as a whole or stays unchanged, and has metadata."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.api.errors import (
    AdvertiserError,
    ContractError,
    CredentialsError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
)
from tiktok_assets.api.request_plan import DateWindow, split_into_windows
from tiktok_assets.ingest.account_reader import ADVERTISERS_SCHEMA
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import FETCHED_AT_KEY, IS_COMPLETE_KEY, FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import ADS, CAMPAIGN_ENTITIES, LISTED_ENTITIES, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import LEVEL_REPORTS, REPORTS_BY_TABLE, STANDARD_REPORTS
from tiktok_assets.storage.parquet_store import HiveStore, Partition, StoreError
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import (
    TODAY,
    OpenReader,
    days_back,
    decode_rows,
    expected_entity,
    expected_report,
    find_ungranted_account,
    granted_accounts,
    open_reader,
    read_files,
    report_rows,
)


@pytest.mark.slow
def test_a_full_refresh_at_the_basic_tier_is_never_refused(small: Host, tmp_path: Path) -> None:
    """A refresh of all tables at the basic tier causes no refused request."""
    settings = load_settings(
        base_url=small.sandbox.base_url,
        access_token=small.sandbox.token,
        app_id=small.sandbox.app_id,
        app_secret=small.sandbox.secret,
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
    )
    limits = Limits()
    assert (settings.requests_per_second, settings.requests_per_minute) == (limits.qps, limits.qpm)
    small.sandbox.state.limiter.reset()
    small.control("POST", "limits", qps=limits.qps, qpm=limits.qpm)
    try:
        with closing(Session(settings)) as session:
            outcomes: list[WrittenPartition | FailedPartitions] = [
                refresh_advertisers(session.reader, session.store, session.advertiser_ids)[0]
            ]
            for entity in LISTED_ENTITIES:
                outcomes += refresh_entity(session.reader, session.store, entity, session.advertiser_ids)
            accounts, _ = load_accounts(session.reader, session.store, settings, session.advertiser_ids)
            days = DateWindow(TODAY - timedelta(4), TODAY - timedelta(1)).days
            for report in STANDARD_REPORTS:
                outcomes += refresh_report(session.reader, session.store, report, dict.fromkeys(accounts, days))
    finally:
        small.control("POST", "limits", qps=None, qpm=None)
        small.sandbox.state.limiter.reset()
    assert [outcome for outcome in outcomes if isinstance(outcome, FailedPartitions)] == []
    assert {one["code"] for one in small.requests} == {0}
    assert (
        len(small.requests)
        == session.total.requests
        == 2 + len(accounts) * (len(CAMPAIGN_ENTITIES) + len(LEVEL_REPORTS))
    )


AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]


def read_stored(store: HiveStore, report: Report, account: Account) -> pl.DataFrame:
    """Read the stored rows of a report of an account."""
    schema = report_schema(report, STANDARD_METRICS)
    return store.scan(report.table, schema, advertiser_ids=[account.advertiser_id]).collect()


def require_written(outcomes: Iterator[WrittenPartition | FailedPartitions]) -> list[WrittenPartition]:
    """Return the outcomes, and assert that none failed."""
    found = list(outcomes)
    assert [one for one in found if isinstance(one, FailedPartitions)] == []
    return [one for one in found if isinstance(one, WrittenPartition)]


@pytest.mark.slow
@pytest.mark.parametrize("report", LEVEL_REPORTS, ids=lambda report: report.table)
def test_each_day_has_a_file_even_without_rows(agency: Host, store: HiveStore, report: Report) -> None:
    """Each day or lifetime of each account has a file with metadata, also without rows."""
    days = days_back(33, 1)
    accounts = granted_accounts(agency)[1::2]  # Tokyo, and the one without campaigns
    with open_reader(agency) as one:
        outcomes = require_written(refresh_report(one.reader, store, report, dict.fromkeys(accounts, days)))
    expected_partitions = [
        Partition(account.advertiser_id, day)
        for account in accounts
        for day in (days if report.cadence == "daily" else [None])
    ]
    assert [outcome.partition for outcome in outcomes] == expected_partitions
    assert sorted(store.partitions(report.table)) == sorted(expected_partitions)
    schema = report_schema(report, STANDARD_METRICS)
    for outcome in outcomes:
        owner, day = outcome.partition.advertiser_id, outcome.partition.day
        frame = store.scan(
            report.table, schema, advertiser_ids=[str(owner)], days=[day] if day else None
        ).collect()
        assert frame.schema == schema
        metadata = store.read_metadata(report.table, outcome.partition) or {}
        assert metadata[FETCHED_AT_KEY] == outcome.fetched_at.isoformat()
        assert (IS_COMPLETE_KEY in metadata) == (report.cadence == "daily")
        assert (frame.height, frame.get_column("spend").sum() or 0) == (outcome.rows, sum(outcome.spend.values()))
    for account in accounts:
        expected = expected_report(agency, report, account, STANDARD_METRICS, days)
        rows = report_rows(read_stored(store, report, account), report, STANDARD_METRICS)
        assert {key: row for key, row in rows.items() if key in expected} == expected
        assert report.cadence == "lifetime" or len(rows) == len(expected)
    assert {outcome.rows > 0 for outcome in outcomes} >= {True}
    assert report.cadence == "lifetime" or {outcome.rows > 0 for outcome in outcomes} == {True, False}
    spend = [value for outcome in outcomes for value in outcome.spend.values()]
    assert all(isinstance(value, Decimal) for value in spend)


@pytest.mark.parametrize("entity", CAMPAIGN_ENTITIES, ids=lambda entity: entity.table)
def test_each_account_has_a_complete_snapshot(agency: Host, store: HiveStore, entity: Entity) -> None:
    """The snapshot of each account has all its objects; an account without objects has an empty file."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]
    with open_reader(agency) as one:
        outcomes = [
            one
            for one in require_written(refresh_entity(one.reader, store, entity, ids))
            if one.table == entity.table
        ]
    assert [outcome.partition for outcome in outcomes] == [Partition(owner) for owner in ids]
    for outcome in outcomes:
        owner = str(outcome.partition.advertiser_id)
        schema = build_schema(entity_columns(entity))
        frame = store.scan(entity.table, schema, advertiser_ids=[owner]).collect()
        expected = [
            expected_entity(entity, item) for item in agency.ground_truth(entity.table, advertiser_id=owner)
        ]
        rows = decode_rows(frame, entity.columns)
        assert sorted(rows, key=repr) == sorted(expected, key=repr)
        assert outcome.rows == len(expected)
        assert store.read_metadata(entity.table, outcome.partition) is not None
    assert outcomes[-1].rows == 0


def test_reading_twice_gives_the_same_tables(agency: Host, store: HiveStore) -> None:
    """Reading the same days again gives the same rows and the same files."""
    account, days = granted_accounts(agency)[1], days_back(12, 1)
    with open_reader(agency) as one:
        results = []
        for _ in range(2):
            require_written(refresh_report(one.reader, store, AD_DAILY, {account: days}))
            require_written(refresh_report(one.reader, store, AD_LIFETIME, {account: []}))
            require_written(refresh_entity(one.reader, store, ADS, [account.advertiser_id]))
            frames = [read_stored(store, report, account).drop("fetched_at") for report in (AD_DAILY, AD_LIFETIME)]
            results.append((frames, set(read_files(store))))
    (first, files), (second, files_again) = results
    assert all(old.equals(now) for old, now in zip(first, second, strict=True))
    assert files == files_again
    assert all(frame.height for frame in first)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_each_requested_day_is_written_exactly_once(small_host: Host, data: st.DataObject) -> None:
    """For any days of any accounts, each day is written once with the fewest requests, and no other day."""
    small_host.reset()
    accounts = granted_accounts(small_host)
    some_days = st.lists(st.integers(0, 70).map(lambda n: TODAY - timedelta(n)), max_size=25)
    days_by_account = {account: data.draw(some_days) for account in accounts}
    with tempfile.TemporaryDirectory() as folder, open_reader(small_host) as one:
        store = HiveStore(folder)
        outcomes = require_written(refresh_report(one.reader, store, AD_DAILY, days_by_account))
        expected_partitions = {
            Partition(account.advertiser_id, day) for account, days in days_by_account.items() for day in days
        }
        assert Counter(outcome.partition for outcome in outcomes) == Counter(expected_partitions)
        assert set(store.partitions(AD_DAILY.table)) == expected_partitions
        for account, days in days_by_account.items():
            expected = (
                expected_report(small_host, AD_DAILY, account, STANDARD_METRICS, [min(days), TODAY])
                if days
                else {}
            )
            of_days = {key: row for key, row in expected.items() if key[1] in days}
            assert report_rows(read_stored(store, AD_DAILY, account), AD_DAILY, STANDARD_METRICS) == of_days
        assert len(small_host.requests) == sum(len(split_into_windows(days)) for days in days_by_account.values())


def test_a_day_read_again_is_replaced_by_its_current_rows(agency: Host, store: HiveStore) -> None:
    """Later conversions and reach replace the stored rows of a day; other days are unchanged."""
    account = granted_accounts(agency)[0]
    days = days_back(3, 1)
    with open_reader(agency) as one:
        expected_reads = []
        for _ in range(3):
            expected = expected_report(agency, AD_DAILY, account, STANDARD_METRICS, days)
            require_written(refresh_report(one.reader, store, AD_DAILY, {account: days}))
            rows = report_rows(read_stored(store, AD_DAILY, account), AD_DAILY, STANDARD_METRICS)
            assert rows == expected
            expected_reads.append(expected)
            agency.advance(days=4)
        assert expected_reads[0] != expected_reads[1] != expected_reads[2]
        before = read_files(store)
        require_written(refresh_report(one.reader, store, AD_DAILY, {account: days[1:2]}))
    changed = {name for name, content in read_files(store).items() if before[name] != content}
    assert {name.rpartition("date=")[2] for name in changed} == {f"{days[1]}/part-0.parquet"}


@pytest.mark.parametrize(
    ("account", "complete_at"),
    [
        # A day ends at the account's midnight; reach takes 16 hours more; the correction is at 12:00 UTC.
        (0, datetime(2026, 11, 9, 0, 0, tzinfo=UTC)),  # Los Angeles: 08:00 UTC on the 8th, and 16 hours
        (1, datetime(2026, 11, 8, 12, 0, tzinfo=UTC)),  # Tokyo: 15:00 UTC on the 7th; the correction comes last
        (2, datetime(2026, 11, 8, 15, 0, tzinfo=UTC)),  # Berlin: 23:00 UTC on the 7th
    ],
)
def test_completeness_depends_on_the_clock_of_the_host(
    agency: Host, store: HiveStore, account: int, complete_at: datetime
) -> None:
    """A day is marked complete from the instant it is, by the clock of the host and not of this machine."""
    chosen_account, day = granted_accounts(agency)[account], date(2026, 11, 7)
    for instant, is_whole in ((complete_at - timedelta(minutes=1), False), (complete_at, True)):
        agency.control("POST", "clock", now=instant.isoformat())
        with open_reader(agency) as one:
            (outcome,) = require_written(refresh_report(one.reader, store, AD_DAILY, {chosen_account: [day]}))
        frame = read_stored(store, AD_DAILY, chosen_account)
        assert frame.height > 0
        assert set(frame.get_column("is_complete")) == {is_whole}
        assert set(frame.get_column("is_settled")) == {False}
        metadata = store.read_metadata(AD_DAILY.table, outcome.partition) or {}
        assert metadata[IS_COMPLETE_KEY] == str(is_whole).lower()
        assert timedelta() <= outcome.fetched_at - instant < timedelta(seconds=30)
        assert set(frame.get_column("fetched_at")) == {outcome.fetched_at}


def test_a_day_is_settled_after_28_days(agency: Host, store: HiveStore) -> None:
    """A day is settled more than 28 days after its end, and the next day is not."""
    account = granted_accounts(agency)[2]
    days = days_back(30, 28)  # the clock says 18:00 UTC, 19:00 in Berlin
    with open_reader(agency) as one:
        require_written(refresh_report(one.reader, store, AD_DAILY, {account: days}))
    frame = read_stored(store, AD_DAILY, account)
    settled = frame.group_by("date").agg(pl.col("is_settled").unique()).sort("date")
    assert dict(settled.rows()) == {days[0]: [True], days[1]: [True], days[2]: [False]}


DAY_COUNT = 6


def refresh_all_tables(
    one: OpenReader, store: HiveStore, ids: list[str], accounts: list[Account]
) -> list[WrittenPartition | FailedPartitions]:
    """Refresh every table of these accounts."""
    outcomes: list[WrittenPartition | FailedPartitions] = []
    for entity in CAMPAIGN_ENTITIES:
        outcomes += refresh_entity(one.reader, store, entity, ids)
    for report in LEVEL_REPORTS:
        outcomes += refresh_report(one.reader, store, report, dict.fromkeys(accounts, days_back(DAY_COUNT, 1)))
    return outcomes


@pytest.mark.slow
def test_an_account_without_grant_fails_alone(agency: Host, store: HiveStore) -> None:
    """An account without grant fails in every table and keeps its files; the others are written."""
    accounts = granted_accounts(agency)
    ids, failing_id = [account.advertiser_id for account in accounts], accounts[1].advertiser_id
    with open_reader(agency) as one:
        assert {type(outcomes) for outcomes in refresh_all_tables(one, store, ids, accounts)} == {WrittenPartition}
        before = read_files(store)
        agency.control("POST", "grants", advertiser_id=failing_id, granted=False)
        agency.advance(hours=30)
        outcomes = refresh_all_tables(one, store, ids, accounts)
    after = read_files(store)
    for outcome in outcomes:
        if isinstance(outcome, FailedPartitions):
            assert {partition.advertiser_id for partition in outcome.partitions} == {failing_id}
            assert type(outcome.error) is AdvertiserError
            assert outcome.table in str(outcome)
            assert failing_id in str(outcome)
        else:
            assert outcome.partition.advertiser_id != failing_id
    tables = {outcome.table for outcome in outcomes if isinstance(outcome, FailedPartitions)}
    assert tables == {entity.table for entity in CAMPAIGN_ENTITIES} | {report.table for report in LEVEL_REPORTS}
    assert after.keys() == before.keys()
    own_files = [name for name in before if failing_id in name]
    assert {name: after[name] for name in own_files} == {name: before[name] for name in own_files}
    assert len(own_files) == 3 + 3 + 4 + 4 * DAY_COUNT
    others = [name for name in before if failing_id not in name and "_history" not in name]
    assert all(after[name] != before[name] for name in others)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "code", "code": 40100}, ThrottledError),
        ({"kind": "code", "code": 40105}, CredentialsError),
        ({"kind": "truncated"}, RetryLaterError),
        ({"kind": "lost_row"}, ContractError),
        ({"kind": "wrong_type", "field": "total_number"}, ContractError),
        ({"kind": "redirect", "status": 307, "location": "http://example.test/"}, ContractError),
    ],
    ids=repr,
)
def test_a_failing_account_leaves_its_files_unchanged(
    small: Host, store: HiveStore, fault: dict[str, object], error: type[TikTokError]
) -> None:
    """Whatever fails for one account, its files stay unchanged byte for byte, and no file is added."""
    failing_id, *others = granted_accounts(small)
    days = dict.fromkeys([failing_id, *others], days_back(5, 1))
    with open_reader(small) as one:
        require_written(refresh_report(one.reader, store, AD_DAILY, days))
        require_written(refresh_entity(one.reader, store, ADS, [account.advertiser_id for account in days]))
        before = read_files(store)
        small.inject_fault(**fault, advertiser_id=failing_id.advertiser_id, times=None)  # type: ignore[arg-type]
        outcomes = [
            *refresh_report(one.reader, store, AD_DAILY, days),
            *refresh_entity(one.reader, store, ADS, [account.advertiser_id for account in days]),
        ]
    failures = [outcome for outcome in outcomes if isinstance(outcome, FailedPartitions)]
    assert [type(outcome.error) for outcome in failures] == [error, error]
    assert [len(outcome.partitions) for outcome in failures] == [5, 1]
    assert len(outcomes) == 2 + (5 + 2) * len(others)
    after = read_files(store)
    assert after.keys() == before.keys()
    assert [name for name in after if failing_id.advertiser_id in name and after[name] != before[name]] == []


def test_a_failed_first_read_creates_no_partition(small: Host, store: HiveStore) -> None:
    """A day that could not be read has no file, unlike a day without rows."""
    account, idle_account = granted_accounts(small)[0], granted_accounts(small)[-1]
    small.inject_fault("code", code=40002, advertiser_id=account.advertiser_id, times=None)
    with open_reader(small) as one:
        outcomes = list(
            refresh_report(one.reader, store, AD_DAILY, {account: days_back(2, 1), idle_account: days_back(2, 1)})
        )
    assert [type(outcome) for outcome in outcomes] == [FailedPartitions, WrittenPartition, WrittenPartition]
    assert [partition.advertiser_id for partition in store.partitions(AD_DAILY.table)] == [
        idle_account.advertiser_id
    ] * 2
    assert store.read_metadata(AD_DAILY.table, Partition(account.advertiser_id, TODAY - timedelta(1))) is None


def test_accounts_without_grant_keep_their_row(agency: Host, store: HiveStore) -> None:
    """An account that can no longer be read keeps its row, marked as not granted, until it is granted again."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]

    def read_grants() -> dict[str, bool]:
        rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        return dict(rows.select("advertiser_id", "is_granted").iter_rows())

    with open_reader(agency) as one:
        outcomes, result = refresh_advertisers(one.reader, store, ids)
        assert (outcomes.rows, result.lost, read_grants()) == (len(ids), {}, dict.fromkeys(ids, True))
        first = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        agency.control("POST", "grants", advertiser_id=ids[1], granted=False)
        outcomes, result = refresh_advertisers(one.reader, store, ids)
        assert set(result.refused) == set(result.lost) == {ids[1]}
        assert read_grants() == {owner: owner != ids[1] for owner in ids}
        outcomes, result = refresh_advertisers(one.reader, store, [owner for owner in ids if owner != ids[1]])
        assert (result.refused, set(result.lost), outcomes.rows) == ({}, {ids[1]}, len(ids))
        agency.control("POST", "grants", advertiser_id=ids[1], granted=True)
        refresh_advertisers(one.reader, store, ids)
        last = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        assert last.drop("fetched_at").equals(first.drop("fetched_at"))
        agency.inject_fault("code", code=40105)
        before = read_files(store)
        with pytest.raises(CredentialsError):
            refresh_advertisers(one.reader, store, ids)
    assert read_files(store) == before
    assert find_ungranted_account(agency) not in read_grants()


def test_a_folder_that_cannot_be_written_is_reported(small: Host, tmp_path: Path) -> None:
    """If the data folder is a file, the error contains the path and the setting."""
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    account = granted_accounts(small)[0]
    with open_reader(small) as one, pytest.raises(StoreError, match="TIKTOK_DATA_DIR"):
        list(refresh_report(one.reader, HiveStore(str(tmp_path / "data")), AD_DAILY, {account: days_back(1, 1)}))
