"""Tests of paged queries: every row is returned exactly once and in order, or an error is raised."""

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from math import ceil
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from tiktok_assets.api.client import Parameter, RequestStats
from tiktok_assets.api.errors import (
    AdvertiserError,
    ContractError,
    CredentialsError,
    RetryLaterError,
    TikTokError,
    TooLargeError,
)
from tiktok_assets.api.paged_query import PagedQuery, Row
from tiktok_assets.api.pagination import (
    MAX_PAGES_AHEAD,
    MAX_QUERIES_IN_FLIGHT,
    MAX_ROUNDS,
    MIN_QUERIES_AHEAD,
    Fetcher,
    FetchResult,
    PrefetchWindow,
)
from tiktok_assets.api.request_plan import count_pages
from tiktok_assets.spec.endpoints import AD_GROUP_LIST, AD_LIST, CAMPAIGN_LIST, MAX_PAGE_SIZE, REPORT, Endpoint
from tiktok_assets_tests.api.conftest import HANG_SECONDS, SHORT_TIMEOUTS, Host

KEYS = {CAMPAIGN_LIST: "campaign_id", AD_GROUP_LIST: "adgroup_id", AD_LIST: "ad_id"}
GROUND_TRUTH_KINDS = {CAMPAIGN_LIST: "campaigns", AD_GROUP_LIST: "ad_groups", AD_LIST: "ads"}
EVERYTHING: dict[str, Parameter] = {"filtering": {"primary_status": "STATUS_ALL"}}


def keep_rows(rows: list[Row], _: RequestStats) -> list[Row]:
    """Return the rows of a page unchanged."""
    return rows


def build_entity_query(advertiser_id: str, endpoint: Endpoint = AD_LIST) -> PagedQuery[list[Row]]:
    """Build the query for all objects of an entity."""
    key = KEYS[endpoint]
    return PagedQuery(
        endpoint,
        {"advertiser_id": advertiser_id, **EVERYTHING},
        row_key=lambda row: str(row[key]),
        parse=keep_rows,
    )


def build_ad_report_query(advertiser_id: str, first: str, last: str) -> PagedQuery[list[Row]]:
    """Build the query for a daily report by ad."""
    return PagedQuery(
        REPORT,
        {
            "advertiser_id": advertiser_id,
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id", "stat_time_day"],
            "metrics": ["spend", "impressions"],
            "start_date": first,
            "end_date": last,
            "order_field": "spend",
            "order_type": "DESC",
        },
        row_key=lambda row: (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"]),
        parse=keep_rows,
    )


def collect_rows(result: FetchResult[list[Row]]) -> list[Row]:
    """Return the rows of all pages, in order."""
    return [row for page in result.pages for row in page]


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", KEYS, ids=lambda endpoint: endpoint.path)
@pytest.mark.parametrize(
    ("world", "account"), [("small", 0), ("small", 3), ("a page", 0), ("one more", 0), ("several", 0)]
)
def test_every_object_is_read_once(hosts: dict[str, Host], world: str, account: int, endpoint: Endpoint) -> None:
    """A list of 0 to 2300 objects equals the ground truth, with the planned number of requests."""
    host = hosts[world]
    host.reset()
    owner = host.advertiser_ids[account]
    truth = host.ground_truth(GROUND_TRUTH_KINDS[endpoint], advertiser_id=owner)
    with host.fetcher() as (client, fetcher):
        result = fetcher.fetch(build_entity_query(owner, endpoint))
    found = {row[KEYS[endpoint]]: row for row in collect_rows(result)}
    assert found == {row[KEYS[endpoint]]: row for row in truth}
    assert (result.rows, len(collect_rows(result))) == (len(truth), len(truth))
    assert result.stats.requests == client.total.requests == len(host.requests) == count_pages(len(truth))
    assert (result.stats.pages, result.stats.retries) == (count_pages(len(truth)), 0)


@pytest.mark.slow
@pytest.mark.parametrize(("world", "days"), [("small", 6), ("a page", 1), ("one more", 1), ("several", 3)])
def test_every_report_row_is_read_once(hosts: dict[str, Host], world: str, days: int) -> None:
    """A report has each ad and day of the ground truth once, including both ends of the window."""
    host = hosts[world]
    host.reset()
    owner, last = host.advertiser_ids[0], "2026-11-08"
    first = f"2026-11-{9 - days:02}"
    truth = host.ground_truth("report", level="ad", advertiser_id=owner, start_date=first, end_date=last)
    with host.fetcher() as (_, fetcher):
        result = fetcher.fetch(build_ad_report_query(owner, first, last))
    found = Counter(
        (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"][:10]) for row in collect_rows(result)
    )
    assert found == Counter((row["id"], row["date"]) for row in truth)
    assert result.stats.requests == len(host.requests) == count_pages(len(truth))
    spend = {
        (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"][:10]): row["metrics"]["spend"]
        for row in collect_rows(result)
    }
    assert spend == {(row["id"], row["date"]): row["metrics"]["spend"] for row in truth}


PAGE_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("lost_row", {}),
    ("lost_row", {"after": 1}),
    ("repeated_page", {"after": 1}),
    ("drift", {"shift": 1}),
    ("drift", {"shift": 1, "after": 1}),
]


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(("kind", "options"), PAGE_FAULTS)
@pytest.mark.parametrize("kind_of_query", ["ads", "report"])
def test_inconsistent_pages_are_read_again(
    paged_host: Host, kind_of_query: str, kind: str, options: dict[str, Any], times: int
) -> None:
    """A lost row, a repeated page or moved rows are detected, and all pages are read again."""
    owner = paged_host.advertiser_ids[0]
    query = (
        build_entity_query(owner)
        if kind_of_query == "ads"
        else build_ad_report_query(owner, "2026-11-08", "2026-11-08")
    )
    with paged_host.fetcher() as (_, fetcher):
        expected = fetcher.fetch(query)
        paged_host.inject_fault(kind, times=times, **options)
        actual = fetcher.fetch(query)
    assert collect_rows(actual) == collect_rows(expected)
    assert len(collect_rows(actual)) == 1001
    rounds = actual.stats.pages // 2
    assert 2 <= rounds <= MAX_ROUNDS
    assert (actual.stats.requests, actual.stats.retries) == (rounds * 2, 0)


@pytest.mark.parametrize(
    ("kind", "options"), [("lost_row", {}), ("repeated_page", {}), ("drift", {"shift": 1})], ids=repr
)
@pytest.mark.parametrize("kind_of_query", ["ads", "report"])
def test_persistently_inconsistent_pages_raise_an_error(
    paged_host: Host, kind_of_query: str, kind: str, options: dict[str, Any]
) -> None:
    """Pages that are inconsistent in all rounds raise a ContractError."""
    owner = paged_host.advertiser_ids[0]
    query = (
        build_entity_query(owner)
        if kind_of_query == "ads"
        else build_ad_report_query(owner, "2026-11-08", "2026-11-08")
    )
    paged_host.inject_fault(kind, times=None, **options)
    with (
        paged_host.fetcher() as (client, fetcher),
        pytest.raises(ContractError, match="3 times in a row") as caught,
    ):
        fetcher.fetch(query)
    assert caught.value.endpoint == query.endpoint.path
    assert client.total.requests == MAX_ROUNDS * 2


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("after", [0, 1])
def test_rows_deleted_between_pages_are_detected(hosts: dict[str, Host], times: int, after: int) -> None:
    """A row that is skipped because the list became shorter is detected, and all pages are read again."""
    host = hosts["several"]
    host.reset()
    query = build_entity_query(host.advertiser_ids[0])
    with host.fetcher() as (_, fetcher):
        expected = fetcher.fetch(query)
        host.inject_fault("drift", shift=-1, times=times, after=after)
        actual = fetcher.fetch(query)
    host.reset()
    assert collect_rows(actual) == collect_rows(expected)
    assert actual.stats.pages == 6


def test_deleted_row_is_left_out(paged_host: Host) -> None:
    """A list that became shorter between two pages is read again, and then equals the current list."""
    query = build_entity_query(paged_host.advertiser_ids[0])
    with paged_host.fetcher() as (_, fetcher):
        before = fetcher.fetch(query)
        paged_host.inject_fault("drift", shift=-1, times=None, after=1)
        after = fetcher.fetch(query)
    assert collect_rows(after) == collect_rows(before)[1:]
    assert after.stats.pages == 2 + 1  # without that row there is no second page


TYPE_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("wrong_type", {"field": "total_number"}),
    ("wrong_type", {"field": "dimensions"}),
    ("wrong_type", {"field": "ad_id"}),
]


@pytest.mark.parametrize(("kind", "options"), TYPE_FAULTS)
@pytest.mark.parametrize("times", [1, 2, None])
def test_page_with_wrong_types_is_a_contract_error(
    small_host: Host, kind: str, options: dict[str, Any], times: int
) -> None:
    """A row count that is text or a key that is an object raises a ContractError with the request id."""
    small_host.inject_fault(kind, times=times, **options)
    with small_host.fetcher() as (_, fetcher), pytest.raises(ContractError) as caught:
        fetcher.fetch(build_ad_report_query(small_host.advertiser_ids[0], "2026-11-07", "2026-11-08"))
    assert caught.value.request_id
    assert len(small_host.requests) == 1


def test_truncated_report_is_an_error(small_host: Host) -> None:
    """A report from which TikTok left rows out, according to its header, raises an error."""
    small_host.control("POST", "switches", max_report_ads=2)
    with small_host.fetcher() as (_, fetcher), pytest.raises(ContractError, match="TikTok left rows out"):
        fetcher.fetch(build_ad_report_query(small_host.advertiser_ids[0], "2026-11-07", "2026-11-08"))


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("code", {"code": 40105}, CredentialsError),
        ("code", {"code": 40067}, TooLargeError),
        ("code", {"code": 40100, "times": None}, RetryLaterError),
        ("truncated", {"times": None}, RetryLaterError),
    ],
)
def test_failed_page_fails_the_query(
    paged_host: Host, kind: str, options: dict[str, Any], error: type[TikTokError]
) -> None:
    """If the second page fails, the query fails and the first page is not returned."""
    paged_host.inject_fault(kind, after=1, **options)
    with paged_host.fetcher() as (_, fetcher), pytest.raises(error):
        fetcher.fetch(build_entity_query(paged_host.advertiser_ids[0]))


def test_hanging_page_is_retried(paged_host: Host) -> None:
    """A page that hangs is retried after a timeout, and no row is lost."""
    paged_host.inject_fault("hang", after=1, seconds=HANG_SECONDS)
    with paged_host.fetcher(SHORT_TIMEOUTS) as (_, fetcher):
        result = fetcher.fetch(build_entity_query(paged_host.advertiser_ids[0]))
    paged_host.wait_for_requests(result.stats.requests)
    assert result.rows == 1001
    assert result.stats.retries >= 1


def test_results_are_in_the_order_of_the_queries(small_host: Host) -> None:
    """Each query is returned with its result or its error, in the order given."""
    live, unknown = small_host.advertiser_ids[:3], "7000000000000000000"
    queries = [build_entity_query(owner) for owner in [*live, unknown, *live, unknown]]
    with small_host.fetcher() as (_, fetcher):
        results = list(fetcher.fetch_each(queries))
    assert [query for query, _ in results] == queries
    outcomes = [type(outcome) if isinstance(outcome, TikTokError) else outcome.rows for _, outcome in results]
    assert outcomes == [3, 3, 3, AdvertiserError, 3, 3, 3, AdvertiserError]


@dataclass
class RepeatedQuery:
    """The same query many times, counted as it is taken from the iterator."""

    owner: str
    total: int
    count: int = 0

    def __iter__(self) -> Iterator[PagedQuery[list[Row]]]:
        """Yield the query again and again."""
        while self.count < self.total:
            self.count += 1
            yield build_entity_query(self.owner)


def test_small_queries_are_prefetched_up_to_the_limit(small_host: Host) -> None:
    """Once a small query is known, as many are prefetched as the limit allows, and no more."""
    queries = RepeatedQuery(small_host.advertiser_ids[0], 60)
    with small_host.fetcher() as (_, fetcher):
        results = fetcher.fetch_each(queries)
        for returned in range(1, 4):
            next(results)
            assert queries.count == returned + MAX_QUERIES_IN_FLIGHT
        assert len(list(results)) == queries.total - 3


def test_small_queries_run_concurrently(small_host: Host) -> None:
    """Forty small queries take a fraction of the time they would take one after the other."""
    queries = RepeatedQuery(small_host.advertiser_ids[0], 40)
    small_host.control("POST", "latency", seconds=0.2)
    with small_host.fetcher() as (_, fetcher):
        began = time.monotonic()
        list(fetcher.fetch_each(queries))
    assert time.monotonic() - began < 40 * 0.2 / 4


@pytest.mark.slow
def test_prefetched_pages_are_limited(hosts: dict[str, Host]) -> None:
    """No more pages of large queries are prefetched than the limit allows."""
    host = hosts["several"]
    host.reset()
    queries = RepeatedQuery(host.advertiser_ids[0], 20)
    with host.fetcher() as (_, fetcher):
        for returned, _ in enumerate(fetcher.fetch_each(queries), 1):
            assert (queries.count - returned) * 3 <= MAX_PAGES_AHEAD


def test_large_query_waits_until_it_is_next() -> None:
    """A query that is too large to prefetch waits until it is among the next few."""
    window = PrefetchWindow()
    for position in range(MIN_QUERIES_AHEAD):
        assert window.start_next() == position
        window.wait_for_pages(position, 1)
    assert window.start_next() is None
    window.release_next()
    last = MAX_QUERIES_IN_FLIGHT
    assert [window.start_next() for _ in range(MIN_QUERIES_AHEAD, last + 2)] == [
        *range(MIN_QUERIES_AHEAD, last + 1),
        None,
    ]
    large = Thread(target=window.wait_for_pages, args=(last, MAX_PAGES_AHEAD + 1), daemon=True)
    large.start()
    for _ in range(last - MIN_QUERIES_AHEAD):
        large.join(0.01)
        assert large.is_alive()
        assert window.start_next() is None  # no other query starts meanwhile
        window.release_next()
    large.join(5)
    assert not large.is_alive()


def test_closing_the_iterator_ends_prefetching(hosts: dict[str, Host]) -> None:
    """Closing the iterator of results ends the threads that prefetch for it."""
    host = hosts["several"]
    host.reset()
    with host.fetcher() as (_, fetcher):
        results = fetcher.fetch_each(RepeatedQuery(host.advertiser_ids[0], 50))
        next(results)
        assert isinstance(results, Generator)
        results.close()
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("query") for thread in enumerate_threads()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_count_reads_one_row(paged_host: Host) -> None:
    """The number of rows is read from one page with one row."""
    with paged_host.fetcher() as (client, fetcher):
        assert fetcher.count(build_entity_query(paged_host.advertiser_ids[0])) == 1001
        assert client.total.requests == 1
    assert [request["query"]["page_size"] for request in paged_host.requests] == ["1"]


def test_closed_fetcher_starts_no_query(small_host: Host) -> None:
    """A closed fetcher starts no query."""
    with small_host.fetcher() as (_, fetcher):
        pass
    with pytest.raises(RuntimeError):
        list(fetcher.fetch_each([build_entity_query(small_host.advertiser_ids[0])]))
    assert small_host.requests == []


def test_pages_are_as_many_as_planned(hosts: dict[str, Host]) -> None:
    """All pages but the last are full, and their number is the planned one."""
    host = hosts["several"]
    host.reset()
    with host.fetcher() as (_, fetcher):
        result = fetcher.fetch(build_entity_query(host.advertiser_ids[0]))
    sizes = [len(page) for page in result.pages]
    assert sizes == [MAX_PAGE_SIZE, MAX_PAGE_SIZE, 300]
    assert len(sizes) == ceil(result.rows / MAX_PAGE_SIZE)
    assert isinstance(fetcher, Fetcher)
