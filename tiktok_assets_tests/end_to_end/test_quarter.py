"""A quarter of three accounts, refreshed twice a week by the real code, against the world's own numbers.

Clocks change in Los Angeles and Berlin, conversions come late, spend is corrected, campaigns are renamed, switched
off and deleted. Every refresh notes what the world says at that instant; the tests hold the tables against it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.lookback import select_refresh_window
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.restatements import RESTATEMENTS_SCHEMA, compute_restatement_by_age, refresh_restatements
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.columns import to_column_name
from tiktok_assets.spec.derived_tables import RESTATEMENTS, history_table_name
from tiktok_assets.spec.entities import LISTED_ENTITIES, Entity
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS, Report
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.storage.warehouse import build_warehouse
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import Rows, report_rows, expected_report

FIRST, LAST = date(2026, 2, 16), date(2026, 5, 18)
"""Mondays. Clocks change in Los Angeles on 8 March and in Berlin on 29 March."""

DAYS_BETWEEN = (3, 4)
"""Refreshes are on Mondays and Thursdays, at 10:30 UTC: before the correction of the day before."""

LOOKBACK_DAYS, SWEEP_DAYS = 4, 57
SWEEPS = (date(2026, 4, 20), date(2026, 5, 18))
"""Two of the Mondays sweep so far that most days are read once when 29 to 58 days old: settled."""

PLAN = WorldPlan(
    anchor=datetime(2026, 2, 16, 10, 30, tzinfo=UTC),
    dense=True,
    days=20,
    advertisers=3,
    campaigns=2,
    ad_groups=2,
    ads=3,
)
"""Dollars in Los Angeles, yen in Tokyo, euros in Berlin: three ads each that deliver every day until they end."""

RENAMED, SWITCHED_OFF, GONE, GROUP_GONE = date(2026, 3, 9), date(2026, 3, 30), date(2026, 4, 13), date(2026, 4, 23)
"""The days before whose refresh somebody works in each account."""

NEW_NAME = "Spring | renamed"

LOOKBACK = Path(__file__).parents[2] / "docs" / "lookback.md"

Seen = dict[str, dict[str, Any]]


@dataclass
class Quarter:
    """What was refreshed, and what the world said each time.

    Attributes:
        sums: rows, spend and conversions of each reading of each day, by report, account and day.
        seen: every object of each reading, by table and account, with the instant it was read.
    """

    host: Host
    settings: Settings
    session: Session
    accounts: list[Account]
    sums: dict[tuple[str, str, date], list[tuple[datetime, int, Decimal, int]]] = field(default_factory=dict)
    seen: dict[tuple[str, str], list[tuple[datetime, Seen]]] = field(default_factory=dict)

    @property
    def store(self) -> HiveStore:
        """The tables."""
        return self.session.store

    def table(self, name: str, owner: str) -> pl.DataFrame:
        """The stored rows of an account."""
        schema = build_schema(get_stored_tables(self.settings)[name])
        return self.store.scan(name, schema, advertiser_ids=[owner]).collect()

    def refresh(self, today: date) -> None:
        """The refresh of a morning."""
        reader, store, ids = self.session.reader, self.store, [one.advertiser_id for one in self.accounts]
        refresh_advertisers(reader, store, ids)
        for entity in LISTED_ENTITIES:
            for landed in _landed(refresh_entity(reader, store, entity, ids)):
                if landed.table == entity.table:
                    owner = str(landed.partition.advertiser_id)
                    items = self.host.ground_truth(entity.table, advertiser_id=owner)
                    objects = {str(item[entity.key]): item for item in items}
                    self.seen.setdefault((entity.table, owner), []).append((landed.fetched_at, objects))
        self.accounts, refused = load_accounts(reader, store, self.settings, ids)
        assert refused == {}
        tables = [report.table for report in DAILY_REPORTS]
        windows = {
            account: select_refresh_window(
                store,
                tables,
                account,
                self.session.now(),
                start=self.settings.start_date,
                lookback_days=self.settings.lookback_days,
                sweep_days=self.settings.sweep_days if today in SWEEPS else 0,
            )
            for account in self.accounts
        }
        days = {account: window.days for account, window in windows.items() if window}
        for report in DAILY_REPORTS:
            made = _landed(refresh_report(reader, store, report, days))
            self._note(report, {one.advertiser_id: DateWindow(of[0], of[-1]) for one, of in days.items()}, made)
            partitions = [one.partition for one in made]
        list(refresh_restatements(store, tables, partitions))

    def _note(self, report: Report, windows: Mapping[str, DateWindow], made: list[WrittenPartition]) -> None:
        """Take down what the world says now of the days that were read."""
        read_at = {(str(one.partition.advertiser_id), one.partition.day): one.fetched_at for one in made}
        for account in self.accounts:
            window = windows[account.advertiser_id]
            truth = expected_report(self.host, report, account, STANDARD_METRICS, [window.first, window.last])
            for day in window.days:
                rows = [row for (_, of), row in truth.items() if of == day]
                spend = sum((row["spend"] for row in rows), Decimal(0))
                told = (
                    read_at[account.advertiser_id, day],
                    len(rows),
                    spend,
                    sum(row["conversion"] for row in rows),
                )
                self.sums.setdefault((report.table, account.advertiser_id, day), []).append(told)

    def work(self, path: str, owner: str, **body: object) -> None:
        """Somebody works in an account."""
        answer = self.host.http.post(
            f"{self.host.sandbox.base_url}/open_api/v1.3/{path}/",
            json={"advertiser_id": owner, **body},
            headers={"Access-Token": self.host.sandbox.token},
        ).json()
        assert answer["code"] == 0, answer

    def works_of(self, day: date) -> None:
        """What happens in each account the evening before a refresh."""
        for account in self.accounts:
            owner = account.advertiser_id
            first, second = sorted(
                item["campaign_id"] for item in self.host.ground_truth("campaigns", advertiser_id=owner)
            )
            if day == RENAMED:
                self.work("campaign/update", owner, campaign_id=first, campaign_name=NEW_NAME)
            if day == SWITCHED_OFF:
                self.work("campaign/status/update", owner, campaign_ids=[second], operation_status="DISABLE")
            if day == GONE:
                self.work("campaign/status/update", owner, campaign_ids=[second], operation_status="DELETE")
            if day == GROUP_GONE:
                ads = self.host.ground_truth("ads", advertiser_id=owner)
                group = max(item["adgroup_id"] for item in ads if item["campaign_id"] == first)
                ids = [item["ad_id"] for item in ads if item["adgroup_id"] == group][:1]
                self.work("ad/status/update", owner, ad_ids=ids, operation_status="DELETE")


def _landed(outcomes: Iterator[WrittenPartition | FailedPartitions]) -> list[WrittenPartition]:
    made = list(outcomes)
    landed = [one for one in made if isinstance(one, WrittenPartition)]
    assert len(landed) == len(made)
    return landed


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarter]:
    """Ninety days, one refresh after another."""
    folder: Path = tmp_path_factory.mktemp("quarter")
    with Host.run(PLAN) as host:
        accounts = [
            Account(one.id, one.account.currency, one.account.display_timezone)
            for one in host.sandbox.world.advertisers.values()
        ]
        settings = load_settings(
            base_url=host.sandbox.base_url,
            access_token=host.sandbox.token,
            advertiser_ids=",".join(one.advertiser_id for one in accounts),
            start_date=FIRST - timedelta(1),
            lookback_days=LOOKBACK_DAYS,
            sweep_days=SWEEP_DAYS,
            data_dir=str(folder / "data"),
            state_dir=folder / "state",
            qps=1000,
        )
        with closing(Session(settings, policy=FAST)) as session:
            made = Quarter(host, settings, session, accounts)
            today, step = FIRST, 0
            while today <= LAST:
                evening = datetime(today.year, today.month, today.day, tzinfo=UTC) - timedelta(hours=4)
                if today > FIRST:
                    host.control("POST", "clock", now=evening.isoformat())
                    made.works_of(today)
                host.control("POST", "clock", now=(evening + timedelta(hours=14.5)).isoformat())
                made.refresh(today)
                today += timedelta(DAYS_BETWEEN[step % 2])
                step += 1
            for report in LIFETIME_REPORTS:
                _landed(refresh_report(session.reader, session.store, report, {one: [] for one in made.accounts}))
            yield made


def test_it_is_a_quarter(quarter: Quarter) -> None:
    """Three currencies, ninety days, days of 23 hours among them, and every day to the last is stored."""
    assert {account.currency for account in quarter.accounts} == {"USD", "JPY", "EUR"}
    days = DateWindow(FIRST - timedelta(1), LAST - timedelta(1)).days
    assert len(days) > 90
    lengths = {
        (
            account.zone.utcoffset(datetime(2026, 2, 20, tzinfo=account.zone)),
            account.zone.utcoffset(datetime(2026, 5, 1, tzinfo=account.zone)),
        )
        for account in quarter.accounts
    }
    assert sum(winter != summer for winter, summer in lengths) == 2
    for account in quarter.accounts:
        for report in DAILY_REPORTS:
            stored = [one.day for one in quarter.store.partitions(report.table, [account.advertiser_id])]
            assert stored == list(days)


@pytest.mark.parametrize("report", DAILY_REPORTS, ids=lambda report: report.table)
def test_what_is_said_to_be_so_is_so(quarter: Quarter, report: Report) -> None:
    """Settled days are the truth in every metric, complete ones in spend, impressions, clicks and reach."""
    days = list(DateWindow(FIRST - timedelta(1), LAST - timedelta(1)).days)
    for account in quarter.accounts:
        truth = expected_report(quarter.host, report, account, STANDARD_METRICS, days)
        rows = quarter.table(report.table, account.advertiser_id)
        settled, complete = rows.filter("is_settled"), rows.filter("is_complete")
        assert settled.get_column("date").n_unique() > len(days) // 2
        assert complete.get_column("date").n_unique() >= len(days) - 1
        found = report_rows(settled, report, STANDARD_METRICS)
        assert found == _of_days(truth, settled)
        firm = ("spend", "impressions", "clicks", "reach")
        assert _only(report_rows(complete, report, STANDARD_METRICS), firm) == _only(_of_days(truth, complete), firm)


def _of_days(truth: Rows, rows: pl.DataFrame) -> Rows:
    days = set(rows.get_column("date"))
    return {key: row for key, row in truth.items() if key[1] in days}


def _only(rows: Rows, names: tuple[str, ...]) -> Rows:
    return {key: {name: row[name] for name in names} for key, row in rows.items()}


@pytest.mark.parametrize("report", LIFETIME_REPORTS, ids=lambda report: report.table)
def test_the_lifetime_is_the_truth(quarter: Quarter, report: Report) -> None:
    """At the end of the quarter the lifetime reports are the world's."""
    for account in quarter.accounts:
        truth = expected_report(quarter.host, report, account, STANDARD_METRICS, [])
        assert truth
        rows = report_rows(quarter.table(report.table, account.advertiser_id), report, STANDARD_METRICS)
        assert {key: row for key, row in rows.items() if row["spend"]} == truth


def test_the_restatements_tell_the_truth_of_every_reading(quarter: Quarter) -> None:
    """Each reading of each day is a row: before and after are what the world said at the two instants."""
    rows = quarter.store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect()
    assert rows.height == sum(len(readings) for readings in quarter.sums.values())
    told = {(row["report"], row["advertiser_id"], row["date"], row["fetched_at"]): row for row in rows.to_dicts()}
    moved = 0
    for (report, owner, day), readings in quarter.sums.items():
        before: tuple[datetime | None, int | None, Decimal | None, int | None] = (None, None, None, None)
        for reading in readings:
            row = told[report, owner, day, reading[0]]
            assert (row["rows_after"], row["spend_after"], row["conversion_after"]) == reading[1:]
            was = (row["previous_fetched_at"], row["rows_before"], row["spend_before"], row["conversion_before"])
            assert was == before
            if before[3] is not None:
                assert row["conversion_change"] == reading[3] - before[3]
                moved += row["conversion_change"] != 0
            before = reading
    assert moved > len(quarter.sums) / 2  # conversions came late


def test_days_keep_moving_until_they_are_settled(quarter: Quarter) -> None:
    """By age, per currency: spend moves in the first two days only, conversions for weeks, and less and less."""
    moved = compute_restatement_by_age(quarter.store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect())
    assert set(moved.get_column("currency")) == {"USD", "JPY", "EUR"}
    for (_,), of_currency in moved.group_by("currency"):
        assert of_currency.get_column("age_days").to_list() == list(range(1, 29))
        assert of_currency.filter(pl.col("age_days") > 2).get_column("spend_to_come").sum() == 0
        assert of_currency.get_column("spend_to_come").sum() > 0
        to_come = of_currency.get_column("conversion_to_come")
        early, late = to_come.head(5).mean(), to_come.tail(5).mean()
        assert isinstance(early, float)
        assert isinstance(late, float)
        assert early > late > 0


@pytest.mark.parametrize("entity", LISTED_ENTITIES, ids=lambda entity: entity.table)
def test_the_histories_hold_each_version(quarter: Quarter, entity: Entity) -> None:
    """Every name and status an object was read with is a version, from the reading that saw it first."""
    for account in quarter.accounts:
        history = quarter.table(history_table_name(entity.table), account.advertiser_id)
        expected: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
        for read_at, objects in quarter.seen[entity.table, account.advertiser_id]:
            for own_id, item in objects.items():
                counted = {name: value for name, value in item.items() if name != "modify_time"}
                versions = expected.setdefault(own_id, [])
                if not versions or versions[-1][1] != counted:
                    versions.append((read_at, counted))
        name = entity.key.removesuffix("_id") + "_name"
        for own_id, versions in expected.items():
            rows = history.filter(pl.col(to_column_name(entity.key)) == own_id).to_dicts()
            shown = [(row["valid_from"], row[to_column_name(name)], row["secondary_status"]) for row in rows]
            assert shown == [(began, item[name], item["secondary_status"]) for began, item in versions]
            assert [row["valid_to"] for row in rows] == [*(began for began, _ in versions[1:]), None]
            ends = [item["secondary_status"].endswith("_DELETE") for _, item in versions]
            assert [row["is_deleted"] for row in rows] == ends
        assert history.height == sum(map(len, expected.values()))
        assert history.get_column("campaign_name").is_in([NEW_NAME]).any()
        assert history.filter("is_current").get_column("is_deleted").any()
        assert history.height > 2 * len(expected)


@pytest.fixture(scope="module")
def warehouse(quarter: Quarter) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse at the end of the quarter."""
    built = build_warehouse(quarter.store, quarter.settings.state_dir, get_stored_tables(quarter.settings))
    with duckdb.connect(built.path, read_only=True) as connection:
        yield connection


def queries() -> list[str]:
    """The SQL of the document on lookbacks."""
    return re.findall(r"```sql\n(.*?)```", LOOKBACK.read_text(encoding="utf-8"), re.DOTALL)


def test_the_documents_query_finds_what_python_finds(
    quarter: Quarter, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """The query of docs/lookback.md runs on the warehouse as it stands and gives the figures of the function."""
    ours = compute_restatement_by_age(quarter.store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect())
    found = pl.DataFrame(warehouse.execute(queries()[0]).fetchall(), schema=ours.schema, orient="row")
    assert ours.height == 3 * 28
    assert_frame_equal(found, ours)


def test_the_documents_history_answers_what_was_so(quarter: Quarter, warehouse: duckdb.DuckDBPyConnection) -> None:
    """On the first of May each campaign is found once: one renamed, and one deleted, in each account."""
    rows = warehouse.execute(queries()[1]).fetchall()
    names = {own_id: (name, deleted) for own_id, name, _, deleted in rows}
    assert len(rows) == len(names) == 2 * len(quarter.accounts)
    assert sum(name == NEW_NAME for name, _ in names.values()) == len(quarter.accounts)
    assert sum(deleted for _, deleted in names.values()) == len(quarter.accounts)


def test_the_warehouse_holds_all_of_it(quarter: Quarter, warehouse: duckdb.DuckDBPyConnection) -> None:
    """Every reading and every version is a row of the warehouse."""
    counted = warehouse.execute("SELECT count(*) FROM report_restatements").fetchone()
    assert counted == (sum(map(len, quarter.sums.values())),)
    for entity in LISTED_ENTITIES:
        table = history_table_name(entity.table)
        versions = sum(quarter.table(table, account.advertiser_id).height for account in quarter.accounts)
        assert warehouse.execute(f"SELECT count(*) FROM {table}").fetchone() == (versions,)  # noqa: S608 - ours
