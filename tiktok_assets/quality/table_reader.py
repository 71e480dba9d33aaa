"""Read what the checks need from the stored tables, lazily and once per account and table."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.ingest.partitions import TIMEZONE_KEY, is_partition_complete, parse_fetched_at
from tiktok_assets.quality.checked_table import ID_COLUMNS, CheckedTable
from tiktok_assets.quality.coverage import StoredDay, check_accounts
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_checks import FileSchemas, is_readable
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account, day_end


@dataclass(frozen=True)
class CheckContext:
    """The stored tables, and what the checks must know beside them.

    Attributes:
        store: the tables.
        subjects: each table, by name.
        wanted: the accounts the settings name; empty for all that are granted.
        zones: what the settings say of the accounts' zones.
        currencies: the same of their currencies.
        start: the first day of the daily reports.
        now: aware, by the host's clock.
        tolerance: the share by which the totals of two levels may differ.
        days: how many days back the rows of daily reports are looked at; 0 for all.
    """

    store: HiveStore
    subjects: Mapping[str, CheckedTable]
    wanted: Collection[str]
    zones: Mapping[str, str]
    currencies: Mapping[str, str]
    start: date
    now: datetime
    tolerance: Decimal
    days: int
    _known: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)

    @cached_property
    def advertisers(self) -> pl.DataFrame:
        """The table of the accounts; without rows where it does not stand."""
        return self.store.scan("advertisers", self.subjects["advertisers"].schema).collect()

    @cached_property
    def accounts(self) -> tuple[dict[str, Account], CheckOutcome]:
        """The active accounts whose zone is known, and those that lack a zone or a currency."""
        return check_accounts(self.advertisers, self.wanted, zones=self.zones, currencies=self.currencies)

    def of(self, table: str) -> Iterator["TableReader"]:
        """The evidence on each account of a table; one piece for a table that is not cut by account."""
        partitions = list(self.store.partitions(table))
        if Partition() in partitions:
            yield TableReader(self, self.subjects[table], None, partitions)
            return
        active = self.accounts[0] if self.subjects[table].is_report_by_day else {}
        stored: dict[str, list[Partition]] = {advertiser_id: [] for advertiser_id in active}
        for partition in partitions:
            stored.setdefault(str(partition.advertiser_id), []).append(partition)
        for advertiser_id, theirs in sorted(stored.items()):
            yield TableReader(self, self.subjects[table], advertiser_id, theirs)

    def known_ids(self, table: str, column: str, advertiser_id: str) -> frozenset[str] | None:
        """The ids of an account that an entity's table knows, or None where the table does not stand for it."""
        key = (table, advertiser_id)
        if key not in self._known:
            rows = self.store.open(table, Partition(advertiser_id))
            self._known[key] = None if rows is None else _collect_ids(rows, ID_COLUMNS.get(column, (column,)))
        return self._known[key]


def _collect_ids(rows: pl.LazyFrame, columns: Sequence[str]) -> frozenset[str]:
    frame = rows.select(columns).collect()
    return frozenset(value for column in columns for value in frame.get_column(column).drop_nulls())


class TableReader:
    """One account of one table, or a whole table that is not cut by account."""

    def __init__(
        self,
        archive: CheckContext,
        subject: CheckedTable,
        advertiser_id: str | None,
        partitions: Sequence[Partition],
    ) -> None:
        self.archive = archive
        self.subject = subject
        self.advertiser_id = advertiser_id
        self.partitions = partitions

    @property
    def account(self) -> Account | None:
        """The account, if it is active and its zone is known."""
        return self.archive.accounts[0].get(self.advertiser_id or "")

    @property
    def stored_days(self) -> list[date]:
        """Every day that stands, in order."""
        return [partition.day for partition in self.partitions if partition.day]

    @cached_property
    def recent(self) -> list[Partition]:
        """The partitions whose rows are looked at: all, but of daily tables those of the last days."""
        first = self.archive.now.date() - timedelta(self.archive.days)
        return [one for one in self.partitions if not self.archive.days or not one.day or one.day >= first]

    @cached_property
    def schemas(self) -> FileSchemas:
        """What each of these files holds."""
        return {partition: self._schema(partition) for partition in self.recent}

    def _schema(self, partition: Partition) -> pl.Schema | None:
        try:
            opened = self.archive.store.open(self.subject.table, partition)
            return opened.collect_schema() if opened is not None else None
        except (PolarsError, OSError):
            return None

    @cached_property
    def readable(self) -> list[Partition]:
        """Those of the files that can be read as the table; the others are the business of one check only."""
        subject = self.subject
        return [one for one, schema in self.schemas.items() if is_readable(schema, subject.schema, subject.key)]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows the checks look at, in the columns they look at."""
        return self.rows_of(self.subject, self.readable)

    def rows_of(self, subject: CheckedTable, partitions: Sequence[Partition]) -> pl.DataFrame:
        """The rows of some partitions of a table of this account."""
        store, days = self.archive.store, [one.day for one in partitions if one.day]
        if not partitions:
            return pl.DataFrame(schema=subject.looked_at)
        owners = [self.advertiser_id] if self.advertiser_id else None
        return store.scan(subject.table, subject.looked_at, advertiser_ids=owners, days=days or None).collect()

    @cached_property
    def readings(self) -> Mapping[date, StoredDay]:
        """When each of these days was read."""
        found = {}
        for partition in self.recent:
            notes = self.archive.store.notes(self.subject.table, partition)
            if partition.day and notes and (fetched_at := parse_fetched_at(notes)):
                found[partition.day] = StoredDay(fetched_at, is_partition_complete(notes), notes.get(TIMEZONE_KEY))
        return found

    @cached_property
    def rows_by_day(self) -> Mapping[date, int]:
        """How many rows each of these days has, days without rows among them."""
        counts = dict(self.frame.group_by("date").len().iter_rows())
        return {one.day: counts.get(one.day, 0) for one in self.readable if one.day}

    @property
    def rows_by_ended_day(self) -> Mapping[date, int]:
        """How many rows each day has that was over when it was read; today's are still coming in."""
        return {day: rows for day, rows in self.rows_by_day.items() if self._had_ended(day)}

    def _had_ended(self, day: date) -> bool:
        reading, account = self.readings.get(day), self.account
        if reading is None:
            return True
        if account is None:
            return reading.is_complete
        then = replace(account, timezone=reading.timezone or account.timezone)  # it may have changed since
        return reading.fetched_at >= day_end(day, then)

    def beside(self, table: str) -> "TableReader":
        """The same account in another table."""
        subject = self.archive.subjects[table]
        owners = [self.advertiser_id] if self.advertiser_id else None
        return TableReader(
            self.archive, subject, self.advertiser_id, list(self.archive.store.partitions(table, owners))
        )
