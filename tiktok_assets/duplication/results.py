"""Build the tables of duplications and of their results, comparing each original with its copy."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.duplication.models import AD_GROUP_STEP, AD_STEP, DONE, LedgerEntry, Step, build_marker
from tiktok_assets.spec import Column
from tiktok_assets.tables import build_schema

COMPARISON_DAYS = (3, 7, 14)
"""The lengths of the periods over which a copy is compared, from its first day with spend, in days."""

DUPLICATIONS_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("duplication_key", "", "text", "the duplication's key; also in the names of the created objects"),
    Column("ad_id", "", "id", "the original ad"),
    Column("campaign_id", "", "id", "the campaign it was duplicated into"),
    Column("ad_group_id", "", "id", "the existing ad group it was added to; null if its ad group was copied"),
    Column("again", "", "count", "0 for the first copy, N for another requested copy"),
    Column("enable", "", "flag", "whether the copy was switched on"),
    Column("status", "", "text", "started, done or refused"),
    Column("reason", "", "text", "the reason it was refused or is not finished"),
    Column("copy_ad_id", "", "id", "the created ad"),
    Column("copy_ad_group_id", "", "id", "the created ad group"),
    Column("marker", "", "text", "the end of both names"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("budget", "", "money", "the requested budget; null for the original's"),
    Column("added_budget", "", "money", "the budget it added, as counted by TIKTOK_MAX_ADDED_BUDGET"),
    Column("flag_id", "", "text", "the flag that triggered it"),
    Column("started_at", "", "instant", "when it was started"),
    Column("done_at", "", "instant", "when both objects existed"),
    Column("approved_how", "", "text", "code, terminal, yes or execute; null if started by an earlier version"),
    Column("approved_by", "", "text", "who approved it: the run and its tags, or the user and host of a command"),
    Column("approved_at", "", "instant", "when it was approved"),
    Column("target_kind", "", "text", "manual or smart_plus; null until planned, or of an earlier version"),
    Column("undone_at", "", "instant", "when it was undone"),
    Column("undo_result", "", "text", "what was switched off or deleted then"),
    Column("steps", "", "json", "each object: target, request, when and how often it was sent, and the result"),
    Column("fetched_at", "", "instant", "when the ledger was read"),
)
DUPLICATIONS_SCHEMA = build_schema(DUPLICATIONS_COLUMNS)

_METRICS: tuple[tuple[str, str, str], ...] = (
    ("spend", "money", "spend"),
    ("cpm", "money", "cost per thousand impressions"),
    ("ctr", "rate", "clicks per impression"),
    ("cpa", "money", "cost per conversion"),
    ("roas", "ratio", "value of purchases divided by spend"),
)
RESULTS_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("duplication_key", "", "text", "the duplication's key"),
    Column("days", "", "count", "the length of the comparison in days: 3, 7 or 14"),
    Column("ad_id", "", "id", "the original ad"),
    Column("copy_ad_id", "", "id", "the copy"),
    Column("campaign_id", "", "id", "the copy's campaign"),
    Column("first_day", "", "day", "the copy's first day with spend; null before there is one"),
    Column("last_day", "", "day", "the last compared day; every number is null until all days are complete"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    *(
        Column(f"{prefix}{name}", "", kind, f"{whose}: {description} on those days")  # type: ignore[arg-type] # the kinds above
        for name, kind, description in _METRICS
        for prefix, whose in (("", "the original"), ("copy_", "the copy"))
    ),
    Column("fetched_at", "", "instant", "when the newest of the compared days was read"),
)
RESULTS_SCHEMA = build_schema(RESULTS_COLUMNS)

_SUMS = ("spend", "impressions", "clicks", "conversion", "total_complete_payment_value")
_FOUR_PLACES = Decimal("0.0001")


def build_duplications_table(entries: Iterable[LedgerEntry], read_at: datetime) -> pl.DataFrame:
    """Build the rows of `ad_duplications` from the ledger, read at an aware instant, sorted by key."""
    rows = [{**_build_row(entry), "fetched_at": read_at} for entry in entries]
    return pl.DataFrame(rows, DUPLICATIONS_SCHEMA).sort("advertiser_id", "duplication_key")


def _build_row(entry: LedgerEntry) -> dict[str, Any]:
    names = {column.name for column in DUPLICATIONS_COLUMNS}
    columns = {name: getattr(entry, name) for name in LedgerEntry.__slots__ if name in names and name != "steps"}
    return {
        **columns,
        "copy_ad_id": entry.created_id(AD_STEP),
        "copy_ad_group_id": entry.created_id(AD_GROUP_STEP),
        "marker": build_marker(entry.duplication_key),
        "steps": json.dumps([_step_to_json(step) for step in entry.steps]),
    }


def _step_to_json(step: Step) -> dict[str, Any]:
    values = {name: getattr(step, name) for name in Step.__slots__}
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()}


def find_compared_days(entries: Iterable[LedgerEntry], daily: pl.DataFrame) -> dict[str, set[date]]:
    """Return by account the days that must be complete for its duplications to be compared."""
    days: dict[str, set[date]] = {}
    for entry in entries:
        if first := _find_first_day(entry, daily):
            days.setdefault(entry.advertiser_id, set()).update(
                first + timedelta(day) for day in range(max(COMPARISON_DAYS))
            )
    return days


def _find_first_day(entry: LedgerEntry, daily: pl.DataFrame) -> date | None:
    """Return the first stored day on which a copy has spend."""
    is_copy = (pl.col("advertiser_id") == entry.advertiser_id) & (pl.col("ad_id") == entry.created_id(AD_STEP))
    first = daily.filter(is_copy & (pl.col("spend") > 0)).get_column("date").min()
    return first if isinstance(first, date) else None


def build_results_table(
    entries: Iterable[LedgerEntry], daily: pl.DataFrame, complete: Mapping[str, AbstractSet[date]]
) -> pl.DataFrame:
    """Build the rows of `duplication_results`: each finished duplication over each period, sorted by key.

    Original and copy are compared on the same days. Amounts are exact; rates are computed from sums, and null
    where their divisor is 0 or a metric was not selected. Days in two currencies are not summed.

    Args:
        entries: of the ledger.
        daily: rows of `ad_report_daily` of both ads.
        complete: the days of each account that are stored and complete.
    """
    rows = []
    for entry in entries:
        copy = entry.created_id(AD_STEP)
        if entry.status != DONE or copy is None:
            continue
        account_rows = daily.filter(pl.col("advertiser_id") == entry.advertiser_id)
        first = _find_first_day(entry, daily)
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
                compared_rows = account_rows.filter(
                    pl.col("date").is_in(window) & pl.col("ad_id").is_in([entry.ad_id, copy])
                )
                currencies = compared_rows.get_column("currency").drop_nulls().unique().to_list()
                if len(currencies) == 1:  # the account's currency may have changed since
                    row["currency"] = currencies[0]
                if complete.get(entry.advertiser_id, frozenset()) >= set(window) and len(currencies) <= 1:
                    row |= _compare(compared_rows, entry.ad_id, copy)
            rows.append(row)
    return pl.DataFrame(rows, RESULTS_SCHEMA).sort("advertiser_id", "duplication_key", "days")


def _compare(window: pl.DataFrame, original: str, copy: str) -> dict[str, Any]:
    read_at = window.get_column("fetched_at").max()
    return {"fetched_at": read_at} | {
        f"{prefix}{name}": value
        for prefix, ad_id in (("", original), ("copy_", copy))
        for name, value in _compute_metrics(window.filter(pl.col("ad_id") == ad_id)).items()
    }


def _compute_metrics(rows: pl.DataFrame) -> dict[str, Any]:
    """Compute the metrics of one ad; an ad without rows has a spend of 0."""
    sums = {name: Decimal(str(rows.get_column(name).sum() or 0)) for name in _SUMS if name in rows.columns}
    spend, clicks, value = sums["spend"], sums.get("clicks"), sums.get("total_complete_payment_value")
    impressions = sums.get("impressions")
    return {
        "spend": spend,
        "cpm": _divide_money(spend * 1000, impressions),
        "ctr": float(100 * clicks / impressions) if impressions and clicks is not None else None,
        "cpa": _divide_money(spend, sums.get("conversion")),
        "roas": float(value / spend) if spend and value is not None else None,
    }


def _divide_money(amount: Decimal, count: Decimal | None) -> Decimal | None:
    return (amount / count).quantize(_FOUR_PLACES) if count else None
