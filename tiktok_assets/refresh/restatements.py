"""What moved when a stored day was read again, and until which age days keep moving.

A day's file notes every reading of it, so remembering a reading and replacing the day are one write. The table
`report_restatements` is made of these notes and can be made anew from them at any time.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl

from tiktok_assets.days import Account, is_complete, is_settled
from tiktok_assets.refresh.notes import READINGS_NOTE, fetched_at_of
from tiktok_assets.refresh.outcome import NOTHING_ASKED, Landed
from tiktok_assets.spec.restatements import RESTATEMENT_COLUMNS, RESTATEMENTS, RESTATEMENTS_KEY
from tiktok_assets.storage.hive_parquet import HiveStore, Partition
from tiktok_assets.tables import schema_of

RESTATEMENTS_SCHEMA = schema_of(RESTATEMENT_COLUMNS)
KNOWN_AFTER_DAYS = 22
"""A weekly sweep of 28 days reads each day for the last time at an age of 23 to 29 days."""


@dataclass(frozen=True, slots=True)
class Reading:
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
    def of(cls, day: date, account: Account, frame: pl.DataFrame, fetched_at: datetime) -> "Reading":
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
    def from_json(cls, values: Mapping[str, Any]) -> "Reading":
        """The reading `as_json` wrote."""
        exact = {"fetched_at": datetime.fromisoformat(values["fetched_at"]), "spend": Decimal(values["spend"])}
        return cls(**{**values, **exact})


def readings_of(notes: Mapping[str, str] | None) -> list[Reading]:
    """The readings a day's file notes, in order of time."""
    return [Reading.from_json(one) for one in json.loads((notes or {}).get(READINGS_NOTE, "[]"))]


def with_reading(
    store: HiveStore, table: str, partition: Partition, account: Account, reading: Reading
) -> list[Reading]:
    """The readings of a day so far and this one, each instant once.

    A day stored before there were notes of readings gives the reading that stands as its first.
    """
    notes = store.notes(table, partition)
    so_far = readings_of(notes)
    before = fetched_at_of(notes)
    file = store.open(table, partition) if before and not so_far else None
    if file is not None and before and partition.day:
        frame = file.collect()
        # The day's rows say their currency; its zone nobody noted.
        currency = str(frame.get_column("currency").drop_nulls().first() or account.currency)
        read = Reading.of(partition.day, replace(account, currency=currency), frame, before)
        so_far = [replace(read, timezone=None)]
    by_instant = {one.fetched_at: one for one in (*so_far, reading)}
    return [by_instant[instant] for instant in sorted(by_instant)]


def readings_note(readings: Sequence[Reading]) -> dict[str, str]:
    """The note that keeps the readings of a day."""
    return {READINGS_NOTE: json.dumps([one.as_json() for one in readings], separators=(",", ":"))}


def restatements_of(table: str, partition: Partition, readings: Sequence[Reading]) -> pl.DataFrame:
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
                    for when, value in _movement(before, now, name).items()
                },
                "was_complete": before.is_complete if before else None,
                "is_complete": now.is_complete,
                "is_settled": now.is_settled,
            }
        )
    return pl.DataFrame(rows, schema=RESTATEMENTS_SCHEMA)


def _movement(before: Reading | None, now: Reading, name: str) -> dict[str, Any]:
    """What it was, is and changed by; an amount in another currency is no amount of this row."""
    was, has = getattr(before, name, None), getattr(now, name)
    if name == "spend" and before and before.currency != now.currency:
        was = None
    return {"before": was, "after": has, "change": None if was is None or has is None else has - was}


def record_restatements(
    store: HiveStore, partition: Partition, readings: Mapping[str, Sequence[Reading]]
) -> Landed | None:
    """Add the readings of a day, by report, to its restatements; None where nobody ever read it.

    Rows are keyed by report and instant, so a repeat changes nothing, and a file that would not change is left.
    """
    file = store.open(RESTATEMENTS, partition)
    # A file of an earlier release lacks the columns that came later.
    stood = store.read(RESTATEMENTS, RESTATEMENTS_SCHEMA, [] if file is None else [partition]).collect()
    new = [restatements_of(table, partition, of_report) for table, of_report in readings.items()]
    rows = pl.concat([stood, *new]).unique(RESTATEMENTS_KEY, keep="last").sort(RESTATEMENTS_KEY)
    if not rows.height:
        return None
    if file is None or not rows.equals(stood):
        size = store.write(RESTATEMENTS, partition, rows).bytes
    else:
        size = store.size(RESTATEMENTS, partition)
    read_at = max(one.fetched_at for of_report in readings.values() for one in of_report)
    return Landed(RESTATEMENTS, partition, rows.height, size, read_at, NOTHING_ASKED)


def refresh_restatements(
    store: HiveStore, tables: Iterable[str], partitions: Iterable[Partition]
) -> Iterator[Landed]:
    """Make days of `report_restatements` from what their reports note; a day nobody read is left out.

    Args:
        store: the tables.
        tables: the daily reports.
        partitions: an account's days.
    """
    names = list(tables)
    for partition in partitions:
        noted = {table: readings_of(store.notes(table, partition)) for table in names}
        known = {table: readings for table, readings in noted.items() if readings}
        if known and (landed := record_restatements(store, partition, known)):
            yield landed


def movement_by_age(restatements: pl.DataFrame, report: str = "advertiser_report_daily") -> pl.DataFrame:
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
    known = aged.join(last.filter(pl.col("last_age") > KNOWN_AFTER_DAYS), on=[*day, "currency"]).filter(alike)
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
