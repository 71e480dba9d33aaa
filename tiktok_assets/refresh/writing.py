"""Read, then replace the partitions read: what the assets of the account and report groups do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from types import MappingProxyType

import polars as pl

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.days import Account, is_complete
from tiktok_assets.refresh.account_changes import AccountsKnown
from tiktok_assets.refresh.account_details import accounts_read
from tiktok_assets.refresh.history import HistoryError, keep_versions
from tiktok_assets.refresh.notes import HISTORY_NOTE, IS_COMPLETE_NOTE, TIMEZONE_NOTE, fetched_at_note
from tiktok_assets.refresh.outcome import NOTHING_ASKED, Failed, Landed
from tiktok_assets.refresh.reading import (
    AccountsRead,
    Reader,
    ReportAnswer,
    ReportQuestion,
    read_entities,
    read_reports,
    report_questions,
)
from tiktok_assets.refresh.restatements import Reading, readings_note, with_reading
from tiktok_assets.row_checks import malformed_values
from tiktok_assets.spec.entities import ADVERTISERS, Entity
from tiktok_assets.spec.reports import Report
from tiktok_assets.storage.hive_parquet import HiveStore, Partition
from tiktok_assets.tables import entity_columns, schema_of
from tiktok_assets.values import malformed_of

ADVERTISERS_SCHEMA = schema_of(entity_columns(ADVERTISERS))
HEAD_ROWS = 5
_VITAL = frozenset({"timezone", "display_timezone", "currency"})


def refresh_advertisers(
    reader: Reader,
    store: HiveStore,
    advertiser_ids: Sequence[str],
    timezones: Mapping[str, str] = MappingProxyType({}),
    currencies: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Landed, AccountsRead]:
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
    read = accounts_read(reader, advertiser_ids, timezones, currencies)
    known = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    lost = known.join(read.frame, on="advertiser_id", how="anti").with_columns(is_granted=pl.lit(value=False))
    read.lost.update(dict.fromkeys(lost.get_column("advertiser_id"), "no longer granted"))
    told = _with_known(read.frame, known)
    frame = pl.concat([told, lost]).sort("advertiser_id")
    before = AccountsKnown.of(store.notes("advertisers", Partition()), known.to_dicts())
    accounts = [Account.told(row["advertiser_id"], row, timezones, currencies) for row in told.to_dicts()]
    after, changes = before.read(accounts, read.fetched_at)
    read.changes.extend(changes)
    read.earlier_changes.extend(before.changes)
    notes = fetched_at_note(read.fetched_at) | after.notes
    written = store.write("advertisers", Partition(), frame, notes=notes)
    head = frame.head(HEAD_ROWS)
    landed = Landed(
        "advertisers",
        Partition(),
        written.rows,
        written.bytes,
        read.fetched_at,
        read.story,
        malformed_values=malformed_values(read.frame),
        head=head,
    )
    return landed, read


def _with_known(frame: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The accounts with the zone and currency last known where what came for them could not be read.

    Without them all reports of the account would fail; a value that is only missing is missing.
    """
    odd = {
        row["advertiser_id"]: malformed_of(row["extra"]).keys() & _VITAL
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
        for name in sorted(_VITAL)
    )


def refresh_entity(
    reader: Reader, store: HiveStore, entity: Entity, advertiser_ids: Iterable[str]
) -> Iterator[Landed | Failed]:
    """Replace one entity's snapshot for each advertiser, its versions kept first; each lands or fails by itself.

    The history comes before the snapshot: killed between the two, the next refresh finds its changes there.
    """
    for advertiser_id, read in read_entities(reader, entity, advertiser_ids):
        partition = Partition(advertiser_id)
        if isinstance(read, TikTokError):
            yield Failed(entity.table, (partition,), read)
            continue
        frame, story, fetched_at = read
        try:
            kept = keep_versions(store, entity, partition, frame, fetched_at)
        except HistoryError as error:
            yield Failed(entity.table, (partition,), error)
            continue
        notes = fetched_at_note(fetched_at) | {HISTORY_NOTE: "true"}
        written = store.write(entity.table, partition, frame, notes=notes)
        head = frame.top_k(HEAD_ROWS, by="create_time")
        yield Landed(
            entity.table,
            partition,
            written.rows,
            written.bytes,
            fetched_at,
            story,
            malformed_values=malformed_values(frame),
            head=head,
        )
        yield Landed(
            kept.table,
            partition,
            kept.rows,
            kept.bytes,
            fetched_at,
            NOTHING_ASKED,
            new_versions=kept.new_versions,
        )


def refresh_report(
    reader: Reader, store: HiveStore, report: Report, days: Mapping[Account, Iterable[date]]
) -> Iterator[Landed | Failed]:
    """Replace the partitions of a report, window by window; each window lands or fails by itself.

    Each day notes this reading of it, for `restatements.refresh_restatements`.

    Args:
        reader: what reads.
        store: what keeps.
        report: which table.
        days: the days of each account; left alone for a lifetime report.
    """
    questions = [
        question for account, wanted in days.items() for question in report_questions(report, account, wanted)
    ]
    for question, answer in read_reports(reader, questions):
        partitions = _partitions(question)
        if isinstance(answer, TikTokError):
            yield Failed(report.table, partitions, answer)
            continue
        for partition, frame in _split(answer.frame, partitions):
            yield _land(store, question, partition, frame, answer)
        del answer, frame  # the next window is put together before the loop lets go of this one


def _partitions(question: ReportQuestion) -> tuple[Partition, ...]:
    owner = question.account.advertiser_id
    return tuple(Partition(owner, day) for day in question.window.days) if question.window else (Partition(owner),)


def _split(frame: pl.DataFrame, partitions: tuple[Partition, ...]) -> Iterator[tuple[Partition, pl.DataFrame]]:
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


def _land(
    store: HiveStore, question: ReportQuestion, partition: Partition, frame: pl.DataFrame, answer: ReportAnswer
) -> Landed:
    notes = fetched_at_note(answer.fetched_at)
    if partition.day:
        whole = is_complete(partition.day, question.account, answer.fetched_at)
        notes[IS_COMPLETE_NOTE] = str(whole).lower()
        notes[TIMEZONE_NOTE] = question.account.timezone
        reading = Reading.of(partition.day, question.account, frame, answer.fetched_at)
        notes |= readings_note(with_reading(store, question.report.table, partition, question.account, reading))
    written = store.write(question.report.table, partition, frame, notes=notes)
    total = frame.get_column("spend").sum()
    spend = {question.account.currency: Decimal(total or 0)}
    is_last = question.window is None or partition.day == question.window.last
    return Landed(
        question.report.table,
        partition,
        written.rows,
        written.bytes,
        answer.fetched_at,
        answer.story,
        spend,
        malformed_values=malformed_values(frame),
        head=frame.top_k(HEAD_ROWS, by="spend") if is_last else None,
    )
