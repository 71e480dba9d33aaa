"""Write the tables, the state and the Dagster instance of many accounts and years in bulk, with compacted months.

The rows of an account are those of a template with another id: ids have the same length, and the files are not
compressed, so that its id is replaced in the content. Reports without rows are links to one file.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import md5
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import polars as pl
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

from tiktok_assets.defs.checks import CHECK_TABLES_JOB
from tiktok_assets.defs.partitions import ADVERTISER_DIMENSION, build_partition_tags
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES
from tiktok_assets.defs.run_tags import REFRESH_TAG, STAGE_RUN_COUNT_TAG
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest.lookback import find_first_open_day
from tiktok_assets.ingest.partitions import (
    COLUMNS_KEY,
    IS_COMPLETE_KEY,
    TIMEZONE_KEY,
    fetched_at_metadata,
)
from tiktok_assets.ingest.restatements import DayReading, readings_metadata
from tiktok_assets.instance import open_instance
from tiktok_assets.settings import Settings
from tiktok_assets.spec import GMV_MAX_SHOPS
from tiktok_assets.storage.metadata_index import INDEX_FILE_NAME, INDEXED_DAYS, encode_index
from tiktok_assets.storage.months import encode_month
from tiktok_assets.storage.partition import Partition
from tiktok_assets.storage.state import State, top_spender_changes
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.benchmarks.many_seed import _entries

FIRST_ID = 7_104_142_337_395_130_000
TEMPLATE = str(FIRST_ID)
CAMPAIGNS, ADS_OF_CAMPAIGN = 4, 3
ACCOUNTS_OF_A_HELD_AD = 10
"""In one of so many accounts an ad has overtaken the leader and is held back, so each tick looks at it."""

DAILY = ("advertiser_report_daily", "campaign_report_daily", "ad_group_report_daily", "ad_report_daily")
WITH_ROWS = DAILY[0]
_LINKS_OF_A_FILE = 30_000
_ZONE = "America/New_York"


def owners_of(accounts: int) -> list[str]:
    """Return the ids of the accounts."""
    return [str(FIRST_ID + number) for number in range(accounts)]


@dataclass
class Seed:
    """A store that grows year by year.

    Args:
        folder: where the tables are written.
        settings: the settings of the programs that are measured.
        accounts: how many accounts it has.
        now: the time at which it is measured.
    """

    folder: Path
    settings: Settings
    accounts: int
    now: datetime
    _links: dict[bytes, tuple[Path, int]] = field(default_factory=dict)

    def write_accounts(self) -> None:
        """Write the tables without days, the state, the accounts of the instance and the newest days."""
        owners = owners_of(self.accounts)
        for table, rows in _account_rows(self.now).items():
            content = _encode(pl.DataFrame(rows, self._schema(table)), fetched_at_metadata(self.now))
            for owner in owners:
                self._write(table, Partition(owner), content, owner)
        rows = [
            {"advertiser_id": owner, "name": f"Brand {owner}", "currency": "USD", "timezone": _ZONE}
            | {"display_timezone": _ZONE, "is_granted": True, "status": "STATUS_ENABLE"}
            for owner in owners
        ]
        content = _encode(pl.DataFrame(rows, self._schema("advertisers")), fetched_at_metadata(self.now))
        self._write("advertisers", Partition(), content, TEMPLATE)
        first = self._first_open_day().replace(day=1)
        newest = self.now.date() - timedelta(1)
        self._write_days([first + timedelta(number) for number in range((newest - first).days + 1)])
        with State(self.settings.state_database_url).transaction() as connection:
            held = [_change(owner, self.now) for owner in owners[::ACCOUNTS_OF_A_HELD_AD]]
            connection.execute(sa.insert(top_spender_changes), [row for rows in held for row in rows])
        with open_instance(self.settings) as instance:
            instance.add_dynamic_partitions(ADVERTISER_DIMENSION, owners)

    def write_months(self, first: date, last: date) -> None:
        """Write the compacted months of days that are older than those of `write_accounts`."""
        last = min(last, self._first_open_day().replace(day=1) - timedelta(1))
        days = [first + timedelta(number) for number in range((last - first).days + 1)]
        for month, group in groupby(days, key=lambda day: day.isoformat()[:7]):
            of_month = list(group)
            metadata = {str(day): self._metadata(day) for day in of_month}
            versions = {str(day): f'"{uuid4().hex}"' for day in of_month}
            for table in DAILY:
                frame = pl.concat([self._rows(table, day) for day in of_month])
                content = _plain(encode_month(frame.lazy(), versions, metadata))
                for owner in owners_of(self.accounts):
                    self._write_file(
                        self.folder / table / f"advertiser_id={owner}" / f"month={month}", content, owner
                    )

    def write_events(self, first: date, last: date) -> None:
        """Write the runs of a refresh a day, and the event of each account's ranking."""
        days = [first + timedelta(number) for number in range((last - first).days + 1)]
        with open_instance(self.settings) as instance:
            rows = [row for day in days for row in _add_runs(instance, day)]
            storage = instance.run_storage
            assert isinstance(storage, SqlRunStorage)
            with storage.connect() as connection:
                connection.execute(
                    sa.update(RunsTable)
                    .where(RunsTable.c.run_id == sa.bindparam("run"))
                    .values({name: sa.bindparam(f"{name}_value") for name in rows[0] if name != "run"}),
                    [
                        {name if name == "run" else f"{name}_value": value for name, value in row.items()}
                        for row in rows
                    ],
                )
            for _ in days:
                _write_events(instance, "top_spenders", owners_of(self.accounts))

    def _first_open_day(self) -> date:
        return find_first_open_day(self.settings, self.now)

    def _schema(self, table: str) -> pl.Schema:
        return build_schema(get_stored_tables(self.settings)[table])

    def _metadata(self, day: date) -> dict[str, str]:
        """Return the metadata of a day that was read each morning of a week and then once a week."""
        ages = [age for age in (*range(1, 9), 15, 22, 29) if day + timedelta(age) <= self.now.date()]
        readings = [
            DayReading(
                datetime.combine(day + timedelta(age), datetime.min.time(), UTC) + timedelta(hours=12, minutes=31),
                age,
                "USD",
                1,
                Decimal("1234.5600"),
                17,
                age > 1,
                age > 28,
                _ZONE,
            )
            for age in ages
        ]
        return {
            **fetched_at_metadata(readings[-1].fetched_at),
            IS_COMPLETE_KEY: "true",
            TIMEZONE_KEY: _ZONE,
            **readings_metadata(readings),
            COLUMNS_KEY: ",".join(self._schema(DAILY[-1]).names()),
        }

    def _rows(self, table: str, day: date) -> pl.DataFrame:
        row = {
            "advertiser_id": TEMPLATE,
            "date": day,
            "currency": "USD",
            "is_complete": True,
            "spend": Decimal(day.toordinal() % 997),
            "impressions": 90_000,
            "clicks": 900,
            "conversion": 17,
        }
        return pl.DataFrame([row] if table == WITH_ROWS else [], self._schema(table))

    def _write_days(self, days: Sequence[date]) -> None:
        for table in DAILY:
            contents = {day: _encode(self._rows(table, day), self._metadata(day)) for day in days}
            indexed = {str(day): self._metadata(day) for day in days[-INDEXED_DAYS:]}
            index = b""
            for owner in owners_of(self.accounts):
                versions = {
                    str(day): self._write(table, Partition(owner, day), content, owner)
                    for day, content in contents.items()
                }
                if not index or table == WITH_ROWS:
                    index = encode_index({day: (versions[day], texts) for day, texts in indexed.items()})
                self._write_file(self.folder / table / f"advertiser_id={owner}", index, None, INDEX_FILE_NAME)

    def _write(self, table: str, partition: Partition, content: bytes, owner: str) -> str:
        return self._write_file(self.folder / table / partition.folder, content, owner)

    def _write_file(self, folder: Path, content: bytes, owner: str | None, name: str = "part-0.parquet") -> str:
        """Write a file, or link it to one of the same content, and return its version in an object store."""
        own = content.replace(TEMPLATE.encode(), owner.encode()) if owner else content
        version = f'"{md5(own, usedforsecurity=False).hexdigest()}"'
        folder.mkdir(parents=True, exist_ok=True)
        if own is not content and own != content:
            (folder / name).write_bytes(own)
            return version
        first, links = self._links.get(content, (None, 0))
        if first is None or links >= _LINKS_OF_A_FILE:
            (folder / name).write_bytes(content)
            self._links[content] = folder / name, 1
        else:
            os.link(first, folder / name)
            self._links[content] = first, links + 1
        return version


def _encode(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="uncompressed", statistics=False, metadata=dict(metadata))
    return buffer.getvalue()


def _plain(content: bytes) -> bytes:
    """Return a Parquet file without compression and with the same metadata."""
    metadata = {name: text for name, text in pl.read_parquet_metadata(content).items() if name != "ARROW:schema"}
    return _encode(pl.read_parquet(content), metadata)


def _account_rows(now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the tables without days of the template account."""
    base = {"advertiser_id": TEMPLATE}
    report = {**base, "currency": "USD", "fetched_at": now, "spend": Decimal(1), "impressions": 100}
    campaigns = [f"{TEMPLATE}{number:03}" for number in range(CAMPAIGNS)]
    ads = [(campaign, f"{campaign}{number:02}") for campaign in campaigns for number in range(ADS_OF_CAMPAIGN)]
    leaders = [
        {
            **base,
            "currency": "USD",
            "campaign_id": campaign,
            "campaign_name": "Prospecting",
            "ad_id": f"{campaign}01",
        }
        | {"ad_name": "Story", "ad_group_id": f"{campaign}9", "spend": Decimal(1), "share": 0.5, "lead": 0.5}
        | {"fetched_at": now}
        for campaign in campaigns
    ]
    return {
        "campaigns": [{**base, "campaign_id": one, "campaign_name": "Prospecting"} for one in campaigns],
        "ad_groups": [{**base, "campaign_id": one, "ad_group_id": f"{one}9"} for one in campaigns],
        "ads": [
            {**base, "campaign_id": campaign, "ad_group_id": f"{campaign}9", "ad_id": ad, "ad_name": "Story"}
            for campaign, ad in ads
        ],
        "campaign_report_lifetime": [{**report, "campaign_id": one} for one in campaigns],
        "ad_report_lifetime": [{**report, "campaign_id": campaign, "ad_id": ad} for campaign, ad in ads],
        "top_spenders": leaders,
        GMV_MAX_SHOPS.table: [],
    }


def _change(owner: str, now: datetime) -> list[dict[str, Any]]:
    """Return the baseline of a campaign and the ad that has overtaken it, which spent too little to be flagged."""
    campaign = f"{owner}000"
    key = {"advertiser_id": owner, "campaign_id": campaign, "facts": {}}
    return [
        {**key, "ad_id": f"{campaign}00", "previous_ad_id": None, "observed_at": now - timedelta(2)},
        {**key, "ad_id": f"{campaign}01", "previous_ad_id": f"{campaign}00", "observed_at": now - timedelta(1)},
    ]


def _add_runs(instance: dg.DagsterInstance, day: date) -> Iterator[dict[str, Any]]:
    """Add the runs of a refresh, and yield the columns that date them, by run."""
    at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
    tags = {REFRESH_TAG: at.isoformat(), STAGE_RUN_COUNT_TAG: "1"}
    for number, job in enumerate((*REFRESH_STAGES, CHECK_TABLES_JOB)):
        status = dg.DagsterRunStatus.SUCCESS
        run = instance.add_run(dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=status, tags=tags))
        stored = {"create_timestamp": at.replace(tzinfo=None), "update_timestamp": at.replace(tzinfo=None)}
        times = {"start_time": at.timestamp(), "end_time": at.timestamp()}
        yield {"run": run.run_id, "id": day.toordinal() * 10 + number, **stored, **times}


def _write_events(instance: dg.DagsterInstance, table: str, keys: Sequence[str]) -> None:
    """Write the materializations of partitions, all of one content, to the index of all events."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqliteEventLogStorage)
    [entry] = _entries(table, [Partition(TEMPLATE)], str(uuid4()))
    template = storage._event_to_row(entry)  # noqa: SLF001 - Dagster has no bulk write
    with storage.index_transaction() as connection:
        newest = connection.execute(sa.select(sa.func.max(SqlEventLogStorageTable.c.id))).scalar() or 0
        rows = [
            {
                **template,
                "id": newest + 1 + number,
                "partition": key,
                "event": template["event"].replace(TEMPLATE, key),
            }
            for number, key in enumerate(keys)
        ]
        connection.execute(SqlEventLogStorageTable.insert(), rows)
        tags = [
            {"event_id": row["id"], "asset_key": row["asset_key"], "key": name, "value": text}
            | {"event_timestamp": row["timestamp"]}
            for row in rows
            for name, text in build_partition_tags(Partition(str(row["partition"]))).items()
        ]
        if tags:
            connection.execute(AssetEventTagsTable.insert(), tags)
        storage._store_asset_event(connection, entry, rows[-1]["id"])  # noqa: SLF001 - the same
