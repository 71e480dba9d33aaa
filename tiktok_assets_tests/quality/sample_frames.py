"""Small report frames for the tests of the checks."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import report_schema

BERLIN = Account("7001", "EUR", "Europe/Berlin")
MONDAY = date(2026, 3, 2)
DAY = timedelta(1)
READ_AT = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)


def report(table: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """Build report rows of one account; columns not given are those of a complete Monday, metrics are null."""
    schema = report_schema(REPORTS_BY_TABLE[table], STANDARD_METRICS)
    given = [
        {"advertiser_id": "7001", "date": MONDAY, "currency": "EUR", "is_complete": True, "fetched_at": READ_AT}
        | {name: Decimal(value) if name == "spend" else value for name, value in row.items()}
        for row in rows
    ]
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in given], schema=schema)


def ads(*rows: dict[str, Any]) -> pl.DataFrame:
    """Build rows of `ad_report_daily`."""
    return report("ad_report_daily", *rows)
