"""Record how the figures of a stored day changed each time it was read again.

The file of a day holds every reading of it as metadata, so one write replaces the day and adds the reading. The
table `report_restatements` is derived from this metadata and can be rebuilt at any time.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl

from tiktok_assets.ingest.account_conditions import select_report_tables
from tiktok_assets.ingest.partitions import NO_REQUESTS, READINGS_KEY, WrittenPartition, parse_fetched_at
from tiktok_assets.spec import RESTATEMENT_COLUMNS, RESTATEMENTS, RESTATEMENTS_KEY
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import Account, build_schema, is_complete, is_settled

RESTATEMENTS_SCHEMA = build_schema(RESTATEMENT_COLUMNS)
FINAL_AFTER_DAYS = 22
"""The age after which a day counts as final: a weekly sweep of 28 days reads each day for the last time at an age
of 23 to 29 days."""


@dataclass(frozen=True, slots=True)
class DayReading:
    """One reading of one day of one report. The attribute names are stored in the metadata.

    Attributes:
        fetched_at: when the day was read, aware UTC.
        age_days: calendar days of the account between the day and the reading; 1 is the next morning.
        spend: sum over the rows, in `currency`.
        conversion: sum over the rows; None if the metric was not requested or not served.
        timezone: the time zone of the account at the reading; None for readings of releases that did not store it.
    """

    fetched_at: datetime
    age_days: int
    currency: str
    rows: int
    spend: Decimal
    conversion: int | None
    is_complete: bool
    is_settled: bool
    timezone: str | None = None

    @classmethod
    def from_frame(cls, day: date, account: Account, frame: pl.DataFrame, fetched_at: datetime) -> "DayReading":
        """Create the reading of a day from its rows."""
        counts = frame.get_column("conversion") if "conversion" in frame.columns else None
        is_served = counts is not None and (frame.height == 0 or counts.count() > 0)
        return cls(
            fetched_at.astimezone(UTC),
            (account.today(fetched_at) - day).days,
            account.currency,
            frame.height,
            Decimal(frame.get_column("spend").sum() or 0),
            int(counts.sum()) if counts is not None and is_served else None,
            is_complete(day, account, fetched_at),
            is_settled(day, account, fetched_at),
            account.timezone,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values, with amounts and instants as text."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"fetched_at": self.fetched_at.isoformat(), "spend": str(self.spend)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "DayReading":
        """Create the reading from the values that `to_json` returned."""
        parsed = {"fetched_at": datetime.fromisoformat(values["fetched_at"]), "spend": Decimal(values["spend"])}
        return cls(**{**values, **parsed})


def parse_readings(metadata: Mapping[str, str] | None) -> list[DayReading]:
    """Return the readings in the metadata of a day, oldest first."""
    return [DayReading.from_json(one) for one in json.loads((metadata or {}).get(READINGS_KEY, "[]"))]


def append_reading(
    store: HiveStore, table: str, partition: Partition, account: Account, reading: DayReading
) -> list[DayReading]:
    """Return the stored readings of a day and a new one, oldest first; one per instant.

    If a day was stored by a release without this metadata, the stored rows are its first reading.
    """
    metadata = store.read_metadata(table, partition)
    readings = parse_readings(metadata)
    stored_at = parse_fetched_at(metadata)
    file = store.scan_partition(table, partition) if stored_at and not readings else None
    if file is not None and stored_at and partition.day:
        frame = file.collect()
        # The rows contain the currency, but the time zone was not stored.
        currency = str(frame.get_column("currency").drop_nulls().first() or account.currency)
        first = DayReading.from_frame(partition.day, replace(account, currency=currency), frame, stored_at)
        readings = [replace(first, timezone=None)]
    by_instant = {one.fetched_at: one for one in (*readings, reading)}
    return [by_instant[instant] for instant in sorted(by_instant)]


def readings_metadata(readings: Sequence[DayReading]) -> dict[str, str]:
    """Return the metadata entry that holds the readings of a day."""
    return {READINGS_KEY: json.dumps([one.to_json() for one in readings], separators=(",", ":"))}


def build_restatements(table: str, partition: Partition, readings: Sequence[DayReading]) -> pl.DataFrame:
    """Return one row of `report_restatements` for each reading of a day of a report."""
    rows = []
    for before, now in pairwise([None, *readings]):
        if now is None:
            continue
        rows.append(
            {
                "advertiser_id": partition.advertiser_id,
                "date": partition.day,
                "report": table,
                "fetched_at": now.fetched_at,
                "previous_fetched_at": before.fetched_at if before else None,
                "age_days": now.age_days,
                "currency": now.currency,
                "timezone": now.timezone,
                **{
                    f"{name}_{suffix}": value
                    for name in ("rows", "spend", "conversion")
                    for suffix, value in _compute_change(before, now, name).items()
                },
                "was_complete": before.is_complete if before else None,
                "is_complete": now.is_complete,
                "is_settled": now.is_settled,
            }
        )
    return pl.DataFrame(rows, schema=RESTATEMENTS_SCHEMA)


def _compute_change(before: DayReading | None, now: DayReading, name: str) -> dict[str, Any]:
    """Return a value before, after, and the difference; spend in another currency counts as unknown."""
    old, new = getattr(before, name, None), getattr(now, name)
    if name == "spend" and before and before.currency != now.currency:
        old = None
    return {"before": old, "after": new, "change": None if old is None or new is None else new - old}


def write_restatements(
    store: HiveStore, partition: Partition, readings: Mapping[str, Sequence[DayReading]]
) -> WrittenPartition | None:
    """Add the readings of a day, by report, to `report_restatements`; return None if there are none.

    Rows are keyed by report and instant, so a repeated call changes nothing. An unchanged file is not rewritten.
    """
    file = store.scan_partition(RESTATEMENTS, partition)
    # A file of an earlier release lacks the columns that were added later.
    stored = store.read(RESTATEMENTS, RESTATEMENTS_SCHEMA, [] if file is None else [partition]).collect()
    new = [build_restatements(table, partition, of_report) for table, of_report in readings.items()]
    rows = pl.concat([stored, *new]).unique(RESTATEMENTS_KEY, keep="last").sort(RESTATEMENTS_KEY)
    if not rows.height:
        return None
    if file is None or not rows.equals(stored):
        size = store.write(RESTATEMENTS, partition, rows).bytes
    else:
        size = store.partition_size(RESTATEMENTS, partition)
    read_at = max(one.fetched_at for of_report in readings.values() for one in of_report)
    return WrittenPartition(RESTATEMENTS, partition, rows.height, size, read_at, NO_REQUESTS)


def refresh_restatements(
    store: HiveStore, tables: Iterable[str], partitions: Iterable[Partition]
) -> Iterator[WrittenPartition]:
    """Derive days of `report_restatements` from the metadata of the reports; skip days that were never read.

    Args:
        store: the stored tables.
        tables: the daily reports.
        partitions: days of an account.
    """
    names, read_of = list(tables), dict[str, list[str]]()
    for partition in partitions:
        owner = str(partition.advertiser_id)
        if owner not in read_of:
            read_of[owner] = select_report_tables(store, names, owner)
        by_table = {table: parse_readings(store.read_metadata(table, partition)) for table in read_of[owner]}
        read = {table: readings for table, readings in by_table.items() if readings}
        if read and (written := write_restatements(store, partition, read)):
            yield written


def compute_restatement_by_age(
    restatements: pl.DataFrame, report: str = "advertiser_report_daily"
) -> pl.DataFrame:
    """Compute how far days were from their final value at each age, to choose `TIKTOK_LOOKBACK_DAYS`.

    Only days that were last read more than 22 days after them are counted, since younger days may still change.
    Readings in another currency or time zone than the last one are ignored.

    Args:
        restatements: rows of `report_restatements`.
        report: the table to use; all levels show the same changes.

    Returns:
        One row for each currency and age from 1 to 28 days. `days`: number of days read at that age;
        `spend_to_come` and `conversion_to_come`: the absolute difference from the last known value in percent of
        it, so a value that decreased counts as well.
    """
    day = ["advertiser_id", "date"]
    rows = restatements.filter(pl.col("report") == report).sort(*day, "fetched_at")
    last = rows.group_by(day).agg(
        pl.col("age_days").last().alias("last_age"),
        pl.col("spend_after").last().alias("spend"),
        pl.col("conversion_after").last().alias("conversion"),
        pl.col("currency").last(),
        pl.col("timezone").last().alias("last_timezone"),
    )
    by_age = rows.filter(pl.col("age_days").is_between(1, 28)).group_by([*day, "age_days"]).last()
    is_same_zone = (pl.col("timezone") == pl.col("last_timezone")).fill_null(value=True)
    final = last.filter(pl.col("last_age") > FINAL_AFTER_DAYS)
    compared = by_age.join(final, on=[*day, "currency"]).filter(is_same_zone)
    missing = {
        f"{name}_to_come": 100.0
        * (pl.col(name) - pl.col(f"{name}_after")).abs().sum().cast(pl.Float64)
        / pl.when(pl.col(name).sum() != 0).then(pl.col(name).sum().cast(pl.Float64))
        for name in ("spend", "conversion")
    }
    return (
        compared.group_by("currency", "age_days")
        .agg(pl.len().cast(pl.Int64).alias("days"), **missing)
        .sort("currency", "age_days")
    )
