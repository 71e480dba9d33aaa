"""What an account changed of its time zone and its currency, as the readings of the accounts noticed it.

Stored days keep the zone and the currency they were read under; what is read later comes under the new ones. The
file of the accounts notes what was last known of each, and every change, so that each is noticed by one reading.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tiktok_assets.days import Account

KNOWN_NOTE = "accounts_known"
"""By account, time zone and currency as last told."""

CHANGES_NOTE = "account_changes"
"""Every change, the oldest first."""

MOST_CHANGES = 1000

_WHAT = ("time zone", "currency")


@dataclass(frozen=True, slots=True)
class AccountChange:
    """One change of one account.

    Attributes:
        what: `time zone` or `currency`.
        day: the account's calendar day on which it was noticed.
    """

    advertiser_id: str
    what: str
    before: str
    after: str
    day: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        kept = "keep it" if self.what == "currency" else "are days of it"
        return (
            f"advertiser {self.advertiser_id}: the {self.what} was {self.before} until {self.day} and is"
            f" {self.after}; days read before {kept}"
        )


@dataclass(frozen=True, slots=True)
class AccountsKnown:
    """What the readings of the accounts so far told of their time zones and currencies.

    Attributes:
        known: by account, time zone and currency; "" for what was never told.
        changes: every change, the oldest first.
    """

    known: Mapping[str, tuple[str, str]]
    changes: Sequence[AccountChange]

    @classmethod
    def of(cls, notes: Mapping[str, str] | None, rows: Iterable[Mapping[str, Any]]) -> "AccountsKnown":
        """Return what a stored file of accounts knows.

        Args:
            notes: of the file; None where there is none.
            rows: of the file, which speak where an earlier release left no notes.
        """
        told = (notes or {}).get(KNOWN_NOTE)
        if told is None:
            accounts = [Account.told(str(row["advertiser_id"]), row, {}, {}) for row in rows]
            return cls({one.advertiser_id: (one.timezone, one.currency) for one in accounts}, ())
        changes = json.loads((notes or {}).get(CHANGES_NOTE, "[]"))
        return cls(
            {owner: (zone, currency) for owner, (zone, currency) in json.loads(told).items()},
            tuple(AccountChange(**one) for one in changes),
        )

    def read(self, accounts: Iterable[Account], now: datetime) -> tuple["AccountsKnown", list[AccountChange]]:
        """Return what is known after a reading, and what it found changed; what is not told is no change."""
        known, new = dict(self.known), list[AccountChange]()
        for account in accounts:
            before = known.get(account.advertiser_id, ("", ""))
            after = (account.timezone, account.currency)
            day = account.today(now) if account.has_known_zone else now.astimezone(UTC).date()
            new += [
                AccountChange(account.advertiser_id, what, was, has, day.isoformat())
                for what, was, has in zip(_WHAT, before, after, strict=True)
                if was and has and was != has
            ]
            known[account.advertiser_id] = (after[0] or before[0], after[1] or before[1])
        return AccountsKnown(known, (*self.changes, *new)[-MOST_CHANGES:]), new

    @property
    def notes(self) -> dict[str, str]:
        """What the file of the accounts notes."""
        changes = [asdict(one) for one in self.changes]
        return {
            KNOWN_NOTE: json.dumps(dict(self.known), separators=(",", ":")),
            CHANGES_NOTE: json.dumps(changes, separators=(",", ":")),
        }
