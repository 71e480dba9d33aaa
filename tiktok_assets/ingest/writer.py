"""Read accounts, entities and reports, and replace their stored partitions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from types import MappingProxyType

import polars as pl

from tiktok_assets.api import TikTokError
from tiktok_assets.ingest.account_conditions import find_condition
from tiktok_assets.ingest.account_reader import (
    ADVERTISERS_SCHEMA,
    AccountsResult,
    TrackedAccounts,
    read_accounts_or_settings,
)
from tiktok_assets.ingest.entity_history import HistoryError, update_history
from tiktok_assets.ingest.entity_reader import read_entities, select_first_refreshes, special_types_metadata
from tiktok_assets.ingest.partitions import (
    HISTORY_KEY,
    IS_COMPLETE_KEY,
    NO_REQUESTS,
    TIMEZONE_KEY,
    FailedPartitions,
    ReadStats,
    WrittenPartition,
    columns_metadata,
    fetched_at_metadata,
)
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import plan_report_requests
from tiktok_assets.ingest.report_responses import ReportRequest, ReportResponse
from tiktok_assets.ingest.restatements import DayReading, append_reading, readings_metadata
from tiktok_assets.ingest.task_reader import read_history
from tiktok_assets.spec import Entity, Report, history_table_name
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import (
    Account,
    build_schema,
    count_malformed_values,
    decode_malformed_values,
    entity_columns,
    is_complete,
    report_schema,
    select_rows_to_sum,
)

PREVIEW_ROWS = 5
_REQUIRED_FIELDS = frozenset({"timezone", "display_timezone", "currency"})


def refresh_advertisers(
    reader: Reader,
    store: HiveStore,
    advertiser_ids: Sequence[str],
    timezones: Mapping[str, str] = MappingProxyType({}),
    currencies: Mapping[str, str] = MappingProxyType({}),
) -> tuple[WrittenPartition, AccountsResult]:
    """Replace the table `advertisers`; an account that can no longer be read keeps its row, marked as not granted.

    The metadata of the file holds the time zone and currency of each account, so each change is reported once.

    Args:
        reader: the connection and its state.
        store: the stored tables.
        advertiser_ids: the accounts.
        timezones: the time zones of the settings by account, which override; stored if the host has none.
        currencies: the currencies of the settings by account; likewise.

    Raises:
        TikTokError: if the accounts cannot be read at all.
    """
    result = read_accounts_or_settings(reader, advertiser_ids, timezones, currencies)
    stored = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    lost = stored.join(result.frame, on="advertiser_id", how="anti").with_columns(is_granted=pl.lit(value=False))
    result.lost.update(dict.fromkeys(lost.get_column("advertiser_id"), "no longer granted"))
    read = _fill_from_stored(result.frame, stored)
    frame = pl.concat([read, lost]).sort("advertiser_id")
    before = TrackedAccounts.from_metadata(store.read_metadata("advertisers", Partition()), stored.to_dicts())
    accounts = [Account.from_row(row["advertiser_id"], row, timezones, currencies) for row in read.to_dicts()]
    after, changes = before.update(accounts, result.fetched_at)
    result.changes.extend(changes)
    result.earlier_changes.extend(before.changes)
    metadata = fetched_at_metadata(result.fetched_at) | after.to_metadata()
    file = store.write("advertisers", Partition(), frame, metadata=metadata)
    written = WrittenPartition(
        "advertisers",
        Partition(),
        file.rows,
        file.bytes,
        result.fetched_at,
        result.stats,
        malformed_values=count_malformed_values(result.frame),
        preview=frame.head(PREVIEW_ROWS),
    )
    return written, result


def _fill_from_stored(frame: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Replace time zones and currencies that could not be parsed by the stored ones.

    Without them all reports of the account would fail. A value that is absent, not malformed, stays null.
    """
    malformed = {
        row["advertiser_id"]: decode_malformed_values(row["extra"]).keys() & _REQUIRED_FIELDS
        for row in frame.select("advertiser_id", "extra").drop_nulls().to_dicts()
    }
    if not any(malformed.values()):
        return frame
    stored_rows = {row["advertiser_id"]: row for row in stored.to_dicts()}
    return frame.with_columns(
        pl.Series(
            name,
            [
                stored_rows.get(owner, {}).get(name) if name in malformed.get(owner, ()) else value
                for owner, value in frame.select("advertiser_id", name).rows()
            ],
            dtype=pl.String,
        )
        for name in sorted(_REQUIRED_FIELDS)
    )


def refresh_entity(
    reader: Reader, store: HiveStore, entity: Entity, advertiser_ids: Iterable[str]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Replace the snapshot of an entity for each account, after updating its history; accounts fail independently.

    The history is written first: if the process is killed between the two writes, the next refresh finds the same
    changes again. An account that does not meet the entity's condition gets a snapshot without rows, and no new
    history; one of which that is unknown is left out.
    """
    is_read = {one: find_condition(store, entity.condition, one) for one in advertiser_ids}
    read, not_read = ([one for one, known in is_read.items() if known is side] for side in (True, False))
    empty = pl.DataFrame(schema=build_schema(entity_columns(entity)))
    results: Iterable[tuple[str, tuple[pl.DataFrame, ReadStats, datetime] | TikTokError]] = chain(
        ((advertiser_id, (empty, NO_REQUESTS, reader.now())) for advertiser_id in not_read),
        read_entities(reader, entity, read, default_only=select_first_refreshes(reader, store, entity, read)),
    )
    for advertiser_id, result in results:
        partition = Partition(advertiser_id)
        if advertiser_id in not_read and not store.read_metadata(history_table_name(entity.table), partition):
            yield _write_empty_partition(store, entity.table, advertiser_id, empty, reader.now())
            continue
        if isinstance(result, TikTokError):
            yield FailedPartitions(entity.table, (partition,), result)
            continue
        frame, stats, fetched_at = result
        try:
            history = update_history(store, entity, partition, frame, fetched_at)
        except HistoryError as error:
            yield FailedPartitions(entity.table, (partition,), error)
            continue
        metadata = fetched_at_metadata(fetched_at) | {HISTORY_KEY: "true"}
        metadata |= special_types_metadata(reader, entity, advertiser_id)
        file = store.write(entity.table, partition, frame, metadata=metadata)
        yield WrittenPartition(
            entity.table,
            partition,
            file.rows,
            file.bytes,
            fetched_at,
            stats,
            malformed_values=count_malformed_values(frame),
            preview=frame.top_k(PREVIEW_ROWS, by="create_time"),
        )
        yield WrittenPartition(
            history.table,
            partition,
            history.rows,
            history.bytes,
            fetched_at,
            NO_REQUESTS,
            new_versions=history.new_versions,
        )


def refresh_report(
    reader: Reader, store: HiveStore, report: Report, days: Mapping[Account, Iterable[date]]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Replace the partitions of a report, window by window; windows fail independently.

    The metadata of each day includes this reading, for `restatements.refresh_restatements`. An account that does
    not meet the report's condition gets a lifetime partition without rows, and no partitions of days: a file for
    each day would cost the refresh of many accounts a part of its time. One of which that is unknown is left out.

    Args:
        reader: the connection and its state.
        store: the stored tables.
        report: the report.
        days: the days to read of each account; ignored for a lifetime report.
    """
    requests = list[ReportRequest]()
    for account, wanted in days.items():
        is_read = find_condition(store, report.condition, account.advertiser_id)
        if is_read:
            requests += plan_report_requests(report, account, wanted)
        elif is_read is False and report.cadence == "lifetime":
            empty = pl.DataFrame(schema=report_schema(report, reader.metrics))
            yield _write_empty_partition(store, report.table, account.advertiser_id, empty, reader.now())
    for request, response in read_history(reader, report, requests):
        partitions = _list_partitions(request)
        if isinstance(response, TikTokError):
            yield FailedPartitions(report.table, partitions, response)
            continue
        for partition, frame in _split_by_partition(response.frame, partitions):
            yield _write_partition(store, request, partition, frame, response)
        del response, frame  # otherwise these rows stay in memory while the next window is built


def _write_empty_partition(
    store: HiveStore, table: str, advertiser_id: str, frame: pl.DataFrame, now: datetime
) -> WrittenPartition:
    partition = Partition(advertiser_id)
    file = store.write(table, partition, frame, metadata=fetched_at_metadata(now))
    return WrittenPartition(table, partition, file.rows, file.bytes, now, NO_REQUESTS)


def _list_partitions(request: ReportRequest) -> tuple[Partition, ...]:
    owner = request.account.advertiser_id
    return tuple(Partition(owner, day) for day in request.window.days) if request.window else (Partition(owner),)


def _split_by_partition(
    frame: pl.DataFrame, partitions: tuple[Partition, ...]
) -> Iterator[tuple[Partition, pl.DataFrame]]:
    """Yield the rows of each partition, with an empty frame for a partition without rows.

    The frame is sorted by day, so the rows of a day are a slice of it and need no copy.
    """
    if partitions[0].day is None:
        yield partitions[0], frame
        return
    counts = dict(frame.group_by("date").len().rows())
    start = 0
    for partition in sorted(partitions):
        rows = counts.get(partition.day, 0)
        yield partition, frame.slice(start, rows)
        start += rows


def _write_partition(
    store: HiveStore, request: ReportRequest, partition: Partition, frame: pl.DataFrame, response: ReportResponse
) -> WrittenPartition:
    metadata = fetched_at_metadata(response.fetched_at)
    if partition.day:
        metadata[IS_COMPLETE_KEY] = str(is_complete(partition.day, request.account, response.fetched_at)).lower()
        metadata[TIMEZONE_KEY] = request.account.timezone
        metadata |= columns_metadata(frame.columns, response.stats.refused_metrics)
        counted = select_rows_to_sum(request.report, frame)
        reading = DayReading.from_frame(partition.day, request.account, counted, response.fetched_at)
        metadata |= readings_metadata(
            append_reading(store, request.report.table, partition, request.account, reading)
        )
    file = store.write(request.report.table, partition, frame, metadata=metadata)
    total = select_rows_to_sum(request.report, frame).get_column("spend").sum()
    spend = {request.account.currency: Decimal(total or 0)}
    is_last = request.window is None or partition.day == request.window.last
    return WrittenPartition(
        request.report.table,
        partition,
        file.rows,
        file.bytes,
        response.fetched_at,
        response.stats,
        spend,
        malformed_values=count_malformed_values(frame),
        preview=frame.top_k(PREVIEW_ROWS, by="spend") if is_last else None,
    )
