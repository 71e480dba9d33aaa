"""Fetch every row of paged queries exactly once, with several requests in flight and bounded memory."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore, Condition
from typing import Any, Generic

import msgspec

from tiktok_assets.api.client import ApiResponse, Client, Parameter, RequestStats
from tiktok_assets.api.errors import (
    ContractError,
    MovingPagesError,
    RepeatedKeyError,
    TikTokError,
    TooManyRowsError,
    TruncatedError,
)
from tiktok_assets.api.paged_query import Page, PageCollector, PagedQuery, ParsedPages, read_total
from tiktok_assets.api.request_plan import count_pages
from tiktok_assets.spec import MAX_PAGE_SIZE, Endpoint

MIN_QUERIES_AHEAD = 2
"""Queries that are prefetched whatever their size; one more, which is being written, may be in memory."""

MAX_QUERIES_IN_FLIGHT = 16
"""Small queries that are prefetched at once: enough for thirty requests per second of half a second each."""

MAX_PAGES_AHEAD = 32
"""Pages that prefetched queries may have in memory together, beyond those of `MIN_QUERIES_AHEAD`."""

MAX_ROUNDS = 3
"""How often all pages of a query are read if they disagree, before it fails."""

MAX_PAGES_IN_FLIGHT = 8
"""Second and later pages that are requested at once; the request budget limits their rate."""

TOTALS_DISAGREE = "the pages disagree on how many rows there are"

TRUNCATION_HEADER = "X-Tt-Ads-Throttle"
"""A header that is sent with code 0 if a report was cut to the 20,000 newest ads (API notes 6.3)."""


class PrefetchWindow:
    """Limits how many queries of a sequence are prefetched, by their pages in memory; thread-safe.

    Each query has a position, counted from 0 in the order in which results are returned.
    """

    def __init__(self) -> None:
        self._started = 0
        self._returned = 0
        self._pages: dict[int, int] = {}
        self._typical_pages = MAX_PAGES_AHEAD  # until the first query is known
        self._is_closed = False
        self._changed = Condition()

    def start_next(self) -> int | None:
        """Return the position of the next query if it may start now; None while memory is used up."""
        with self._changed:
            ahead = self._started - self._returned
            pages = max(self._typical_pages, *self._pages.values()) if self._pages else self._typical_pages
            is_small_enough = ahead < MAX_QUERIES_IN_FLIGHT and (ahead + 1) * pages <= MAX_PAGES_AHEAD
            if ahead >= MIN_QUERIES_AHEAD and not is_small_enough:
                return None
            self._started += 1
            return self._started - 1

    def wait_for_pages(self, position: int, pages: int) -> None:
        """Wait until a query may read its remaining pages, after its first page gave their number.

        The next few queries never wait, so there is no deadlock.

        Raises:
            CancelledError: if the window was closed.
        """
        with self._changed:
            self._pages[position] = pages
            self._changed.wait_for(lambda: self._is_closed or pages == 1 or self._fits(position))
            if self._is_closed:
                raise CancelledError

    def release_next(self) -> None:
        """Record that the next result was returned; its memory no longer counts."""
        with self._changed:
            self._typical_pages = self._pages.pop(self._returned, self._typical_pages)
            self._returned += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Cancel all waiting queries."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _fits(self, position: int) -> bool:
        return position - self._returned < MIN_QUERIES_AHEAD or sum(self._pages.values()) <= MAX_PAGES_AHEAD


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[Page]):
    """The complete result of a paged query.

    Attributes:
        pages: the parsed pages in order; one entry may hold several of them.
        rows: number of rows.
        read_at: when the first page was read, by the host's clock.
        stats: what the query cost.
        seconds: how long it took.
        request_id: TikTok's id of the request for the first page.
    """

    pages: list[Page]
    rows: int
    read_at: datetime
    stats: RequestStats
    seconds: float
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a paged query, as its endpoint gives them.

    Attributes:
        rows: number of rows.
        metrics: sums by the API's name of the metric; empty if the endpoint gives none.
    """

    rows: int
    metrics: Mapping[str, Any]


class Fetcher:
    """Runs paged queries with several requests in flight; one per client, to be closed after use."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._page_pool = ThreadPoolExecutor(MAX_PAGES_IN_FLIGHT, thread_name_prefix="page")
        # A consumer of `fetch_each` may start further sequences; the next queries of each must find a free thread.
        self._query_pool = ThreadPoolExecutor(
            MAX_QUERIES_IN_FLIGHT + MIN_QUERIES_AHEAD, thread_name_prefix="query"
        )
        self._prefetched: dict[str, Future[FetchResult[Any]]] = {}
        self._windows: set[PrefetchWindow] = set()
        # Parsing on more threads than there are cores is not faster, and each thread needs memory for copies.
        self._parse_slots = BoundedSemaphore(os.cpu_count() or 1)

    def close(self) -> None:
        """Stop the threads; queries that have not started are cancelled."""
        for window in list(self._windows):
            window.close()
        self._query_pool.shutdown(wait=False, cancel_futures=True)
        self._page_pool.shutdown(wait=False, cancel_futures=True)

    def prefetch(self, query: PagedQuery[Any]) -> None:
        """Start a query now; the next `fetch_each` with an equal query uses this result, once."""
        self._prefetched[_query_key(query)] = self._query_pool.submit(self.fetch, query)

    def get(self, endpoint: Endpoint, parameters: Mapping[str, Parameter], stats: RequestStats) -> ApiResponse:
        """Send one request without pages; see `Client.get`."""
        return self._client.get(endpoint, parameters, stats)

    def fetch(
        self, query: PagedQuery[Page], wait_for_pages: Callable[[int], None] = lambda _: None
    ) -> FetchResult[Page]:
        """Fetch every row of a query.

        Args:
            query: the query.
            wait_for_pages: called with the number of pages once it is known; returns when the rest may be read.

        Raises:
            MovingPagesError: if there are several pages and they still disagree after `MAX_ROUNDS` rounds.
            RepeatedKeyError: if the only page has several rows with the same key.
            ContractError: if a page is invalid, or the only page does not have the announced number of rows.
            TooManyRowsError: if there are more rows than `max_rows`.
            TruncatedError: if the API left rows out.
            TikTokError: if a request failed.
        """
        stats = RequestStats()
        began = time.monotonic()
        for _ in range(MAX_ROUNDS):
            pages, first, problem = self._fetch_round(query, stats, wait_for_pages)
            if not problem:
                rows = sum(len(page.keys) for page in pages)
                parsed, seconds = [page.parsed for page in pages], time.monotonic() - began
                return FetchResult(parsed, rows, first.read_at, stats, seconds, first.request_id)
        message = f"{problem}, {MAX_ROUNDS} times in a row"
        if len(pages) == 1 and _has_repeated_keys(pages[0]):
            raise RepeatedKeyError(message, endpoint=query.endpoint.path, request_id=first.request_id)
        if read_total(query.endpoint, first) <= query.page_size:
            raise ContractError(message, endpoint=query.endpoint.path, request_id=first.request_id)
        error = MovingPagesError(message, endpoint=query.endpoint.path, request_id=first.request_id)
        error.announced_rows = None if problem == TOTALS_DISAGREE else read_total(query.endpoint, first)
        raise error

    def count(self, query: PagedQuery[Page]) -> int:
        """Return the number of rows of a query, from a single page with one row.

        Raises:
            TruncatedError: if the API left rows out.
            TikTokError: if the request failed.
        """
        return self.read_totals(query).rows

    def read_totals(self, query: PagedQuery[Page], stats: RequestStats | None = None, **more: Parameter) -> Totals:
        """Return the totals of a query, from a single page with one row.

        Args:
            query: the query.
            stats: the cost of the request is added to it.
            **more: further parameters of the request.

        Raises:
            TruncatedError: if the API left rows out.
            TikTokError: if the request failed.
        """
        parameters = {**query.parameters, **more, "page": "1", "page_size": "1"}
        response = self._client.get(query.endpoint, parameters, stats or RequestStats())
        _check_not_truncated(query.endpoint, response)
        metrics = response.data.get("total_metrics")
        return Totals(read_total(query.endpoint, response), metrics if isinstance(metrics, dict) else {})

    def fetch_each(
        self, queries: Iterable[PagedQuery[Page]]
    ) -> Iterator[tuple[PagedQuery[Page], FetchResult[Page] | TikTokError]]:
        """Yield each query with its result, or with its error, in the order given.

        The next queries are prefetched, few large ones or many small ones, so that memory is bounded for any
        number and size of queries.
        """
        remaining, window = iter(queries), PrefetchWindow()
        in_flight: deque[tuple[PagedQuery[Page], Future[FetchResult[Page]]]] = deque()

        def start_queries() -> None:
            while (position := window.start_next()) is not None and (query := next(remaining, None)):
                in_flight.append((query, self._start(query, partial(window.wait_for_pages, position))))

        self._windows.add(window)
        try:
            start_queries()
            while in_flight:
                query, future = in_flight.popleft()
                result = _result_or_error(future)
                window.release_next()
                start_queries()
                yield query, result
        finally:
            window.close()
            self._windows.discard(window)
            for _, future in in_flight:
                future.cancel()

    def _start(self, query: PagedQuery[Page], wait_for_pages: Callable[[int], None]) -> Future[FetchResult[Page]]:
        prefetched = self._prefetched.pop(_query_key(query), None) if self._prefetched else None
        return prefetched or self._query_pool.submit(self.fetch, query, wait_for_pages)

    def _fetch_round(
        self, query: PagedQuery[Page], stats: RequestStats, wait_for_pages: Callable[[int], None]
    ) -> tuple[list[ParsedPages[Page]], ApiResponse, str]:
        """Read all pages once; return them, the response of the first, and how they disagree ("" if not)."""
        collector = PageCollector(query, stats, self._parse_slots)
        first = self._get_page(query, 1, stats)
        total = collector.add(1, first)
        if query.max_rows is not None and total > query.max_rows:
            error = TooManyRowsError(f"{total} rows are announced", endpoint=query.endpoint.path)
            error.announced_rows = total
            raise error
        last = count_pages(total, query.page_size)
        wait_for_pages(last)
        others = [
            self._page_pool.submit(
                lambda number: collector.add(number, self._get_page(query, number, stats)), number
            )
            for number in range(2, last + 1)
        ]
        try:
            for future in others:
                future.result()
        finally:
            for future in others:
                future.cancel()
        pages = collector.finish()
        if collector.totals != {total}:
            return pages, first, TOTALS_DISAGREE
        keys = [key for page in pages for key in page.keys]
        if len(keys) != total or len(set(keys)) != total:
            return (
                pages,
                first,
                f"{total} rows were announced, {len(keys)} were received, {len(set(keys))} of them distinct",
            )
        return pages, first, ""

    def _get_page(self, query: PagedQuery[Page], number: int, stats: RequestStats) -> ApiResponse:
        """Request one page; `page_size` is always sent because the API's default is ten."""
        response = self._client.get(
            query.endpoint,
            {**query.parameters, "page": str(number), "page_size": str(query.page_size)},
            stats,
        )
        stats.add(pages=1)
        _check_not_truncated(query.endpoint, response)
        return response


def _has_repeated_keys(page: ParsedPages[Any]) -> bool:
    """Return whether rows of a single page share a key, which rows moving between pages cannot explain."""
    return len(page.keys) <= MAX_PAGE_SIZE and len(set(page.keys)) < len(page.keys)


def _query_key(query: PagedQuery[Any]) -> str:
    return msgspec.json.encode((query.endpoint.path, query.parameters), order="deterministic").decode()


def _check_not_truncated(endpoint: Endpoint, response: ApiResponse) -> None:
    if warning := response.headers.get(TRUNCATION_HEADER):
        raise TruncatedError(
            f"TikTok left rows out: {warning}", endpoint=endpoint.path, request_id=response.request_id
        )


def _result_or_error(future: Future[FetchResult[Page]]) -> FetchResult[Page] | TikTokError:
    try:
        return future.result()
    except TikTokError as error:
        return error
