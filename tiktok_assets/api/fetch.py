"""The only loop over pages: every row of a listing exactly once, or an exception."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore
from typing import Any, Generic

import msgspec

from tiktok_assets.api.client import Answer, Client, Parameter, Tally
from tiktok_assets.api.errors import ContractError, MovingPagesError, RepeatedKeyError, TikTokError, TruncatedError
from tiktok_assets.api.pages import Listing, Page, Pages, Seen, total_of
from tiktok_assets.api.plan import pages_for
from tiktok_assets.api.room import LISTINGS_AHEAD, LISTINGS_IN_FLIGHT, Room
from tiktok_assets.spec.endpoints import MAX_PAGE_SIZE, Endpoint

ROUNDS = 3
"""How often a listing whose pages disagree is read from its first page before we give up."""

PAGES_IN_FLIGHT = 8
"""Further pages of listings under way at once; the budget, not this, sets the pace."""

DISAGREE = "the pages disagree on how many rows there are"

TRUNCATION_HEADER = "X-Tt-Ads-Throttle"
"""Set beside code 0 when a report was cut to the 20,000 newest ads (dossier 6.3)."""


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Page]):
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
    tally: Tally
    seconds: float
    request_id: str = ""


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
            MovingPagesError: if its pages, of which there are several, still disagree after three rounds.
            ContractError: if a page is not one, or the only page does not hold what it announces.
            TruncatedError: if the API says it left rows out.
            TikTokError: whatever a request raised.
        """
        tally = Tally()
        began = time.monotonic()
        for _ in range(ROUNDS):
            pages, first, complaint = self._round(listing, tally, wait)
            if not complaint:
                rows = sum(len(page.keys) for page in pages)
                parsed, seconds = [page.parsed for page in pages], time.monotonic() - began
                return Fetched(parsed, rows, first.read_at, tally, seconds, first.request_id)
        told = f"{complaint}, {ROUNDS} times in a row"
        if len(pages) == 1 and _has_repeats(pages[0]):
            raise RepeatedKeyError(told, endpoint=listing.endpoint.path, request_id=first.request_id)
        if total_of(listing.endpoint, first) <= listing.page_size:
            raise ContractError(told, endpoint=listing.endpoint.path, request_id=first.request_id)
        error = MovingPagesError(told, endpoint=listing.endpoint.path, request_id=first.request_id)
        error.announced = None if complaint == DISAGREE else total_of(listing.endpoint, first)
        raise error

    def count(self, listing: Listing[Page]) -> int:
        """How many rows a listing has, from a page of one.

        Raises:
            TruncatedError: if the API says it left rows out.
            TikTokError: whatever the request raised.
        """
        one = {**listing.parameters, "page": "1", "page_size": "1"}
        answer = self._client.get(listing.endpoint, one, Tally())
        _refuse_truncated(listing.endpoint, answer)
        return total_of(listing.endpoint, answer)

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
    ) -> tuple[list[Seen[Page]], Answer, str]:
        """All pages once, the answer with the first, and what is wrong with them: "" when nothing is."""
        pages = Pages(listing, tally, self._desks)
        answer = self._answer(listing, 1, tally)
        total = pages.add(1, answer)
        last = pages_for(total, listing.page_size)
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
            return seen, answer, DISAGREE
        keys = [key for page in seen for key in page.keys]
        if len(keys) != total or len(set(keys)) != total:
            return (
                seen,
                answer,
                f"{total} rows were announced, {len(keys)} came, {len(set(keys))} distinct",
            )
        return seen, answer, ""

    def _answer(self, listing: Listing[Page], number: int, tally: Tally) -> Answer:
        """One page; page_size is always said, because the API's default is ten."""
        answer = self._client.get(
            listing.endpoint,
            {**listing.parameters, "page": str(number), "page_size": str(listing.page_size)},
            tally,
        )
        tally.add(pages=1)
        _refuse_truncated(listing.endpoint, answer)
        return answer


def _has_repeats(seen: Seen[Any]) -> bool:
    """Whether two rows of a page are of one key, which no page drifting past another explains."""
    return len(seen.keys) <= MAX_PAGE_SIZE and len(set(seen.keys)) < len(seen.keys)


def _identity_of(listing: Listing[Any]) -> str:
    return msgspec.json.encode((listing.endpoint.path, listing.parameters), order="deterministic").decode()


def _refuse_truncated(endpoint: Endpoint, answer: Answer) -> None:
    if warning := answer.headers.get(TRUNCATION_HEADER):
        raise TruncatedError(
            f"TikTok left rows out: {warning}", endpoint=endpoint.path, request_id=answer.request_id
        )


def _outcome(future: Future[Fetched[Page]]) -> Fetched[Page] | TikTokError:
    try:
        return future.result()
    except TikTokError as error:
        return error
