"""Load the stored columns the overview page shows, and measure how fresh each account is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from tiktok_assets.ingest import UnreportedSpend, find_unreported_spend, is_partition_complete, parse_fetched_at
from tiktok_assets.spec import GMV_MAX_SHOPS, METRICS_BY_NAME
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import INSTANT, MONEY, sum_expressions_or_null

DAYS_SHOWN = 60
DAYS_COMPARED = 7
DAYS_OF_CREATIVES = 28
"""How many complete days each creative opens to."""

FRESHNESS_LOOKBACK_DAYS = 30
"""How many days are searched for the latest complete one and for missing ones."""

_ID, _TEXT, _COUNT = pl.String(), pl.String(), pl.Int64()
_ADDITIVE = {
    "spend": MONEY,
    "impressions": _COUNT,
    "clicks": _COUNT,
    "conversion": _COUNT,
    "total_complete_payment_value": MONEY,
    "total_onsite_shopping_value": MONEY,
}
_ACCOUNT_COLUMNS = {"advertiser_id": _ID, "currency": _TEXT}

SCHEMAS: Mapping[str, pl.Schema] = {
    "advertisers": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            **dict.fromkeys(("name", "company", "status", "display_timezone", "timezone"), _TEXT),
            "balance": MONEY,
            "is_granted": pl.Boolean(),
        }
    ),
    "campaigns": pl.Schema(
        {
            "advertiser_id": _ID,
            "campaign_id": _ID,
            **dict.fromkeys(("campaign_name", "operation_status", "secondary_status", "budget_mode"), _TEXT),
            "budget": MONEY,
        }
    ),
    "ad_groups": pl.Schema(
        {
            "advertiser_id": _ID,
            "campaign_id": _ID,
            **dict.fromkeys(("operation_status", "secondary_status", "budget_mode"), _TEXT),
            "budget": MONEY,
        }
    ),
    "ads": pl.Schema({"advertiser_id": _ID, "ad_id": _ID, "secondary_status": _TEXT}),
    "daily": pl.Schema({**_ACCOUNT_COLUMNS, "date": pl.Date(), **_ADDITIVE, "is_complete": pl.Boolean()}),
    "campaign_report_daily": pl.Schema({**_ACCOUNT_COLUMNS, "campaign_id": _ID, "date": pl.Date(), **_ADDITIVE}),
    "campaign_report_lifetime": pl.Schema(
        {**_ACCOUNT_COLUMNS, "campaign_id": _ID, "campaign_name": _TEXT, **_ADDITIVE, "fetched_at": INSTANT}
    ),
    "ad_report_lifetime": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            "ad_id": _ID,
            "ad_name": _TEXT,
            "campaign_name": _TEXT,
            **_ADDITIVE,
            "fetched_at": INSTANT,
        }
    ),
    "top_spenders": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            **dict.fromkeys(("campaign_id", "campaign_name", "ad_id", "ad_name", "runner_up_ad_name"), _TEXT),
            **dict.fromkeys(("ad_kind", "video_id", "smart_plus_ad_id", "smart_plus_ad_name"), _TEXT),
            **dict.fromkeys(("share", "lead", "smart_plus_ad_share", "media_share"), pl.Float64()),
            "spend": MONEY,
            "is_deleted": pl.Boolean(),
            "media_ads": _COUNT,
        }
    ),
    "duplication_candidates": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            **dict.fromkeys(("campaign_id", "campaign_name", "ad_id", "ad_name", "status", "reason"), _TEXT),
            **dict.fromkeys(("ad_kind", "duplicable", "duplication_reason", "duplication_steps"), _TEXT),
            **dict.fromkeys(("flagged_at", "leads_since"), INSTANT),
            "spend": MONEY,
            "lead": pl.Float64(),
        }
    ),
    "creatives": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            **dict.fromkeys(("creative_id", "creative_kind", "creative_name", "thumbnail"), _TEXT),
            "ads": _COUNT,
        }
    ),
    "creative_daily": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            "creative_id": _ID,
            "date": pl.Date(),
            **_ADDITIVE,
            **dict.fromkeys(("video_watched_2s", "video_watched_6s"), _COUNT),
        }
    ),
    "creative_declines": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            **dict.fromkeys(("creative_id", "creative_name", "metric", "replacement_id"), _TEXT),
            **dict.fromkeys(("best_rate", "recent_rate"), pl.Float64()),
            "since": pl.Date(),
            "found_at": INSTANT,
            "is_told": pl.Boolean(),
        }
    ),
    "report_restatements": pl.Schema(
        {
            **_ACCOUNT_COLUMNS,
            "date": pl.Date(),
            "report": _TEXT,
            "fetched_at": INSTANT,
            "previous_fetched_at": INSTANT,
            "spend_change": MONEY,
            "conversion_change": _COUNT,
        }
    ),
}
"""The columns read of each table; a column missing in an older file, or of a metric not chosen, is null."""

_DAILY_REPORTS = tuple(f"{level}_report_daily" for level in ("advertiser", "campaign", "ad_group", "ad"))


@dataclass(frozen=True, slots=True)
class Freshness:
    """How complete an account's daily report is.

    Attributes:
        complete_day: the newest complete day.
        missing_days: how many of the last thirty days up to the newest were never read.
        fetched_at: when the newest day was read, in UTC.
        first_day: the oldest stored day.
    """

    complete_day: date | None
    missing_days: int
    fetched_at: datetime | None
    first_day: date | None = None


@dataclass(frozen=True, slots=True)
class OverviewTables:
    """The frames of `SCHEMAS` by table name, and by account its freshness and the spend the tables do not hold."""

    frames: Mapping[str, pl.DataFrame]
    freshness: Mapping[str, Freshness]
    unreported: Mapping[str, Sequence[UnreportedSpend]]

    def get(self, table: str) -> pl.DataFrame:
        """Return the rows of a table; empty if it was never read."""
        return self.frames[table]


def load_tables(store: HiveStore, advertiser_id: str | None = None) -> OverviewTables:
    """Read the tables and days the page shows.

    Args:
        store: holds the tables.
        advertiser_id: the only account whose rows are read; None for all.
    """
    chosen = None if advertiser_id is None else [advertiser_id]
    source, days_by_account = _find_daily_source(store, chosen)
    store.prefetch([(source, account) for account in days_by_account])
    freshness = {
        account: _measure_freshness(store, source, account, days) for account, days in days_by_account.items()
    }
    newest = {day for days in days_by_account.values() for day in sorted(days)[-DAYS_SHOWN:]}
    compared = {day for one in freshness.values() for day in list_compared_days(one.complete_day)}
    days_to_read = {"campaign_report_daily": compared, "report_restatements": newest}
    # Twice as long, for accounts whose latest complete day is older than that of others.
    first_day = max(newest) - timedelta(2 * DAYS_OF_CREATIVES) if newest else date.min
    frames = {}
    for table, schema in SCHEMAS.items():
        # The table of accounts is one file with all of them.
        owners = None if table == "advertisers" else chosen
        if table != "daily":
            rows = store.scan(table, schema, advertiser_ids=owners, days=days_to_read.get(table))
            if table == "creative_daily":
                # A file of it has all days of an account, of which the wall shows four weeks.
                rows = rows.filter(pl.col("date") > first_day)
            frames[table] = (
                rows if chosen is None else rows.filter(pl.col("advertiser_id").is_in(chosen))
            ).collect()
    frames["daily"] = _sum_by_day(store, source, days_by_account, newest)
    accounts = frames["advertisers"].get_column("advertiser_id").to_list()
    store.prefetch_files(GMV_MAX_SHOPS.table, accounts)
    return OverviewTables(frames, freshness, {one: find_unreported_spend(store, one) for one in accounts})


def list_compared_days(last: date | None) -> Sequence[date]:
    """List the days on which campaigns are compared: two weeks, or the month if longer, up to the last day."""
    if last is None:
        return []
    first = min(last - timedelta(2 * DAYS_COMPARED - 1), last.replace(day=1))
    return [first + timedelta(number) for number in range((last - first).days + 1)]


def _find_daily_source(
    store: HiveStore, advertiser_ids: Collection[str] | None
) -> tuple[str, Mapping[str, Sequence[date]]]:
    """Return the smallest stored daily report, and by account its oldest stored day and the newest ones."""
    for table in _DAILY_REPORTS:
        if days := store.recent_days(table, advertiser_ids, DAYS_SHOWN):
            return table, days
    return _DAILY_REPORTS[0], {}


def _sum_by_day(
    store: HiveStore, table: str, advertiser_ids: Collection[str], days: Collection[date]
) -> pl.DataFrame:
    rows = store.scan(table, SCHEMAS["daily"], advertiser_ids=advertiser_ids, days=days)
    return (
        rows.group_by("advertiser_id", "currency", "date")
        .agg(*sum_expressions_or_null(METRICS_BY_NAME[name] for name in _ADDITIVE), pl.col("is_complete").all())
        .sort("advertiser_id", "date")
        .collect()
    )


def _measure_freshness(store: HiveStore, table: str, advertiser_id: str, stored: Sequence[date]) -> Freshness:
    days = sorted(stored)[-FRESHNESS_LOOKBACK_DAYS:]
    newest = store.read_metadata(table, Partition(advertiser_id, days[-1]))
    complete = next(
        (
            day
            for day in reversed(days)
            if is_partition_complete(store.read_metadata(table, Partition(advertiser_id, day)))
        ),
        None,
    )
    since = max(min(stored), days[-1] - timedelta(FRESHNESS_LOOKBACK_DAYS - 1))
    expected = (days[-1] - since).days + 1
    read = sum(day >= since for day in days)
    return Freshness(complete, expected - read, parse_fetched_at(newest), min(stored))
