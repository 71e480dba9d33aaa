"""Resolve the accounts to read, with time zone and currency, from the settings, the store and the API."""

from collections.abc import Mapping, Sequence

import polars as pl

from tiktok_assets.api.errors import AdvertiserError, NoAccountGrantedError
from tiktok_assets.ingest.account_reader import list_advertiser_ids, read_accounts
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.writer import ADVERTISERS_SCHEMA
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.tables.account_calendar import Account

NO_ACCOUNT_MESSAGE = "no ad account is granted to the app"


def resolve_advertiser_ids(reader: Reader, settings: Settings) -> list[str]:
    """The ids the settings name, or else all that are granted; in order, each once.

    Raises:
        GrantAccountError: if none is granted.
        TikTokError: if they must be listed and cannot be.
    """
    if settings.advertiser_ids:
        return sorted(set(settings.advertiser_ids))
    secret = settings.app_secret.get_secret_value() if settings.app_secret else None
    listed = sorted(set(list_advertiser_ids(reader, settings.app_id, secret)))
    if not listed:
        raise NoAccountGrantedError(NO_ACCOUNT_MESSAGE)
    return listed


def load_accounts(
    reader: Reader, store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]
) -> tuple[list[Account], dict[str, AdvertiserError]]:
    """Currency and zone of each account, and the errors of those nobody can tell of.

    An account the `advertisers` table does not hold yet is asked for; a setting wins over both.

    Raises:
        TikTokError: if the API cannot be asked at all.
    """
    rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    refused: dict[str, AdvertiserError] = {}
    if missing := _select_unknown(rows, settings, advertiser_ids):
        read = read_accounts(reader, missing)
        rows, refused = rows.vstack(read.frame), read.refused
    return resolve_accounts(rows, settings, advertiser_ids, refused)


def resolve_accounts(
    rows: pl.DataFrame, settings: Settings, advertiser_ids: Sequence[str], refused: Mapping[str, AdvertiserError]
) -> tuple[list[Account], dict[str, AdvertiserError]]:
    """Take currency and zone of each account from rows of `advertisers` and the settings, which win.

    Args:
        rows: what is known of them.
        settings: where zone and currency may be set.
        advertiser_ids: the accounts wanted.
        refused: those that cannot be read, with their errors.

    Returns:
        The accounts, and the errors of those that are refused or lack a zone or a currency.
    """
    facts = {row["advertiser_id"]: row for row in rows.to_dicts()}
    accounts, refused = [], dict(refused)
    for advertiser_id in advertiser_ids:
        if advertiser_id in refused:
            continue
        row = facts.get(advertiser_id, {})
        account = Account.told(advertiser_id, row, settings.account_timezone, settings.account_currency)
        if not account.timezone or not account.currency:
            refused[advertiser_id] = AdvertiserError(
                f"advertiser {advertiser_id} tells no {'currency' if account.timezone else 'time zone'};"
                " name it in TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY"
            )
            continue
        if not account.has_known_zone:
            refused[advertiser_id] = AdvertiserError(
                f"advertiser {advertiser_id} has the unknown time zone {account.timezone!r};"
                " name one in TIKTOK_ACCOUNT_TIMEZONE"
            )
            continue
        accounts.append(account)
    return accounts, refused


def find_unknown_accounts(store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]) -> list[str]:
    """The accounts `known_accounts` would ask the API about."""
    return _select_unknown(store.scan("advertisers", ADVERTISERS_SCHEMA).collect(), settings, advertiser_ids)


def _select_unknown(rows: pl.DataFrame, settings: Settings, advertiser_ids: Sequence[str]) -> list[str]:
    told = settings.account_timezone.keys() & settings.account_currency.keys()
    known = told | set(rows.get_column("advertiser_id"))
    return [one for one in advertiser_ids if one not in known]


def require_accounts(
    reader: Reader, store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]
) -> list[Account]:
    """Currency and zone of accounts that must all be known.

    Raises:
        AdvertiserError: of the first nobody can tell of.
        TikTokError: if the API cannot be asked at all.
    """
    accounts, refused = load_accounts(reader, store, settings, advertiser_ids)
    for error in refused.values():
        raise error
    return accounts
