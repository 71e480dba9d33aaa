"""Plan requests: split days into windows and ids into batches, and count the requests of a refresh."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import TypeVar

from tiktok_assets.spec.endpoints import MAX_DAYS_PER_REPORT, MAX_IDS_PER_CALL, MAX_PAGE_SIZE

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, order=True)
class DateWindow:
    """Days of one request, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> tuple[date, ...]:
        """Each day, in order."""
        return tuple(self.first + timedelta(n) for n in range((self.last - self.first).days + 1))

    def halves(self) -> "tuple[DateWindow, DateWindow] | None":
        """The same days as two windows, or None for a single day."""
        if self.first == self.last:
            return None
        middle = self.first + (self.last - self.first) // 2
        return DateWindow(self.first, middle), DateWindow(middle + timedelta(1), self.last)

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


def split_into_windows(days: Iterable[date], most: int = MAX_DAYS_PER_REPORT) -> list[DateWindow]:
    """The fewest windows of at most so many days that ask for these days, each once, and for no other day.

    >>> [str(window) for window in windows_of([date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 9)])]
    ['2026-03-01..2026-03-02', '2026-03-09..2026-03-09']
    """
    windows: list[DateWindow] = []
    for day in sorted(set(days)):
        last = windows[-1] if windows else None
        if last and day - last.last == timedelta(1) and (day - last.first).days < most:
            windows[-1] = DateWindow(last.first, day)
        else:
            windows.append(DateWindow(day, day))
    return windows


def split_into_batches(items: Sequence[Item], size: int = MAX_IDS_PER_CALL) -> Iterator[Sequence[Item]]:
    """The items in order, at most `size` at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def count_pages(rows: int, page_size: int = MAX_PAGE_SIZE) -> int:
    """Return the requests a listing of so many rows takes; an empty one still takes one.

    >>> pages_for(0), pages_for(1000), pages_for(1001)
    (1, 1, 2)
    """
    return max(1, ceil(rows / page_size))


def estimate_minutes(requests: int, per_second: float, per_minute: float) -> float:
    """How long requests take at the app's tier, to a tenth.

    >>> minutes_for(1200, 10, 600)
    2.0
    """
    return round(requests / min(per_second, per_minute / 60) / 60, 1)


@dataclass(frozen=True, slots=True)
class AccountRowCounts:
    """How much one advertiser holds: rows by entity table, and rows a day by daily report table."""

    entity_rows: Mapping[str, int]
    rows_a_day: Mapping[str, float]
    lifetime_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line of a plan: what is read, with how many requests, for how many rows."""

    what: str
    requests: int
    rows: int


def plan_requests(
    workloads: Mapping[str, AccountRowCounts],
    days: Iterable[date],
    tables: Iterable[str],
    *,
    lists_accounts: bool,
    window_days: Mapping[str, int] | None = None,
    looks: int = 0,
) -> list[PlanLine]:
    """The requests a refresh takes, a line per table.

    Args:
        workloads: by advertiser.
        days: the days of the daily reports.
        tables: the tables asked for; others are left out.
        lists_accounts: whether the accounts are asked of the API, which costs one request.
        window_days: days one question of a table may span, where they are fewer than usual.
        looks: requests an account for kinds that lists hide; they come with the first list that is read.
    """
    wanted = set(tables)
    days, most = list(days), window_days or {}
    lines = []
    if "advertisers" in wanted:
        asked = len(list(split_into_batches(list(workloads)))) + lists_accounts
        lines.append(PlanLine("advertisers", asked, len(workloads)))
    listings: dict[str, list[int]] = {}
    for workload in workloads.values():
        for table, rows in {**workload.entity_rows, **workload.lifetime_rows}.items():
            listings.setdefault(table, []).append(rows)
        for table, a_day in workload.rows_a_day.items():
            windows = split_into_windows(days, most.get(table, MAX_DAYS_PER_REPORT))
            listings.setdefault(table, []).extend(round(a_day * len(window.days)) for window in windows)
    lists = {table for workload in workloads.values() for table in workload.entity_rows} & wanted
    for table, sizes in listings.items():
        if table in wanted:
            looked = looks * len(workloads) if table in lists else 0
            lines.append(PlanLine(table, sum(count_pages(size) for size in sizes) + looked, sum(sizes)))
            lists = set() if looked else lists
    return lines
