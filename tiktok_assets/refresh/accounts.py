"""Which accounts there are, and what a report must know of each: from the store, the settings, then the API."""

from collections.abc import Mapping, Sequence

import polars as pl

from tiktok_assets.api.errors import AdvertiserError, GrantAccountError
from tiktok_assets.days import Account
from tiktok_assets.refresh.reading import Reader, listed_advertisers, read_accounts
from tiktok_assets.refresh.writing import ADVERTISERS_SCHEMA
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_parquet import HiveStore

NO_ACCOUNT = "no ad account is granted to the app"


def advertisers_to_read(reader: Reader, settings: Settings) -> list[str]:
    """The ids the settings name, or else all that are granted; in order, each once.

    Raises:
        GrantAccountError: if none is granted.
        TikTokError: if they must be listed and cannot be.
    """
    if settings.advertiser_ids:
        return sorted(set(settings.advertiser_ids))
    secret = settings.app_secret.get_secret_value() if settings.app_secret else None
    listed = sorted(set(listed_advertisers(reader, settings.app_id, secret)))
    if not listed:
        raise GrantAccountError(NO_ACCOUNT)
    return listed


def known_accounts(
    reader: Reader, store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]
) -> tuple[list[Account], dict[str, AdvertiserError]]:
    """Currency and zone of each account, and the errors of those nobody can tell of.

    An account the `advertisers` table does not hold yet is asked for; a setting wins over both.

    Raises:
        TikTokError: if the API cannot be asked at all.
    """
    rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    refused: dict[str, AdvertiserError] = {}
    if missing := _untold(rows, settings, advertiser_ids):
        read = read_accounts(reader, missing)
        rows, refused = rows.vstack(read.frame), read.refused
    return accounts_of(rows, settings, advertiser_ids, refused)


def accounts_of(
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


def accounts_to_ask(store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]) -> list[str]:
    """The accounts `known_accounts` would ask the API about."""
    return _untold(store.scan("advertisers", ADVERTISERS_SCHEMA).collect(), settings, advertiser_ids)


def _untold(rows: pl.DataFrame, settings: Settings, advertiser_ids: Sequence[str]) -> list[str]:
    told = settings.account_timezone.keys() & settings.account_currency.keys()
    known = told | set(rows.get_column("advertiser_id"))
    return [one for one in advertiser_ids if one not in known]


def required_accounts(
    reader: Reader, store: HiveStore, settings: Settings, advertiser_ids: Sequence[str]
) -> list[Account]:
    """Currency and zone of accounts that must all be known.

    Raises:
        AdvertiserError: of the first nobody can tell of.
        TikTokError: if the API cannot be asked at all.
    """
    accounts, refused = known_accounts(reader, store, settings, advertiser_ids)
    for error in refused.values():
        raise error
    return accounts
