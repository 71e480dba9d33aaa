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
from tiktok_assets.api.errors import ContractError, MovingPagesError, RepeatedKeyError, TikTokError, TruncatedError
from tiktok_assets.api.paged_query import Page, PageCollector, PagedQuery, ParsedPages, read_total
from tiktok_assets.api.request_plan import count_pages
from tiktok_assets.spec.endpoints import MAX_PAGE_SIZE, Endpoint

MIN_QUERIES_AHEAD = 2
"""Listings read at once whatever their size; with the one being written, all of the large ones in memory."""

MAX_QUERIES_IN_FLIGHT = 16
"""Listings read at once where they are small: thirty requests a second, each half a second under way."""

MAX_PAGES_AHEAD = 32
"""Pages that listings further ahead may hold together."""


class PrefetchWindow:
    """The pages that a sequence of listings holds; safe to share between threads.

    Each listing has a position, counted from 0 in the order in which they are handed out.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._handed_out = 0
        self._pages: dict[int, int] = {}
        self._usual = MAX_PAGES_AHEAD  # until one is known
        self._is_closed = False
        self._changed = Condition()

    def place(self) -> int | None:
        """The position of the next listing that may begin; None while memory has no room for another."""
        with self._changed:
            ahead = self._begun - self._handed_out
            usual = max(self._usual, *self._pages.values()) if self._pages else self._usual
            small_enough = ahead < MAX_QUERIES_IN_FLIGHT and (ahead + 1) * usual <= MAX_PAGES_AHEAD
            if ahead >= MIN_QUERIES_AHEAD and not small_enough:
                return None
            self._begun += 1
            return self._begun - 1

    def take(self, position: int, pages: int) -> None:
        """Wait until a listing may read its further pages, now that its first has told how many there are.

        The few next in turn never wait, so nobody waits for one that does.

        Raises:
            CancelledError: if nobody will take the listing any more.
        """
        with self._changed:
            self._pages[position] = pages
            self._changed.wait_for(lambda: self._is_closed or pages == 1 or self._fits(position))
            if self._is_closed:
                raise CancelledError

    def hand_out(self) -> None:
        """The next listing in turn is handed out, and what it held is somebody else's."""
        with self._changed:
            self._usual = self._pages.pop(self._handed_out, self._usual)
            self._handed_out += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let everyone go who waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _fits(self, position: int) -> bool:
        return position - self._handed_out < MIN_QUERIES_AHEAD or sum(self._pages.values()) <= MAX_PAGES_AHEAD


MAX_ROUNDS = 3
"""How often a listing whose pages disagree is read from its first page before we give up."""

MAX_PAGES_IN_FLIGHT = 8
"""Further pages of listings under way at once; the budget, not this, sets the pace."""

TOTALS_DISAGREE = "the pages disagree on how many rows there are"

TRUNCATION_HEADER = "X-Tt-Ads-Throttle"
"""Set beside code 0 when a report was cut to the 20,000 newest ads (dossier 6.3)."""


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[Page]):
    """A complete listing.

    Attributes:
        pages: what became of its pages, in order; several may have become one.
        rows: how many they hold.
        read_at: when the first page was read, by the host's clock.
        tally: what it cost.
        seconds: how long it took.
        request_id: of the first page, for TikTok's support.
    """

    pages: list[Page]
    rows: int
    read_at: datetime
    tally: RequestStats
    seconds: float
    request_id: str = ""


class Fetcher:
    """Reads listings with several requests under way; one per client, closed after use."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pages = ThreadPoolExecutor(MAX_PAGES_IN_FLIGHT, thread_name_prefix="page")
        # A consumer may ask for more listings between two: those next in turn always find a thread.
        self._listings = ThreadPoolExecutor(
            MAX_QUERIES_IN_FLIGHT + MIN_QUERIES_AHEAD, thread_name_prefix="listing"
        )
        self._asked_ahead: dict[str, Future[FetchResult[Any]]] = {}
        self._rooms: set[PrefetchWindow] = set()
        # More pages looked through at once than there are cores come no sooner, and each takes room for copies.
        self._desks = BoundedSemaphore(os.cpu_count() or 1)

    def close(self) -> None:
        """Let go of the threads; what has not begun is not begun."""
        for room in list(self._rooms):
            room.close()
        self._listings.shutdown(wait=False, cancel_futures=True)
        self._pages.shutdown(wait=False, cancel_futures=True)

    def ask_ahead(self, listing: PagedQuery[Any]) -> None:
        """Begin to read a listing; whoever asks `fetch_each` for the same one gets what this brings, once."""
        self._asked_ahead[_query_key(listing)] = self._listings.submit(self.fetch, listing)

    def ask(self, endpoint: Endpoint, parameters: Mapping[str, Parameter], tally: RequestStats) -> ApiResponse:
        """One question without pages."""
        return self._client.get(endpoint, parameters, tally)

    def fetch(self, listing: PagedQuery[Page], wait: Callable[[int], None] = lambda _: None) -> FetchResult[Page]:
        """Every row of a listing.

        Args:
            listing: what is asked.
            wait: called with the number of pages after the first one; returns when the others may be read.

        Raises:
            MovingPagesError: if its pages, of which there are several, still disagree after three rounds.
            ContractError: if a page is not one, or the only page does not hold what it announces.
            TruncatedError: if the API says it left rows out.
            TikTokError: whatever a request raised.
        """
        tally = RequestStats()
        began = time.monotonic()
        for _ in range(MAX_ROUNDS):
            pages, first, complaint = self._round(listing, tally, wait)
            if not complaint:
                rows = sum(len(page.keys) for page in pages)
                parsed, seconds = [page.parsed for page in pages], time.monotonic() - began
                return FetchResult(parsed, rows, first.read_at, tally, seconds, first.request_id)
        told = f"{complaint}, {MAX_ROUNDS} times in a row"
        if len(pages) == 1 and _has_repeated_keys(pages[0]):
            raise RepeatedKeyError(told, endpoint=listing.endpoint.path, request_id=first.request_id)
        if read_total(listing.endpoint, first) <= listing.page_size:
            raise ContractError(told, endpoint=listing.endpoint.path, request_id=first.request_id)
        error = MovingPagesError(told, endpoint=listing.endpoint.path, request_id=first.request_id)
        error.announced = None if complaint == TOTALS_DISAGREE else read_total(listing.endpoint, first)
        raise error

    def count(self, listing: PagedQuery[Page]) -> int:
        """How many rows a listing has, from a page of one.

        Raises:
            TruncatedError: if the API says it left rows out.
            TikTokError: whatever the request raised.
        """
        one = {**listing.parameters, "page": "1", "page_size": "1"}
        answer = self._client.get(listing.endpoint, one, RequestStats())
        _refuse_truncated(listing.endpoint, answer)
        return read_total(listing.endpoint, answer)

    def fetch_each(
        self, listings: Iterable[PagedQuery[Page]]
    ) -> Iterator[tuple[PagedQuery[Page], FetchResult[Page] | TikTokError]]:
        """Each listing with its rows, or with the error that kept them away; in the order given.

        Listings are read ahead of the one handed out, few large ones or many small ones, so memory is bounded
        however many there are and however large.
        """
        waiting, room = iter(listings), PrefetchWindow()
        under_way: deque[tuple[PagedQuery[Page], Future[FetchResult[Page]]]] = deque()

        def begin() -> None:
            while (position := room.place()) is not None and (listing := next(waiting, None)):
                under_way.append((listing, self._begun(listing, partial(room.take, position))))

        self._rooms.add(room)
        try:
            begin()
            while under_way:
                listing, future = under_way.popleft()
                outcome = _result_or_error(future)
                room.hand_out()
                begin()
                yield listing, outcome
        finally:
            room.close()
            self._rooms.discard(room)
            for _, future in under_way:
                future.cancel()

    def _begun(self, listing: PagedQuery[Page], wait: Callable[[int], None]) -> Future[FetchResult[Page]]:
        begun = self._asked_ahead.pop(_query_key(listing), None) if self._asked_ahead else None
        return begun or self._listings.submit(self.fetch, listing, wait)

    def _round(
        self, listing: PagedQuery[Page], tally: RequestStats, wait: Callable[[int], None]
    ) -> tuple[list[ParsedPages[Page]], ApiResponse, str]:
        """All pages once, the answer with the first, and what is wrong with them: "" when nothing is."""
        pages = PageCollector(listing, tally, self._desks)
        answer = self._answer(listing, 1, tally)
        total = pages.add(1, answer)
        last = count_pages(total, listing.page_size)
        wait(last)
        others = [
            self._pages.submit(lambda number: pages.add(number, self._answer(listing, number, tally)), number)
            for number in range(2, last + 1)
        ]
        try:
            for future in others:
                future.result()
        finally:
            for future in others:
                future.cancel()
        seen = pages.finish()
        if pages.totals != {total}:
            return seen, answer, TOTALS_DISAGREE
        keys = [key for page in seen for key in page.keys]
        if len(keys) != total or len(set(keys)) != total:
            return (
                seen,
                answer,
                f"{total} rows were announced, {len(keys)} came, {len(set(keys))} distinct",
            )
        return seen, answer, ""

    def _answer(self, listing: PagedQuery[Page], number: int, tally: RequestStats) -> ApiResponse:
        """One page; page_size is always said, because the API's default is ten."""
        answer = self._client.get(
            listing.endpoint,
            {**listing.parameters, "page": str(number), "page_size": str(listing.page_size)},
            tally,
        )
        tally.add(pages=1)
        _refuse_truncated(listing.endpoint, answer)
        return answer


def _has_repeated_keys(seen: ParsedPages[Any]) -> bool:
    """Whether two rows of a page are of one key, which no page drifting past another explains."""
    return len(seen.keys) <= MAX_PAGE_SIZE and len(set(seen.keys)) < len(seen.keys)


def _query_key(listing: PagedQuery[Any]) -> str:
    return msgspec.json.encode((listing.endpoint.path, listing.parameters), order="deterministic").decode()


def _refuse_truncated(endpoint: Endpoint, answer: ApiResponse) -> None:
    if warning := answer.headers.get(TRUNCATION_HEADER):
        raise TruncatedError(
            f"TikTok left rows out: {warning}", endpoint=endpoint.path, request_id=answer.request_id
        )


def _result_or_error(future: Future[FetchResult[Page]]) -> FetchResult[Page] | TikTokError:
    try:
        return future.result()
    except TikTokError as error:
        return error
