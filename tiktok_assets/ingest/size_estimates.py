"""Count the rows the API holds, or estimate the size of a refresh from the stored tables.

Counting sends one-row requests and uses the totals of the API; estimating sends no request.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api import AccountRowCounts, DateWindow, RequestError, RowCount, TruncatedError, plan_requests
from tiktok_assets.ingest.account_conditions import find_condition, meets_condition
from tiktok_assets.ingest.entity_reader import plan_special_type_requests
from tiktok_assets.ingest.queries import build_entity_query, count_in_batches
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_paged_query, list_ad_groups_of_truncated_report
from tiktok_assets.ingest.report_responses import ReportRequest
from tiktok_assets.spec import ELEMENT, LISTED_ENTITIES, Entity, Report, served_metrics
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import Account


def page_sizes(reports: Iterable[Report]) -> dict[str, int]:
    """Return how many rows a page can have, by entity and report table."""
    return {
        **{entity.table: entity.page_size for entity in LISTED_ENTITIES},
        **{report.table: report.source.page_size for report in reports},
    }


def count_entities(
    reader: Reader, entity: Entity, advertiser_id: str, filters: Mapping[str, str] = MappingProxyType({})
) -> int:
    """Count the objects of an entity, deleted ones included, narrowed by filters with the API's names.

    Raises:
        TikTokError: any error of the request.
    """
    return reader.fetcher.count(build_entity_query(entity, advertiser_id, filters, reader.now))


def count_report(reader: Reader, report: Report, account: Account, day: date | None) -> int:
    """Count the rows of a report on one day, or of a lifetime report; of a report in parts only its first.

    Refused metrics and truncated responses are handled as in `read_reports`.

    Raises:
        TikTokError: any other error of a request.
    """
    request = ReportRequest(report, account, DateWindow(day, day) if day else None)
    served = served_metrics(report, reader.metrics)
    while True:
        metrics = reader.limits.select_metrics(report.table, served)
        try:
            return reader.fetcher.count(build_paged_query(reader, request, metrics, {}))
        except TruncatedError as error:
            return count_in_batches(
                reader.fetcher,
                list_ad_groups_of_truncated_report(reader, request, {}, error),
                lambda ids: build_paged_query(reader, request, metrics, {"adgroup_ids": list(ids)}),  # noqa: B023 - called at once
            )
        except RequestError as error:
            if not reader.limits.record_refusal(report.table, request.window, metrics, error):
                raise


def count_report_rows(reader: Reader, report: Report, account: Account, day: date | None) -> RowCount:
    """Count the rows of a report as `count_report`; of a report in parts those of each part.

    Raises:
        TikTokError: any other error of a request.
    """
    counts = tuple(count_report(reader, query, account, day) for query in report.queries)
    return counts if report.parts else counts[0]


def is_read_for(
    reader: Reader, store: HiveStore, table: Entity | Report, advertiser_id: str, tables: Collection[str]
) -> bool:
    """Return whether a refresh reads a table for an account.

    If the table that its condition names is not stored but refreshed, the API is asked with one request, because
    the refresh has stored it by then.

    Args:
        reader: the connection and its state.
        store: the stored tables.
        table: the table.
        advertiser_id: the account.
        tables: the tables to refresh.

    Raises:
        TikTokError: any error of the request.
    """
    condition = table.condition
    known = find_condition(store, condition, advertiser_id)
    if known is not None or condition is None or condition.table not in tables:
        return known is True
    other = next(entity for entity in LISTED_ENTITIES if entity.table == condition.table)
    if (condition, advertiser_id) not in reader.known_conditions:
        count = count_entities(reader, other, advertiser_id, {condition.column: condition.value})
        reader.known_conditions[condition, advertiser_id] = count > 0
    return reader.known_conditions[condition, advertiser_id]


MAX_OPEN_FILES = 16
"""Files read at once: an object store is slow to respond, and the first request waits for the estimate."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated size of a refresh.

    Attributes:
        requests: number of requests for the known rows; at least one per query.
        rows: rows of all queries together.
        unknown: number of queries whose size is unknown because they were never read; they count as empty.
    """

    requests: int
    rows: int
    unknown: int


def estimate_refresh(
    store: HiveStore,
    reports: Iterable[Report],
    advertiser_ids: Sequence[str],
    days: Sequence[date],
    tables: Iterable[str],
) -> Estimate:
    """Estimate the size of a refresh from the rows stored before, without a request.

    A list or a lifetime report is assumed to be as long as the stored one; each day of a daily report as long as
    the newest stored day of the window. So one file per table and account is read.

    Args:
        store: the stored tables.
        reports: all known reports.
        advertiser_ids: the accounts.
        days: the days of daily reports; unused if the tables include none.
        tables: names of the tables to refresh; those that are neither lists nor reports need no request.
    """
    wanted, newest = set(tables), sorted(days, reverse=True)
    chosen = [report for report in reports if report.table in wanted]
    lists = [entity.table for entity in LISTED_ENTITIES if entity.table in wanted]
    daily = [report.table for report in chosen if report.cadence == "daily"]
    lifetime = [report.table for report in chosen if report.cadence == "lifetime"]

    def count_stored(table_and_owner: tuple[str, str]) -> int | None:
        table, owner = table_and_owner
        candidates = (Partition(owner, day) for day in newest) if table in daily else [Partition(owner)]
        return next(
            (rows for each in candidates if (rows := count_stored_rows(store, table, each)) is not None), None
        )

    conditions = {entity.table: entity.condition for entity in LISTED_ENTITIES}
    conditions |= {report.table: report.condition for report in chosen}
    conditional = {one for table, one in conditions.items() if one and table in wanted}
    met = {(one, owner): meets_condition(store, one, owner) for one in conditional for owner in advertiser_ids}
    pairs = [
        (table, owner)
        for owner in advertiser_ids
        for table in (*lists, *daily, *lifetime)
        if (condition := conditions[table]) is None or met[condition, owner]
    ]
    with ThreadPoolExecutor(MAX_OPEN_FILES, thread_name_prefix="size") as threads:
        sizes = dict(zip(pairs, threads.map(count_stored, pairs), strict=True))
        extra_requests = sum(
            threads.map(lambda owner: Counter(plan_special_type_requests(store, owner, wanted)), advertiser_ids),
            Counter[str](),
        )

    parts = {report.table: len(report.queries) for report in chosen}

    def rows_by_table(tables: Iterable[str], owner: str) -> dict[str, RowCount]:
        rows = {table: sizes[table, owner] or 0 for table in tables if (table, owner) in sizes}
        # The rows of a report in parts are assumed to be equally many of each.
        return {
            table: (count / parts[table],) * parts[table] if table in parts else count
            for table, count in rows.items()
        }

    lines = plan_requests(
        {
            one: AccountRowCounts(
                rows_by_table(lists, one), rows_by_table(daily, one), rows_by_table(lifetime, one)
            )
            for one in advertiser_ids
        },
        days,
        wanted,
        include_account_list=False,
        window_days={report.table: report.window_days for report in chosen},
        page_sizes=page_sizes(chosen),
        extra_requests=extra_requests,
    )
    unknown = sum(size is None for size in sizes.values())
    return Estimate(sum(line.requests for line in lines), sum(line.rows for line in lines), unknown)


def count_stored_rows(store: HiveStore, table: str, partition: Partition) -> int | None:
    """Return the row count in a file's Parquet footer; None if the file is missing or cannot be read."""
    try:
        file = store.scan_partition(table, partition)
        return None if file is None else int(file.select(pl.len()).collect().item())
    except (OSError, PolarsError):
        return None  # an estimate must not stop the run, and the refresh replaces the file


def count_stored_rows_by_query(store: HiveStore, report: Report, partition: Partition) -> tuple[int, ...]:
    """Return the row count of a stored partition for each query of its report; 0 if there is no file."""
    if not report.parts:
        return (count_stored_rows(store, report.table, partition) or 0,)
    try:
        file = store.scan_partition(report.table, partition)
        elements = [] if file is None else file.select(ELEMENT.name).collect().get_column(ELEMENT.name).to_list()
    except (OSError, PolarsError):
        elements = []
    counts = Counter(elements)
    return tuple(counts[part.name] for part in report.parts)
