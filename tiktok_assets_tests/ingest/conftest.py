"""Worlds to read whole accounts from, and the truth of them in the types our tables declare."""

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

from tiktok_assets.api.client import Client, RetryPolicy
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import Entity, SpecialCampaignType
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import Report
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import FAST, SMALL, Host

Cell = Any
Rows = dict[tuple[Cell, ...], dict[str, Cell]]

TODAY = date(2026, 11, 9)
"""The day of the worlds' clock, everywhere but in Tokyo."""

OURS = ("fetched_at", "is_complete", "is_settled")


@dataclass(frozen=True)
class Reading:
    """An open reader and the client below it."""

    reader: Reader
    client: Client


@contextmanager
def reading(
    host: Host,
    policy: RetryPolicy = FAST,
    metrics: tuple[Metric, ...] = STANDARD_METRICS,
    hidden_kinds: tuple[SpecialCampaignType, ...] = (),
) -> Iterator[Reading]:
    """Read from a host; without a word of them, of no kinds it hides."""
    with host.fetcher(policy) as (client, fetcher):
        yield Reading(Reader(fetcher, client.now, metrics, hidden_kinds=hidden_kinds), client)


def accounts_of(host: Host) -> list[Account]:
    """The accounts the token may read, with currency and zone as the world has them."""
    return [
        Account(one.id, one.account.currency, one.account.display_timezone)
        for one in host.sandbox.world.advertisers.values()
        if one.granted
    ]


def lost_of(host: Host) -> str:
    """The account that lost its grant."""
    (lost,) = [one.id for one in host.sandbox.world.advertisers.values() if not one.granted]
    return lost


def days_back(first: int, last: int = 0) -> list[date]:
    """The days from `first` to `last` days before today, in order."""
    return [TODAY - timedelta(n) for n in range(first, last - 1, -1)]


def typed(kind: str, value: Cell) -> Cell:
    """A value the API sends as the value its column should hold; the tests' own words, not the product's."""
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


def true_entity(entity: Entity, item: Mapping[str, Cell]) -> dict[str, Cell]:
    """The row an object of the API should become: declared columns, and all the rest in `extra`."""
    declared = {column.api_name for column in entity.columns}
    row = {column.name: typed(column.kind, item.get(column.api_name)) for column in entity.columns}
    return row | {"extra": {name: value for name, value in item.items() if name not in declared} or None}


def shown(frame: pl.DataFrame, columns: tuple[Column, ...]) -> list[dict[str, Cell]]:
    """The rows of a frame with their JSON opened, without what says when they were read."""
    opened = {column.name for column in columns if column.kind == "json"} | {"extra"}
    return [
        {
            name: json.loads(cell, parse_float=Decimal) if name in opened and cell is not None else cell
            for name, cell in row.items()
            if name not in OURS
        }
        for row in frame.to_dicts()
    ]


def true_report(
    host: Host, report: Report, account: Account, metrics: tuple[Metric, ...], days: list[date]
) -> Rows:
    """The rows a report should have, by the id of the row's owner and its day."""
    asked = (
        {"start_date": days[0].isoformat(), "end_date": days[-1].isoformat()}
        if report.cadence == "daily"
        else {"lifetime": "true"}
    )
    facts = host.truth("report", level=report.level.name, advertiser_id=account.advertiser_id, **asked)
    return {
        (fact["id"], date.fromisoformat(fact["date"]) if fact["date"] else None): {
            metric.name: typed(metric.kind, fact["metrics"][metric.api_name]) for metric in metrics
        }
        for fact in facts
    }


def reported(frame: pl.DataFrame, report: Report, metrics: tuple[Metric, ...]) -> Rows:
    """The rows of a report's frame in the shape of `true_report`; a key that came twice is an error."""
    own = report.key[-1] if report.level.name != "advertiser" else "advertiser_id"
    rows = {
        (row[own], row.get("date")): {metric.name: row[metric.name] for metric in metrics}
        for row in frame.to_dicts()
    }
    assert len(rows) == frame.height
    return rows


def files_of(store: HiveStore) -> dict[str, bytes]:
    """Every file below a store with its bytes."""
    base = Path(str(store.base))
    return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def agency_host() -> Iterator[Host]:
    """The demo agency: Los Angeles, Tokyo, Berlin, one without campaigns and one that lost its grant."""
    with Host.run(WorldPlan()) as host:
        yield host


@pytest.fixture(scope="session")
def small_host() -> Iterator[Host]:
    """Three accounts of three ads each that deliver every day, and one without campaigns."""
    with Host.run(SMALL) as host:
        yield host


@pytest.fixture
def agency(agency_host: Host) -> Iterator[Host]:
    """The demo agency, well-behaved before and after."""
    agency_host.behave()
    yield agency_host
    agency_host.behave()


@pytest.fixture
def small(small_host: Host) -> Iterator[Host]:
    """The small world, well-behaved before and after."""
    small_host.behave()
    yield small_host
    small_host.behave()


@pytest.fixture
def store(tmp_path: Path) -> HiveStore:
    """An empty store."""
    return HiveStore(str(tmp_path / "data"))
