"""Read what the checks need from the stored tables, lazily and once per account and table."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.ingest import (
    TIMEZONE_KEY,
    is_partition_complete,
    load_shop_ids,
    meets_condition,
    parse_fetched_at,
)
from tiktok_assets.quality.checked_table import ID_COLUMNS, CheckedTable
from tiktok_assets.quality.coverage import StoredDay, check_accounts
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.row_checks import FileSchemas, is_readable
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import Account, day_end


@dataclass(frozen=True)
class CheckContext:
    """The stored tables, and the settings the checks depend on.

    Attributes:
        store: the stored tables.
        tables: the description of each table, by name.
        advertiser_ids: the accounts named in the settings; empty for all that are granted.
        timezones: the time zones of the settings, by account.
        currencies: the currencies of the settings, by account.
        start: the first day of the daily reports.
        now: the current time by the clock of the API host, aware.
        tolerance: the share by which the totals of two levels may differ.
        days: how many past days of daily reports are checked; 0 for all.
    """

    store: HiveStore
    tables: Mapping[str, CheckedTable]
    advertiser_ids: Collection[str]
    timezones: Mapping[str, str]
    currencies: Mapping[str, str]
    start: date
    now: datetime
    tolerance: Decimal
    days: int
    _known_ids: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)

    @cached_property
    def advertisers(self) -> pl.DataFrame:
        """The table `advertisers`; empty if it was never written."""
        return self.store.scan("advertisers", self.tables["advertisers"].schema).collect()

    @cached_property
    def accounts(self) -> tuple[dict[str, Account], CheckOutcome]:
        """The active accounts with a known time zone, and the outcome for those without time zone or currency."""
        return check_accounts(
            self.advertisers, self.advertiser_ids, timezones=self.timezones, currencies=self.currencies
        )

    def read_table(self, table: str) -> Iterator["TableReader"]:
        """Yield a reader for each account of a table; a single one for a table without partitions per account."""
        partitions = list(self.store.partitions(table))
        if Partition() in partitions:
            yield TableReader(self, self.tables[table], None, partitions)
            return
        active = self.list_expected_accounts(self.tables[table])
        stored: dict[str, list[Partition]] = {advertiser_id: [] for advertiser_id in active}
        for partition in partitions:
            stored.setdefault(str(partition.advertiser_id), []).append(partition)
        for advertiser_id, theirs in sorted(stored.items()):
            yield TableReader(self, self.tables[table], advertiser_id, theirs)

    def list_expected_accounts(self, table: CheckedTable) -> Collection[str]:
        """Return the active accounts that a table by day must have days of."""
        if not table.is_daily_report:
            return ()
        if table.needs_shop:
            return [one for one in self.accounts[0] if load_shop_ids(self.store, one)]
        condition = table.report.condition if table.report else None
        return [one for one in self.accounts[0] if meets_condition(self.store, condition, one)]

    def load_known_ids(self, table: str, column: str, advertiser_id: str) -> frozenset[str] | None:
        """Return the ids of an account in an entity table; None if the table has no file for the account."""
        key = (table, advertiser_id)
        if key not in self._known_ids:
            rows = self.store.scan_partition(table, Partition(advertiser_id))
            ids = None if rows is None else _collect_ids(rows, ID_COLUMNS.get(column, (column,)))
            self._known_ids[key] = ids
        return self._known_ids[key]


def _collect_ids(rows: pl.LazyFrame, columns: Sequence[str]) -> frozenset[str]:
    frame = rows.select(columns).collect()
    return frozenset(value for column in columns for value in frame.get_column(column).drop_nulls())


class TableReader:
    """Reads one account of one table, or a whole table without partitions per account."""

    def __init__(
        self,
        context: CheckContext,
        table: CheckedTable,
        advertiser_id: str | None,
        partitions: Sequence[Partition],
    ) -> None:
        self.context = context
        self.table = table
        self.advertiser_id = advertiser_id
        self.partitions = partitions

    @property
    def account(self) -> Account | None:
        """The account, if it is active and its time zone is known."""
        return self.context.accounts[0].get(self.advertiser_id or "")

    @property
    def stored_days(self) -> list[date]:
        """All stored days, in order."""
        return [partition.day for partition in self.partitions if partition.day]

    @cached_property
    def recent_partitions(self) -> list[Partition]:
        """The partitions whose rows are checked: all, or of daily tables those of the last days."""
        first = self.context.now.date() - timedelta(self.context.days)
        return [one for one in self.partitions if not self.context.days or not one.day or one.day >= first]

    @cached_property
    def schemas(self) -> FileSchemas:
        """The schema of each recent file."""
        return {partition: self._read_schema(partition) for partition in self.recent_partitions}

    def _read_schema(self, partition: Partition) -> pl.Schema | None:
        try:
            file = self.context.store.scan_partition(self.table.table, partition)
            return file.collect_schema() if file is not None else None
        except (PolarsError, OSError):
            return None

    @cached_property
    def readable_partitions(self) -> list[Partition]:
        """The recent files that have the declared schema; the others are reported by one check only."""
        table = self.table
        return [one for one, schema in self.schemas.items() if is_readable(schema, table.schema, table.key)]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The checked rows, with the columns that the checks read."""
        return self.read_rows(self.table, self.readable_partitions)

    def read_rows(self, table: CheckedTable, partitions: Sequence[Partition]) -> pl.DataFrame:
        """Read the rows of some partitions of a table of this account."""
        store, days = self.context.store, [one.day for one in partitions if one.day]
        if not partitions:
            return pl.DataFrame(schema=table.schema_to_read)
        owners = [self.advertiser_id] if self.advertiser_id else None
        return store.scan(table.table, table.schema_to_read, advertiser_ids=owners, days=days or None).collect()

    @cached_property
    def stored_day_details(self) -> Mapping[date, StoredDay]:
        """The metadata of each recent day."""
        found = {}
        for partition in self.recent_partitions:
            metadata = self.context.store.read_metadata(self.table.table, partition)
            if partition.day and metadata and (fetched_at := parse_fetched_at(metadata)):
                is_complete = is_partition_complete(metadata)
                found[partition.day] = StoredDay(fetched_at, is_complete, metadata.get(TIMEZONE_KEY))
        return found

    @cached_property
    def rows_by_day(self) -> Mapping[date, int]:
        """The row count of each recent day, including days without rows."""
        counts = dict(self.frame.group_by("date").len().iter_rows())
        return {one.day: counts.get(one.day, 0) for one in self.readable_partitions if one.day}

    @property
    def rows_by_ended_day(self) -> Mapping[date, int]:
        """The row count of each day that had ended when it was read; later days may still get rows."""
        return {day: rows for day, rows in self.rows_by_day.items() if self._had_ended(day)}

    def _had_ended(self, day: date) -> bool:
        stored, account = self.stored_day_details.get(day), self.account
        if stored is None:
            return True
        if account is None:
            return stored.is_complete
        # The time zone of the account may have changed since the day was read.
        account_then = replace(account, timezone=stored.timezone or account.timezone)
        return stored.fetched_at >= day_end(day, account_then)

    def for_table(self, table: str) -> "TableReader":
        """Return a reader of another table for the same account."""
        other = self.context.tables[table]
        owners = [self.advertiser_id] if self.advertiser_id else None
        partitions = list(self.context.store.partitions(table, owners))
        return TableReader(self.context, other, self.advertiser_id, partitions)
