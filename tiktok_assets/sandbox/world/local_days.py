"""Compute local days as spans of real time: hours, daylight saving and when their data settle."""

from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property, lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

HOUR_SECONDS = 3600
REACH_DELAY_HOURS = 16  # of reach and voucher spend (API notes 7)
CORRECTION_UTC_HOUR = 12  # of the daily correction (API notes 7; another page has 08:00, 0.1 #5)
# The part of a day's delivery in each local hour, 00-23.
HOUR_WEIGHTS = (20, 12, 8, 6, 6, 9, 16, 26, 34, 38, 40, 44, 50, 48, 44, 44, 48, 56, 66, 76, 80, 74, 58, 36)


@dataclass(frozen=True)
class LocalDay:
    """A calendar day of a time zone.

    Attributes:
        ordinal: Its proleptic Gregorian ordinal.
        start: Epoch seconds.
        end: Epoch seconds, 23 to 25 hours after `start`.
        hour_labels: The local hour of each real hour, in order.
    """

    ordinal: int
    start: int
    end: int
    hour_labels: tuple[int, ...]

    @cached_property
    def cumulative_weights(self) -> tuple[int, ...]:
        """Return the cumulative weight before each hour, with the total as the last item."""
        return (0, *accumulate(HOUR_WEIGHTS[label] for label in self.hour_labels))

    @cached_property
    def corrected_at(self) -> int:
        """Return the first 12:00 UTC at or after the day's end (API notes 7)."""
        noon = self.end // 86_400 * 86_400 + CORRECTION_UTC_HOUR * HOUR_SECONDS
        return noon if noon >= self.end else noon + 86_400

    @property
    def reach_available_at(self) -> int:
        """Return when the metrics of unique users become available (API notes 7)."""
        return self.end + REACH_DELAY_HOURS * HOUR_SECONDS

    def hours_before(self, instant: int) -> int:
        """Return how many whole hours of the day are before the instant."""
        return min(max((instant - self.start) // HOUR_SECONDS, 0), len(self.hour_labels))

    def weight_between(self, begin: int, end: int) -> int:
        """Return the weight of the day's whole hours between two instants."""
        first, last = self.hours_before(begin + HOUR_SECONDS - 1), self.hours_before(end)
        return self.cumulative_weights[last] - self.cumulative_weights[first] if last > first else 0


@lru_cache(maxsize=20_000)
def local_day(zone: ZoneInfo, ordinal: int) -> LocalDay:
    """Return a calendar day of a time zone, by its ordinal."""
    start, end = (
        int(datetime.combine(date.fromordinal(day), time(), tzinfo=zone).timestamp())
        for day in (ordinal, ordinal + 1)
    )
    labels = tuple(datetime.fromtimestamp(second, tz=zone).hour for second in range(start, end, HOUR_SECONDS))
    return LocalDay(ordinal, start, end, labels)


def local_ordinal(zone: ZoneInfo, instant: int) -> int:
    """Return the ordinal of the time zone's calendar day at an instant (epoch seconds)."""
    return datetime.fromtimestamp(instant, tz=zone).date().toordinal()


# Thousandths of the final conversions that are known a number of whole days after the day's end (API notes 7: they
# grow for up to 28 days).
GROWTH: tuple[int, ...] = (
    *(620, 690, 745, 790, 826, 855, 879, 899, 915, 928, 939, 948, 956, 962, 968),
    *range(970, 998, 2),
)
SETTLED_DAYS = 28


def growth_thousandths(day: LocalDay, instant: int) -> int:
    """Return the thousandths of the day's final conversions known at an instant."""
    age = (instant - day.end) // 86_400
    if age >= SETTLED_DAYS:
        return 1000
    return GROWTH[max(age, 0)]
