"""Build the tables of duplications and of their results, comparing each original with its copy."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.duplication.models import AD_GROUP_STEP, AD_STEP, DONE, LedgerEntry, Step, build_marker
from tiktok_assets.spec.columns import Column
from tiktok_assets.tables.frames import build_schema

COMPARISON_DAYS = (3, 7, 14)
"""Days over which a copy is compared, from its first day with spend."""

DUPLICATIONS_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("duplication_key", "", "text", "the duplication; also in the names of what it made"),
    Column("ad_id", "", "id", "the original"),
    Column("campaign_id", "", "id", "into which it was duplicated"),
    Column("ad_group_id", "", "id", "the ad group named; null for a copy of the original's"),
    Column("again", "", "count", "0 for the first copy, N for another one asked for"),
    Column("enable", "", "flag", "whether what was made was switched on"),
    Column("status", "", "text", "started, done or refused"),
    Column("reason", "", "text", "why it was refused, or is not finished yet"),
    Column("copy_ad_id", "", "id", "the ad that was made"),
    Column("copy_ad_group_id", "", "id", "the ad group that was made for it"),
    Column("marker", "", "text", "what the names of both end with"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("budget", "", "money", "the budget asked for; null for the original's"),
    Column("added_budget", "", "money", "what it added, as TIKTOK_MAX_ADDED_BUDGET counts it"),
    Column("flag_id", "", "text", "the flag that asked for it by itself"),
    Column("started_at", "", "instant", "when it was first asked for"),
    Column("done_at", "", "instant", "when everything was made"),
    Column("approved_how", "", "text", "code, terminal, yes or execute; null if begun by an earlier version"),
    Column("approved_by", "", "text", "who approved it: the run and its tags, or the user and host of a command"),
    Column("approved_at", "", "instant", "when"),
    Column("steps", "", "json", "each object: target, request, when it was sent, how often, what came of it"),
    Column("fetched_at", "", "instant", "when the ledger was read"),
)
DUPLICATIONS_SCHEMA = build_schema(DUPLICATIONS_COLUMNS)

_MEASURES: tuple[tuple[str, str, str], ...] = (
    ("spend", "money", "spent"),
    ("cpm", "money", "cost of a thousand impressions"),
    ("ctr", "rate", "clicks per impression"),
    ("cpa", "money", "cost of a conversion"),
    ("roas", "ratio", "value of purchases divided by spend"),
)
RESULTS_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("duplication_key", "", "text", "the duplication"),
    Column("days", "", "count", "over how many days it is compared: 3, 7 or 14"),
    Column("ad_id", "", "id", "the original"),
    Column("copy_ad_id", "", "id", "the copy"),
    Column("campaign_id", "", "id", "the copy's campaign"),
    Column("first_day", "", "day", "the copy's first day with spend; null before there is one"),
    Column("last_day", "", "day", "the last day compared; every number is null until all days are complete"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    *(
        Column(f"{prefix}{name}", "", kind, f"{whose}: {meaning} on those days")  # type: ignore[arg-type] # kinds above
        for name, kind, meaning in _MEASURES
        for prefix, whose in (("", "the original"), ("copy_", "the copy"))
    ),
    Column("fetched_at", "", "instant", "when the newest of the days compared was read"),
)
RESULTS_SCHEMA = build_schema(RESULTS_COLUMNS)

_SUMS = ("spend", "impressions", "clicks", "conversion", "total_complete_payment_value")
_FOUR_PLACES = Decimal("0.0001")


def build_duplications_table(entries: Iterable[LedgerEntry], read_at: datetime) -> pl.DataFrame:
    """The ledger, read at an aware instant, as rows of `ad_duplications`, sorted by its key."""
    rows = [{**_duplication(entry), "fetched_at": read_at} for entry in entries]
    return pl.DataFrame(rows, DUPLICATIONS_SCHEMA).sort("advertiser_id", "duplication_key")


def _duplication(entry: LedgerEntry) -> dict[str, Any]:
    names = {column.name for column in DUPLICATIONS_COLUMNS}
    own = {name: getattr(entry, name) for name in LedgerEntry.__slots__ if name in names and name != "steps"}
    return {
        **own,
        "copy_ad_id": entry.made(AD_STEP),
        "copy_ad_group_id": entry.made(AD_GROUP_STEP),
        "marker": build_marker(entry.duplication_key),
        "steps": json.dumps([_step(step) for step in entry.steps]),
    }


def _step(step: Step) -> dict[str, Any]:
    told = {name: getattr(step, name) for name in Step.__slots__}
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in told.items()}


def find_compared_days(entries: Iterable[LedgerEntry], daily: pl.DataFrame) -> dict[str, set[date]]:
    """By account, the days that must be complete for its duplications to be compared."""
    days: dict[str, set[date]] = {}
    for entry in entries:
        if first := _first_day(entry, daily):
            days.setdefault(entry.advertiser_id, set()).update(
                first + timedelta(day) for day in range(max(COMPARISON_DAYS))
            )
    return days


def _first_day(entry: LedgerEntry, daily: pl.DataFrame) -> date | None:
    """The first stored day on which a copy spent anything."""
    mine = (pl.col("advertiser_id") == entry.advertiser_id) & (pl.col("ad_id") == entry.made(AD_STEP))
    first = daily.filter(mine & (pl.col("spend") > 0)).get_column("date").min()
    return first if isinstance(first, date) else None


def build_results_table(
    entries: Iterable[LedgerEntry], daily: pl.DataFrame, complete: Mapping[str, AbstractSet[date]]
) -> pl.DataFrame:
    """Rows of `duplication_results`: each finished duplication over each window, sorted by its key.

    Original and copy are compared on the same days. Amounts are exact; rates are recomputed from what was
    summed, and null where their divisor is 0 or a metric was not chosen. Days in two currencies are not summed.

    Args:
        entries: of the ledger.
        daily: rows of `ad_report_daily` of both ads.
        complete: the days of each account that are stored and complete.
    """
    rows = []
    for entry in entries:
        copy = entry.made(AD_STEP)
        if entry.status != DONE or copy is None:
            continue
        mine = daily.filter(pl.col("advertiser_id") == entry.advertiser_id)
        first = _first_day(entry, daily)
        for days in COMPARISON_DAYS:
            row: dict[str, Any] = {
                "advertiser_id": entry.advertiser_id,
                "duplication_key": entry.duplication_key,
                "days": days,
                "ad_id": entry.ad_id,
                "copy_ad_id": copy,
                "campaign_id": entry.campaign_id,
                "currency": entry.currency,
            }
            if first:
                window = [first + timedelta(day) for day in range(days)]
                row |= {"first_day": first, "last_day": window[-1]}
                rows_of_both = mine.filter(
                    pl.col("date").is_in(window) & pl.col("ad_id").is_in([entry.ad_id, copy])
                )
                currencies = rows_of_both.get_column("currency").drop_nulls().unique().to_list()
                if len(currencies) == 1:  # the account may have another than when it was duplicated
                    row["currency"] = currencies[0]
                if complete.get(entry.advertiser_id, frozenset()) >= set(window) and len(currencies) <= 1:
                    row |= _compared(rows_of_both, entry.ad_id, copy)
            rows.append(row)
    return pl.DataFrame(rows, RESULTS_SCHEMA).sort("advertiser_id", "duplication_key", "days")


def _compared(window: pl.DataFrame, original: str, copy: str) -> dict[str, Any]:
    read_at = window.get_column("fetched_at").max()
    return {"fetched_at": read_at} | {
        f"{prefix}{name}": value
        for prefix, ad_id in (("", original), ("copy_", copy))
        for name, value in _measured(window.filter(pl.col("ad_id") == ad_id)).items()
    }


def _measured(rows: pl.DataFrame) -> dict[str, Any]:
    """The measures of one ad; an ad without rows spent nothing."""
    sums = {name: Decimal(str(rows.get_column(name).sum() or 0)) for name in _SUMS if name in rows.columns}
    spend, clicks, value = sums["spend"], sums.get("clicks"), sums.get("total_complete_payment_value")
    impressions = sums.get("impressions")
    return {
        "spend": spend,
        "cpm": _money_per(spend * 1000, impressions),
        "ctr": float(100 * clicks / impressions) if impressions and clicks is not None else None,
        "cpa": _money_per(spend, sums.get("conversion")),
        "roas": float(value / spend) if spend and value is not None else None,
    }


def _money_per(amount: Decimal, count: Decimal | None) -> Decimal | None:
    return (amount / count).quantize(_FOUR_PLACES) if count else None
