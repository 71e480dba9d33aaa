"""The only loop over pages: every row of a listing exactly once, or an exception."""

import os
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore
from typing import Any, Generic, TypeVar

import msgspec

from tiktok_assets.api.client import Answer, Client, Parameter, Tally
from tiktok_assets.api.envelope import unread
from tiktok_assets.api.errors import ContractError, TikTokError, TruncatedError
from tiktok_assets.api.plan import pages_for
from tiktok_assets.api.room import LISTINGS_AHEAD, LISTINGS_IN_FLIGHT, Room
from tiktok_assets.spec.endpoints import MAX_PAGE_SIZE, Endpoint

Row = dict[str, Any]
Page = TypeVar("Page")

ROUNDS = 3
"""How often a listing whose pages disagree is read from its first page before we give up."""

PAGES_IN_FLIGHT = 8
"""Further pages of listings under way at once; the budget, not this, sets the pace."""

TRUNCATION_HEADER = "X-Tt-Ads-Throttle"
"""Set beside code 0 when a report was cut to the 20,000 newest ads (dossier 6.3)."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[Page]):
    """One paged question.

    Attributes:
        endpoint: what is asked.
        parameters: without page and page size.
        identify: the key of a row; raises KeyError or TypeError on a row without one.
        parse: what becomes of a page of rows, in the thread that read it.
        parse_text: the same for rows that stayed JSON, with their keys; None where each has to be looked at.
    """

    endpoint: Endpoint
    parameters: Mapping[str, Parameter]
    identify: Callable[[Row], Hashable]
    parse: Callable[[list[Row], Tally], Page]
    parse_text: Callable[[bytes], tuple[Page, list[Hashable]] | None] | None = None


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Page]):
    """A complete listing: its parsed pages in order, how many rows they hold, and what it cost."""

    pages: list[Page]
    rows: int
    tally: Tally
    seconds: float


@dataclass(frozen=True, slots=True)
class _ReadPage(Generic[Page]):
    parsed: Page
    keys: list[Hashable]
    total: int


class Fetcher:
    """Reads listings with several requests under way; one per client, closed after use."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pages = ThreadPoolExecutor(PAGES_IN_FLIGHT, thread_name_prefix="page")
        # A consumer may ask for more listings between two: those next in turn always find a thread.
        self._listings = ThreadPoolExecutor(LISTINGS_IN_FLIGHT + LISTINGS_AHEAD, thread_name_prefix="listing")
        self._asked_ahead: dict[str, Future[Fetched[Any]]] = {}
        self._rooms: set[Room] = set()
        # More pages looked through at once than there are cores come no sooner, and each takes room for copies.
        self._desks = BoundedSemaphore(os.cpu_count() or 1)

    def close(self) -> None:
        """Let go of the threads; what has not begun is not begun."""
        for room in list(self._rooms):
            room.close()
        self._listings.shutdown(wait=False, cancel_futures=True)
        self._pages.shutdown(wait=False, cancel_futures=True)

    def ask_ahead(self, listing: Listing[Any]) -> None:
        """Begin to read a listing; whoever asks `fetch_each` for the same one gets what this brings, once."""
        self._asked_ahead[_identity_of(listing)] = self._listings.submit(self.fetch, listing)

    def ask(self, endpoint: Endpoint, parameters: Mapping[str, Parameter], tally: Tally) -> Answer:
        """One question without pages."""
        return self._client.get(endpoint, parameters, tally)

    def fetch(self, listing: Listing[Page], wait: Callable[[int], None] = lambda _: None) -> Fetched[Page]:
        """Every row of a listing.

        Args:
            listing: what is asked.
            wait: called with the number of pages after the first one; returns when the others may be read.

        Raises:
            ContractError: if its pages still disagree after three rounds, or a page is not one.
            TruncatedError: if the API says it left rows out.
            TikTokError: whatever a request raised.
        """
        tally = Tally()
        began = time.monotonic()
        for _ in range(ROUNDS):
            pages, complaint = self._round(listing, tally, wait)
            if not complaint:
                rows = sum(len(page.keys) for page in pages)
                return Fetched([page.parsed for page in pages], rows, tally, time.monotonic() - began)
        raise ContractError(f"{complaint}, {ROUNDS} times in a row", endpoint=listing.endpoint.path)

    def count(self, listing: Listing[Page]) -> int:
        """How many rows a listing has, from a page of one.

        Raises:
            TruncatedError: if the API says it left rows out.
            TikTokError: whatever the request raised.
        """
        one = {**listing.parameters, "page": "1", "page_size": "1"}
        answer = self._client.get(listing.endpoint, one, Tally())
        _refuse_truncated(listing.endpoint, answer)
        return _total(listing.endpoint, answer)

    def fetch_each(
        self, listings: Iterable[Listing[Page]]
    ) -> Iterator[tuple[Listing[Page], Fetched[Page] | TikTokError]]:
        """Each listing with its rows, or with the error that kept them away; in the order given.

        Listings are read ahead of the one handed out, few large ones or many small ones, so memory is bounded
        however many there are and however large.
        """
        waiting, room = iter(listings), Room()
        under_way: deque[tuple[Listing[Page], Future[Fetched[Page]]]] = deque()

        def begin() -> None:
            while (position := room.place()) is not None and (listing := next(waiting, None)):
                under_way.append((listing, self._begun(listing, partial(room.take, position))))

        self._rooms.add(room)
        try:
            begin()
            while under_way:
                listing, future = under_way.popleft()
                outcome = _outcome(future)
                room.hand_out()
                begin()
                yield listing, outcome
        finally:
            room.close()
            self._rooms.discard(room)
            for _, future in under_way:
                future.cancel()

    def _begun(self, listing: Listing[Page], wait: Callable[[int], None]) -> Future[Fetched[Page]]:
        begun = self._asked_ahead.pop(_identity_of(listing), None) if self._asked_ahead else None
        return begun or self._listings.submit(self.fetch, listing, wait)

    def _round(
        self, listing: Listing[Page], tally: Tally, wait: Callable[[int], None]
    ) -> tuple[list[_ReadPage[Page]], str]:
        """All pages once, and what is wrong with them: "" when nothing is."""
        first = self._page(listing, 1, tally)
        wait(pages_for(first.total))
        others = [
            self._pages.submit(self._page, listing, number, tally)
            for number in range(2, pages_for(first.total) + 1)
        ]
        try:
            pages = [first, *(future.result() for future in others)]
        finally:
            for future in others:
                future.cancel()
        if any(page.total != first.total for page in pages):
            return pages, "the pages disagree on how many rows there are"
        keys = [key for page in pages for key in page.keys]
        if len(keys) != first.total or len(set(keys)) != first.total:
            return pages, f"{first.total} rows were announced, {len(keys)} came, {len(set(keys))} distinct"
        return pages, ""

    def _page(self, listing: Listing[Page], number: int, tally: Tally) -> _ReadPage[Page]:
        """One page; page_size is always said, because the API's default is ten."""
        answer = self._client.get(
            listing.endpoint,
            {**listing.parameters, "page": str(number), "page_size": str(MAX_PAGE_SIZE)},
            tally,
        )
        tally.add(pages=1)
        _refuse_truncated(listing.endpoint, answer)
        total = _total(listing.endpoint, answer)
        try:
            with self._desks:
                page = _ReadPage(*_parsed(listing, answer, tally), total)
            set(page.keys)  # a key that is an object cannot be told apart from another
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"page {number} cannot be read: {error}",
                endpoint=listing.endpoint.path,
                request_id=answer.request_id,
            ) from error
        return page


def _identity_of(listing: Listing[Any]) -> str:
    return msgspec.json.encode((listing.endpoint.path, listing.parameters), order="deterministic").decode()


def _refuse_truncated(endpoint: Endpoint, answer: Answer) -> None:
    if warning := answer.headers.get(TRUNCATION_HEADER):
        raise TruncatedError(
            f"TikTok left rows out: {warning}", endpoint=endpoint.path, request_id=answer.request_id
        )


def _parsed(listing: Listing[Page], answer: Answer, tally: Tally) -> tuple[Page, list[Hashable]]:
    rows = answer.data.get("list")
    if isinstance(rows, msgspec.Raw) and listing.parse_text and (read := listing.parse_text(bytes(rows))):
        return read
    rows = unread(rows)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("list is not one of objects")
    return listing.parse(rows, tally), [listing.identify(row) for row in rows]


def _total(endpoint: Endpoint, answer: Answer) -> int:
    info = answer.data.get("page_info")
    total = info.get("total_number") if isinstance(info, dict) else None
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise ContractError(
            "page_info.total_number is not a count", endpoint=endpoint.path, request_id=answer.request_id
        )
    return total


def _outcome(future: Future[Fetched[Page]]) -> Fetched[Page] | TikTokError:
    try:
        return future.result()
    except TikTokError as error:
        return error
