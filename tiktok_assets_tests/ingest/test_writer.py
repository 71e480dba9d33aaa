"""The law of a refresh: at the basic tier it runs to its end without one refusal."""

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
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import FETCHED_AT_KEY, IS_COMPLETE_KEY, FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import ADVERTISERS_SCHEMA, refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import ADS, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE, Entity
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, STANDARD_REPORTS, Report
from tiktok_assets.storage.hive_store import HiveStore, Partition, StoreError
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.frames import build_schema, entity_columns, report_schema
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import (
    TODAY,
    Reading,
    accounts_of,
    days_back,
    files_of,
    lost_of,
    reading,
    reported,
    shown,
    true_entity,
    true_report,
)


def test_a_full_refresh_at_the_basic_tier_is_never_refused(small: Host, tmp_path: Path) -> None:
    """Every account, entity and report is read against the host's own limiter; its log holds no refusal."""
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
        == 2 + len(accounts) * (len(LISTED_ENTITIES) + len(TOPVIEW_AND_PROMOTE) + len(STANDARD_REPORTS))
    )


AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]


def stored(store: HiveStore, report: Report, account: Account) -> pl.DataFrame:
    """The rows of a report that stand for an account."""
    schema = report_schema(report, STANDARD_METRICS)
    return store.scan(report.table, schema, advertiser_ids=[account.advertiser_id]).collect()


def landed(outcomes: Iterator[WrittenPartition | FailedPartitions]) -> list[WrittenPartition]:
    """The outcomes, all of which must have landed."""
    made = list(outcomes)
    assert [one for one in made if isinstance(one, FailedPartitions)] == []
    return [one for one in made if isinstance(one, WrittenPartition)]


@pytest.mark.parametrize("report", STANDARD_REPORTS, ids=lambda report: report.table)
def test_a_file_for_each_day_also_where_nothing_ran(agency: Host, store: HiveStore, report: Report) -> None:
    """Each day, or the lifetime, of each account is a file with rows and notes, without rows where none are."""
    days = days_back(33, 1)
    accounts = accounts_of(agency)[1::2]  # Tokyo, and the one without campaigns
    with reading(agency) as one:
        made = landed(refresh_report(one.reader, store, report, dict.fromkeys(accounts, days)))
    asked = [
        Partition(account.advertiser_id, day)
        for account in accounts
        for day in (days if report.cadence == "daily" else [None])
    ]
    assert [outcome.partition for outcome in made] == asked
    assert sorted(store.partitions(report.table)) == sorted(asked)
    schema = report_schema(report, STANDARD_METRICS)
    for outcome in made:
        owner, day = outcome.partition.advertiser_id, outcome.partition.day
        frame = store.scan(
            report.table, schema, advertiser_ids=[str(owner)], days=[day] if day else None
        ).collect()
        assert frame.schema == schema
        notes = store.notes(report.table, outcome.partition) or {}
        assert notes[FETCHED_AT_KEY] == outcome.fetched_at.isoformat()
        assert (IS_COMPLETE_KEY in notes) == (report.cadence == "daily")
        assert (frame.height, frame.get_column("spend").sum() or 0) == (outcome.rows, sum(outcome.spend.values()))
    for account in accounts:
        truth = true_report(agency, report, account, STANDARD_METRICS, days)
        rows = reported(stored(store, report, account), report, STANDARD_METRICS)
        assert {key: row for key, row in rows.items() if key in truth} == truth
        assert report.cadence == "lifetime" or len(rows) == len(truth)
    assert {outcome.rows > 0 for outcome in made} >= {True}
    assert report.cadence == "lifetime" or {outcome.rows > 0 for outcome in made} == {True, False}
    spend = [value for outcome in made for value in outcome.spend.values()]
    assert all(isinstance(value, Decimal) for value in spend)


@pytest.mark.parametrize("entity", LISTED_ENTITIES, ids=lambda entity: entity.table)
def test_a_snapshot_for_each_account(agency: Host, store: HiveStore, entity: Entity) -> None:
    """Each account's objects stand whole, an account without any as a file without rows."""
    ids = [account.advertiser_id for account in accounts_of(agency)]
    with reading(agency) as one:
        made = [one for one in landed(refresh_entity(one.reader, store, entity, ids)) if one.table == entity.table]
    assert [outcome.partition for outcome in made] == [Partition(owner) for owner in ids]
    for outcome in made:
        owner = str(outcome.partition.advertiser_id)
        schema = build_schema(entity_columns(entity))
        frame = store.scan(entity.table, schema, advertiser_ids=[owner]).collect()
        truth = [true_entity(entity, item) for item in agency.truth(entity.table, advertiser_id=owner)]
        rows = shown(frame, entity.columns)
        assert sorted(rows, key=repr) == sorted(truth, key=repr)
        assert outcome.rows == len(truth)
        assert store.notes(entity.table, outcome.partition) is not None
    assert made[-1].rows == 0


def test_twice_equals_once(agency: Host, store: HiveStore) -> None:
    """Reading the same days again leaves the same rows and the same files, no more and no fewer."""
    account, days = accounts_of(agency)[1], days_back(12, 1)
    with reading(agency) as one:
        contents = []
        for _ in range(2):
            landed(refresh_report(one.reader, store, AD_DAILY, {account: days}))
            landed(refresh_report(one.reader, store, AD_LIFETIME, {account: []}))
            landed(refresh_entity(one.reader, store, ADS, [account.advertiser_id]))
            frames = [stored(store, report, account).drop("fetched_at") for report in (AD_DAILY, AD_LIFETIME)]
            contents.append((frames, set(files_of(store))))
    (first, files), (second, files_again) = contents
    assert all(was.equals(now) for was, now in zip(first, second, strict=True))
    assert files == files_again
    assert all(frame.height for frame in first)


@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_each_day_asked_for_lands_exactly_once_and_no_other(small_host: Host, data: st.DataObject) -> None:
    """For any days of any accounts: each lands once, from as few requests as there are windows, and no other."""
    small_host.behave()
    accounts = accounts_of(small_host)
    some_days = st.lists(st.integers(0, 70).map(lambda n: TODAY - timedelta(n)), max_size=25)
    wanted = {account: data.draw(some_days) for account in accounts}
    with tempfile.TemporaryDirectory() as folder, reading(small_host) as one:
        store = HiveStore(folder)
        made = landed(refresh_report(one.reader, store, AD_DAILY, wanted))
        asked = {Partition(account.advertiser_id, day) for account, days in wanted.items() for day in days}
        assert Counter(outcome.partition for outcome in made) == Counter(asked)
        assert set(store.partitions(AD_DAILY.table)) == asked
        for account, days in wanted.items():
            truth = (
                true_report(small_host, AD_DAILY, account, STANDARD_METRICS, [min(days), TODAY]) if days else {}
            )
            expected = {key: row for key, row in truth.items() if key[1] in days}
            assert reported(stored(store, AD_DAILY, account), AD_DAILY, STANDARD_METRICS) == expected
        assert len(small_host.requests) == sum(len(split_into_windows(days)) for days in wanted.values())


def test_a_day_read_again_is_what_it_has_become(agency: Host, store: HiveStore) -> None:
    """Conversions that came in later, and reach that came late, replace what stood; other days are not touched."""
    account = accounts_of(agency)[0]
    days = days_back(3, 1)
    with reading(agency) as one:
        truths = []
        for _ in range(3):
            truth = true_report(agency, AD_DAILY, account, STANDARD_METRICS, days)
            landed(refresh_report(one.reader, store, AD_DAILY, {account: days}))
            rows = reported(stored(store, AD_DAILY, account), AD_DAILY, STANDARD_METRICS)
            assert rows == truth
            truths.append(truth)
            agency.advance(days=4)
        assert truths[0] != truths[1] != truths[2]
        before = files_of(store)
        landed(refresh_report(one.reader, store, AD_DAILY, {account: days[1:2]}))
    changed = {name for name, content in files_of(store).items() if before[name] != content}
    assert {name.rpartition("date=")[2] for name in changed} == {f"{days[1]}/part-0.parquet"}


@pytest.mark.parametrize(
    ("account", "whole_at"),
    [
        # A day ends at the account's midnight; reach takes 16 hours more; the correction is at 12:00 UTC.
        (0, datetime(2026, 11, 9, 0, 0, tzinfo=UTC)),  # Los Angeles: 08:00 UTC on the 8th, and 16 hours
        (1, datetime(2026, 11, 8, 12, 0, tzinfo=UTC)),  # Tokyo: 15:00 UTC on the 7th; the correction comes last
        (2, datetime(2026, 11, 8, 15, 0, tzinfo=UTC)),  # Berlin: 23:00 UTC on the 7th
    ],
)
def test_complete_is_what_the_hosts_clock_says(
    agency: Host, store: HiveStore, account: int, whole_at: datetime
) -> None:
    """A day is marked whole from the instant it is, by the world's clock and not by this machine's."""
    chosen, day = accounts_of(agency)[account], date(2026, 11, 7)
    for instant, whole in ((whole_at - timedelta(minutes=1), False), (whole_at, True)):
        agency.control("POST", "clock", now=instant.isoformat())
        with reading(agency) as one:
            (outcome,) = landed(refresh_report(one.reader, store, AD_DAILY, {chosen: [day]}))
        frame = stored(store, AD_DAILY, chosen)
        assert frame.height > 0
        assert set(frame.get_column("is_complete")) == {whole}
        assert set(frame.get_column("is_settled")) == {False}
        notes = store.notes(AD_DAILY.table, outcome.partition) or {}
        assert notes[IS_COMPLETE_KEY] == str(whole).lower()
        assert timedelta() <= outcome.fetched_at - instant < timedelta(seconds=30)
        assert set(frame.get_column("fetched_at")) == {outcome.fetched_at}


def test_settled_is_a_month_later(agency: Host, store: HiveStore) -> None:
    """Over 28 days after its end a day is settled, and the day after it is not."""
    account = accounts_of(agency)[2]
    days = days_back(30, 28)  # the clock says 18:00 UTC, 19:00 in Berlin
    with reading(agency) as one:
        landed(refresh_report(one.reader, store, AD_DAILY, {account: days}))
    frame = stored(store, AD_DAILY, account)
    settled = frame.group_by("date").agg(pl.col("is_settled").unique()).sort("date")
    assert dict(settled.rows()) == {days[0]: [True], days[1]: [True], days[2]: [False]}


LOST_DAYS = 6


def everything(
    one: Reading, store: HiveStore, ids: list[str], accounts: list[Account]
) -> list[WrittenPartition | FailedPartitions]:
    """Every table of these accounts."""
    made: list[WrittenPartition | FailedPartitions] = []
    for entity in LISTED_ENTITIES:
        made += refresh_entity(one.reader, store, entity, ids)
    for report in STANDARD_REPORTS:
        made += refresh_report(one.reader, store, report, dict.fromkeys(accounts, days_back(LOST_DAYS, 1)))
    return made


def test_a_lost_account_fails_alone(agency: Host, store: HiveStore) -> None:
    """One account without its grant fails by name in every table; the others land, and its files stay."""
    accounts = accounts_of(agency)
    ids, victim = [account.advertiser_id for account in accounts], accounts[1].advertiser_id
    with reading(agency) as one:
        assert {type(made) for made in everything(one, store, ids, accounts)} == {WrittenPartition}
        before = files_of(store)
        agency.control("POST", "grants", advertiser_id=victim, granted=False)
        agency.advance(hours=30)
        made = everything(one, store, ids, accounts)
    after = files_of(store)
    for outcome in made:
        if isinstance(outcome, FailedPartitions):
            assert {partition.advertiser_id for partition in outcome.partitions} == {victim}
            assert type(outcome.error) is AdvertiserError
            assert outcome.table in str(outcome)
            assert victim in str(outcome)
        else:
            assert outcome.partition.advertiser_id != victim
    tables = {outcome.table for outcome in made if isinstance(outcome, FailedPartitions)}
    assert tables == {entity.table for entity in LISTED_ENTITIES} | {report.table for report in STANDARD_REPORTS}
    assert after.keys() == before.keys()
    of_victim = [name for name in before if victim in name]
    assert {name: after[name] for name in of_victim} == {name: before[name] for name in of_victim}
    assert len(of_victim) == 3 + 3 + 4 + 4 * LOST_DAYS
    others = [name for name in before if victim not in name and "_history" not in name]
    assert all(after[name] != before[name] for name in others)


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
def test_a_failing_account_leaves_everything_as_it_stood(
    small: Host, store: HiveStore, fault: dict[str, object], error: type[TikTokError]
) -> None:
    """Whatever goes wrong for one account: byte for byte what stood before still stands, and no file beside it."""
    victim, *others = accounts_of(small)
    days = dict.fromkeys([victim, *others], days_back(5, 1))
    with reading(small) as one:
        landed(refresh_report(one.reader, store, AD_DAILY, days))
        landed(refresh_entity(one.reader, store, ADS, [account.advertiser_id for account in days]))
        before = files_of(store)
        small.misbehave(**fault, advertiser_id=victim.advertiser_id, times=None)  # type: ignore[arg-type]
        made = [
            *refresh_report(one.reader, store, AD_DAILY, days),
            *refresh_entity(one.reader, store, ADS, [account.advertiser_id for account in days]),
        ]
    failed = [outcome for outcome in made if isinstance(outcome, FailedPartitions)]
    assert [type(outcome.error) for outcome in failed] == [error, error]
    assert [len(outcome.partitions) for outcome in failed] == [5, 1]
    assert len(made) == 2 + (5 + 2) * len(others)
    after = files_of(store)
    assert after.keys() == before.keys()
    assert [name for name in after if victim.advertiser_id in name and after[name] != before[name]] == []


def test_a_failed_first_reading_leaves_no_partition(small: Host, store: HiveStore) -> None:
    """A day that never arrived is not there, which is not the same as a day without rows."""
    account, idle = accounts_of(small)[0], accounts_of(small)[-1]
    small.misbehave("code", code=40002, advertiser_id=account.advertiser_id, times=None)
    with reading(small) as one:
        made = list(refresh_report(one.reader, store, AD_DAILY, {account: days_back(2, 1), idle: days_back(2, 1)}))
    assert [type(outcome) for outcome in made] == [FailedPartitions, WrittenPartition, WrittenPartition]
    assert [partition.advertiser_id for partition in store.partitions(AD_DAILY.table)] == [idle.advertiser_id] * 2
    assert store.notes(AD_DAILY.table, Partition(account.advertiser_id, TODAY - timedelta(1))) is None


def test_accounts_keep_their_row_when_their_grant_is_gone(agency: Host, store: HiveStore) -> None:
    """An account that may no longer be read keeps what was known of it, marked; granted again, it is as it was."""
    ids = [account.advertiser_id for account in accounts_of(agency)]

    def grants() -> dict[str, bool]:
        rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        return dict(rows.select("advertiser_id", "is_granted").iter_rows())

    with reading(agency) as one:
        made, read = refresh_advertisers(one.reader, store, ids)
        assert (made.rows, read.lost, grants()) == (len(ids), {}, dict.fromkeys(ids, True))
        first = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        agency.control("POST", "grants", advertiser_id=ids[1], granted=False)
        made, read = refresh_advertisers(one.reader, store, ids)
        assert set(read.refused) == set(read.lost) == {ids[1]}
        assert grants() == {owner: owner != ids[1] for owner in ids}
        made, read = refresh_advertisers(one.reader, store, [owner for owner in ids if owner != ids[1]])
        assert (read.refused, set(read.lost), made.rows) == ({}, {ids[1]}, len(ids))
        agency.control("POST", "grants", advertiser_id=ids[1], granted=True)
        refresh_advertisers(one.reader, store, ids)
        last = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        assert last.drop("fetched_at").equals(first.drop("fetched_at"))
        agency.misbehave("code", code=40105)
        before = files_of(store)
        with pytest.raises(CredentialsError):
            refresh_advertisers(one.reader, store, ids)
    assert files_of(store) == before
    assert lost_of(agency) not in grants()


def test_a_folder_that_cannot_be_written_is_named(small: Host, tmp_path: Path) -> None:
    """Where the tables' folder is a file, the error says which path and which setting."""
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    account = accounts_of(small)[0]
    with reading(small) as one, pytest.raises(StoreError, match="TIKTOK_DATA_DIR"):
        list(refresh_report(one.reader, HiveStore(str(tmp_path / "data")), AD_DAILY, {account: days_back(1, 1)}))
