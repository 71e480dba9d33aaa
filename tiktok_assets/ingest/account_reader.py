"""Read ad accounts from the API, and detect changes of their time zones and currencies.

Stored days keep the time zone and currency they were read with; later days use the new ones. The metadata of the
`advertisers` file holds the last known values and every change, so each change is reported once.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from tiktok_assets.api.client import RequestStats
from tiktok_assets.api.errors import AdvertiserError, ContractError, CredentialsError
from tiktok_assets.api.request_plan import split_into_batches
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST
from tiktok_assets.spec.entities import ADVERTISERS
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.cells import parse_advertiser_id
from tiktok_assets.tables.frames import build_entity_frame
from tiktok_assets.tables.row_validation import find_key_error, format_value

KNOWN_ACCOUNTS_KEY = "accounts_known"
"""By account, time zone and currency as last told."""

ACCOUNT_CHANGES_KEY = "account_changes"
"""Every change, the oldest first."""

MAX_CHANGES = 1000

_TRACKED_FIELDS = ("time zone", "currency")


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
class TrackedAccounts:
    """What the readings of the accounts so far told of their time zones and currencies.

    Attributes:
        known: by account, time zone and currency; "" for what was never told.
        changes: every change, the oldest first.
    """

    known: Mapping[str, tuple[str, str]]
    changes: Sequence[AccountChange]

    @classmethod
    def of(cls, notes: Mapping[str, str] | None, rows: Iterable[Mapping[str, Any]]) -> "TrackedAccounts":
        """Return what a stored file of accounts knows.

        Args:
            notes: of the file; None where there is none.
            rows: of the file, which speak where an earlier release left no notes.
        """
        told = (notes or {}).get(KNOWN_ACCOUNTS_KEY)
        if told is None:
            accounts = [Account.told(str(row["advertiser_id"]), row, {}, {}) for row in rows]
            return cls({one.advertiser_id: (one.timezone, one.currency) for one in accounts}, ())
        changes = json.loads((notes or {}).get(ACCOUNT_CHANGES_KEY, "[]"))
        return cls(
            {owner: (zone, currency) for owner, (zone, currency) in json.loads(told).items()},
            tuple(AccountChange(**one) for one in changes),
        )

    def read(self, accounts: Iterable[Account], now: datetime) -> tuple["TrackedAccounts", list[AccountChange]]:
        """Return what is known after a reading, and what it found changed; what is not told is no change."""
        known, new = dict(self.known), list[AccountChange]()
        for account in accounts:
            before = known.get(account.advertiser_id, ("", ""))
            after = (account.timezone, account.currency)
            day = account.today(now) if account.has_known_zone else now.astimezone(UTC).date()
            new += [
                AccountChange(account.advertiser_id, what, was, has, day.isoformat())
                for what, was, has in zip(_TRACKED_FIELDS, before, after, strict=True)
                if was and has and was != has
            ]
            known[account.advertiser_id] = (after[0] or before[0], after[1] or before[1])
        return TrackedAccounts(known, (*self.changes, *new)[-MAX_CHANGES:]), new

    @property
    def notes(self) -> dict[str, str]:
        """What the file of the accounts notes."""
        changes = [asdict(one) for one in self.changes]
        return {
            KNOWN_ACCOUNTS_KEY: json.dumps(dict(self.known), separators=(",", ":")),
            ACCOUNT_CHANGES_KEY: json.dumps(changes, separators=(",", ":")),
        }


@dataclass(frozen=True, slots=True)
class AccountsResult:
    """The accounts that answered, as rows of `advertisers`, and the errors of those that did not.

    `lost` are accounts known from before that nobody asked for, because they are granted no longer. `changes` are
    the time zones and currencies that were others at the reading before, and `earlier_changes` those of before it.
    """

    frame: pl.DataFrame
    refused: dict[str, AdvertiserError]
    lost: dict[str, str]
    story: ReadStats
    fetched_at: datetime
    changes: list[AccountChange] = field(default_factory=list)
    earlier_changes: list[AccountChange] = field(default_factory=list)


def list_advertiser_ids(reader: Reader, app_id: str | None, app_secret: str | None) -> list[str]:
    """The ids of all accounts granted to the app, as of now.

    The list handed out with the token is a snapshot; only this endpoint knows accounts shared later.

    Raises:
        CredentialsError: if app id or secret are missing.
        TikTokError: whatever the request raised.
    """
    if not app_id or not app_secret:
        raise CredentialsError(
            "the accounts cannot be listed: set TIKTOK_APP_ID and TIKTOK_APP_SECRET and run `tiktok-assets auth`,"
            " or name the accounts in TIKTOK_ADVERTISER_IDS"
        )
    try:
        answer = reader.fetcher.ask(ADVERTISER_LIST, {"app_id": app_id, "secret": app_secret}, RequestStats())
    except AdvertiserError as error:
        # No account is asked for here: 40001 then means that app, secret and token do not belong together.
        raise CredentialsError(
            f"app and token do not fit: check TIKTOK_APP_ID and TIKTOK_APP_SECRET. {error}"
        ) from error
    rows = answer.data.get("list")
    ids = [_parse_advertiser_id(row) for row in rows] if isinstance(rows, list) else []
    if not isinstance(rows, list) or (rows and not any(ids)):
        first = rows[0].get("advertiser_id") if isinstance(rows, list) and isinstance(rows[0], dict) else rows
        raise ContractError(
            f"the list of accounts has no ids: {format_value(first)} is no advertiser id",
            endpoint=ADVERTISER_LIST.path,
            request_id=answer.request_id,
        )
    return [one for one in ids if one]  # one that cannot be read is missing, and the check of the accounts says so


def _parse_advertiser_id(row: object) -> str:
    """The account a row is of; "" where it does not say so."""
    try:
        return parse_advertiser_id(row["advertiser_id"]) if isinstance(row, dict) else ""
    except (KeyError, TypeError, ValueError):
        return ""


def read_accounts(reader: Reader, advertiser_ids: Sequence[str]) -> AccountsResult:
    """The accounts' details, a hundred a request; one that may not be read does not hide the others.

    Raises:
        TikTokError: if the request fails for another reason than one account.
    """
    tally, refused = RequestStats(), dict[str, AdvertiserError]()
    began = time.monotonic()
    rows = [
        row
        for batch in split_into_batches(advertiser_ids)
        for row in _fetch_details(reader, batch, tally, refused)
    ]
    fetched_at = reader.now()
    frame = build_entity_frame(
        ADVERTISERS,
        [row for row, _ in rows],
        fetched_at,
        unknown_fields=tally.unknown_fields,
        owners=[owner for _, owner in rows],
    )
    if broken := find_key_error(frame, ["advertiser_id"]):
        raise ContractError(broken, endpoint=ADVERTISER_INFO.path)
    answered = set(frame.get_column("advertiser_id"))
    for missing in [one for one in advertiser_ids if one not in answered and one not in refused]:
        refused[missing] = AdvertiserError("not among the answers", endpoint=ADVERTISER_INFO.path)
    return AccountsResult(
        frame.sort("advertiser_id"),
        refused,
        {},
        ReadStats.of(tally, time.monotonic() - began),
        fetched_at,
    )


def _fetch_details(
    reader: Reader, batch: Sequence[str], tally: RequestStats, refused: dict[str, AdvertiserError]
) -> list[tuple[dict[str, Any], str]]:
    """The rows of a batch, each with the account it must be of where it does not say so itself.

    One account without grant fails the whole call, so the batch is halved to find it.
    """
    try:
        answer = reader.fetcher.ask(ADVERTISER_INFO, {"advertiser_ids": list(batch)}, tally)
    except AdvertiserError as error:
        if len(batch) == 1:
            refused[batch[0]] = error
            return []
        middle = len(batch) // 2
        return _fetch_details(reader, batch[:middle], tally, refused) + _fetch_details(
            reader, batch[middle:], tally, refused
        )
    rows = answer.data.get("list")
    if not isinstance(rows, list):
        raise ContractError(
            "list is not one of objects", endpoint=ADVERTISER_INFO.path, request_id=answer.request_id
        )
    told = {repr(row): row for row in rows if isinstance(row, dict)}.values()  # a row may come twice
    named = [(row, owner) for row in told if (owner := _parse_advertiser_id(row))]
    nameless = [row for row in told if not _parse_advertiser_id(row)]
    if nameless and not named:
        raise ContractError(
            "no row has an advertiser_id", endpoint=ADVERTISER_INFO.path, request_id=answer.request_id
        )
    silent = sorted(set(batch) - {owner for _, owner in named})
    if len(nameless) == len(silent) == 1:  # whose it is can be told from the question
        named.append((nameless[0], silent[0]))
    return named
