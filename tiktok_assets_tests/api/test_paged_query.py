"""Tests of parsing pages in batches: the result is the same as parsing each page alone."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Any

import msgspec
import pytest

from tiktok_assets.api.client import ApiResponse, RequestStats
from tiktok_assets.api.errors import ContractError
from tiktok_assets.api.paged_query import PAGES_PER_BATCH, PageCollector, PagedQuery, Row
from tiktok_assets.api.pagination import FetchResult
from tiktok_assets.api.request_plan import count_pages
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.endpoints import REPORT
from tiktok_assets_tests.api.conftest import Host

PLAN = WorldPlan(dense=True, advertisers=1, days=15, campaigns=1, ad_groups=1, ads=1000)
PAGES = PAGES_PER_BATCH + 3
RawParser = Callable[[list[msgspec.Raw]], tuple[list[Row], list[Hashable]] | None]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Run a world in which each day fills one page."""
    with Host.run(PLAN) as found:
        yield found


def row_key(row: Row) -> tuple[str, str]:
    """Return the key of a row."""
    return row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"]


def parse_raw_rows(rows: list[msgspec.Raw]) -> tuple[list[Row], list[Hashable]]:
    """Parse all rows at once."""
    read: list[Row] = [msgspec.json.decode(row) for row in rows]
    return read, [row_key(row) for row in read]


def build_query(host: Host, parse_raw: RawParser | None, days: int = PAGES) -> PagedQuery[list[Row]]:
    """Build the query for a number of days."""
    last = PLAN.anchor.date() - timedelta(1)
    return PagedQuery(
        REPORT,
        {
            "advertiser_id": host.advertiser_ids[0],
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id", "stat_time_day"],
            "metrics": ["spend", "clicks"],
            "start_date": (last - timedelta(days - 1)).isoformat(),
            "end_date": last.isoformat(),
            "order_field": "spend",
            "order_type": "DESC",
        },
        row_key=row_key,
        parse=lambda rows, _: rows,
        parse_raw=parse_raw,
    )


def fetch(host: Host, query: PagedQuery[list[Row]]) -> FetchResult[list[Row]]:
    """Fetch the result of a query."""
    with host.fetcher() as (_, fetcher):
        return fetcher.fetch(query)


def rows_by_key(result: FetchResult[list[Row]]) -> dict[tuple[str, str], Row]:
    """Return the rows by their key."""
    return {row_key(row): row for page in result.pages for row in page}


@pytest.mark.slow
@pytest.mark.parametrize("days", [1, PAGES_PER_BATCH, PAGES])
def test_batches_give_the_same_rows_as_single_pages(host: Host, days: int) -> None:
    """Parsing in batches gives each row once, with as few parser calls as possible."""
    batch_sizes, lock = list[int](), Lock()

    def count_and_parse(rows: list[msgspec.Raw]) -> tuple[list[Row], list[Hashable]]:
        with lock:
            batch_sizes.append(len(rows))
        return parse_raw_rows(rows)

    single = fetch(host, build_query(host, None, days))
    batched = fetch(host, build_query(host, count_and_parse, days))
    assert rows_by_key(batched) == rows_by_key(single)
    assert batched.rows == single.rows == days * 1000
    assert len(single.pages) == batched.stats.pages == count_pages(days * 1000)
    full, rest = divmod(days, PAGES_PER_BATCH)
    assert sorted(batch_sizes) == sorted([PAGES_PER_BATCH * 1000] * full + [rest * 1000] * bool(rest))


@pytest.mark.slow
def test_batch_parser_falls_back_to_single_pages(host: Host) -> None:
    """Rows that the batch parser rejects are parsed page by page, completely and in order."""

    def failing_parser(_: list[msgspec.Raw]) -> None:
        raise ValueError("clicks is 'many', which is not a number")

    single = fetch(host, build_query(host, None))
    for parser in (lambda _: None, failing_parser):
        assert fetch(host, build_query(host, parser)).pages == single.pages


def test_invalid_row_error_has_its_page(host: Host) -> None:
    """A row that cannot be parsed raises a ContractError with its page number and request id."""
    expected = fetch(host, build_query(host, None))
    bad = row_key(expected.pages[3][5])

    def parse(rows: list[dict[str, Any]], _: RequestStats) -> list[Row]:
        if any(row_key(row) == bad for row in rows):
            raise ValueError("clicks is 'many', which is not a number")
        return rows

    with pytest.raises(ContractError, match="page 4 cannot be read: clicks is 'many'") as caught:
        fetch(host, replace(build_query(host, lambda _: None), parse=parse))
    assert caught.value.request_id


@pytest.mark.parametrize("invalid", [None, {}, "rows", [1]])
def test_page_without_list_is_not_an_empty_page(invalid: object) -> None:
    """A page without a list of rows among valid pages is an error, not an empty page."""
    query = PagedQuery(REPORT, {}, row_key=row_key, parse=lambda rows, _: rows, parse_raw=parse_raw_rows)
    pages = PageCollector(query, RequestStats(), BoundedSemaphore())
    rows = [msgspec.Raw(b'{"dimensions":{"ad_id":"1","stat_time_day":"2026-11-08"}}')]
    for number, found in enumerate([rows, invalid], 1):
        info = {"total_number": 1}
        pages.add(number, ApiResponse({"list": found, "page_info": info}, str(number), {}, datetime.now(UTC)))
    with pytest.raises(ContractError, match="page 2 cannot be read: "):
        pages.finish()


def test_result_is_dated_by_its_first_page(host: Host) -> None:
    """A result has the time at which its first page was received, however late the others are."""
    with host.fetcher() as (client, fetcher):
        fetcher.count(build_query(host, None, 3))
        before = client.now()
        result = fetcher.fetch(build_query(host, parse_raw_rows, 3), wait_for_pages=lambda _: host.advance(days=1))
        assert abs(result.read_at - before) < timedelta(minutes=1)
        assert client.now() - result.read_at > timedelta(hours=23)
    host.reset()
