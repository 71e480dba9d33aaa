"""Parse the periods of the `compare` command, and find their days in each account."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from tiktok_assets.api import DateWindow
from tiktok_assets.cli.arguments import parse_day
from tiktok_assets.cli.errors import UsageError

YEAR = timedelta(weeks=52)
"""The distance of `--against year`: 52 weeks, so that the weekdays of both periods match."""

_LAST_DAYS = re.compile(r"([1-9]\d{0,2})d")
_RANGE = re.compile(r"\d{4}-\d{2}-\d{2}:\d{4}-\d{2}-\d{2}")
_DAY = timedelta(1)


@dataclass(frozen=True, slots=True)
class ComparedPeriods:
    """The two periods of a comparison in one account."""

    this: DateWindow
    before: DateWindow


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    """The periods that were chosen, of which some depend on the days an account has.

    Attributes:
        find_this: returns the first period for an account's last complete day and its newest stored day.
        find_before: returns the second period for the first.
    """

    find_this: Callable[[date, date], DateWindow]
    find_before: Callable[[DateWindow], DateWindow]

    def resolve(self, last_complete: date, newest: date) -> ComparedPeriods:
        """Return the two periods of an account."""
        this = self.find_this(last_complete, newest)
        return ComparedPeriods(this, self.find_before(this))


def parse_periods(this: str, against: str) -> PeriodChoice:
    """Parse the values of --this and --against.

    Raises:
        UsageError: if one of them is not a period.
    """
    return PeriodChoice(_parse_this(this.strip()), _parse_against(against.strip()))


def _parse_this(text: str) -> Callable[[date, date], DateWindow]:
    if found := _LAST_DAYS.fullmatch(text):
        days = int(found.group(1))
        return lambda last, _: DateWindow(last - (days - 1) * _DAY, last)
    if text == "month":
        return lambda last, _: DateWindow(last.replace(day=1), last)
    if text == "last-month":
        return lambda _, newest: _find_month_before(newest + _DAY)
    if _RANGE.fullmatch(text):
        window = _parse_range(text, "--this")
        return lambda _, __: window
    raise UsageError(
        f"--this {text!r} is not a period; use a number of days such as 7d, month, last-month, or two days such as"
        " 2026-11-01:2026-11-07."
    )


def _parse_against(text: str) -> Callable[[DateWindow], DateWindow]:
    if text == "previous":
        return lambda this: DateWindow(this.first - len(this.days) * _DAY, this.first - _DAY)
    if text == "year":
        return lambda this: DateWindow(this.first - YEAR, this.last - YEAR)
    if _RANGE.fullmatch(text):
        window = _parse_range(text, "--against")
        return lambda _: window
    raise UsageError(
        f"--against {text!r} is not a period; use previous, year, or two days such as 2026-10-25:2026-10-31."
    )


def _find_month_before(today: date) -> DateWindow:
    last = today.replace(day=1) - _DAY
    return DateWindow(last.replace(day=1), last)


def _parse_range(text: str, option: str) -> DateWindow:
    first, last = (parse_day(one, option) for one in text.split(":"))
    if last < first:
        raise UsageError(f"{option} {text} ends before it begins; swap the two days.")
    return DateWindow(first, last)
