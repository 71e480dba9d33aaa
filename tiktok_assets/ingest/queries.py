"""Build the paginated API requests of entities and reports, and read a report in batches of ids.

A report is read in batches where one response is truncated or its pages are unstable.
"""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from tiktok_assets.api.client import Parameter, RequestStats
from tiktok_assets.api.errors import MovingPagesError, TikTokError, TruncatedError
from tiktok_assets.api.paged_query import PagedQuery
from tiktok_assets.api.pagination import Fetcher, FetchResult
from tiktok_assets.api.request_plan import DateWindow, split_into_batches
from tiktok_assets.spec.endpoints import MAX_PAGE_SIZE, REPORT
from tiktok_assets.spec.entities import Entity, SpecialCampaignType
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.reports import Report
from tiktok_assets.tables.account_calendar import ValueFormatError
from tiktok_assets.tables.cells import encode_json, parse_cell
from tiktok_assets.tables.frames import (
    KEY_SEPARATOR,
    build_entity_frame,
    parse_report_page,
    parse_report_page_fast,
)


def build_entity_request(
    entity: Entity,
    advertiser_id: str,
    filters: Mapping[str, list[str]],
    now: Callable[[], datetime],
    kind: SpecialCampaignType | None = None,
) -> PagedQuery[pl.DataFrame]:
    """Return the paged question of an entity: every object, deleted ones included, narrowed by the filters.

    Args:
        entity: whose objects.
        advertiser_id: of which account.
        filters: narrows by the API's filter names.
        now: the host's clock.
        kind: the hidden kind that is asked for; None for all that TikTok shows unasked.
    """
    asked_for = {kind.filter_name: [kind.filter_value]} if kind else {}

    def parse(rows: list[Any], tally: RequestStats) -> pl.DataFrame:
        owners = [advertiser_id] * len(rows)
        return build_entity_frame(entity, rows, now(), unknown_fields=tally.unknown_fields, owners=owners)

    (key,) = (column for column in entity.columns if column.api_name == entity.key)

    def identify(row: Any) -> Hashable:  # noqa: ANN401 - whatever a list held
        found, _ = parse_cell(key, row.get(key.api_name)) if isinstance(row, dict) else (None, False)
        if found is None:
            raise ValueFormatError(f"a row has no {key.api_name}")
        return str(found)

    return PagedQuery(
        entity.endpoint,
        # Deleted ones are hidden unless asked for, and TikTok deletes old ads by itself.
        {"advertiser_id": advertiser_id, "filtering": {"primary_status": "STATUS_ALL", **filters, **asked_for}},
        identify=identify,
        parse=parse,
        page_size=kind.page_size if kind else MAX_PAGE_SIZE,
    )


def build_report_request(
    report: Report,
    advertiser_id: str,
    window: DateWindow | None,
    *,
    metrics: tuple[Metric, ...],
    asked: Sequence[Metric],
    filters: Mapping[str, list[str]],
) -> PagedQuery[pl.DataFrame]:
    """The paged question of a report.

    Args:
        report: which.
        advertiser_id: whose.
        window: its days; None for a lifetime report.
        metrics: those chosen; its frames have columns for those it is served.
        asked: those of them that are asked for; the columns of the others are null.
        filters: narrows by the API's filter names, such as `adgroup_ids`.
    """
    level = report.level
    dimensions = list(report.dimensions)
    names = [metric.api_name for metric in asked]
    parameters: dict[str, Parameter] = {
        "advertiser_id": advertiser_id,
        "report_type": report.report_type,
        "data_level": level.data_level,
        "dimensions": dimensions,
        # Parents and names are metrics here; as dimensions they fail (dossier 6.2).
        "metrics": [*level.attributes, *names],
        # Pages of an unsorted report may repeat and miss rows; spend is never an attribute, so it may order.
        "order_field": "spend" if "spend" in names else names[0],
        "order_type": "DESC",
    }
    if window:
        parameters["start_date"] = window.first.isoformat()
        parameters["end_date"] = window.last.isoformat()
    else:
        parameters["query_lifetime"] = "true"
    # Without the status filter the deleted are left out, and their spend with them (dossier 6.4).
    status = {level.status_field: ["STATUS_ALL"]} if level.status_field else {}
    if wanted := {**status, **filters}:
        parameters["filtering"] = [
            # A filter's value is always text, a list among them: JSON inside JSON.
            {"field_name": name, "filter_type": "IN", "filter_value": json.dumps(values)}
            for name, values in wanted.items()
        ]

    # Interests know no days, and a row of another report may not say its own: a question of one day says it.
    only_day = window.first if window and window.first == window.last else None

    def identify(row: Any) -> Hashable:  # noqa: ANN401 - whatever a list held
        said = row.get("dimensions") if isinstance(row, dict) else None
        values = [said.get(name) for name in dimensions] if isinstance(said, dict) else []
        texts = [value for value in values if isinstance(value, str)]
        # As `plain_report_page` has it; a row whose key is no text is itself what tells it apart.
        return KEY_SEPARATOR.join(texts) if len(texts) == len(dimensions) else encode_json(row)

    def parse(rows: list[Any], tally: RequestStats) -> pl.DataFrame:
        return parse_report_page(
            report,
            metrics,
            rows,
            unknown_fields=tally.unknown_fields,
            asked=names,
            owner=advertiser_id,
            day=only_day,
        )

    return PagedQuery(
        REPORT,
        parameters,
        identify=identify,
        parse=parse,
        parse_text=lambda rows: parse_report_page_fast(
            report, metrics, names, rows, owner=advertiser_id, day=only_day
        ),
    )


def count_in_batches(
    fetcher: Fetcher, ids: Sequence[str], listing_of: Callable[[Sequence[str]], PagedQuery[pl.DataFrame]]
) -> int:
    """How many rows all parts have together; arguments as in `read_in_parts`.

    Raises:
        TruncatedError: if the part of a single id is cut too.
        TikTokError: whatever a request raised.
    """
    total, waiting = 0, list(split_into_batches(ids))
    while waiting:
        batch = waiting.pop()
        try:
            total += fetcher.count(listing_of(batch))
        except TruncatedError:
            if len(batch) == 1:
                raise
            waiting += split_into_batches(batch, (len(batch) + 1) // 2)
    return total


def read_in_batches(
    fetcher: Fetcher, ids: Sequence[str], listing_of: Callable[[Sequence[str]], PagedQuery[pl.DataFrame]]
) -> FetchResult[pl.DataFrame] | TikTokError:
    """All parts together, or the first error.

    Args:
        fetcher: what reads.
        ids: what the parts are cut by; each row belongs to one of them. A hundred go into one filter.
        listing_of: the question about some of them.

    Returns:
        One listing, as if it had been read at once; the error of the part of a single id that is cut or moves too.
    """
    waiting: list[Sequence[str]] = list(split_into_batches(ids))
    done: list[FetchResult[pl.DataFrame]] = []
    while waiting:
        halves: list[Sequence[str]] = []
        listings = [listing_of(batch) for batch in waiting]
        for batch, (_, fetched) in zip(waiting, fetcher.fetch_each(listings), strict=True):
            if isinstance(fetched, TruncatedError | MovingPagesError) and len(batch) > 1:
                halves += split_into_batches(batch, (len(batch) + 1) // 2)
            elif isinstance(fetched, TikTokError):
                return fetched
            else:
                done.append(fetched)
        waiting = halves
    return merge_fetched(done)


def merge_fetched(done: Sequence[FetchResult[pl.DataFrame]]) -> FetchResult[pl.DataFrame]:
    """Return several listings as if they had been one."""
    tally = RequestStats()
    for one in done:
        cost = one.tally
        tally.add(requests=cost.requests, pages=cost.pages, retries=cost.retries, size=cost.bytes)
        tally.unknown_fields.update(cost.unknown_fields)
    return FetchResult(
        [page for one in done for page in one.pages],
        sum(one.rows for one in done),
        min(one.read_at for one in done),
        tally,
        sum(one.seconds for one in done),
        done[0].request_id,
    )
