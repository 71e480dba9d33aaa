"""Define a paged query, and parse its pages in batches as they arrive."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any, Generic, TypeVar

import msgspec

from tiktok_assets.api.client import ApiResponse, Parameter, RequestStats
from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.api.errors import ContractError
from tiktok_assets.spec.endpoints import MAX_PAGE_SIZE, Endpoint

Row = Any
Page = TypeVar("Page")

MAX_ROWS = 10_000_000
"""Rows of one listing that are read; thirty days of the largest account that TikTok allows are 600,000."""

PAGES_PER_BATCH = 12
"""Pages looked through in one go: what a go costs beside its rows is spread, and few wait in memory."""


@dataclass(frozen=True, slots=True)
class PagedQuery(Generic[Page]):
    """One paged question.

    Attributes:
        endpoint: what is asked.
        parameters: without page and page size.
        identify: the key of a row, whatever it is; raises KeyError, TypeError or ValueError on one that has none.
        parse: what becomes of a page of rows, in a thread that read one.
        page_size: rows asked for on a page.
        parse_text: the same for the rows of several pages that stayed JSON, with their keys; None where each row
            has to be looked at, by `parse`.
    """

    endpoint: Endpoint
    parameters: Mapping[str, Parameter]
    identify: Callable[[Row], Hashable]
    parse: Callable[[list[Row], RequestStats], Page]
    parse_text: Callable[[list[msgspec.Raw]], tuple[Page, list[Hashable]] | None] | None = None
    page_size: int = MAX_PAGE_SIZE


@dataclass(frozen=True, slots=True)
class ParsedPages(Generic[Page]):
    """What became of one page, or of several looked through together; `number` is the lowest."""

    number: int
    parsed: Page
    keys: list[Hashable]


@dataclass(frozen=True, slots=True)
class _ReceivedPage:
    number: int
    answer: ApiResponse
    rows: int


class PageCollector(Generic[Page]):
    """The pages of one round of a listing; whoever brings the last of a few looks through them all.

    A thread that looks through pages reads none meanwhile, so no more of them pile up than are worth it.

    Attributes:
        totals: how many rows the pages say there are; one number, if they agree.
    """

    def __init__(self, listing: PagedQuery[Page], tally: RequestStats, desks: BoundedSemaphore) -> None:
        self.totals: set[int] = set()
        self._listing, self._tally, self._desks = listing, tally, desks
        self._together = PAGES_PER_BATCH if listing.parse_text else 1
        self._waiting: list[_ReceivedPage] = []
        self._seen: list[ParsedPages[Page]] = []
        self._lock = Lock()

    def add(self, number: int, answer: ApiResponse) -> int:
        """Take a page, from any thread; returns how many rows it says there are.

        Raises:
            ContractError: if one of those looked through is not a page.
        """
        total = read_total(self._listing.endpoint, answer)
        some: list[_ReceivedPage] = []
        with self._lock:
            self.totals.add(total)
            self._waiting.append(
                _ReceivedPage(number, answer, _count_rows_on_page(number, total, self._listing.page_size))
            )
            if len(self._waiting) >= self._together:
                some, self._waiting = self._waiting, []
        if some:
            self._look_through(some)
        return total

    def finish(self) -> list[ParsedPages[Page]]:
        """Everything, in order, once all pages were added.

        Raises:
            ContractError: if one of those looked through is not a page.
        """
        if self._waiting:
            self._look_through(self._waiting)
        return sorted(self._seen, key=lambda seen: seen.number)

    def _look_through(self, some: list[_ReceivedPage]) -> None:
        with self._desks:
            seen = self._at_once(some) or [self._alone(page) for page in some]
        with self._lock:
            self._seen += seen

    def _at_once(self, some: list[_ReceivedPage]) -> list[ParsedPages[Page]]:
        """All of them as one; none where a page has to be looked at alone, which then says what is wrong."""
        rows: list[msgspec.Raw] = []
        for page in some:
            found = page.answer.data.get("list")
            if not isinstance(found, list) or not all(isinstance(row, msgspec.Raw) for row in found):
                return []
            if len(found) > page.rows:
                return []
            rows += found
        if not self._listing.parse_text:
            return []
        try:
            read = self._listing.parse_text(rows)
        except ValueError:
            return []
        return [ParsedPages(min(page.number for page in some), *read)] if read else []

    def _alone(self, page: _ReceivedPage) -> ParsedPages[Page]:
        try:
            rows = decode_rows(page.answer.data.get("list"))
            if not isinstance(rows, list):
                raise ValueError("list is not one of objects")  # noqa: TRY301, TRY004 - named below like the others
            if len(rows) > page.rows:
                rows = _drop_identical_rows(rows)
            keys = [self._listing.identify(row) for row in rows]
            set(keys)  # a key that is an object cannot be told apart from another
            return ParsedPages(page.number, self._listing.parse(rows, self._tally), keys)
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"page {page.number} cannot be read: {error}",
                endpoint=self._listing.endpoint.path,
                request_id=page.answer.request_id,
            ) from error


def _count_rows_on_page(number: int, total: int, page_size: int) -> int:
    """How many rows a page of a listing of so many has."""
    return max(0, min(page_size, total - (number - 1) * page_size))


def _drop_identical_rows(rows: list[Any]) -> list[Any]:
    """Rows without those that say the very same as one before; a page had more than it said there are."""
    return list({repr(row): row for row in rows}.values())


def read_total(endpoint: Endpoint, answer: ApiResponse) -> int:
    """How many rows a page says there are.

    Raises:
        ContractError: if it does not say, or says more than a listing can hold.
    """
    info = answer.data.get("page_info")
    total = info.get("total_number") if isinstance(info, dict) else None
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise ContractError(
            "page_info.total_number is not a count", endpoint=endpoint.path, request_id=answer.request_id
        )
    if total > MAX_ROWS:
        raise ContractError(
            f"{total} rows are announced, and no listing has more than {MAX_ROWS}",
            endpoint=endpoint.path,
            request_id=answer.request_id,
        )
    return total
