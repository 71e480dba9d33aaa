"""Read the reports of GMV Max for the accounts that have a TikTok Shop, and replace their stored days."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.api import (
    ContractError,
    DateWindow,
    FetchResult,
    MovingPagesError,
    PagedQuery,
    Parameter,
    RequestStats,
    TikTokError,
    TooLargeError,
    split_into_batches,
    split_into_windows,
)
from tiktok_assets.ingest.gmv_max_shops import load_shop_ids
from tiktok_assets.ingest.partitions import (
    IS_COMPLETE_KEY,
    TIMEZONE_KEY,
    FailedPartitions,
    ReadStats,
    WrittenPartition,
    columns_metadata,
    fetched_at_metadata,
)
from tiktok_assets.ingest.queries import merge_results
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.restatements import DayReading, append_reading, readings_metadata
from tiktok_assets.spec import (
    GMV_MAX_CAMPAIGN_REPORT,
    GMV_MAX_PRODUCT_REPORT,
    GMV_MAX_REPORT,
    GMV_MAX_STATUSES,
    GmvMaxReport,
)
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import (
    Account,
    build_gmv_max_frame,
    build_schema,
    count_malformed_values,
    find_key_error,
    gmv_max_row_key,
    is_complete,
    parse_gmv_max_page,
)

_PREVIEW_ROWS = 5


def build_gmv_max_query(
    report: GmvMaxReport,
    advertiser_id: str,
    window: DateWindow,
    *,
    store_id: str,
    promotion_type: str,
    filters: Mapping[str, Sequence[str]],
) -> PagedQuery[pl.DataFrame]:
    """Build the paged query of a report for one shop and one type of campaign.

    Args:
        report: the report.
        advertiser_id: the account.
        window: at most thirty days.
        store_id: the shop; a request can have only one.
        promotion_type: PRODUCT or LIVE.
        filters: the ids of campaigns and products, which all reports but that of the campaigns require.
    """
    # Without a status filter TikTok omits deleted campaigns. The reports of products and posts have no such
    # filter; there the ids of deleted campaigns are given.
    own = {"gmv_max_promotion_types": [promotion_type], "campaign_statuses": list(GMV_MAX_STATUSES)}
    parameters: dict[str, Parameter] = {
        "advertiser_id": advertiser_id,
        "store_ids": [store_id],
        "start_date": window.first.isoformat(),
        "end_date": window.last.isoformat(),
        "dimensions": [*report.ids, "stat_time_day"],
        "metrics": [one.api_name for one in report.metrics if promotion_type in one.promotion_types],
        "filtering": {name: list(ids) for name, ids in filters.items()} or own,
        # Pages of an unsorted report may repeat and omit rows.
        "sort_field": "cost",
        "sort_type": "DESC",
    }

    def parse(rows: list[dict[str, object]], stats: RequestStats) -> pl.DataFrame:
        return parse_gmv_max_page(
            report, rows, store_id=store_id, promotion_type=promotion_type, unknown_fields=stats.unknown_fields
        )

    return PagedQuery(GMV_MAX_REPORT, parameters, row_key=lambda row: gmv_max_row_key(report, row), parse=parse)


def estimate_gmv_max_requests(
    store: HiveStore, reports: Iterable[GmvMaxReport], advertiser_id: str, days: Iterable[date]
) -> dict[str, int]:
    """Estimate the requests for days of an account, by table: exact for campaigns, the least for the others."""
    windows = len(split_into_windows(days)) * len(load_shop_ids(store, advertiser_id))
    # A report of products first lists the campaigns, and one of posts the campaigns and the products.
    return {report.table: windows * (len(report.promotion_types) + len(report.ids) - 1) for report in reports}


def refresh_gmv_max_report(
    reader: Reader, store: HiveStore, report: GmvMaxReport, days: Mapping[Account, Iterable[date]]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Replace days of a report for each account with a shop; an account without one has nothing to read.

    A reading replaces the rows of the shops it read. Rows of a shop that the account may no longer use stay.
    """
    for account, wanted in days.items():
        store_ids = load_shop_ids(store, account.advertiser_id)
        waiting = split_into_windows(wanted) if store_ids else []
        while waiting:
            window = waiting.pop(0)
            outcome = _read_window(reader, report, account, store_ids, window)
            if isinstance(outcome, MovingPagesError | TooLargeError) and (halves := window.halve()):
                waiting = [*halves, *waiting]
            elif isinstance(outcome, TikTokError):
                partitions = tuple(Partition(account.advertiser_id, day) for day in window.days)
                yield FailedPartitions(report.table, partitions, outcome)
            else:
                frame, stats, fetched_at = outcome
                for day in window.days:
                    rows = frame.filter(pl.col("date") == day)
                    reading = _DayRows(account, day, rows, store_ids, stats, fetched_at)
                    yield _write_day(store, report, reading)


def _read_window(
    reader: Reader, report: GmvMaxReport, account: Account, store_ids: Sequence[str], window: DateWindow
) -> tuple[pl.DataFrame, ReadStats, datetime] | TikTokError:
    """Read a window of all shops of an account; return the first error instead if there is one."""
    results: list[FetchResult[pl.DataFrame]] = []
    try:
        for store_id in store_ids:
            results += _read_shop(reader, report, account.advertiser_id, store_id, window)
    except TikTokError as error:
        return error
    merged = merge_results(results)
    frame = build_gmv_max_frame(report, account, merged.pages, merged.read_at)
    if fault := find_key_error(frame, report.key, account.advertiser_id):
        return ContractError(fault, endpoint=GMV_MAX_REPORT.path)
    if frame.filter(~pl.col("date").is_between(window.first, window.last)).height:
        return ContractError(f"a row is outside {window}", endpoint=GMV_MAX_REPORT.path)
    return frame, ReadStats.from_request_stats(merged.stats, merged.seconds, window), merged.read_at


def _read_shop(
    reader: Reader, report: GmvMaxReport, advertiser_id: str, store_id: str, window: DateWindow
) -> list[FetchResult[pl.DataFrame]]:
    """Read a report of one shop, after the ids of campaigns and products that its filters require.

    Raises:
        TikTokError: the first error of a request.
    """

    def read(one: GmvMaxReport, filters: Iterable[Mapping[str, Sequence[str]]]) -> list[FetchResult[pl.DataFrame]]:
        queries = [
            build_gmv_max_query(one, advertiser_id, window, store_id=store_id, promotion_type=kind, filters=some)
            for kind in report.promotion_types
            for some in filters
        ]
        found = []
        for _, result in reader.fetcher.fetch_each(queries):
            if isinstance(result, TikTokError):
                raise result
            found.append(result)
        return found

    results = read(GMV_MAX_CAMPAIGN_REPORT, [{}])
    if report is GMV_MAX_CAMPAIGN_REPORT:
        return results
    by_campaign = [{"campaign_ids": some} for some in split_into_batches(_list_ids(results, "campaign_id"))]
    products = read(GMV_MAX_PRODUCT_REPORT, by_campaign)
    if report is GMV_MAX_PRODUCT_REPORT:
        return [*_drop_rows(results), *products]
    by_product = [
        {**campaigns, "item_group_ids": some}
        for campaigns, result in zip(by_campaign, products, strict=True)
        for some in split_into_batches(_list_ids([result], "item_group_id"))
    ]
    return [*_drop_rows([*results, *products]), *read(report, by_product)]


def _list_ids(results: Sequence[FetchResult[pl.DataFrame]], column: str) -> list[str]:
    """Return the ids of the rows, sorted and unique."""
    return sorted({value for one in results for page in one.pages for value in page.get_column(column)})


def _drop_rows(results: Sequence[FetchResult[pl.DataFrame]]) -> list[FetchResult[pl.DataFrame]]:
    """Return the results of preparing queries with their cost but without their rows."""
    return [FetchResult([], 0, one.read_at, one.stats, one.seconds, one.request_id) for one in results]


@dataclass(frozen=True, slots=True)
class _DayRows:
    """The rows of one day of an account, the shops they were read for, and what the read cost."""

    account: Account
    day: date
    frame: pl.DataFrame
    store_ids: Sequence[str]
    stats: ReadStats
    fetched_at: datetime


def _write_day(store: HiveStore, report: GmvMaxReport, read: _DayRows) -> WrittenPartition:
    account, day = read.account, read.day
    partition = Partition(account.advertiser_id, day)
    reading = DayReading.from_frame(day, account, read.frame.select(spend="cost"), read.fetched_at)
    metadata = fetched_at_metadata(read.fetched_at) | {
        IS_COMPLETE_KEY: str(is_complete(day, account, read.fetched_at)).lower(),
        TIMEZONE_KEY: account.timezone,
        **columns_metadata(read.frame.columns),
        **readings_metadata(append_reading(store, report.table, partition, account, reading)),
    }
    rows = read.frame
    if store.scan_partition(report.table, partition) is not None:
        stored = store.read(report.table, build_schema(report.columns), [partition]).collect()
        others = stored.filter(~pl.col("store_id").is_in(read.store_ids))
        rows = pl.concat([rows, others]).sort(report.key)
    file = store.write(report.table, partition, rows, metadata=metadata)
    is_last = read.stats.window is None or day == read.stats.window.last
    return WrittenPartition(
        report.table,
        partition,
        file.rows,
        file.bytes,
        read.fetched_at,
        read.stats,
        {account.currency: Decimal(rows.get_column("cost").sum() or 0)},
        malformed_values=count_malformed_values(rows),
        preview=rows.top_k(_PREVIEW_ROWS, by="cost") if is_last else None,
    )
