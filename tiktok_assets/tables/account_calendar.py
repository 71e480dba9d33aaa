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
    """A value is not of the kind its column is declared to hold."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a report needs to know of its account: the currency of its amounts and the zone of its days."""

    advertiser_id: str
    currency: str
    timezone: str

    @classmethod
    def told(
        cls, advertiser_id: str, row: Mapping[str, Any], zones: Mapping[str, str], currencies: Mapping[str, str]
    ) -> "Account":
        """What is known of an account, "" for what nobody tells.

        Args:
            advertiser_id: which.
            row: of the table of accounts; empty where it has none.
            zones: what the settings say, by account, which wins.
            currencies: the same.
        """
        zone = zones.get(advertiser_id) or row.get("display_timezone") or row.get("timezone") or ""
        return cls(advertiser_id, currencies.get(advertiser_id) or row.get("currency") or "", zone)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the account's days.

        Raises:
            ValueFormatError: if the account names a zone nobody knows.
        """
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: "America" is a folder
            raise ValueFormatError(
                f"advertiser {self.advertiser_id} has the unknown time zone {self.timezone!r};"
                " name one in TIKTOK_ACCOUNT_TIMEZONE"
            ) from error

    @property
    def has_known_zone(self) -> bool:
        """Whether `zone` would not raise."""
        try:
            return bool(self.zone)
        except ValueFormatError:
            return False

    def today(self, now: datetime) -> date:
        """The account's calendar day at an instant."""
        return now.astimezone(self.zone).date()


def day_end(day: date, account: Account) -> datetime:
    """The instant the account's calendar day ends, in UTC; days with a clock change are 23 or 25 hours long."""
    return datetime.combine(day + timedelta(1), time(), account.zone).astimezone(UTC)


def is_complete(day: date, account: Account, fetched_at: datetime) -> bool:
    """Whether a reading came after everything that makes a day whole.

    That is the local day's end, the 16 hours reach takes, and the correction TikTok makes at 12:00 UTC the
    day after (dossier section 7).
    """
    ended = day_end(day, account)
    corrected = datetime.combine(ended.date(), _DAILY_CORRECTION_UTC, UTC)
    if corrected < ended:
        corrected += timedelta(1)
    return fetched_at >= max(ended + _REACH_DELAY, corrected)


def is_settled(day: date, account: Account, fetched_at: datetime) -> bool:
    """Whether a reading came after the longest attribution window, so that no conversion can still be added."""
    return fetched_at > day_end(day, account) + _SETTLED_AFTER
