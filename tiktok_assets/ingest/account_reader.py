"""Read ad accounts from the API or the settings, and detect changes of their time zones and currencies.

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

from tiktok_assets.api import (
    AdvertiserError,
    ContractError,
    CredentialsError,
    NotOfferedError,
    RequestStats,
    split_into_batches,
)
from tiktok_assets.ingest.partitions import NO_REQUESTS, ReadStats
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec import ADVERTISER_INFO, ADVERTISER_LIST, ADVERTISERS, ENDPOINTS
from tiktok_assets.tables import (
    Account,
    build_entity_frame,
    build_schema,
    entity_columns,
    find_key_error,
    format_value,
    parse_advertiser_id,
)

ADVERTISERS_SCHEMA = build_schema(entity_columns(ADVERTISERS))

KNOWN_ACCOUNTS_KEY = "accounts_known"
"""Metadata key: the last known time zone and currency of each account."""

ACCOUNT_CHANGES_KEY = "account_changes"
"""Metadata key: every change, oldest first."""

MAX_CHANGES = 1000

_TRACKED_FIELDS = ("time zone", "currency")


@dataclass(frozen=True, slots=True)
class AccountChange:
    """One change of the time zone or the currency of an account. The attribute names are stored in the metadata.

    Attributes:
        what: `time zone` or `currency`.
        day: the calendar day of the account on which the change was detected (ISO 8601).
    """

    advertiser_id: str
    what: str
    before: str
    after: str
    day: str

    def __str__(self) -> str:
        """Return the change as a sentence."""
        effect = "keep that currency" if self.what == "currency" else "are days of that time zone"
        return (
            f"advertiser {self.advertiser_id}: the {self.what} was {self.before} until {self.day} and is"
            f" {self.after}; days stored before {effect}"
        )


@dataclass(frozen=True, slots=True)
class TrackedAccounts:
    """The last known time zones and currencies of all accounts, and their changes.

    Attributes:
        known: time zone and currency by account; "" if TikTok never returned it.
        changes: every change, oldest first.
    """

    known: Mapping[str, tuple[str, str]]
    changes: Sequence[AccountChange]

    @classmethod
    def from_metadata(
        cls, metadata: Mapping[str, str] | None, rows: Iterable[Mapping[str, Any]]
    ) -> "TrackedAccounts":
        """Create the state from the stored file of `advertisers`.

        Args:
            metadata: the metadata of the file; None if there is no file.
            rows: the rows of the file, used if an earlier release wrote it without this metadata.
        """
        known = (metadata or {}).get(KNOWN_ACCOUNTS_KEY)
        if known is None:
            accounts = [Account.from_row(str(row["advertiser_id"]), row, {}, {}) for row in rows]
            return cls({one.advertiser_id: (one.timezone, one.currency) for one in accounts}, ())
        changes = json.loads((metadata or {}).get(ACCOUNT_CHANGES_KEY, "[]"))
        return cls(
            {owner: (zone, currency) for owner, (zone, currency) in json.loads(known).items()},
            tuple(AccountChange(**one) for one in changes),
        )

    def update(self, accounts: Iterable[Account], now: datetime) -> tuple["TrackedAccounts", list[AccountChange]]:
        """Return the new state and the changes found; an unknown value is no change."""
        known, found = dict(self.known), list[AccountChange]()
        for account in accounts:
            before = known.get(account.advertiser_id, ("", ""))
            after = (account.timezone, account.currency)
            day = account.today(now) if account.has_known_zone else now.astimezone(UTC).date()
            found += [
                AccountChange(account.advertiser_id, what, old, new, day.isoformat())
                for what, old, new in zip(_TRACKED_FIELDS, before, after, strict=True)
                if old and new and old != new
            ]
            known[account.advertiser_id] = (after[0] or before[0], after[1] or before[1])
        return TrackedAccounts(known, (*self.changes, *found)[-MAX_CHANGES:]), found

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata entries for the file of `advertisers`."""
        changes = [asdict(one) for one in self.changes]
        return {
            KNOWN_ACCOUNTS_KEY: json.dumps(dict(self.known), separators=(",", ":")),
            ACCOUNT_CHANGES_KEY: json.dumps(changes, separators=(",", ":")),
        }


@dataclass(frozen=True, slots=True)
class AccountsResult:
    """The accounts that were read, and the errors of those that could not be.

    Attributes:
        frame: rows of `advertisers`.
        refused: the error of each account that could not be read.
        lost: stored accounts that were not requested because they are no longer granted, with the reason.
        stats: the cost of the read.
        fetched_at: when the accounts were read.
        changes: changes of time zones and currencies since the previous read.
        earlier_changes: the changes before those.
    """

    frame: pl.DataFrame
    refused: dict[str, AdvertiserError]
    lost: dict[str, str]
    stats: ReadStats
    fetched_at: datetime
    changes: list[AccountChange] = field(default_factory=list)
    earlier_changes: list[AccountChange] = field(default_factory=list)


def list_advertiser_ids(reader: Reader, app_id: str | None, app_secret: str | None) -> list[str]:
    """Return the ids of all accounts that are granted to the app now.

    The list that came with the token is a snapshot; only this endpoint includes accounts that were shared later.

    Raises:
        CredentialsError: if the app id or the secret is missing, or does not belong to the token.
        TikTokError: any other error of the request.
    """
    if not app_id or not app_secret:
        raise CredentialsError(
            "the accounts cannot be listed: set TIKTOK_APP_ID and TIKTOK_APP_SECRET and run `tiktok-assets auth`,"
            " or name the accounts in TIKTOK_ADVERTISER_IDS"
        )
    try:
        response = reader.fetcher.get(ADVERTISER_LIST, {"app_id": app_id, "secret": app_secret}, RequestStats())
    except AdvertiserError as error:
        # The request names no account, so 40001 means that app, secret and token do not belong together.
        raise CredentialsError(
            "the app and the access token do not belong together: check TIKTOK_APP_ID and TIKTOK_APP_SECRET."
            f" {error}"
        ) from error
    rows = response.data.get("list")
    ids = [_parse_advertiser_id(row) for row in rows] if isinstance(rows, list) else []
    if not isinstance(rows, list) or (rows and not any(ids)):
        first = rows[0].get("advertiser_id") if isinstance(rows, list) and isinstance(rows[0], dict) else rows
        raise ContractError(
            f"the list of accounts has no ids: {format_value(first)} is not an advertiser id",
            endpoint=ADVERTISER_LIST.path,
            request_id=response.request_id,
        )
    return [one for one in ids if one]  # an id that cannot be read is missing, which the account check reports


def _parse_advertiser_id(row: object) -> str:
    """Return the advertiser id of a row; "" if it has none."""
    try:
        return parse_advertiser_id(row["advertiser_id"]) if isinstance(row, dict) else ""
    except (KeyError, TypeError, ValueError):
        return ""


def read_accounts(reader: Reader, advertiser_ids: Sequence[str]) -> AccountsResult:
    """Read the details of accounts, a hundred per request; an account without grant does not affect the others.

    Raises:
        TikTokError: if a request fails for a reason other than a single account.
    """
    stats, refused = RequestStats(), dict[str, AdvertiserError]()
    started = time.monotonic()
    rows = [
        row
        for batch in split_into_batches(advertiser_ids)
        for row in _fetch_details(reader, batch, stats, refused)
    ]
    fetched_at = reader.now()
    frame = build_entity_frame(
        ADVERTISERS,
        [row for row, _ in rows],
        fetched_at,
        unknown_fields=stats.unknown_fields,
        advertiser_ids=[owner for _, owner in rows],
    )
    if fault := find_key_error(frame, ["advertiser_id"]):
        raise ContractError(fault, endpoint=ADVERTISER_INFO.path)
    received = set(frame.get_column("advertiser_id"))
    for missing in [one for one in advertiser_ids if one not in received and one not in refused]:
        refused[missing] = AdvertiserError("the response lacks this account", endpoint=ADVERTISER_INFO.path)
    return AccountsResult(
        frame.sort("advertiser_id"),
        refused,
        {},
        ReadStats.from_request_stats(stats, time.monotonic() - started),
        fetched_at,
    )


def _fetch_details(
    reader: Reader, batch: Sequence[str], stats: RequestStats, refused: dict[str, AdvertiserError]
) -> list[tuple[dict[str, Any], str]]:
    """Return the rows of a batch, each with its advertiser id, which is inferred if one row lacks it.

    A single account without grant fails the whole request, so the batch is halved to find it.
    """
    try:
        response = reader.fetcher.get(ADVERTISER_INFO, {"advertiser_ids": list(batch)}, stats)
    except AdvertiserError as error:
        if len(batch) == 1:
            refused[batch[0]] = error
            return []
        middle = len(batch) // 2
        return _fetch_details(reader, batch[:middle], stats, refused) + _fetch_details(
            reader, batch[middle:], stats, refused
        )
    rows = response.data.get("list")
    if not isinstance(rows, list):
        raise ContractError(
            "list is not a list of objects", endpoint=ADVERTISER_INFO.path, request_id=response.request_id
        )
    unique_rows = {repr(row): row for row in rows if isinstance(row, dict)}.values()  # a row may be repeated
    identified = [(row, owner) for row in unique_rows if (owner := _parse_advertiser_id(row))]
    unidentified = [row for row in unique_rows if not _parse_advertiser_id(row)]
    if unidentified and not identified:
        raise ContractError(
            "no row has an advertiser_id", endpoint=ADVERTISER_INFO.path, request_id=response.request_id
        )
    missing = sorted(set(batch) - {owner for _, owner in identified})
    if len(unidentified) == len(missing) == 1:  # the one row without id can only be of the one missing account
        identified.append((unidentified[0], missing[0]))
    return identified


def read_accounts_or_settings(
    reader: Reader,
    advertiser_ids: Sequence[str],
    timezones: Mapping[str, str],
    currencies: Mapping[str, str],
) -> AccountsResult:
    """Read the details of accounts; take them from the settings if the host has no such endpoint.

    Args:
        reader: the connection and its state.
        advertiser_ids: the accounts.
        timezones: the time zones of the settings, by account.
        currencies: the currencies of the settings, by account.

    Raises:
        NotOfferedError: if the host has no such endpoint, and the settings lack a time zone or currency.
        TikTokError: if a request fails for a reason other than a single account.
    """
    try:
        return read_accounts(reader, advertiser_ids)
    except NotOfferedError:
        if not set(advertiser_ids) <= timezones.keys() & currencies.keys():
            raise
    rows = [
        {"advertiser_id": one, "display_timezone": timezones[one], "currency": currencies[one]}
        for one in advertiser_ids
    ]
    now = reader.now()
    frame = build_entity_frame(ADVERTISERS, rows, now, unknown_fields=set())
    return AccountsResult(frame.sort("advertiser_id"), {}, {}, NO_REQUESTS, now)


def describe_missing_endpoints(paths: Iterable[str]) -> str:
    """Describe in one sentence the endpoints a host does not offer, and the effect."""
    names = sorted(path.strip("/") for path in paths)
    details = ADVERTISERS.endpoint.path.strip("/")
    others = [name for name in names if name != details]
    effects = ["the time zones and currencies of its accounts are taken from the settings"] * (details in names)
    effects += [f"the data of {' and '.join(others)} is not stored"] * bool(others)
    return f"this host does not offer {', '.join(names)}, like TikTok's own sandbox: {', and '.join(effects)}"


def describe_forbidden_endpoints(paths: Iterable[str]) -> str:
    """Describe in one sentence the optional endpoints that the token lacks the permission for, and what to do."""
    names = sorted(path.strip("/") for path in paths)
    permissions = sorted({endpoint.permission for endpoint in ENDPOINTS if endpoint.path in set(paths)})
    return (
        f"the token lacks the permission for {' and '.join(names)}, so their data is not stored: select"
        f" {' and '.join(permissions)} on the app's page, and once it is approved run `tiktok-assets auth` again"
    )
