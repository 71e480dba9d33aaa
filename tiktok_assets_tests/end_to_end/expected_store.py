"""The expected content of a store: for each partition the ground truth of its last reading, and its file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.spec.columns import to_column_name
from tiktok_assets.spec.entities import ADVERTISERS, CAMPAIGN_ENTITIES, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import Cell, decode_rows, expected_entity, expected_report

Row = dict[str, Cell]
Rows = dict[Any, Row]

ENTITIES: Mapping[str, Entity] = {entity.table: entity for entity in (ADVERTISERS, *CAMPAIGN_ENTITIES)}
UNKNOWN_FIELD = "brand_new_field"
"""The field that the fault `new_field` adds: stored in `extra`, and not in the ground truth."""

MAX_CLOCK_DIFFERENCE = timedelta(minutes=2)


@dataclass
class ExpectedStore:
    """The expected rows and files by partition.

    Attributes:
        host: returns the ground truth.
        store: the store under test.
        rows: the ground truth at the last reading, by table and partition.
        files: the signature of each file after its last reading, by path.
        hidden: ids that reads do not return yet, with the end of that time by the world's clock.
        compared: number of equal rows.
        wrong: number of missing, extra or different rows.
    """

    host: Host
    store: HiveStore
    rows: dict[tuple[str, Partition], Rows] = field(default_factory=dict)
    files: dict[str, tuple[int, ...]] = field(default_factory=dict)
    hidden: dict[str, datetime] = field(default_factory=dict)
    compared: int = 0
    wrong: int = 0

    def record_readings(
        self, table: str, requested: Iterable[Partition], outcomes: Iterable[WrittenPartition | FailedPartitions]
    ) -> int:
        """Record the outcomes of the requested partitions, and return how many failed.

        Each has one outcome. A written one has the ground truth of now; a failed one is unchanged.
        """
        results = list(outcomes)
        written = [one for one in results if isinstance(one, WrittenPartition) and one.table == table]
        failed = [
            partition for one in results if isinstance(one, FailedPartitions) for partition in one.partitions
        ]
        assert sorted([*failed, *(one.partition for one in written)]) == sorted(requested)
        days: dict[str, list[date]] = {}
        for one in written:
            owned = days.setdefault(str(one.partition.advertiser_id), [])
            if one.partition.day:
                owned.append(one.partition.day)
        for owner, read in days.items():
            truth = self._ground_truth(table, owner, sorted(read))
            self.rows |= {(table, Partition(owner, day)): rows for day, rows in truth.items()}
        for one in written:
            self._written(one)
        return len(failed)

    def record_accounts(self, requested: Iterable[str], written: WrittenPartition) -> None:
        """Record the accounts: granted ones as they are now, known others unchanged and marked as not granted."""
        items = {one["advertiser_id"]: one for one in self.host.ground_truth("advertisers")}
        stored = self.rows.get(("advertisers", Partition()), {})
        rows = {owner: row | {"is_granted": False} for owner, row in stored.items()}
        for owner in requested:
            if items[owner].pop("granted"):
                rows[owner] = expected_entity(ADVERTISERS, items[owner]) | {"is_granted": True}
        self.rows["advertisers", Partition()] = rows
        self._written(written)

    def _written(self, written: WrittenPartition) -> None:
        assert abs(self.host.sandbox.clock.now() - written.fetched_at) < MAX_CLOCK_DIFFERENCE
        where = self._file(written.table, written.partition)
        self.files[str(where)] = _signature(where)
        assert written.rows == self.compare(written.table, written.partition)

    def _file(self, table: str, partition: Partition) -> Path:
        return Path(str(self.store.base)) / table / partition.folder / "part-0.parquet"

    def _ground_truth(self, table: str, owner: str, days: list[date]) -> dict[date | None, Rows]:
        """Return what reads return of an account at this instant, by day."""
        if table in ENTITIES:
            return {
                None: {
                    key: expected_entity(ENTITIES[table], it)
                    for key, it in self._visible_objects(table, owner).items()
                }
            }
        report = REPORTS_BY_TABLE[table]
        facts = expected_report(self.host, report, Account(owner, "", ""), STANDARD_METRICS, days)
        members = self._visible_objects(f"{report.level.name}s", owner) if report.level.attributes else {}
        rows = {key: numbers | _parent_columns(report, members.get(str(key[0]))) for key, numbers in facts.items()}
        if report.cadence == "daily":
            by_day: dict[date | None, Rows] = {day: {} for day in days}
            for key, row in rows.items():
                by_day[key[1]][key] = row
            return by_day
        # Without a time dimension, objects without delivery have rows of zeros, the account too (`zero_rows`).
        idle: Rows = {
            (own_id, None): {"spend": 0} | _parent_columns(report, item) for own_id, item in members.items()
        }
        account: Rows = {} if report.level.attributes else {(owner, None): {"spend": 0}}
        return {None: idle | account | rows}

    def _visible_objects(self, table: str, owner: str) -> dict[str, Any]:
        """Return the objects of an account that reads return."""
        now, key = self.host.sandbox.clock.now(), ENTITIES[table].key
        items = {str(item[key]): item for item in self.host.ground_truth(table, advertiser_id=owner)}
        return {own_id: item for own_id, item in items.items() if self.hidden.get(own_id, now) <= now}

    def compare(self, table: str, partition: Partition) -> int:
        """Compare the stored rows of a partition with the expected ones, and return their number."""
        expected, found = self.rows[table, partition], self._stored(table, partition)
        wrong = dict.fromkeys(expected.keys() - found.keys(), "missing")
        wrong |= dict.fromkeys(found.keys() - expected.keys(), "extra")
        for key, row in expected.items():
            if differs := {name for name, cell in row.items() if found.get(key, row).get(name) != cell}:
                wrong[key] = f"different in {sorted(differs)}"
        self.wrong += len(wrong)
        assert wrong == {}, f"{table} {partition.folder}"
        self.compared += len(found)
        return len(found)

    def _stored(self, table: str, partition: Partition) -> Rows:
        """Return the rows of a partition by key; a repeated key is an error."""
        owners = [partition.advertiser_id] if partition.advertiser_id else None
        days = [partition.day] if partition.day else None
        if table in ENTITIES:
            entity = ENTITIES[table]
            frame = self.store.scan(table, build_schema(entity_columns(entity)), advertiser_ids=owners).collect()
            rows = {
                row[to_column_name(entity.key)]: _without_unknown_field(row)
                for row in decode_rows(frame, entity.columns)
            }
        else:
            report = REPORTS_BY_TABLE[table]
            schema = report_schema(report, STANDARD_METRICS)
            frame = self.store.scan(table, schema, advertiser_ids=owners, days=days).collect()
            rows = {
                (row[to_column_name(report.level.dimension)], row.get("date")): row for row in frame.to_dicts()
            }
        assert len(rows) == frame.height
        return rows

    def assert_no_other_files(self) -> None:
        """Assert that each file is the one of its last reading and that no other exists, finished or not."""
        base = Path(str(self.store.base))
        files = [path for path in base.rglob("*") if path.is_file() and not _is_history(path.relative_to(base))]
        assert {str(path): _signature(path) for path in files} == self.files

    def assert_all_partitions(self) -> None:
        """Compare every partition of the store again."""
        for table, partition in self.rows:
            self.compare(table, partition)
        for table in {table for table, _ in self.rows}:
            stored = sorted(self.store.partitions(table))
            assert stored == sorted(partition for one, partition in self.rows if one == table)


def _is_history(path: Path) -> bool:
    """Return whether a file belongs to a history table, which `test_quarter` tests."""
    return path.name == PARTITION_FILE_NAME and path.parts[0].endswith("_history")


def _signature(path: Path) -> tuple[int, ...]:
    """Return values that change when a file is replaced or written to."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _parent_columns(report: Report, item: Mapping[str, Cell] | None) -> Row:
    """Return the columns of a report row that come from its object and its parents."""
    return {to_column_name(name): item[name] for name in report.level.attributes} if item else {}


def _without_unknown_field(row: Row) -> Row:
    extra = {name: cell for name, cell in (row["extra"] or {}).items() if name != UNKNOWN_FIELD}
    return row | {"extra": extra or None}
