"""Resolve the accounts to read, with time zone and currency, from the settings, the store and the API."""

from collections.abc import Mapping, Sequence

import polars as pl

from tiktok_assets.api import AdvertiserError, NoAccountGrantedError
from tiktok_assets.ingest.account_reader import ADVERTISERS_SCHEMA, list_advertiser_ids, read_accounts
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.settings import Settings
from tiktok_assets.storage import HiveStore
from tiktok_assets.tables import Account

NO_ACCOUNT_MESSAGE = "no ad account is granted to the app"


def resolve_advertiser_ids(reader: Reader, settings: Settings) -> list[str]:
    """Return the ids named in the settings, or else all that are granted; sorted and unique.

    Raises:
        NoAccountGrantedError: if no account is granted.
        TikTokError: if the accounts must be listed and cannot be.
    """
    if settings.advertiser_ids:
        return sorted(set(settings.advertiser_ids))
    secret = settings.app_secret.get_secret_value() if settings.app_secret else None
    granted = sorted(set(list_advertiser_ids(reader, settings.app_id, secret)))
    if not granted:
        raise NoAccountGrantedError(NO_ACCOUNT_MESSAGE)
    return granted


def load_accounts(
    reader: Reader, store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]
) -> tuple[list[Account], dict[str, AdvertiserError]]:
    """Load the currency and time zone of accounts; return also the errors of those for which they are unknown.

    An account missing from the table `advertisers` is read from the API; the settings override both.

    Raises:
        TikTokError: if the API cannot be read at all.
    """
    rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    refused: dict[str, AdvertiserError] = {}
    if missing := _select_unknown(rows, settings, advertiser_ids):
        result = read_accounts(reader, missing)
        rows, refused = rows.vstack(result.frame), result.refused
    return resolve_accounts(rows, settings, advertiser_ids, refused)


def resolve_accounts(
    rows: pl.DataFrame, settings: Settings, advertiser_ids: Sequence[str], refused: Mapping[str, AdvertiserError]
) -> tuple[list[Account], dict[str, AdvertiserError]]:
    """Resolve the currency and time zone of accounts from rows of `advertisers` and the settings, which override.

    Args:
        rows: rows of `advertisers`.
        settings: the settings, which may set time zones and currencies.
        advertiser_ids: the accounts to resolve.
        refused: the errors of accounts that could not be read.

    Returns:
        The accounts, and the errors of those that could not be read or lack a time zone or a currency.
    """
    row_by_id = {row["advertiser_id"]: row for row in rows.to_dicts()}
    accounts, refused = [], dict(refused)
    for advertiser_id in advertiser_ids:
        if advertiser_id in refused:
            continue
        row = row_by_id.get(advertiser_id, {})
        account = Account.from_row(advertiser_id, row, settings.account_timezone, settings.account_currency)
        if not account.timezone or not account.currency:
            refused[advertiser_id] = AdvertiserError(
                f"advertiser {advertiser_id} has no {'currency' if account.timezone else 'time zone'};"
                " set both in TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY"
            )
            continue
        if not account.has_known_zone:
            refused[advertiser_id] = AdvertiserError(
                f"advertiser {advertiser_id} has the unknown time zone {account.timezone!r};"
                " set one in TIKTOK_ACCOUNT_TIMEZONE"
            )
            continue
        accounts.append(account)
    return accounts, refused


def find_unknown_accounts(store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]) -> list[str]:
    """Return the accounts that `load_accounts` would read from the API."""
    return _select_unknown(store.scan("advertisers", ADVERTISERS_SCHEMA).collect(), settings, advertiser_ids)


def _select_unknown(rows: pl.DataFrame, settings: Settings, advertiser_ids: Sequence[str]) -> list[str]:
    in_settings = settings.account_timezone.keys() & settings.account_currency.keys()
    known = in_settings | set(rows.get_column("advertiser_id"))
    return [one for one in advertiser_ids if one not in known]


def require_accounts(
    reader: Reader, store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]
) -> list[Account]:
    """Load the currency and time zone of accounts, and raise if one is unknown.

    Raises:
        AdvertiserError: the error of the first account that is unknown.
        TikTokError: if the API cannot be read at all.
    """
    accounts, refused = load_accounts(reader, store, settings, advertiser_ids)
    for error in refused.values():
        raise error
    return accounts
