"""Read entities and reports from the API as frames.

Reports are split, retried in smaller batches or without refused metrics where TikTok's limits require it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial

import polars as pl

from tiktok_assets.api.errors import (
    ContractError,
    MovingPagesError,
    RepeatedKeyError,
    RequestError,
    TikTokError,
    TruncatedError,
)
from tiktok_assets.api.paged_query import PagedQuery
from tiktok_assets.api.pagination import MIN_QUERIES_AHEAD, FetchResult
from tiktok_assets.api.request_plan import split_into_windows
from tiktok_assets.ingest.account_reader import AccountsResult, list_advertiser_ids, read_accounts
from tiktok_assets.ingest.entity_reader import fetch_entities
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.queries import build_report_request, read_in_batches
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.refused_metrics import exclude_refused_metrics
from tiktok_assets.ingest.report_responses import ReportQuery, ReportResponse, build_report_responses
from tiktok_assets.spec.entities import AD_GROUPS, CAMPAIGNS, Entity
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.reports import Report, served_metrics
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.row_validation import find_key_error

__all__ = [
    "AccountsResult",
    "Reader",
    "ReportQuery",
    "ReportResponse",
    "build_report_queries",
    "build_request",
    "list_ad_groups_of_truncated_report",
    "list_advertiser_ids",
    "read_accounts",
    "read_entities",
    "read_reports",
]


def read_entities(
    reader: Reader,
    entity: Entity,
    advertiser_ids: Iterable[str],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[str, tuple[pl.DataFrame, ReadStats, datetime] | TikTokError]]:
    """Yield every object of an entity for each advertiser, deleted ones and hidden kinds included, or its error.

    Args:
        reader: what reads.
        entity: whose objects.
        advertiser_ids: the accounts, in the order they come out.
        filters: narrows by the API's filter names, such as `campaign_ids`.
    """
    for advertiser_id, fetched in fetch_entities(reader, entity, list(advertiser_ids), filters or {}):
        if isinstance(fetched, TikTokError):
            yield advertiser_id, fetched
            continue
        rows = pl.concat(fetched.pages) if fetched.rows else fetched.pages[0].clear()
        key = [column.name for column in entity.columns if column.api_name == entity.key]
        if broken := find_key_error(rows, key, advertiser_id):
            yield advertiser_id, ContractError(broken, endpoint=entity.endpoint.path)
            continue
        fetched_at = rows.get_column("fetched_at").max() if fetched.rows else reader.now()
        assert isinstance(fetched_at, datetime)  # noqa: S101 - narrows polars' untyped maximum
        yield advertiser_id, (rows.sort(key), ReadStats.of(fetched.tally, fetched.seconds), fetched_at)


def build_report_queries(report: Report, account: Account, days: Iterable[date]) -> list[ReportQuery]:
    """The fewest questions that cover these days of an account, or the one of a lifetime report."""
    if report.cadence == "lifetime":
        return [ReportQuery(report, account)]
    return [ReportQuery(report, account, window) for window in split_into_windows(days, report.window_days)]


def read_reports(
    reader: Reader,
    questions: Iterable[ReportQuery],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[ReportQuery, ReportResponse | TikTokError]]:
    """Each question with its rows or its error.

    A window that is too large comes as smaller ones instead, and so do all later ones of that report. A metric
    that is refused is left out from then on. A report cut to its newest ads is read again by ad groups. A row that
    cannot be stored makes only its own day an error; where it does not say its day, halves of the window are asked
    for until the question says it.
    """
    lessons, narrowed = reader.lessons, filters or {}
    waiting, under_way = deque(questions), deque[tuple[ReportQuery, tuple[Metric, ...]]]()

    def listings() -> Iterator[PagedQuery[pl.DataFrame]]:
        while waiting:
            question = waiting.popleft()
            if question.window and (windows := lessons.windows(question.report.table, question.window))[1:]:
                waiting.extendleft(replace(question, window=window) for window in reversed(windows))
                continue
            asked = lessons.asked(question.report.table, served_metrics(question.report, reader.metrics))
            under_way.append((question, asked))
            yield build_request(reader, question, asked, narrowed)

    while waiting:
        for _, outcome in reader.fetcher.fetch_each(listings()):
            question, asked = under_way.popleft()
            table, fetched = question.report.table, _retry_in_batches(reader, question, asked, narrowed, outcome)
            if not isinstance(fetched, TikTokError):
                answers = build_report_responses(reader, question, fetched, asked)
                waiting.extend(question.halves() if answers is None else ())
                yield from answers or ()
            elif isinstance(fetched, RepeatedKeyError) and (halves := question.halves()):
                waiting.extend(halves)
            elif lessons.learned(table, question.window, asked, fetched) or exclude_refused_metrics(
                lessons, table, asked, fetched, partial(_is_served, reader, question, narrowed)
            ):
                waiting.append(question)
            else:
                yield question, fetched


def _is_served(
    reader: Reader, question: ReportQuery, filters: Mapping[str, list[str]], metrics: tuple[Metric, ...]
) -> bool:
    try:
        reader.fetcher.count(build_request(reader, question, metrics, filters))
    except RequestError:
        return False
    return True


def _retry_in_batches(
    reader: Reader,
    question: ReportQuery,
    asked: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    outcome: FetchResult[pl.DataFrame] | TikTokError,
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Return what came, or the same read in parts where that can help."""
    if isinstance(outcome, TruncatedError):
        return _read_by_ad_groups(reader, question, asked, filters, outcome)
    if isinstance(outcome, MovingPagesError):
        return _read_in_single_pages(reader, question, asked, filters, outcome)
    return outcome


def _read_by_ad_groups(
    reader: Reader,
    question: ReportQuery,
    asked: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    error: TruncatedError,
) -> FetchResult[pl.DataFrame] | TikTokError:
    """The rows of each ad group together; at other levels, which hold no ads, the error stays."""
    try:
        ids = list_ad_groups_of_truncated_report(reader, question, filters, error)
    except TikTokError as why:
        return why
    return read_in_batches(
        reader.fetcher,
        ids,
        lambda some: build_request(reader, question, asked, {**filters, "adgroup_ids": list(some)}),
    )


_BATCH_ENTITIES = {"campaign": CAMPAIGNS, "ad_group": AD_GROUPS, "ad": AD_GROUPS}
"""By level of a report: whose ids cut it into parts, each row in one of them."""


def _read_in_single_pages(
    reader: Reader,
    question: ReportQuery,
    asked: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    error: MovingPagesError,
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Return the rows in parts of a page each, where rows of equal rank cannot move; else the error.

    An order helps only between different values: of a lifetime's ads most have spent nothing and rank alike.
    """
    entity = _BATCH_ENTITIES.get(question.report.level.name)
    if entity is None or error.announced is None:
        return error
    parents = {name: ids for name, ids in filters.items() if name in {"campaign_ids", "adgroup_ids"}}
    ((_, read),) = read_entities(reader, entity, [question.account.advertiser_id], filters=parents)
    if isinstance(read, TikTokError):
        return read
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    whole = read_in_batches(
        reader.fetcher,
        read[0].get_column(key).to_list(),
        lambda some: build_request(reader, question, asked, {**filters, f"{entity.key}s": list(some)}),
    )
    # A row whose parent no list tells would be missing.
    return error if isinstance(whole, FetchResult) and whole.rows != error.announced else whole


def list_ad_groups_of_truncated_report(
    reader: Reader, question: ReportQuery, filters: Mapping[str, list[str]], error: TruncatedError
) -> list[str]:
    """The ad groups a cut report is read by, deleted ones too; raises the error given where it holds no ads."""
    if question.report.level.name != "ad":
        raise error
    parents = {name: ids for name, ids in filters.items() if name in {"campaign_ids", "adgroup_ids"}}
    ((_, read),) = read_entities(reader, AD_GROUPS, [question.account.advertiser_id], filters=parents)
    if isinstance(read, TikTokError):
        raise read
    return read[0].get_column("ad_group_id").to_list()


def build_request(
    reader: Reader, question: ReportQuery, asked: tuple[Metric, ...], filters: Mapping[str, list[str]]
) -> PagedQuery[pl.DataFrame]:
    """A question in the API's words, with these metrics and narrowed by these filters."""
    return build_report_request(
        question.report,
        question.account.advertiser_id,
        question.window,
        metrics=reader.metrics,
        asked=asked,
        filters=filters,
    )


def prefetch_report(reader: Reader, report: Report, advertiser_id: str, days: Iterable[date]) -> None:
    """Begin to read the first windows of a report; `read_reports` takes them over, errors and all.

    Args:
        reader: what reads, and will be asked again.
        report: which.
        advertiser_id: whose; its zone and currency are not needed to ask.
        days: those that will be asked for.
    """
    unknown = Account(advertiser_id, "", "UTC")
    asked: tuple[Metric, ...] = reader.lessons.asked(report.table, served_metrics(report, reader.metrics))
    for question in build_report_queries(report, unknown, days)[:MIN_QUERIES_AHEAD]:
        reader.fetcher.ask_ahead(build_request(reader, question, asked, {}))
