"""Define a paged query, and parse its pages in batches as they arrive."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any, Generic, TypeVar

import msgspec

from tiktok_assets.api.client import ApiResponse, Parameter, RequestStats
from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.api.errors import ContractError
from tiktok_assets.spec import MAX_PAGE_SIZE, Endpoint

Row = Any
Page = TypeVar("Page")

MAX_ROWS = 10_000_000
"""The most rows of one query that are read; thirty days of the largest account that TikTok allows are 600,000."""

PAGES_PER_BATCH = 12
"""Pages that are parsed together: enough to spread the fixed cost of a batch, and few to keep in memory."""


@dataclass(frozen=True, slots=True)
class PagedQuery(Generic[Page]):
    """A request whose response has several pages.

    Attributes:
        endpoint: the endpoint of the request.
        parameters: the query parameters, without page and page size.
        row_key: returns the unique key of a row; raises KeyError, TypeError or ValueError if it has none.
        parse: parses the rows of one page; called in a worker thread, also with the statistics of the query.
        page_size: number of rows per page.
        parse_raw: parses the rows of several pages, which are still JSON text, and returns them with their keys;
            None from it means that each row must be parsed by `parse`. None if there is no such parser.
        max_rows: how many rows are read; a query with more fails after its first page. None for any number.
    """

    endpoint: Endpoint
    parameters: Mapping[str, Parameter]
    row_key: Callable[[Row], Hashable]
    parse: Callable[[list[Row], RequestStats], Page]
    parse_raw: Callable[[list[msgspec.Raw]], tuple[Page, list[Hashable]] | None] | None = None
    page_size: int = MAX_PAGE_SIZE
    max_rows: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedPages(Generic[Page]):
    """The parsed rows of one page, or of several that were parsed together.

    Attributes:
        number: the lowest page number.
        parsed: the result of the parser.
        keys: the keys of the rows.
    """

    number: int
    parsed: Page
    keys: list[Hashable]


@dataclass(frozen=True, slots=True)
class _ReceivedPage:
    """A page that is not parsed yet; `rows` is how many rows it should have by its number."""

    number: int
    response: ApiResponse
    rows: int


class PageCollector(Generic[Page]):
    """The pages of a query; the thread that adds the last page of a batch parses the batch.

    A thread that parses does not read pages meanwhile, which limits how many unparsed pages are in memory.

    Args:
        query: the query whose pages are collected.
        stats: the statistics of the query, passed to its parser.
        parse_slots: limits how many threads parse at the same time.

    Attributes:
        totals: the total row counts that the pages gave; a single number if they agree.
    """

    def __init__(self, query: PagedQuery[Page], stats: RequestStats, parse_slots: BoundedSemaphore) -> None:
        self.totals: set[int] = set()
        self._query, self._stats, self._parse_slots = query, stats, parse_slots
        self._batch_size = PAGES_PER_BATCH if query.parse_raw else 1
        self._pending: list[_ReceivedPage] = []
        self._parsed: list[ParsedPages[Page]] = []
        self._lock = Lock()

    def add(self, number: int, response: ApiResponse) -> int:
        """Add a page, from any thread, and return the total row count that it gives.

        Raises:
            ContractError: if a page of the batch that is parsed now is invalid.
        """
        total = read_total(self._query.endpoint, response)
        batch: list[_ReceivedPage] = []
        with self._lock:
            self.totals.add(total)
            expected_rows = _count_rows_on_page(number, total, self._query.page_size)
            self._pending.append(_ReceivedPage(number, response, expected_rows))
            if len(self._pending) >= self._batch_size:
                batch, self._pending = self._pending, []
        if batch:
            self._parse(batch)
        return total

    def finish(self) -> list[ParsedPages[Page]]:
        """Parse the rest once all pages were added, and return everything in the order of the pages.

        Raises:
            ContractError: if a page of the rest is invalid.
        """
        if self._pending:
            self._parse(self._pending)
        return sorted(self._parsed, key=lambda parsed: parsed.number)

    def _parse(self, batch: list[_ReceivedPage]) -> None:
        with self._parse_slots:
            parsed = self._parse_together(batch) or [self._parse_page(page) for page in batch]
        with self._lock:
            self._parsed += parsed

    def _parse_together(self, batch: list[_ReceivedPage]) -> list[ParsedPages[Page]]:
        """Parse all pages at once; return an empty list if they must be parsed one by one.

        A page that is invalid must be parsed alone too, so that the error names it.
        """
        rows: list[msgspec.Raw] = []
        for page in batch:
            page_rows = page.response.data.get("list")
            if not isinstance(page_rows, list) or not all(isinstance(row, msgspec.Raw) for row in page_rows):
                return []
            if len(page_rows) > page.rows:
                return []
            rows += page_rows
        if not self._query.parse_raw:
            return []
        try:
            parsed = self._query.parse_raw(rows)
        except ValueError:
            return []
        return [ParsedPages(min(page.number for page in batch), *parsed)] if parsed else []

    def _parse_page(self, page: _ReceivedPage) -> ParsedPages[Page]:
        try:
            rows = decode_rows(page.response.data.get("list"))
            if not isinstance(rows, list):
                raise ValueError("list is not a list of objects")  # noqa: TRY301, TRY004 - converted below
            if len(rows) > page.rows:
                rows = _drop_identical_rows(rows)
            keys = [self._query.row_key(row) for row in rows]
            set(keys)  # raises TypeError for a key that is a list or an object and cannot be compared
            return ParsedPages(page.number, self._query.parse(rows, self._stats), keys)
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(
                f"page {page.number} cannot be read: {error}",
                endpoint=self._query.endpoint.path,
                request_id=page.response.request_id,
            ) from error


def _count_rows_on_page(number: int, total: int, page_size: int) -> int:
    return max(0, min(page_size, total - (number - 1) * page_size))


def _drop_identical_rows(rows: list[Any]) -> list[Any]:
    """Keep one of each group of identical rows; used for a page with more rows than announced."""
    return list({repr(row): row for row in rows}.values())


def read_total(endpoint: Endpoint, response: ApiResponse) -> int:
    """Return the total row count that a page gives.

    Raises:
        ContractError: if it gives none, or a larger one than `MAX_ROWS`.
    """
    info = response.data.get("page_info")
    total = info.get("total_number") if isinstance(info, dict) else None
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise ContractError(
            "page_info.total_number is not a row count", endpoint=endpoint.path, request_id=response.request_id
        )
    if total > MAX_ROWS:
        raise ContractError(
            f"{total} rows are announced; at most {MAX_ROWS} are read",
            endpoint=endpoint.path,
            request_id=response.request_id,
        )
    return total
