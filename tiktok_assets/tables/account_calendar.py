"""Compute calendar days of an ad account: its current day, the end of a day, and when a day's data is complete."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAILY_CORRECTION_UTC = time(12, 0)
_REACH_DELAY = timedelta(hours=16)
_SETTLED_AFTER = timedelta(days=28)


class ValueFormatError(ValueError):
    """A value does not have the kind that its column declares."""


@dataclass(frozen=True, slots=True)
class Account:
    """An ad account with the currency of its amounts and the IANA time zone of its days."""

    advertiser_id: str
    currency: str
    timezone: str

    @classmethod
    def from_row(
        cls,
        advertiser_id: str,
        row: Mapping[str, Any],
        timezones: Mapping[str, str],
        currencies: Mapping[str, str],
    ) -> "Account":
        """Create an account from its row of the table `advertisers` and the settings; "" for unknown values.

        Args:
            advertiser_id: the id of the account.
            row: its row of the table `advertisers`; empty if it has none.
            timezones: the time zones of the settings by account, which override the row.
            currencies: the currencies of the settings by account, which override the row.
        """
        timezone = timezones.get(advertiser_id) or row.get("display_timezone") or row.get("timezone") or ""
        return cls(advertiser_id, currencies.get(advertiser_id) or row.get("currency") or "", timezone)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the account's days.

        Raises:
            ValueFormatError: if the time zone is unknown.
        """
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: "America" is a folder
            raise ValueFormatError(
                f"advertiser {self.advertiser_id} has the unknown time zone {self.timezone!r};"
                " set one in TIKTOK_ACCOUNT_TIMEZONE"
            ) from error

    @property
    def has_known_zone(self) -> bool:
        """Whether the account's time zone is known, so that `zone` does not raise."""
        try:
            return bool(self.zone)
        except ValueFormatError:
            return False

    def today(self, now: datetime) -> date:
        """Return the account's calendar day at an aware instant."""
        return now.astimezone(self.zone).date()


def day_end(day: date, account: Account) -> datetime:
    """Return when the account's calendar day ends, in UTC; a day with a clock change has 23 or 25 hours."""
    return datetime.combine(day + timedelta(1), time(), account.zone).astimezone(UTC)


def is_complete(day: date, account: Account, fetched_at: datetime) -> bool:
    """Return whether data of a day was read after everything that completes it.

    This is the end of the account's day, the 16 hours after which TikTok reports reach, and TikTok's correction at
    12:00 UTC of the following day (API notes 7).
    """
    ended = day_end(day, account)
    corrected = datetime.combine(ended.date(), _DAILY_CORRECTION_UTC, UTC)
    if corrected < ended:
        corrected += timedelta(1)
    return fetched_at >= max(ended + _REACH_DELAY, corrected)


def is_settled(day: date, account: Account, fetched_at: datetime) -> bool:
    """Return whether data of a day was read after the longest attribution window, when conversions are final."""
    return fetched_at > day_end(day, account) + _SETTLED_AFTER
