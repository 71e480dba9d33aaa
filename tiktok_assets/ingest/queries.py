"""Build the paged queries of entities and reports, and read a report in batches of ids.

A report is read in batches if one response is truncated or its pages are unstable.
"""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from tiktok_assets.api import (
    DateWindow,
    Fetcher,
    FetchResult,
    MovingPagesError,
    PagedQuery,
    Parameter,
    RequestStats,
    TikTokError,
    TruncatedError,
    split_into_batches,
)
from tiktok_assets.spec import Entity, Metric, Report, SpecialCampaignType
from tiktok_assets.tables import (
    KEY_SEPARATOR,
    ValueFormatError,
    build_entity_frame,
    encode_json,
    parse_cell,
    parse_report_page,
    parse_report_page_fast,
)


def build_entity_query(
    entity: Entity,
    advertiser_id: str,
    filters: Mapping[str, list[str] | str],
    now: Callable[[], datetime],
    special_type: SpecialCampaignType | None = None,
) -> PagedQuery[pl.DataFrame]:
    """Build the paged query of an entity: all its objects, narrowed by the filters.

    Args:
        entity: the entity to list.
        advertiser_id: the account.
        filters: values by the API's filter names.
        now: returns the current instant by the clock of the API host.
        special_type: list only TopView or only Promote objects; None for all that TikTok lists by default.
    """
    ranges = entity.creation_ranges
    is_limited = ranges is not None and ranges.start_filter not in filters
    type_filter = {special_type.filter_name: [special_type.filter_value]} if special_type else {}
    all_filters = {**dict(entity.fixed_filters), **filters, **type_filter}

    def parse(rows: list[Any], stats: RequestStats) -> pl.DataFrame:
        owners = [advertiser_id] * len(rows)
        return build_entity_frame(entity, rows, now(), unknown_fields=stats.unknown_fields, advertiser_ids=owners)

    (key,) = (column for column in entity.columns if column.api_name == entity.key)

    def row_key(row: Any) -> Hashable:  # noqa: ANN401 - any JSON value
        found, _ = parse_cell(key, row.get(key.api_name)) if isinstance(row, dict) else (None, False)
        if found is None:
            raise ValueFormatError(f"a row has no {key.api_name}")
        return str(found)

    return PagedQuery(
        entity.endpoint,
        {"advertiser_id": advertiser_id, **({"filtering": all_filters} if all_filters else {})},
        row_key=row_key,
        parse=parse,
        page_size=min(entity.page_size, special_type.page_size) if special_type else entity.page_size,
        max_rows=ranges.above_rows if ranges and is_limited else None,
    )


def build_report_query(
    report: Report,
    advertiser_id: str,
    window: DateWindow | None,
    *,
    metrics: tuple[Metric, ...],
    requested: Sequence[Metric],
    filters: Mapping[str, list[str]],
) -> PagedQuery[pl.DataFrame]:
    """Build the paged query of a report.

    Args:
        report: the report.
        advertiser_id: the account.
        window: the days; None for a lifetime report.
        metrics: the chosen metrics; the frames have a column for each that the report serves.
        requested: the metrics to request, a part of `metrics`; the columns of the others are null.
        filters: values by the API's filter names, such as `adgroup_ids`.
    """
    names = [metric.api_name for metric in requested]
    parameters = _build_report_parameters(report, advertiser_id, window, names, filters)
    dimensions = report.key_dimensions
    # Rows of interest reports have no day, and rows of other reports may lack it; a query of one day implies it.
    only_day = window.first if window and window.first == window.last else None

    def row_key(row: Any) -> Hashable:  # noqa: ANN401 - any JSON value
        row_dimensions = row.get("dimensions") if isinstance(row, dict) else None
        values = [row_dimensions.get(name) for name in dimensions] if isinstance(row_dimensions, dict) else []
        texts = [value for value in values if isinstance(value, str)]
        # The same key as in `parse_report_page_fast`; a row without text dimensions is identified by its JSON.
        return KEY_SEPARATOR.join(texts) if len(texts) == len(dimensions) else encode_json(row)

    def parse(rows: list[Any], stats: RequestStats) -> pl.DataFrame:
        return parse_report_page(
            report,
            metrics,
            rows,
            unknown_fields=stats.unknown_fields,
            requested_metrics=names,
            advertiser_id=advertiser_id,
            day=only_day,
        )

    return PagedQuery(
        report.source.endpoint,
        parameters,
        row_key=row_key,
        parse=parse,
        page_size=report.source.page_size,
        parse_raw=lambda rows: parse_report_page_fast(
            report, metrics, names, rows, advertiser_id=advertiser_id, day=only_day
        ),
    )


def _build_report_parameters(
    report: Report,
    advertiser_id: str,
    window: DateWindow | None,
    names: Sequence[str],
    filters: Mapping[str, list[str]],
) -> dict[str, Parameter]:
    """Build the parameters of a report as its endpoint takes them; arguments as in `build_report_query`."""
    level, source = report.level, report.source
    parameters: dict[str, Parameter] = {
        "advertiser_id": advertiser_id,
        **({"report_type": report.report_type} if report.report_type else {}),
        **({"data_level": level.data_level} if level.data_level else {}),
        "dimensions": list(report.dimensions),
        # The ids of parents and the names are requested as metrics; as dimensions they fail (API notes 6.2).
        "metrics": [*level.requested_attributes, *names],
        # Pages of an unsorted report may repeat and omit rows. Spend is no attribute, so it can be sorted by.
        source.order_field: "spend" if "spend" in names else names[0],
        source.order_type: "DESC",
    }
    if window:
        parameters["start_date"] = window.first.isoformat()
        parameters["end_date"] = window.last.isoformat()
    else:
        parameters["query_lifetime"] = "true"
    # Without the status filter TikTok omits deleted objects and their spend (API notes 6.4).
    status = {level.status_field: ["STATUS_ALL"]} if level.status_field else {}
    fixed = {name: [value] for name, value in report.fixed_filters}
    all_filters = {**status, **fixed, **filters}
    if all_filters and source.has_filter_conditions:
        parameters["filtering"] = [
            # The value of a filter is always text: a list is JSON inside JSON.
            {"field_name": name, "filter_type": "IN", "filter_value": json.dumps(values)}
            for name, values in all_filters.items()
        ]
    elif all_filters:
        parameters["filtering"] = all_filters
    return parameters


def count_in_batches(
    fetcher: Fetcher, ids: Sequence[str], build_query: Callable[[Sequence[str]], PagedQuery[pl.DataFrame]]
) -> int:
    """Count the rows of all batches together; arguments as in `read_in_batches`.

    Raises:
        TruncatedError: if the response for a single id is truncated too.
        TikTokError: any error of a request.
    """
    total, waiting = 0, list(split_into_batches(ids))
    while waiting:
        batch = waiting.pop()
        try:
            total += fetcher.count(build_query(batch))
        except TruncatedError:
            if len(batch) == 1:
                raise
            waiting += split_into_batches(batch, (len(batch) + 1) // 2)
    return total


def read_in_batches(
    fetcher: Fetcher, ids: Sequence[str], build_query: Callable[[Sequence[str]], PagedQuery[pl.DataFrame]]
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Read all batches of ids, and return their rows together or the first error.

    Args:
        fetcher: sends the queries.
        ids: the ids to filter by, a hundred per query; each row belongs to exactly one of them.
        build_query: builds the query for some of the ids.

    Returns:
        One result, as of a single query; or an error, such as that of a single id whose response is truncated or
        whose pages are unstable.
    """
    waiting: list[Sequence[str]] = list(split_into_batches(ids))
    done: list[FetchResult[pl.DataFrame]] = []
    while waiting:
        halves: list[Sequence[str]] = []
        queries = [build_query(batch) for batch in waiting]
        for batch, (_, result) in zip(waiting, fetcher.fetch_each(queries), strict=True):
            if isinstance(result, TruncatedError | MovingPagesError) and len(batch) > 1:
                halves += split_into_batches(batch, (len(batch) + 1) // 2)
            elif isinstance(result, TikTokError):
                return result
            else:
                done.append(result)
        waiting = halves
    return merge_results(done)


def merge_results(results: Sequence[FetchResult[pl.DataFrame]]) -> FetchResult[pl.DataFrame]:
    """Merge the results of several queries into one result."""
    merged = RequestStats()
    for one in results:
        stats = one.stats
        merged.add(requests=stats.requests, pages=stats.pages, retries=stats.retries, size=stats.bytes)
        merged.unknown_fields.update(stats.unknown_fields)
    return FetchResult(
        [page for one in results for page in one.pages],
        sum(one.rows for one in results),
        min(one.read_at for one in results),
        merged,
        sum(one.seconds for one in results),
        results[0].request_id,
    )
