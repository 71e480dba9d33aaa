"""Read reports from the API as frames.

Requests are split into smaller windows, into batches of ids, or sent without refused metrics where TikTok's limits
require it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import partial

import polars as pl

from tiktok_assets.api import (
    MIN_QUERIES_AHEAD,
    FetchResult,
    MovingPagesError,
    PagedQuery,
    RepeatedKeyError,
    RequestError,
    TikTokError,
    TruncatedError,
    split_into_windows,
)
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.queries import build_report_query, read_in_batches
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.refused_metrics import exclude_refused_metrics
from tiktok_assets.ingest.report_parts import merge_parts, split_into_parts
from tiktok_assets.ingest.report_responses import ReportRequest, ReportResponse, build_report_responses
from tiktok_assets.spec import AD_GROUPS, CAMPAIGNS, SMART_PLUS_ADS, Entity, Metric, Report, served_metrics
from tiktok_assets.tables import Account


def plan_report_requests(report: Report, account: Account, days: Iterable[date]) -> list[ReportRequest]:
    """Return the fewest requests that cover these days of an account, or the single one of a lifetime report."""
    if report.cadence == "lifetime":
        return [ReportRequest(report, account)]
    return [ReportRequest(report, account, window) for window in split_into_windows(days, report.window_days)]


def read_reports(
    reader: Reader,
    requests: Iterable[ReportRequest],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[ReportRequest, ReportResponse | TikTokError]]:
    """Yield each report request with its rows or its error.

    A window that is too large is replaced by smaller ones, as are all later windows of that report. A refused
    metric is excluded from then on. A report truncated to its newest ads is read again by ad groups. A row that
    cannot be stored fails only its own day; if it does not contain its day, the window is halved until the request
    implies it.

    Args:
        reader: the connection and its state.
        requests: the report requests.
        filters: values by the API's filter names, such as `adgroup_ids`.
    """
    whole, in_parts = list[ReportRequest](), list[ReportRequest]()
    for request in requests:
        (in_parts if request.report.parts else whole).append(request)
    yield from _read_whole_reports(reader, whole, filters or {})
    for request in in_parts:  # one at a time, because all parts of it are in memory
        yield from merge_parts(request, _read_whole_reports(reader, split_into_parts(request), filters or {}))


def _read_whole_reports(
    reader: Reader, requests: Iterable[ReportRequest], given_filters: Mapping[str, list[str]]
) -> Iterator[tuple[ReportRequest, ReportResponse | TikTokError]]:
    """Yield each request of a report without parts, or of one part, with its rows or its error."""
    limits = reader.limits
    waiting, in_flight = deque(requests), deque[tuple[ReportRequest, tuple[Metric, ...]]]()

    def next_queries() -> Iterator[PagedQuery[pl.DataFrame]]:
        while waiting:
            request = waiting.popleft()
            if request.window and (windows := limits.split_window(request.report.table, request.window))[1:]:
                waiting.extendleft(replace(request, window=window) for window in reversed(windows))
                continue
            metrics = limits.select_metrics(request.report.table, served_metrics(request.report, reader.metrics))
            in_flight.append((request, metrics))
            yield build_paged_query(reader, request, metrics, given_filters)

    while waiting:
        for _, outcome in reader.fetcher.fetch_each(next_queries()):
            request, metrics = in_flight.popleft()
            table = request.report.table
            result = _retry_in_batches(reader, request, metrics, given_filters, outcome)
            if not isinstance(result, TikTokError):
                responses = build_report_responses(reader, request, result, metrics)
                waiting.extend(request.halve() if responses is None else ())
                yield from responses or ()
            elif isinstance(result, RepeatedKeyError) and (halves := request.halve()):
                waiting.extend(halves)
            elif limits.record_refusal(table, request.window, metrics, result) or exclude_refused_metrics(
                limits, table, metrics, result, partial(_is_served, reader, request, given_filters)
            ):
                waiting.append(request)
            else:
                yield request, result


def _is_served(
    reader: Reader, request: ReportRequest, filters: Mapping[str, list[str]], metrics: tuple[Metric, ...]
) -> bool:
    try:
        reader.fetcher.count(build_paged_query(reader, request, metrics, filters))
    except RequestError:
        return False
    return True


def _retry_in_batches(
    reader: Reader,
    request: ReportRequest,
    metrics: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    outcome: FetchResult[pl.DataFrame] | TikTokError,
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Return the outcome, or read the report again in batches if it was truncated or its pages were unstable."""
    if isinstance(outcome, TruncatedError):
        return _read_by_ad_groups(reader, request, metrics, filters, outcome)
    if isinstance(outcome, MovingPagesError):
        return _read_in_single_pages(reader, request, metrics, filters, outcome)
    return outcome


def _read_by_ad_groups(
    reader: Reader,
    request: ReportRequest,
    metrics: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    error: TruncatedError,
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Read a truncated report of ads by ad groups; return the error for reports of other levels."""
    try:
        ids = list_ad_groups_of_truncated_report(reader, request, filters, error)
    except TikTokError as why:
        return why
    return read_in_batches(
        reader.fetcher,
        ids,
        lambda some: build_paged_query(reader, request, metrics, {**filters, "adgroup_ids": list(some)}),
    )


_BATCH_ENTITIES: Mapping[str, Entity] = {
    "campaign": CAMPAIGNS,
    "ad_group": AD_GROUPS,
    "ad": AD_GROUPS,
    "smart_plus_ad": AD_GROUPS,
    "smart_plus_creative": SMART_PLUS_ADS,
}
"""By level of a report: the entity whose ids split it into batches, each row in exactly one of them."""


def _read_in_single_pages(
    reader: Reader,
    request: ReportRequest,
    metrics: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    error: MovingPagesError,
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Read a report in batches of one page each, whose rows cannot move between pages; return the error otherwise.

    The sort order is stable only between different values: in a lifetime report most ads have spent nothing, and
    their order is undefined.
    """
    level = request.report.level
    entity = _BATCH_ENTITIES.get(level.name) if level.dimension else None  # a total cannot be split
    if entity is None or error.announced_rows is None:
        return error
    parents = {name: ids for name, ids in filters.items() if name in {"campaign_ids", "adgroup_ids"}}
    ((_, entities),) = read_entities(reader, entity, [request.account.advertiser_id], filters=parents)
    if isinstance(entities, TikTokError):
        return entities
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    result = read_in_batches(
        reader.fetcher,
        entities[0].get_column(key).to_list(),
        lambda some: build_paged_query(reader, request, metrics, {**filters, f"{entity.key}s": list(some)}),
    )
    # Rows of a parent that no list contains would be missing.
    return error if isinstance(result, FetchResult) and result.rows != error.announced_rows else result


def list_ad_groups_of_truncated_report(
    reader: Reader, request: ReportRequest, filters: Mapping[str, list[str]], error: TruncatedError
) -> list[str]:
    """Return the ids of the ad groups to read a truncated report by, deleted ones included.

    Raises:
        TruncatedError: the given error, if the report is not of ads or Upgraded Smart+ ads.
        TikTokError: if the ad groups cannot be read.
    """
    if request.report.level.name not in {"ad", "smart_plus_ad"}:
        raise error
    parents = {name: ids for name, ids in filters.items() if name in {"campaign_ids", "adgroup_ids"}}
    ((_, entities),) = read_entities(reader, AD_GROUPS, [request.account.advertiser_id], filters=parents)
    if isinstance(entities, TikTokError):
        raise entities
    return entities[0].get_column("ad_group_id").to_list()


def build_paged_query(
    reader: Reader, request: ReportRequest, metrics: tuple[Metric, ...], filters: Mapping[str, list[str]]
) -> PagedQuery[pl.DataFrame]:
    """Build the paged query of a report request, with these metrics and filters."""
    return build_report_query(
        request.report,
        request.account.advertiser_id,
        request.window,
        metrics=reader.metrics,
        requested=metrics,
        filters=filters,
    )


def prefetch_report(reader: Reader, report: Report, advertiser_id: str, days: Iterable[date]) -> None:
    """Start reading the first windows of a report; `read_reports` uses the results, errors included.

    Args:
        reader: the connection; the same reader must be used for `read_reports`.
        report: the report.
        advertiser_id: the account; its time zone and currency are not needed for the request.
        days: the days that will be requested.
    """
    account = Account(advertiser_id, "", "UTC")
    metrics: tuple[Metric, ...] = reader.limits.select_metrics(
        report.table, served_metrics(report, reader.metrics)
    )
    for request in plan_report_requests(report, account, days)[:MIN_QUERIES_AHEAD]:
        for part in split_into_parts(request):
            reader.fetcher.prefetch(build_paged_query(reader, part, metrics, {}))
