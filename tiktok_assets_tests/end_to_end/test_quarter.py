"""Test that a quarter of three accounts, refreshed twice a week, equals the ground truth.

Clocks change in Los Angeles and Berlin, conversions come late, spend is corrected, campaigns are renamed, disabled
and deleted. Every refresh records the ground truth of that instant, with which the tests compare the tables.
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
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS
from tiktok_assets.storage.duckdb_warehouse import build_warehouse
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import Rows, expected_report, report_rows

pytestmark = pytest.mark.slow  # one refresh, on which all tests of this module look

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

RENAMED, DISABLED, DELETED, AD_DELETED = date(2026, 3, 9), date(2026, 3, 30), date(2026, 4, 13), date(2026, 4, 23)
"""The days before whose refresh each account is changed."""

NEW_NAME = "Spring | renamed"

LOOKBACK_PAGE = Path(__file__).parents[2] / "docs" / "lookback.md"

Objects = dict[str, dict[str, Any]]


@dataclass
class Quarter:
    """The refreshed store with the ground truth at each refresh.

    Attributes:
        sums: rows, spend and conversions of each reading of each day, by report, account and day.
        observed: every object of each reading, by table and account, with the time of the reading.
    """

    host: Host
    settings: Settings
    session: Session
    accounts: list[Account]
    sums: dict[tuple[str, str, date], list[tuple[datetime, int, Decimal, int]]] = field(default_factory=dict)
    observed: dict[tuple[str, str], list[tuple[datetime, Objects]]] = field(default_factory=dict)

    @property
    def store(self) -> HiveStore:
        """The store of the session."""
        return self.session.store

    def table(self, name: str, owner: str) -> pl.DataFrame:
        """Read the stored rows of an account."""
        schema = build_schema(get_stored_tables(self.settings)[name])
        return self.store.scan(name, schema, advertiser_ids=[owner]).collect()

    def refresh(self, today: date) -> None:
        """Refresh every table, as on a morning."""
        reader, store, ids = self.session.reader, self.store, [one.advertiser_id for one in self.accounts]
        refresh_advertisers(reader, store, ids)
        for entity in CAMPAIGN_ENTITIES:
            for written in _written(refresh_entity(reader, store, entity, ids)):
                if written.table == entity.table:
                    owner = str(written.partition.advertiser_id)
                    items = self.host.ground_truth(entity.table, advertiser_id=owner)
                    objects = {str(item[entity.key]): item for item in items}
                    self.observed.setdefault((entity.table, owner), []).append((written.fetched_at, objects))
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
            made = _written(refresh_report(reader, store, report, days))
            self._record_ground_truth(
                report, {one.advertiser_id: DateWindow(of[0], of[-1]) for one, of in days.items()}, made
            )
            partitions = [one.partition for one in made]
        list(refresh_restatements(store, tables, partitions))

    def _record_ground_truth(
        self, report: Report, windows: Mapping[str, DateWindow], made: list[WrittenPartition]
    ) -> None:
        """Record the present ground truth of the days that were read."""
        read_at = {(str(one.partition.advertiser_id), one.partition.day): one.fetched_at for one in made}
        for account in self.accounts:
            window = windows[account.advertiser_id]
            truth = expected_report(self.host, report, account, STANDARD_METRICS, [window.first, window.last])
            for day in window.days:
                rows = [row for (_, of), row in truth.items() if of == day]
                spend = sum((row["spend"] for row in rows), Decimal(0))
                reported = (
                    read_at[account.advertiser_id, day],
                    len(rows),
                    spend,
                    sum(row["conversion"] for row in rows),
                )
                self.sums.setdefault((report.table, account.advertiser_id, day), []).append(reported)

    def post_change(self, path: str, owner: str, **body: object) -> None:
        """Send a write request to an account."""
        answer = self.host.http.post(
            f"{self.host.sandbox.base_url}/open_api/v1.3/{path}/",
            json={"advertiser_id": owner, **body},
            headers={"Access-Token": self.host.sandbox.token},
        ).json()
        assert answer["code"] == 0, answer

    def change_account(self, day: date) -> None:
        """Change each account as planned for the evening before a refresh."""
        for account in self.accounts:
            owner = account.advertiser_id
            first, second = sorted(
                item["campaign_id"] for item in self.host.ground_truth("campaigns", advertiser_id=owner)
            )
            if day == RENAMED:
                self.post_change("campaign/update", owner, campaign_id=first, campaign_name=NEW_NAME)
            if day == DISABLED:
                self.post_change(
                    "campaign/status/update", owner, campaign_ids=[second], operation_status="DISABLE"
                )
            if day == DELETED:
                self.post_change("campaign/status/update", owner, campaign_ids=[second], operation_status="DELETE")
            if day == AD_DELETED:
                ads = self.host.ground_truth("ads", advertiser_id=owner)
                group = max(item["adgroup_id"] for item in ads if item["campaign_id"] == first)
                ids = [item["ad_id"] for item in ads if item["adgroup_id"] == group][:1]
                self.post_change("ad/status/update", owner, ad_ids=ids, operation_status="DELETE")


def _written(outcomes: Iterator[WrittenPartition | FailedPartitions]) -> list[WrittenPartition]:
    made = list(outcomes)
    written = [one for one in made if isinstance(one, WrittenPartition)]
    assert len(written) == len(made)
    return written


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarter]:
    """Refresh twice a week over ninety days."""
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
                    made.change_account(today)
                host.control("POST", "clock", now=(evening + timedelta(hours=14.5)).isoformat())
                made.refresh(today)
                today += timedelta(DAYS_BETWEEN[step % 2])
                step += 1
            for report in LIFETIME_REPORTS:
                _written(refresh_report(session.reader, session.store, report, {one: [] for one in made.accounts}))
            yield made


def test_every_day_of_the_quarter_is_stored(quarter: Quarter) -> None:
    """Every day of ninety is stored for accounts in three currencies, also days of 23 hours."""
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
def test_settled_and_complete_days_equal_the_ground_truth(quarter: Quarter, report: Report) -> None:
    """Settled days are correct in every metric, complete ones in spend, impressions, clicks and reach."""
    days = list(DateWindow(FIRST - timedelta(1), LAST - timedelta(1)).days)
    for account in quarter.accounts:
        truth = expected_report(quarter.host, report, account, STANDARD_METRICS, days)
        rows = quarter.table(report.table, account.advertiser_id)
        settled, complete = rows.filter("is_settled"), rows.filter("is_complete")
        assert settled.get_column("date").n_unique() > len(days) // 2
        assert complete.get_column("date").n_unique() >= len(days) - 1
        found = report_rows(settled, report, STANDARD_METRICS)
        assert found == _filter_days(truth, settled)
        firm = ("spend", "impressions", "clicks", "reach")
        assert _select(report_rows(complete, report, STANDARD_METRICS), firm) == _select(
            _filter_days(truth, complete), firm
        )


def _filter_days(truth: Rows, rows: pl.DataFrame) -> Rows:
    days = set(rows.get_column("date"))
    return {key: row for key, row in truth.items() if key[1] in days}


def _select(rows: Rows, names: tuple[str, ...]) -> Rows:
    return {key: {name: row[name] for name in names} for key, row in rows.items()}


@pytest.mark.parametrize("report", LIFETIME_REPORTS, ids=lambda report: report.table)
def test_lifetime_reports_equal_the_ground_truth(quarter: Quarter, report: Report) -> None:
    """At the end of the quarter the lifetime reports equal the ground truth."""
    for account in quarter.accounts:
        truth = expected_report(quarter.host, report, account, STANDARD_METRICS, [])
        assert truth
        rows = report_rows(quarter.table(report.table, account.advertiser_id), report, STANDARD_METRICS)
        assert {key: row for key, row in rows.items() if row["spend"]} == truth


def test_restatements_have_the_values_of_every_reading(quarter: Quarter) -> None:
    """Each reading of each day is a row with the ground truth of this reading and of the one before."""
    rows = quarter.store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect()
    assert rows.height == sum(len(readings) for readings in quarter.sums.values())
    reported = {
        (row["report"], row["advertiser_id"], row["date"], row["fetched_at"]): row for row in rows.to_dicts()
    }
    moved = 0
    for (report, owner, day), readings in quarter.sums.items():
        before: tuple[datetime | None, int | None, Decimal | None, int | None] = (None, None, None, None)
        for reading in readings:
            row = reported[report, owner, day, reading[0]]
            assert (row["rows_after"], row["spend_after"], row["conversion_after"]) == reading[1:]
            was = (row["previous_fetched_at"], row["rows_before"], row["spend_before"], row["conversion_before"])
            assert was == before
            if before[3] is not None:
                assert row["conversion_change"] == reading[3] - before[3]
                moved += row["conversion_change"] != 0
            before = reading
    assert moved > len(quarter.sums) / 2  # conversions came late


def test_days_change_until_they_are_settled(quarter: Quarter) -> None:
    """Spend changes in the first two days only; conversions change for weeks, and less with age."""
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


@pytest.mark.parametrize("entity", CAMPAIGN_ENTITIES, ids=lambda entity: entity.table)
def test_histories_have_every_version(quarter: Quarter, entity: Entity) -> None:
    """Every name and status of an object is a version that starts with the reading that returned it first."""
    for account in quarter.accounts:
        history = quarter.table(history_table_name(entity.table), account.advertiser_id)
        expected: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
        for read_at, objects in quarter.observed[entity.table, account.advertiser_id]:
            for own_id, item in objects.items():
                counted = {name: value for name, value in item.items() if name != "modify_time"}
                versions = expected.setdefault(own_id, [])
                if not versions or versions[-1][1] != counted:
                    versions.append((read_at, counted))
        name = entity.key.removesuffix("_id") + "_name"
        for own_id, versions in expected.items():
            rows = history.filter(pl.col(to_column_name(entity.key)) == own_id).to_dicts()
            found = [(row["valid_from"], row[to_column_name(name)], row["secondary_status"]) for row in rows]
            assert found == [(began, item[name], item["secondary_status"]) for began, item in versions]
            assert [row["valid_to"] for row in rows] == [*(began for began, _ in versions[1:]), None]
            ends = [item["secondary_status"].endswith("_DELETE") for _, item in versions]
            assert [row["is_deleted"] for row in rows] == ends
        assert history.height == sum(map(len, expected.values()))
        assert history.get_column("campaign_name").is_in([NEW_NAME]).any()
        assert history.filter("is_current").get_column("is_deleted").any()
        assert history.height > 2 * len(expected)


@pytest.fixture(scope="module")
def warehouse(quarter: Quarter) -> Iterator[duckdb.DuckDBPyConnection]:
    """Build the warehouse at the end of the quarter."""
    built = build_warehouse(quarter.store, quarter.settings.state_dir, get_stored_tables(quarter.settings))
    with duckdb.connect(built.path, read_only=True) as connection:
        yield connection


def queries() -> list[str]:
    """Find the SQL of docs/lookback.md."""
    return re.findall(r"```sql\n(.*?)```", LOOKBACK_PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_documented_query_equals_the_python_function(
    quarter: Quarter, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """The query of docs/lookback.md returns what the Python function returns."""
    ours = compute_restatement_by_age(quarter.store.scan(RESTATEMENTS, RESTATEMENTS_SCHEMA).collect())
    found = pl.DataFrame(warehouse.execute(queries()[0]).fetchall(), schema=ours.schema, orient="row")
    assert ours.height == 3 * 28
    assert_frame_equal(found, ours)


def test_documented_query_returns_campaigns_as_of_a_day(
    quarter: Quarter, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """On the first of May each campaign is returned once: one renamed and one deleted per account."""
    rows = warehouse.execute(queries()[1]).fetchall()
    names = {own_id: (name, deleted) for own_id, name, _, deleted in rows}
    assert len(rows) == len(names) == 2 * len(quarter.accounts)
    assert sum(name == NEW_NAME for name, _ in names.values()) == len(quarter.accounts)
    assert sum(deleted for _, deleted in names.values()) == len(quarter.accounts)


def test_warehouse_has_every_reading_and_version(quarter: Quarter, warehouse: duckdb.DuckDBPyConnection) -> None:
    """Every reading and every version is a row of the warehouse."""
    counted = warehouse.execute("SELECT count(*) FROM report_restatements").fetchone()
    assert counted == (sum(map(len, quarter.sums.values())),)
    for entity in CAMPAIGN_ENTITIES:
        table = history_table_name(entity.table)
        versions = sum(quarter.table(table, account.advertiser_id).height for account in quarter.accounts)
        assert warehouse.execute(f"SELECT count(*) FROM {table}").fetchone() == (versions,)  # noqa: S608 - ours
