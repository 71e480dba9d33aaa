"""Read accounts, entities and reports, and replace their stored partitions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from types import MappingProxyType

import polars as pl

from tiktok_assets.api.errors import NotOfferedError, TikTokError
from tiktok_assets.ingest.account_reader import AccountsResult, TrackedAccounts, read_accounts
from tiktok_assets.ingest.history import HistoryError, update_history
from tiktok_assets.ingest.partitions import (
    HISTORY_KEY,
    IS_COMPLETE_KEY,
    NO_REQUESTS,
    TIMEZONE_KEY,
    FailedPartitions,
    WrittenPartition,
    fetched_at_metadata,
)
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_report_queries, read_entities, read_reports
from tiktok_assets.ingest.report_responses import ReportQuery, ReportResponse
from tiktok_assets.ingest.restatements import DayReading, append_reading, readings_metadata
from tiktok_assets.spec.entities import ADVERTISERS, Entity
from tiktok_assets.spec.reports import Report
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account, is_complete
from tiktok_assets.tables.cells import decode_malformed_values
from tiktok_assets.tables.frames import build_entity_frame, build_schema, entity_columns
from tiktok_assets.tables.row_validation import count_malformed_values


def read_accounts_or_settings(
    reader: Reader,
    advertiser_ids: Sequence[str],
    timezones: Mapping[str, str],
    currencies: Mapping[str, str],
) -> AccountsResult:
    """Read the accounts' details; on a host that tells none, take what the settings tell.

    Args:
        reader: what reads.
        advertiser_ids: whose details.
        timezones: of the settings, by account.
        currencies: the same.

    Raises:
        NotOfferedError: if the host tells none, and the settings lack the time zone or currency of one.
        TikTokError: if the request fails for another reason than one account.
    """
    try:
        return read_accounts(reader, advertiser_ids)
    except NotOfferedError:
        if not set(advertiser_ids) <= timezones.keys() & currencies.keys():
            raise
    rows = [
        {"advertiser_id": one, "display_timezone": timezones[one], "currency": currencies[one]}
        for one in advertiser_ids
    ]
    now = reader.now()
    frame = build_entity_frame(ADVERTISERS, rows, now, unknown_fields=set())
    return AccountsResult(frame.sort("advertiser_id"), {}, {}, NO_REQUESTS, now)


def describe_missing_endpoints(paths: Iterable[str]) -> str:
    """Say in one sentence what a host does not have, and what is done without it."""
    names = sorted(path.strip("/") for path in paths)
    others = [name for name in names if name != ADVERTISERS.endpoint.path.strip("/")]
    known = "time zone and currency of its accounts are those of the settings"
    rest = f", and what {' and '.join(others)} would tell is not stored" if others else ""
    return f"this host does not offer {', '.join(names)}, as TikTok's own sandbox does not: {known}{rest}"


ADVERTISERS_SCHEMA = build_schema(entity_columns(ADVERTISERS))
PREVIEW_ROWS = 5
_REQUIRED_FIELDS = frozenset({"timezone", "display_timezone", "currency"})


def refresh_advertisers(
    reader: Reader,
    store: HiveStore,
    advertiser_ids: Sequence[str],
    timezones: Mapping[str, str] = MappingProxyType({}),
    currencies: Mapping[str, str] = MappingProxyType({}),
) -> tuple[WrittenPartition, AccountsResult]:
    """Replace `advertisers`; an account that can no longer be read keeps its row, marked as not granted.

    The file notes the time zone and currency of each account, so that a change is noticed once.

    Args:
        reader: what reads.
        store: what keeps.
        advertiser_ids: the accounts.
        timezones: of the settings, by account; they win, and are stored where the host tells none.
        currencies: the same.

    Raises:
        TikTokError: if the accounts cannot be read at all.
    """
    read = read_accounts_or_settings(reader, advertiser_ids, timezones, currencies)
    known = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    lost = known.join(read.frame, on="advertiser_id", how="anti").with_columns(is_granted=pl.lit(value=False))
    read.lost.update(dict.fromkeys(lost.get_column("advertiser_id"), "no longer granted"))
    told = _fill_from_stored(read.frame, known)
    frame = pl.concat([told, lost]).sort("advertiser_id")
    before = TrackedAccounts.of(store.notes("advertisers", Partition()), known.to_dicts())
    accounts = [Account.told(row["advertiser_id"], row, timezones, currencies) for row in told.to_dicts()]
    after, changes = before.read(accounts, read.fetched_at)
    read.changes.extend(changes)
    read.earlier_changes.extend(before.changes)
    notes = fetched_at_metadata(read.fetched_at) | after.notes
    written = store.write("advertisers", Partition(), frame, notes=notes)
    head = frame.head(PREVIEW_ROWS)
    landed = WrittenPartition(
        "advertisers",
        Partition(),
        written.rows,
        written.bytes,
        read.fetched_at,
        read.story,
        malformed_values=count_malformed_values(read.frame),
        head=head,
    )
    return landed, read


def _fill_from_stored(frame: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The accounts with the zone and currency last known where what came for them could not be read.

    Without them all reports of the account would fail; a value that is only missing is missing.
    """
    odd = {
        row["advertiser_id"]: decode_malformed_values(row["extra"]).keys() & _REQUIRED_FIELDS
        for row in frame.select("advertiser_id", "extra").drop_nulls().to_dicts()
    }
    if not any(odd.values()):
        return frame
    before = {row["advertiser_id"]: row for row in known.to_dicts()}
    return frame.with_columns(
        pl.Series(
            name,
            [
                before.get(owner, {}).get(name) if name in odd.get(owner, ()) else value
                for owner, value in frame.select("advertiser_id", name).rows()
            ],
            dtype=pl.String,
        )
        for name in sorted(_REQUIRED_FIELDS)
    )


def refresh_entity(
    reader: Reader, store: HiveStore, entity: Entity, advertiser_ids: Iterable[str]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Replace one entity's snapshot for each advertiser, its versions kept first; each lands or fails by itself.

    The history comes before the snapshot: killed between the two, the next refresh finds its changes there.
    """
    for advertiser_id, read in read_entities(reader, entity, advertiser_ids):
        partition = Partition(advertiser_id)
        if isinstance(read, TikTokError):
            yield FailedPartitions(entity.table, (partition,), read)
            continue
        frame, story, fetched_at = read
        try:
            kept = update_history(store, entity, partition, frame, fetched_at)
        except HistoryError as error:
            yield FailedPartitions(entity.table, (partition,), error)
            continue
        notes = fetched_at_metadata(fetched_at) | {HISTORY_KEY: "true"}
        written = store.write(entity.table, partition, frame, notes=notes)
        head = frame.top_k(PREVIEW_ROWS, by="create_time")
        yield WrittenPartition(
            entity.table,
            partition,
            written.rows,
            written.bytes,
            fetched_at,
            story,
            malformed_values=count_malformed_values(frame),
            head=head,
        )
        yield WrittenPartition(
            kept.table,
            partition,
            kept.rows,
            kept.bytes,
            fetched_at,
            NO_REQUESTS,
            new_versions=kept.new_versions,
        )


def refresh_report(
    reader: Reader, store: HiveStore, report: Report, days: Mapping[Account, Iterable[date]]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Replace the partitions of a report, window by window; each window lands or fails by itself.

    Each day notes this reading of it, for `restatements.refresh_restatements`.

    Args:
        reader: what reads.
        store: what keeps.
        report: which table.
        days: the days of each account; left alone for a lifetime report.
    """
    questions = [
        question for account, wanted in days.items() for question in build_report_queries(report, account, wanted)
    ]
    for question, answer in read_reports(reader, questions):
        partitions = _list_partitions(question)
        if isinstance(answer, TikTokError):
            yield FailedPartitions(report.table, partitions, answer)
            continue
        for partition, frame in _split_by_partition(answer.frame, partitions):
            yield _write_partition(store, question, partition, frame, answer)
        del answer, frame  # the next window is put together before the loop lets go of this one


def _list_partitions(question: ReportQuery) -> tuple[Partition, ...]:
    owner = question.account.advertiser_id
    return tuple(Partition(owner, day) for day in question.window.days) if question.window else (Partition(owner),)


def _split_by_partition(
    frame: pl.DataFrame, partitions: tuple[Partition, ...]
) -> Iterator[tuple[Partition, pl.DataFrame]]:
    """The rows of each partition; one without rows gets a frame without rows.

    The frame is sorted by day, so that a day is a slice of it and not a copy.
    """
    if partitions[0].day is None:
        yield partitions[0], frame
        return
    counts = dict(frame.group_by("date").len().rows())
    begin = 0
    for partition in sorted(partitions):
        rows = counts.get(partition.day, 0)
        yield partition, frame.slice(begin, rows)
        begin += rows


def _write_partition(
    store: HiveStore, question: ReportQuery, partition: Partition, frame: pl.DataFrame, answer: ReportResponse
) -> WrittenPartition:
    notes = fetched_at_metadata(answer.fetched_at)
    if partition.day:
        whole = is_complete(partition.day, question.account, answer.fetched_at)
        notes[IS_COMPLETE_KEY] = str(whole).lower()
        notes[TIMEZONE_KEY] = question.account.timezone
        reading = DayReading.of(partition.day, question.account, frame, answer.fetched_at)
        notes |= readings_metadata(
            append_reading(store, question.report.table, partition, question.account, reading)
        )
    written = store.write(question.report.table, partition, frame, notes=notes)
    total = frame.get_column("spend").sum()
    spend = {question.account.currency: Decimal(total or 0)}
    is_last = question.window is None or partition.day == question.window.last
    return WrittenPartition(
        question.report.table,
        partition,
        written.rows,
        written.bytes,
        answer.fetched_at,
        answer.story,
        spend,
        malformed_values=count_malformed_values(frame),
        head=frame.top_k(PREVIEW_ROWS, by="spend") if is_last else None,
    )
