"""Read a long list of an entity in ranges of the time of creation."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from tiktok_assets.api import ContractError, FetchResult, PagedQuery, TikTokError, TooManyRowsError
from tiktok_assets.ingest.queries import build_entity_query, merge_results
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec import Entity

_EARLIEST = datetime(2016, 9, 1, tzinfo=UTC)
"""Before the first ad: TikTok started in this month."""

_RANGES_AT_ONCE = 4
_OVERLAP = timedelta(seconds=1)
"""The API's ends are exclusive; neighbouring ranges overlap so that no second is left out."""


def read_by_creation(
    reader: Reader, entity: Entity, advertiser_id: str, filters: Mapping[str, list[str]], error: TooManyRowsError
) -> FetchResult[pl.DataFrame] | TikTokError:
    """Read a list range by range, the newest first, until it has all rows that the whole list announced.

    Args:
        reader: the connection and its state.
        entity: the entity, which has creation ranges.
        advertiser_id: the account.
        filters: values by the API's filter names.
        error: the error of the whole list, with the number of its rows.

    Returns:
        One result, as of a single query; or the error of a range, or that rows are missing.
    """
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    done = list[FetchResult[pl.DataFrame]]()
    rows: pl.DataFrame | None = None
    for queries in _build_queries(reader, entity, advertiser_id, filters):
        for _, result in reader.fetcher.fetch_each(queries):
            if isinstance(result, TikTokError):
                return result
            done.append(result)
            pages = [*([] if rows is None else [rows]), *result.pages]
            rows = pl.concat(pages).unique([key], keep="first", maintain_order=True)
        if rows is not None and rows.height >= error.announced_rows:
            merged = merge_results(done)
            return FetchResult(
                [rows], rows.height, merged.read_at, merged.stats, merged.seconds, merged.request_id
            )
    found = 0 if rows is None else rows.height
    return ContractError(
        f"{error.announced_rows} rows were announced, and the ranges of creation have {found}",
        endpoint=entity.endpoint.path,
    )


def _build_queries(
    reader: Reader, entity: Entity, advertiser_id: str, filters: Mapping[str, list[str]]
) -> Iterator[list[PagedQuery[pl.DataFrame]]]:
    ranges = entity.creation_ranges
    assert ranges is not None  # noqa: S101 - narrows for mypy; only such an entity has a limit of rows
    end = reader.now().astimezone(UTC) + timedelta(days=1)
    while end > _EARLIEST:
        queries = []
        for _ in range(_RANGES_AT_ONCE):
            start = end - timedelta(days=ranges.days)
            times = {
                ranges.start_filter: f"{start - _OVERLAP:%Y-%m-%d %H:%M:%S}",
                ranges.end_filter: f"{end + _OVERLAP:%Y-%m-%d %H:%M:%S}",
            }
            queries.append(build_entity_query(entity, advertiser_id, {**filters, **times}, reader.now))
            end = start
        yield queries
