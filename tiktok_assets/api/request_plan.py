"""Plan requests: split days into windows and ids into batches, and count the requests of a refresh."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import TypeVar

from tiktok_assets.spec import MAX_DAYS_PER_REPORT, MAX_IDS_PER_CALL, MAX_PAGE_SIZE

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, order=True)
class DateWindow:
    """The days of one report request, including both ends."""

    first: date
    last: date

    @property
    def days(self) -> tuple[date, ...]:
        """Return each day, in order."""
        return tuple(self.first + timedelta(n) for n in range((self.last - self.first).days + 1))

    def halve(self) -> "tuple[DateWindow, DateWindow] | None":
        """Split the window into two; None if it is a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return DateWindow(self.first, middle), DateWindow(middle + timedelta(1), self.last)

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


def split_into_windows(days: Iterable[date], max_days: int = MAX_DAYS_PER_REPORT) -> list[DateWindow]:
    """Return the fewest windows that cover these days once each and no other day.

    >>> [str(window) for window in split_into_windows([date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 9)])]
    ['2026-03-01..2026-03-02', '2026-03-09..2026-03-09']
    """
    windows: list[DateWindow] = []
    for day in sorted(set(days)):
        last = windows[-1] if windows else None
        if last and day - last.last == timedelta(1) and (day - last.first).days < max_days:
            windows[-1] = DateWindow(last.first, day)
        else:
            windows.append(DateWindow(day, day))
    return windows


def split_into_batches(items: Sequence[Item], size: int = MAX_IDS_PER_CALL) -> Iterator[Sequence[Item]]:
    """Yield the items in order, at most `size` at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def count_pages(rows: int, page_size: int = MAX_PAGE_SIZE) -> int:
    """Return the number of requests that read so many rows; even an empty result takes one.

    >>> count_pages(0), count_pages(1000), count_pages(1001)
    (1, 1, 2)
    """
    return max(1, ceil(rows / page_size))


def estimate_minutes(requests: int, per_second: float, per_minute: float) -> float:
    """Return the minutes that requests take at the app's rate limits, to one decimal.

    >>> estimate_minutes(1200, 10, 600)
    2.0
    """
    return round(requests / limit_per_second(per_second, per_minute) / 60, 1)


def limit_per_second(per_second: float, per_minute: float) -> float:
    """Return how many requests a second the app can send for long.

    >>> limit_per_second(10, 300)
    5.0
    """
    return min(per_second, per_minute / 60)


RowCount = float | tuple[float, ...]
"""The number of rows of a table, or of each query of a table that is read with several."""


@dataclass(frozen=True, slots=True)
class AccountRowCounts:
    """The numbers of rows of one account; a table that is not read for it is left out.

    Attributes:
        entity_rows: rows by entity table.
        rows_per_day: rows per day by daily report table.
        lifetime_rows: rows by lifetime report table.
    """

    entity_rows: Mapping[str, RowCount]
    rows_per_day: Mapping[str, RowCount]
    lifetime_rows: Mapping[str, RowCount]


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of a request plan.

    Attributes:
        subject: the table that is read, or other data.
        requests: number of requests.
        rows: number of rows.
    """

    subject: str
    requests: int
    rows: int


def _split_count(rows: RowCount) -> tuple[float, ...]:
    return rows if isinstance(rows, tuple) else (rows,)


def plan_requests(
    row_counts: Mapping[str, AccountRowCounts],
    days: Iterable[date],
    tables: Iterable[str],
    *,
    include_account_list: bool,
    window_days: Mapping[str, int] | None = None,
    page_sizes: Mapping[str, int] | None = None,
    extra_requests: Mapping[str, int] | None = None,
) -> list[PlanLine]:
    """Return the requests of a refresh, one line per table.

    Args:
        row_counts: the row counts by advertiser id.
        days: the days of the daily reports.
        tables: the requested tables; others are left out.
        include_account_list: whether the accounts are listed through the API, which takes one request.
        window_days: the most days per request by table, where they are fewer than usual.
        page_sizes: the most rows per page by table, where they are fewer than usual.
        extra_requests: further requests by table, such as those for TopView and Promote campaigns.
    """
    requested = set(tables)
    days, max_days, max_rows = list(days), window_days or {}, page_sizes or {}
    lines = []
    if "advertisers" in requested:
        requests = len(list(split_into_batches(list(row_counts)))) + include_account_list
        lines.append(PlanLine("advertisers", requests, len(row_counts)))
    rows_by_query: dict[str, list[int]] = {}
    for counts in row_counts.values():
        for table, rows in {**counts.entity_rows, **counts.lifetime_rows}.items():
            rows_by_query.setdefault(table, []).extend(round(one) for one in _split_count(rows))
        for table, per_day in counts.rows_per_day.items():
            windows = split_into_windows(days, max_days.get(table, MAX_DAYS_PER_REPORT))
            per_query = [one * len(window.days) for window in windows for one in _split_count(per_day)]
            rows_by_query.setdefault(table, []).extend(round(size) for size in per_query)
    for table, sizes in rows_by_query.items():
        if table in requested:
            pages = sum(count_pages(size, max_rows.get(table, MAX_PAGE_SIZE)) for size in sizes)
            lines.append(PlanLine(table, pages + (extra_requests or {}).get(table, 0), sum(sizes)))
    return lines
