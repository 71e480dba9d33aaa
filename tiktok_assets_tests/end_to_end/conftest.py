"""Helpers of the end-to-end tests: the ground truth and the stored rows in the same form."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import polars as pl

from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.settings import Settings
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.schema import build_schema

Cell = Decimal | int | float | None


def stored(settings: Settings, table: str) -> pl.DataFrame:
    """Read every stored row of a table."""
    return HiveStore(settings.data_dir).scan(table, build_schema(get_stored_tables(settings)[table])).collect()


def report_truth(
    base_url: str, report: Report, advertiser_id: str, days: tuple[date, date] | None
) -> dict[tuple[str, ...], dict[str, Cell]]:
    """Read the ground truth of a report by key, in the types of its metrics, without rows of zeros."""
    query = {"level": report.level.name, "advertiser_id": advertiser_id}
    query |= {"start_date": days[0].isoformat(), "end_date": days[1].isoformat()} if days else {"lifetime": "true"}
    answer = httpx.get(f"{base_url}/sandbox/truth/report", params=query, timeout=60).raise_for_status()
    return {
        (row["id"], row["date"][:10]) if days else (row["id"],): {
            metric.name: _typed(metric.kind, row["metrics"][metric.api_name])
            for metric in METRICS
            if metric.is_standard
        }
        for row in answer.json()
    }


def _typed(kind: str, text: str) -> Cell:
    if text == "-":
        return None
    if kind == "money":
        return Decimal(text)
    return int(text) if kind == "count" else float(text)


def stored_numbers(rows: Iterable[dict[str, Any]], report: Report) -> dict[tuple[str, ...], dict[str, Cell]]:
    """Convert stored rows to the form of the ground truth, without rows of zeros."""
    names = [metric.name for metric in METRICS if metric.is_standard]
    own = "advertiser_id" if report.level.name == "advertiser" else f"{report.level.name}_id"
    return {
        (row[own], row["date"].isoformat()) if "date" in row else (row[own],): {name: row[name] for name in names}
        for row in rows
        if any(row[name] for name in names)
    }
