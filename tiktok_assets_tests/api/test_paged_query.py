"""Laws of pages looked through together: the rows of all of them come, or each page is looked at alone."""

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
Read = Callable[[list[msgspec.Raw]], tuple[list[Row], list[Hashable]] | None]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A world whose days are a page each."""
    with Host.run(PLAN) as found:
        yield found


def key_of(row: Row) -> tuple[str, str]:
    """What tells a row apart."""
    return row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"]


def decoded(rows: list[msgspec.Raw]) -> tuple[list[Row], list[Hashable]]:
    """All rows at once."""
    read: list[Row] = [msgspec.json.decode(row) for row in rows]
    return read, [key_of(row) for row in read]


def listing(host: Host, parse_text: Read | None, days: int = PAGES) -> PagedQuery[list[Row]]:
    """The question for as many days."""
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
        identify=key_of,
        parse=lambda rows, _: rows,
        parse_text=parse_text,
    )


def fetched(host: Host, asked: PagedQuery[list[Row]]) -> FetchResult[list[Row]]:
    """Its answer."""
    with host.fetcher() as (_, fetcher):
        return fetcher.fetch(asked)


def rows_by_key(answer: FetchResult[list[Row]]) -> dict[tuple[str, str], Row]:
    """Each row under its key."""
    return {key_of(row): row for page in answer.pages for row in page}


@pytest.mark.parametrize("days", [1, PAGES_PER_BATCH, PAGES])
def test_rows_looked_through_together_are_those_looked_at_page_by_page(host: Host, days: int) -> None:
    """However the pages are looked through, every row comes once and in as few goes as there may be."""
    goes, lock = list[int](), Lock()

    def counted(rows: list[msgspec.Raw]) -> tuple[list[Row], list[Hashable]]:
        with lock:
            goes.append(len(rows))
        return decoded(rows)

    alone = fetched(host, listing(host, None, days))
    together = fetched(host, listing(host, counted, days))
    assert rows_by_key(together) == rows_by_key(alone)
    assert together.rows == alone.rows == days * 1000
    assert len(alone.pages) == together.tally.pages == count_pages(days * 1000)
    full, rest = divmod(days, PAGES_PER_BATCH)
    assert sorted(goes) == sorted([PAGES_PER_BATCH * 1000] * full + [rest * 1000] * bool(rest))


def test_pages_that_cannot_be_taken_together_are_looked_at_alone(host: Host) -> None:
    """Rows the quick way does not take, or stumbles over, come the careful way, all of them and in order."""

    def stumbling(_: list[msgspec.Raw]) -> None:
        raise ValueError("clicks is 'many', which is no count")

    alone = fetched(host, listing(host, None))
    for quick in (lambda _: None, stumbling):
        assert fetched(host, listing(host, quick)).pages == alone.pages


def test_what_is_wrong_with_a_page_is_said_of_that_page(host: Host) -> None:
    """A row no way can read is a broken contract that names its page and the request that brought it."""
    whole = fetched(host, listing(host, None))
    bad = key_of(whole.pages[3][5])

    def parse(rows: list[dict[str, Any]], _: RequestStats) -> list[Row]:
        if any(key_of(row) == bad for row in rows):
            raise ValueError("clicks is 'many', which is no count")
        return rows

    with pytest.raises(ContractError, match="page 4 cannot be read: clicks is 'many'") as caught:
        fetched(host, replace(listing(host, lambda _: None), parse=parse))
    assert caught.value.request_id


@pytest.mark.parametrize("odd", [None, {}, "rows", [1]])
def test_a_page_without_a_list_is_not_one_without_rows(odd: object) -> None:
    """A page that has no list, or one of something else, among good ones is refused, and not taken for empty."""
    asked = PagedQuery(REPORT, {}, identify=key_of, parse=lambda rows, _: rows, parse_text=decoded)
    pages = PageCollector(asked, RequestStats(), BoundedSemaphore())
    rows = [msgspec.Raw(b'{"dimensions":{"ad_id":"1","stat_time_day":"2026-11-08"}}')]
    for number, found in enumerate([rows, odd], 1):
        info = {"total_number": 1}
        pages.add(number, ApiResponse({"list": found, "page_info": info}, str(number), {}, datetime.now(UTC)))
    with pytest.raises(ContractError, match="page 2 cannot be read: "):
        pages.finish()


def test_a_reading_is_as_old_as_its_first_page(host: Host) -> None:
    """Pages wait for others before they are looked through: what was read is dated when its first page came."""
    with host.fetcher() as (client, fetcher):
        fetcher.count(listing(host, None, 3))
        before = client.now()
        answer = fetcher.fetch(listing(host, decoded, 3), wait=lambda _: host.advance(days=1))
        assert abs(answer.read_at - before) < timedelta(minutes=1)
        assert client.now() - answer.read_at > timedelta(hours=23)
    host.behave()
