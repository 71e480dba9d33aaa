"""Laws of what an account must tell: a zone and a currency, from the host or from the settings."""

from typing import Any

import polars as pl
import pytest

from tiktok_assets.checking.accounts import accounts_told
from tiktok_assets.refresh.writing import ADVERTISERS_SCHEMA

TOLD = {"advertiser_id": "7001", "display_timezone": "Asia/Tokyo", "currency": "JPY", "is_granted": True}


def advertisers(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of the table of accounts."""
    return pl.DataFrame([{n: row.get(n) for n in ADVERTISERS_SCHEMA} for row in rows], schema=ADVERTISERS_SCHEMA)


@pytest.mark.parametrize(
    ("row", "missing"),
    [
        ({}, None),
        ({"display_timezone": None, "timezone": "Etc/GMT-9"}, None),
        ({"display_timezone": None}, "time zone"),
        ({"display_timezone": "Mars/Olympus"}, "time zone 'Mars/Olympus'"),
        ({"currency": None}, "currency"),
        ({"display_timezone": None, "currency": ""}, "time zone and currency"),
        ({"display_timezone": None, "is_granted": False}, None),  # nobody asks about a lost account
    ],
)
def test_an_account_without_zone_or_currency_is_named(row: dict[str, Any], missing: str | None) -> None:
    """An active account that tells no usable zone or no currency fails by name; the settings mend it."""
    frame = advertisers(TOLD | row)
    _, found = accounts_told(frame, [], zones={}, currencies={})
    assert [fault["missing"] for fault in found.faults] == ([missing] if missing else [])
    _, mended = accounts_told(frame, [], zones={"7001": "UTC"}, currencies={"7001": "EUR"})
    assert mended.passed


def test_display_timezone_comes_before_the_raw_one() -> None:
    """Where both are told, the days are those of the IANA zone; a setting wins over both."""
    frame = advertisers(TOLD | {"display_timezone": "America/Los_Angeles", "timezone": "Etc/GMT+8"})
    accounts, _ = accounts_told(frame, [], zones={}, currencies={})
    assert accounts["7001"].timezone == "America/Los_Angeles"
    accounts, _ = accounts_told(frame, [], zones={"7001": "UTC"}, currencies={})
    assert accounts["7001"].timezone == "UTC"


def test_a_named_account_the_host_knows_nothing_of_is_active() -> None:
    """An account of the settings is expected even where no table of accounts stands."""
    _, found = accounts_told(advertisers(), ["7009"], zones={"7009": "UTC"}, currencies={})
    assert [dict(fault) for fault in found.faults] == [{"advertiser_id": "7009", "missing": "currency"}]
