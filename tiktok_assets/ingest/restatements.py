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

from tiktok_assets.ingest.partitions import NO_REQUESTS, READINGS_KEY, WrittenPartition, parse_fetched_at
from tiktok_assets.spec.derived_tables import RESTATEMENT_COLUMNS, RESTATEMENTS, RESTATEMENTS_KEY
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account, is_complete, is_settled
from tiktok_assets.tables.frames import build_schema

RESTATEMENTS_SCHEMA = build_schema(RESTATEMENT_COLUMNS)
FINAL_AFTER_DAYS = 22
"""A weekly sweep of 28 days reads each day for the last time at an age of 23 to 29 days."""


@dataclass(frozen=True, slots=True)
class DayReading:
    """One reading of one day of one report.

    Attributes:
        fetched_at: when, aware UTC.
        age_days: days of the account between the day and the reading; 1 is the morning after.
        spend: its sum over the rows, in `currency`.
        conversion: its sum over the rows; None where it was not asked for or not served.
        timezone: in which the day was one; None for readings of releases that did not keep it.
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
    def of(cls, day: date, account: Account, frame: pl.DataFrame, fetched_at: datetime) -> "DayReading":
        """What a reading of a day brought."""
        counts = frame.get_column("conversion") if "conversion" in frame.columns else None
        served = counts is not None and (frame.height == 0 or counts.count() > 0)
        return cls(
            fetched_at.astimezone(UTC),
            (account.today(fetched_at) - day).days,
            account.currency,
            frame.height,
            Decimal(frame.get_column("spend").sum() or 0),
            int(counts.sum()) if counts is not None and served else None,
            is_complete(day, account, fetched_at),
            is_settled(day, account, fetched_at),
            account.timezone,
        )

    def as_json(self) -> dict[str, Any]:
        """With amounts and instants as text."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"fetched_at": self.fetched_at.isoformat(), "spend": str(self.spend)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "DayReading":
        """The reading `as_json` wrote."""
        exact = {"fetched_at": datetime.fromisoformat(values["fetched_at"]), "spend": Decimal(values["spend"])}
        return cls(**{**values, **exact})


def parse_readings(notes: Mapping[str, str] | None) -> list[DayReading]:
    """The readings a day's file notes, in order of time."""
    return [DayReading.from_json(one) for one in json.loads((notes or {}).get(READINGS_KEY, "[]"))]


def append_reading(
    store: HiveStore, table: str, partition: Partition, account: Account, reading: DayReading
) -> list[DayReading]:
    """The readings of a day so far and this one, each instant once.

    A day stored before there were notes of readings gives the reading that stands as its first.
    """
    notes = store.notes(table, partition)
    so_far = parse_readings(notes)
    before = parse_fetched_at(notes)
    file = store.open(table, partition) if before and not so_far else None
    if file is not None and before and partition.day:
        frame = file.collect()
        # The day's rows say their currency; its zone nobody noted.
        currency = str(frame.get_column("currency").drop_nulls().first() or account.currency)
        read = DayReading.of(partition.day, replace(account, currency=currency), frame, before)
        so_far = [replace(read, timezone=None)]
    by_instant = {one.fetched_at: one for one in (*so_far, reading)}
    return [by_instant[instant] for instant in sorted(by_instant)]


def readings_metadata(readings: Sequence[DayReading]) -> dict[str, str]:
    """The note that keeps the readings of a day."""
    return {READINGS_KEY: json.dumps([one.as_json() for one in readings], separators=(",", ":"))}


def build_restatements(table: str, partition: Partition, readings: Sequence[DayReading]) -> pl.DataFrame:
    """One row of `report_restatements` for each reading of a report's day."""
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
                    f"{name}_{when}": value
                    for name in ("rows", "spend", "conversion")
                    for when, value in _compute_change(before, now, name).items()
                },
                "was_complete": before.is_complete if before else None,
                "is_complete": now.is_complete,
                "is_settled": now.is_settled,
            }
        )
    return pl.DataFrame(rows, schema=RESTATEMENTS_SCHEMA)


def _compute_change(before: DayReading | None, now: DayReading, name: str) -> dict[str, Any]:
    """What it was, is and changed by; an amount in another currency is no amount of this row."""
    was, has = getattr(before, name, None), getattr(now, name)
    if name == "spend" and before and before.currency != now.currency:
        was = None
    return {"before": was, "after": has, "change": None if was is None or has is None else has - was}


def write_restatements(
    store: HiveStore, partition: Partition, readings: Mapping[str, Sequence[DayReading]]
) -> WrittenPartition | None:
    """Add the readings of a day, by report, to its restatements; None where nobody ever read it.

    Rows are keyed by report and instant, so a repeat changes nothing, and a file that would not change is left.
    """
    file = store.open(RESTATEMENTS, partition)
    # A file of an earlier release lacks the columns that came later.
    stood = store.read(RESTATEMENTS, RESTATEMENTS_SCHEMA, [] if file is None else [partition]).collect()
    new = [build_restatements(table, partition, of_report) for table, of_report in readings.items()]
    rows = pl.concat([stood, *new]).unique(RESTATEMENTS_KEY, keep="last").sort(RESTATEMENTS_KEY)
    if not rows.height:
        return None
    if file is None or not rows.equals(stood):
        size = store.write(RESTATEMENTS, partition, rows).bytes
    else:
        size = store.size(RESTATEMENTS, partition)
    read_at = max(one.fetched_at for of_report in readings.values() for one in of_report)
    return WrittenPartition(RESTATEMENTS, partition, rows.height, size, read_at, NO_REQUESTS)


def refresh_restatements(
    store: HiveStore, tables: Iterable[str], partitions: Iterable[Partition]
) -> Iterator[WrittenPartition]:
    """Make days of `report_restatements` from what their reports note; a day nobody read is left out.

    Args:
        store: the tables.
        tables: the daily reports.
        partitions: an account's days.
    """
    names = list(tables)
    for partition in partitions:
        noted = {table: parse_readings(store.notes(table, partition)) for table in names}
        known = {table: readings for table, readings in noted.items() if readings}
        if known and (landed := write_restatements(store, partition, known)):
            yield landed


def compute_restatement_by_age(
    restatements: pl.DataFrame, report: str = "advertiser_report_daily"
) -> pl.DataFrame:
    """How far from its last known value a day still was at each age: the evidence for `TIKTOK_LOOKBACK_DAYS`.

    Only days whose last reading is over 22 days after them count: of younger ones nobody knows the end. A reading
    in another currency or time zone than the last one says nothing of it.

    Args:
        restatements: rows of `report_restatements`.
        report: of which table; the levels tell the same story.

    Returns:
        A row for each currency and age from 1 to 28 days that was read: `days`, how many were; `spend_to_come`
        and `conversion_to_come`, the part of the last known value that was missing, in percent (a value that
        shrank counts as well).
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
    aged = rows.filter(pl.col("age_days").is_between(1, 28)).group_by([*day, "age_days"]).last()
    alike = (pl.col("timezone") == pl.col("last_timezone")).fill_null(value=True)
    known = aged.join(last.filter(pl.col("last_age") > FINAL_AFTER_DAYS), on=[*day, "currency"]).filter(alike)
    missing = {
        f"{name}_to_come": 100.0
        * (pl.col(name) - pl.col(f"{name}_after")).abs().sum().cast(pl.Float64)
        / pl.when(pl.col(name).sum() != 0).then(pl.col(name).sum().cast(pl.Float64))
        for name in ("spend", "conversion")
    }
    return (
        known.group_by("currency", "age_days")
        .agg(pl.len().cast(pl.Int64).alias("days"), **missing)
        .sort("currency", "age_days")
    )
