"""The assertions about tables: each compares what the product keeps or did with what is true, and is counted."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from tiktok_assets.ingest import is_partition_complete, parse_fetched_at
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets_tests.simulation.agency import DAILY, Agency
from tiktok_assets_tests.simulation.process import Process
from tiktok_assets_tests.simulation.receivers import Receivers
from tiktok_assets_tests.simulation.simulated_world import SimulatedWorld
from tiktok_assets_tests.simulation.truth import COLUMNS, DayRows, Objects

WRITTEN = re.compile(r"/data/(\w+)/(?:advertiser_id=(\d+)/)?(?:date=(\d{4}-\d\d-\d\d)/)?part-0\.parquet$")
LEVEL_OF = {
    "advertiser_report_daily": "advertiser",
    "campaign_report_daily": "campaign",
    "ad_report_daily": "ad",
    "campaign_report_lifetime": "campaign",
    "ad_report_lifetime": "ad",
}
OBJECT_COLUMNS = {
    "campaigns": ("campaign_id", "campaign_name"),
    "ad_groups": ("ad_group_id", "ad_group_name"),
    "ads": ("ad_id", "ad_name"),
}
NOTHING: DayRows = {}
SETTLE = timedelta(days=28)


class ViolationError(AssertionError):
    """Something is not as promised."""


@dataclass
class TableJudge:
    """Judges the tables of one installation.

    Attributes:
        world: the world.
        agency: the installation.
        receivers: of its alerts.
        evaluated: number of assertions by kind.
        pasts: by table and account the snapshots that were stored, with their instants.
        known_accounts: the accounts that were stored so far.
    """

    world: SimulatedWorld
    agency: Agency
    receivers: Receivers
    evaluated: Counter[str] = field(default_factory=Counter)
    pasts: dict[tuple[str, str], list[tuple[datetime, Objects]]] = field(default_factory=dict)
    known_accounts: set[str] = field(default_factory=set)

    @cached_property
    def store(self) -> HiveStore:
        """The stored tables."""
        return HiveStore(self.agency.settings.data_dir)

    def check(self, kind: str, holds: bool, text: str) -> None:
        """Evaluate one assertion.

        Raises:
            ViolationError: if it does not hold.
        """
        self.evaluated[kind] += 1
        if not holds:
            raise ViolationError(f"{kind}: {text}")

    def judge_files(self, process: Process) -> None:
        """Compare each partition that a process replaced with the truth of the moment it was read."""
        written: dict[str, set[Partition]] = {}
        for path in process.written:
            if (match := WRITTEN.search(path)) and Path(path).exists():
                day = date.fromisoformat(match[3]) if match[3] else None
                written.setdefault(match[1], set()).add(Partition(match[2], day))
        for table, partitions in written.items():
            if table in LEVEL_OF:
                self._judge_report(table, sorted(partitions))
            elif table in OBJECT_COLUMNS:
                self._judge_objects(table, sorted(partitions))

    def _judge_report(self, table: str, partitions: list[Partition]) -> None:
        level = LEVEL_OF[table]
        key = "advertiser_id" if level == "advertiser" else f"{level}_id"
        found = self._read_days(table, key, partitions)
        for partition in partitions:
            at, rows = found[partition]
            versions = self.world.truth.rows_at(level, str(partition.advertiser_id), partition.day, at)
            self.check(
                "tables equal the truth of their reading",
                any(rows == _without_zeros(version) for version in versions),
                f"{table}/{partition.folder} read at {at}: stored {rows}, true {versions}",
            )

    def _read_days(
        self, table: str, key: str, partitions: list[Partition]
    ) -> dict[Partition, tuple[datetime, DayRows]]:
        """Read the rows of partitions with the instant of their reading, which all rows of one must share."""
        types: dict[str, Any] = {"advertiser_id": pl.String(), key: pl.String()}
        if partitions[0].day:
            types["date"] = pl.Date()
        types |= {"spend": pl.Decimal(18, 4), "fetched_at": pl.Datetime("us", "UTC")}
        types |= dict.fromkeys(COLUMNS[1:], pl.Int64())
        try:
            frame = self.store.read(table, pl.Schema(types), partitions).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise ViolationError(f"files are whole: {table} cannot be read: {error}") from error
        rows: dict[Partition, DayRows] = {one: {} for one in partitions}
        instants: dict[Partition, set[datetime]] = {one: set() for one in partitions}
        for row in frame.to_dicts():
            partition = Partition(row["advertiser_id"], row.get("date"))
            figures = tuple(row[name] for name in COLUMNS)
            self.check(
                "keys are unique", row[key] not in rows[partition], f"{table}/{partition.folder} {row[key]}"
            )
            instants[partition].add(row["fetched_at"])
            if any(figures):
                rows[partition][row[key]] = figures
        result = {}
        for partition in partitions:
            at = instants[partition]
            if not at:
                at = {parse_fetched_at(self.store.read_metadata(table, partition))}  # type: ignore[arg-type] # checked next
            self.check(
                "a partition is one reading", len(at) == 1 and None not in at, f"{table}/{partition.folder}: {at}"
            )
            result[partition] = (at.pop(), rows[partition])
        return result

    def _judge_objects(self, table: str, partitions: list[Partition]) -> None:
        for partition in partitions:
            owner = str(partition.advertiser_id)
            at = parse_fetched_at(self.store.read_metadata(table, partition))
            self.check("files are whole", at is not None, f"{table}/{partition.folder} cannot be read")
            assert at is not None
            found = self._read_objects(table, owner)
            versions = self.world.truth.objects_at(table, owner, at)
            self.check(
                "tables equal the truth of their reading",
                found in versions,
                f"{table}/{partition.folder} read at {at}: stored {found}, true {versions}",
            )
            pasts = self.pasts.setdefault((table, owner), [])
            if not pasts or pasts[-1][0] < at:
                pasts.append((at, found))

    def _read_objects(self, table: str, owner: str) -> Objects:
        key, name = OBJECT_COLUMNS[table]
        schema = pl.Schema(dict.fromkeys((key, name, "operation_status"), pl.String()))
        frame = self.store.scan(table, schema, advertiser_ids=[owner]).collect()
        return {row[0]: (row[1], row[2]) for row in frame.iter_rows()}

    def judge_histories(self) -> None:
        """Replay every history to each past snapshot."""
        for (table, owner), pasts in self.pasts.items():
            key, name = OBJECT_COLUMNS[table]
            instant = pl.Datetime("us", "UTC")
            types: dict[str, Any] = dict.fromkeys((key, name, "operation_status"), pl.String())
            types |= {"valid_from": instant, "valid_to": instant, "is_deleted": pl.Boolean()}
            frame = self.store.scan(f"{table}_history", pl.Schema(types), advertiser_ids=[owner]).collect()
            versions = frame.rows()
            for at, objects in pasts:
                replayed = {
                    row[0]: (row[1], row[2])
                    for row in versions
                    if row[3] <= at and (row[4] is None or row[4] > at) and row[0] in objects
                }
                valid = [row[0] for row in versions if row[3] <= at and (row[4] is None or row[4] > at)]
                self.check(
                    "an object has one version at a time",
                    len(set(valid)) == len(valid),
                    f"{table}_history of {owner} at {at}: {sorted(valid)}",
                )
                self.check(
                    "history replays to each past state",
                    replayed == objects,
                    f"{table}_history of {owner} at {at}: {_difference(replayed, objects)}",
                )

    def judge_settled_days(self) -> None:
        """Compare each stored day that is complete or settled with the final truth."""
        now = self.world.clock.now()
        for advertiser in self.world.accounts:
            changed = self.world.disturbed.get(advertiser.id)
            last = now.date()
            first = last - timedelta(40)
            for table in DAILY:
                level = LEVEL_OF[table]
                days = [first + timedelta(n) for n in range(40)]
                partitions = list(self.store.partitions(table, [advertiser.id], days))
                complete = [
                    one for one in partitions if is_partition_complete(self.store.read_metadata(table, one))
                ]
                if not complete:
                    continue
                key = "advertiser_id" if level == "advertiser" else f"{level}_id"
                truth = self.world.truth.current_days(advertiser, level, first, last)
                for partition, (at, rows) in self._read_days(table, key, complete).items():
                    day = partition.day
                    assert day is not None
                    if changed and at <= changed:
                        continue
                    final = _without_zeros(truth[day])
                    is_settled = at.date() > day + SETTLE + timedelta(2)
                    width = len(COLUMNS) if is_settled else 1
                    self.check(
                        "settled days equal the final truth" if is_settled else "spend of complete days is final",
                        {one: row[:width] for one, row in rows.items()}
                        == {one: row[:width] for one, row in final.items()},
                        f"{table}/{partition.folder} read at {at}: stored {rows}, true {final}",
                    )

    def judge_coverage(self) -> None:
        """Check after a complete refresh that no day is missing, and that every ended day is complete."""
        now = self.world.clock.now()
        for advertiser in self.world.accounts:
            if not advertiser.granted:
                continue
            last = (now - timedelta(hours=48)).astimezone(advertiser.zone).date() - timedelta(1)
            first = max(self.agency.settings.start_date, last - timedelta(24))
            days = [first + timedelta(n) for n in range((last - first).days + 1)]
            for table in DAILY:
                for day in days:
                    metadata = self.store.read_metadata(table, Partition(advertiser.id, day))
                    self.check(
                        "no day is missing",
                        is_partition_complete(metadata),
                        f"{table} {advertiser.id} {day}: {'incomplete' if metadata else 'missing'} at {now}",
                    )

    def judge_accounts(self, *, is_over: bool) -> None:
        """Check that every account that was ever read is kept, and at the end whether it is granted."""
        schema = pl.Schema({"advertiser_id": pl.String(), "is_granted": pl.Boolean()})
        rows = dict(self.store.scan("advertisers", schema).collect().rows())
        self.known_accounts |= rows.keys()
        self.check("known accounts are kept", self.known_accounts == rows.keys(), f"{self.known_accounts} {rows}")
        if not is_over:
            return
        granted = {one.id for one in self.world.world.advertisers.values() if one.granted}
        found = {owner for owner, is_granted in rows.items() if is_granted}
        self.check("grants are as they are", found == granted, f"stored {found}, true {granted}")

    def judge_reconciliation(self) -> None:
        """Check that on each complete day the spend of all levels is the same."""
        types: dict[str, Any] = {"advertiser_id": pl.String(), "date": pl.Date(), "currency": pl.String()}
        types |= {"spend": pl.Decimal(18, 4), "is_complete": pl.Boolean()}
        first = self.world.clock.now().date() - timedelta(25)
        days = [first + timedelta(n) for n in range(25)]
        totals: dict[tuple[str, date], dict[str, Decimal]] = {}
        for table in DAILY:
            frame = self.store.scan(table, pl.Schema(types), days=days).collect()
            sums = frame.filter("is_complete").group_by("advertiser_id", "date").agg(pl.col("spend").sum())
            for owner, day, spend in sums.rows():
                totals.setdefault((owner, day), {})[table] = spend
        for (owner, day), by_table in totals.items():
            if owner in self.world.disturbed or len(by_table) < len(DAILY):
                continue
            self.check("levels reconcile", len(set(by_table.values())) == 1, f"{owner} {day}: {by_table}")

    def forget_after(self, instant: datetime) -> None:
        """Forget the snapshots after an instant, whose files were replaced by a backup."""
        for key, pasts in self.pasts.items():
            self.pasts[key] = [one for one in pasts if one[0] < instant.replace(microsecond=0)]


def _without_zeros(rows: DayRows) -> DayRows:
    return {key: row for key, row in rows.items() if any(row)}


def _difference(found: Objects, expected: Objects) -> str:
    keys = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    return ", ".join(f"{key}: replayed {found.get(key)}, was {expected.get(key)}" for key in keys[:5])
