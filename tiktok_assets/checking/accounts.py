"""What an account must tell: the zone of its days and the currency of its amounts."""

from collections.abc import Collection, Mapping

import polars as pl

from tiktok_assets.checking.finding import Finding
from tiktok_assets.days import Account


def accounts_told(
    advertisers: pl.DataFrame,
    wanted: Collection[str],
    *,
    zones: Mapping[str, str],
    currencies: Mapping[str, str],
) -> tuple[dict[str, Account], Finding]:
    """The active accounts with zone and currency, and those nobody can tell of.

    Active are the accounts the settings name, or else all that are granted.

    Args:
        advertisers: rows of the table.
        wanted: the accounts the settings name; empty for all.
        zones: what the settings say, which wins.
        currencies: the same.
    """
    rows = {row["advertiser_id"]: row for row in advertisers.to_dicts()}
    granted = [one for one, row in rows.items() if row["is_granted"] is not False]
    accounts, faults = dict[str, Account](), list[Mapping[str, str]]()
    for advertiser_id in sorted(set(wanted) or set(granted)):
        row = rows.get(advertiser_id, {})
        if row.get("is_granted") is False:
            continue
        account = Account.told(advertiser_id, row, zones, currencies)
        zone = account.timezone
        missing = [] if account.has_known_zone else [f"time zone {zone!r}" if zone else "time zone"]
        missing += [] if account.currency else ["currency"]
        if account.has_known_zone:
            accounts[advertiser_id] = account
        if missing:
            faults.append({"advertiser_id": advertiser_id, "missing": " and ".join(missing)})
    return accounts, Finding.of(faults)
