"""Sandbox hosts to read from, and the expected rows in the declared column types."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.client import Client
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import Entity, SpecialCampaignType
from tiktok_assets.spec.metric_catalog import Metric
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, SMALL, Host

Cell = Any
Rows = dict[tuple[Cell, ...], dict[str, Cell]]

TODAY = date(2026, 11, 9)
"""The current day by the clock of the sandbox, except in Tokyo."""

OWN_COLUMNS = ("fetched_at", "is_complete", "is_settled")


@dataclass(frozen=True)
class OpenReader:
    """An open reader and its client."""

    reader: Reader
    client: Client


@contextmanager
def open_reader(
    host: Host,
    policy: RetryPolicy = FAST,
    metrics: tuple[Metric, ...] = STANDARD_METRICS,
    special_types: tuple[SpecialCampaignType, ...] = (),
) -> Iterator[OpenReader]:
    """Open a reader on a host; without `special_types` it does not query TopView and Promote."""
    with host.fetcher(policy) as (client, fetcher):
        yield OpenReader(Reader(fetcher, client.now, metrics, special_types=special_types), client)


def granted_accounts(host: Host) -> list[Account]:
    """Return the accounts that are granted to the token, with the currency and time zone of the sandbox world."""
    return [
        Account(one.id, one.account.currency, one.account.display_timezone)
        for one in host.sandbox.world.advertisers.values()
        if one.granted
    ]


def find_ungranted_account(host: Host) -> str:
    """Return the id of the account that is no longer granted."""
    (lost,) = [one.id for one in host.sandbox.world.advertisers.values() if not one.granted]
    return lost


def days_back(first: int, last: int = 0) -> list[date]:
    """Return the days from `first` to `last` days before today, in order."""
    return [TODAY - timedelta(n) for n in range(first, last - 1, -1)]


def to_column_value(kind: str, value: Cell) -> Cell:
    """Convert an API value to the expected column value, independently of the product's parser."""
    if value is None or (value in ("", "-") and kind != "text"):
        return None
    makers: dict[str, Callable[[Cell], Cell]] = {
        "id": str,
        "text": str,
        "money": Decimal,
        "count": int,
        "rate": float,
        "ratio": float,
        "flag": bool,
        "json": lambda one: one,
        "instant": lambda one: datetime.strptime(one, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC),
        "epoch": lambda one: datetime.fromtimestamp(one, UTC),
    }
    return makers[kind](value)


def expected_entity(entity: Entity, item: Mapping[str, Cell]) -> dict[str, Cell]:
    """Return the expected row of an API object: declared columns, and all other fields in `extra`."""
    declared = {column.api_name for column in entity.columns}
    row = {column.name: to_column_value(column.kind, item.get(column.api_name)) for column in entity.columns}
    return row | {"extra": {name: value for name, value in item.items() if name not in declared} or None}


def decode_rows(frame: pl.DataFrame, columns: tuple[Column, ...]) -> list[dict[str, Cell]]:
    """Return the rows of a frame with decoded JSON, without the columns that depend on the time of the read."""
    json_columns = {column.name for column in columns if column.kind == "json"} | {"extra"}
    return [
        {
            name: json.loads(cell, parse_float=Decimal) if name in json_columns and cell is not None else cell
            for name, cell in row.items()
            if name not in OWN_COLUMNS
        }
        for row in frame.to_dicts()
    ]


def expected_report(
    host: Host, report: Report, account: Account, metrics: tuple[Metric, ...], days: list[date]
) -> Rows:
    """Return the expected rows of a report, by the id and the day of the row."""
    parameters = (
        {"start_date": days[0].isoformat(), "end_date": days[-1].isoformat()}
        if report.cadence == "daily"
        else {"lifetime": "true"}
    )
    facts = host.ground_truth("report", level=report.level.name, advertiser_id=account.advertiser_id, **parameters)
    return {
        (fact["id"], date.fromisoformat(fact["date"]) if fact["date"] else None): {
            metric.name: to_column_value(metric.kind, fact["metrics"][metric.api_name]) for metric in metrics
        }
        for fact in facts
    }


def report_rows(frame: pl.DataFrame, report: Report, metrics: tuple[Metric, ...]) -> Rows:
    """Return the rows of a report frame in the shape of `expected_report`; duplicate keys are an error."""
    id_column = report.key[-1] if report.level.name != "advertiser" else "advertiser_id"
    rows = {
        (row[id_column], row.get("date")): {metric.name: row[metric.name] for metric in metrics}
        for row in frame.to_dicts()
    }
    assert len(rows) == frame.height
    return rows


def read_files(store: HiveStore) -> dict[str, bytes]:
    """Return the bytes of every file in a store, by path."""
    base = Path(str(store.base))
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def agency_host() -> Iterator[Host]:
    """Run the demo agency: Los Angeles, Tokyo, Berlin, an account without campaigns and one without grant."""
    with Host.run(WorldPlan()) as host:
        yield host


@pytest.fixture(scope="session")
def small_host() -> Iterator[Host]:
    """Run three accounts with three ads each that deliver every day, and one without campaigns."""
    with Host.run(SMALL) as host:
        yield host


@pytest.fixture
def agency(agency_host: Host) -> Iterator[Host]:
    """Return the demo agency without injected faults."""
    agency_host.reset()
    yield agency_host
    agency_host.reset()


@pytest.fixture
def small(small_host: Host) -> Iterator[Host]:
    """Return the small world without injected faults."""
    small_host.reset()
    yield small_host
    small_host.reset()


@pytest.fixture
def store(tmp_path: Path) -> HiveStore:
    """Return an empty store."""
    return HiveStore(str(tmp_path / "data"))
