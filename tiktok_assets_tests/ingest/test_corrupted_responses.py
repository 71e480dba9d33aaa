"""Test that one corrupted place of any response costs that value, and no other value, row, account or day."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.api.client import Client
from tiktok_assets.api.errors import RetryLaterError, TikTokError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.account_reader import list_advertiser_ids
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.endpoints import ADVERTISER_LIST, REPORT
from tiktok_assets.spec.entities import ADVERTISERS, LISTED_ENTITIES, Entity
from tiktok_assets.spec.metric_selection import METRICS_BY_API_NAME
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.report_sources import INTEGRATED
from tiktok_assets.spec.reports import REPORTS, report_columns
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.value_parser import MALFORMED
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import days_back, granted_accounts
from tiktok_assets_tests.ingest.response_corruption import (
    MISSING,
    REPLACEMENTS,
    TWICE,
    CorruptingProxy,
    Place,
    iterate_paths,
    parse_parameters,
    run_corrupting_proxy,
)

EXAMPLES = int(os.environ.get("SPOILED_ANSWERS", "300"))
WORLD = WorldPlan(advertisers=3, days=75, campaigns=1, ad_groups=1, ads=2)
"""The last account has an Upgraded Smart+ campaign."""
NAMES = ("spend", "impressions", "clicks", "ctr", "cpc", "cpm", "reach", "frequency", "conversion", "result")
METRICS = tuple(METRICS_BY_API_NAME[name] for name in NAMES)
DAYS = days_back(3, 2)
VOLATILE_COLUMNS = ("fetched_at", "extra", "currency")

CORRUPTIONS = [
    *REPLACEMENTS,
    MISSING,
    TWICE,
    "extra",
    "twice, null",
    "twice, a word",
    "twice, a list",
    "twice, negative",
]

Frames = dict[Partition, pl.DataFrame]
Source = Report | Entity | str
SOURCES: list[Source] = [
    *("accounts listed", ADVERTISERS),
    *LISTED_ENTITIES,
    # A report on the elements of creatives is read in several queries, and its rows have other keys.
    *(report for report in REPORTS if report.source == INTEGRATED),
]


@dataclass
class TrialStats:
    """How many examples were tried, and which changed more than their value.

    Attributes:
        damages: a description of each example that changed more than its value.
    """

    examples: int = 0
    damages: list[str] = field(default_factory=list)


@dataclass
class CorruptionSetup:
    """The proxy, an open reader, and the expected tables without corruption."""

    proxy: CorruptingProxy
    reader: Reader
    folder: Path
    expected: dict[str, dict[Partition, pl.DataFrame]] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


def source_name(source: Source) -> str:
    """Return the display name of a source."""
    return source if isinstance(source, str) else source.table


def source_path(source: Source) -> str:
    """Return the API path of a source."""
    if isinstance(source, Report):
        return REPORT.path
    endpoint = ADVERTISER_LIST if isinstance(source, str) else source.endpoint
    return endpoint.path


def refresh_tables(
    bench: CorruptionSetup, source: Source
) -> tuple[dict[Partition, pl.DataFrame], list[TikTokError]]:
    """Refresh the tables of a source in an empty store; return them, and the errors of failed partitions."""
    shutil.rmtree(bench.folder, ignore_errors=True)
    store, account = HiveStore(str(bench.folder)), granted_accounts(bench.proxy.host)[-1]
    if isinstance(source, str):
        sandbox = bench.proxy.host.sandbox
        try:
            ids = list_advertiser_ids(bench.reader, sandbox.app_id, sandbox.secret)
        except TikTokError as error:
            return {}, [error]
        return {Partition(one): pl.DataFrame({"advertiser_id": [one]}) for one in ids}, []
    if source is ADVERTISERS:
        ids = [one.advertiser_id for one in granted_accounts(bench.proxy.host)]
        try:
            _, read = refresh_advertisers(bench.reader, store, ids)
        except TikTokError as error:
            return {}, [error]
        rows = store.scan("advertisers", read.frame.schema).collect()
        return {Partition(row): rows.filter(advertiser_id=row) for row in rows.get_column("advertiser_id")}, [
            *read.refused.values()
        ]
    if source.condition:
        condition = source.condition
        rows = pl.DataFrame({"advertiser_id": [account.advertiser_id], condition.column: [condition.value]})
        store.write(condition.table, Partition(account.advertiser_id), rows)
    if isinstance(source, Entity):
        outcomes = list(refresh_entity(bench.reader, store, source, [account.advertiser_id]))
    else:
        days = DAYS if source.cadence == "daily" else []
        outcomes = list(refresh_report(bench.reader, store, source, {account: days}))
    errors = [one.error for one in outcomes if isinstance(one, FailedPartitions)]
    assert all(isinstance(error, TikTokError) for error in errors)
    frames = {
        one.partition: opened.collect()
        for one in outcomes
        if isinstance(one, WrittenPartition) and one.table == source.table
        if (opened := store.scan_partition(one.table, one.partition)) is not None
    }
    return frames, [error for error in errors if isinstance(error, TikTokError)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorruptionSetup]:
    """Run a proxy in front of a small world, and read every table without corruption."""
    with (
        Host.run(WORLD) as host,
        run_corrupting_proxy(host) as proxy,
        Client(proxy.url, host.sandbox.token, policy=FAST) as client,
    ):
        fetcher = Fetcher(client)
        one = CorruptionSetup(
            proxy, Reader(fetcher, client.now, METRICS), tmp_path_factory.mktemp("corrupted") / "data"
        )
        for source in SOURCES:
            requested_before = set(proxy.responses)
            one.expected[source_name(source)], errors = refresh_tables(one, source)
            assert not errors, (source_name(source), errors)
            target = min(
                set(proxy.responses) - requested_before,
                key=lambda one: parse_parameters(one).get("start_date", ""),
            )
            one.rows[source_name(source)] = proxy.responses[target]["data"]["list"]
        yield one
        fetcher.close()


ENVELOPE = [("code",), ("message",), ("request_id",), ("data",), ("data", "list"), ("data", "page_info")]


@st.composite
def draw_example(draw: st.DrawFn, bench: CorruptionSetup) -> tuple[Source, Place, str]:
    """Draw a source, one place of its response, and a corruption."""
    source = draw(st.sampled_from(SOURCES))
    rows = bench.rows[source_name(source)]
    corruption = draw(st.sampled_from(CORRUPTIONS))
    if not rows or draw(st.integers(0, 19)) == 0:
        pages = not isinstance(source, str) and source is not ADVERTISERS
        path = draw(st.sampled_from(ENVELOPE if pages else ENVELOPE[:-1]))
        return source, Place(None, path), MISSING if corruption == TWICE else corruption
    index = draw(st.integers(0, len(rows) - 1))
    paths = [(), *iterate_paths(rows[index])]
    path = draw(st.sampled_from(paths))
    if corruption.startswith("twice, ") and (not path or not isinstance(path[-1], str)):
        corruption = "null"
    if corruption == "extra" and (not path or not isinstance(path[-1], str)):
        corruption = TWICE
    if path == () and corruption == MISSING:
        corruption = "null"
    return source, Place(index, path), corruption


def api_columns(source: Report | Entity) -> tuple[Column, ...]:
    """Return the columns that come from the API."""
    columns = report_columns(source, METRICS) if isinstance(source, Report) else source.columns
    return tuple(column for column in columns if column.api_name)


def find_affected_columns(source: Report | Entity, path: tuple[str | int, ...]) -> set[str]:
    """Return the columns that a corrupted place may affect; all columns if it contains them."""
    inside = path[1:] if isinstance(source, Report) and path[:1] in {("dimensions",), ("metrics",)} else path
    if not inside:
        return {column.name for column in api_columns(source)}
    return {column.name for column in api_columns(source) if column.api_name == inside[0]}


def key_columns(source: Report | Entity) -> tuple[str, ...]:
    """Return the columns that identify a row."""
    if isinstance(source, Report):
        return source.key
    return ("advertiser_id", *(column.name for column in source.columns if column.api_name == source.key))


def find_partition(source: Source, bench: CorruptionSetup, index: int) -> Partition:
    """Return the partition of a row."""
    row, account = bench.rows[source_name(source)][index], granted_accounts(bench.proxy.host)[-1].advertiser_id
    if isinstance(source, str) or source is ADVERTISERS:
        return Partition(row["advertiser_id"])
    if isinstance(source, Entity) or source.cadence == "lifetime":
        return Partition(account)
    text = row["dimensions"].get(source.time_dimension, "") if source.time_dimension else ""
    return Partition(account, date.fromisoformat(text[:10]) if text else DAYS[0])


def find_damage(bench: CorruptionSetup, source: Source, place: Place, corruption: str) -> str:
    """Return what an example changed besides its value; "" if nothing."""
    before = bench.expected[source_name(source)]
    row = None if place.row is None else bench.rows[source_name(source)][place.row]
    bench.proxy.corrupt(f"/open_api/v1.3/{source_path(source)}", place, row, corruption)
    try:
        after, errors = refresh_tables(bench, source)
    finally:
        bench.proxy.reset()
    if place.row is None:
        return find_envelope_damage(before, after, place.path, corruption)
    if retryable := [error for error in errors if isinstance(error, RetryLaterError)]:
        return f"retries failed: {retryable}"
    own = find_partition(source, bench, place.row)
    if is_account_source(source) and place.path == ("advertiser_id",):
        after = {
            one: frame for one, frame in after.items() if one in before
        }  # the corrupted id may be that of another account
    if not are_equal(exclude_partition(before, own), exclude_partition(after, own)):
        return f"other partitions changed: {errors}"
    if corruption in {TWICE, "extra"}:
        return "" if are_equal(before, after) else f"rows changed: {errors}"
    return find_row_damage(source, place, corruption, before[own], after.get(own), errors)


def find_envelope_damage(before: Frames, after: Frames, path: tuple[str | int, ...], corruption: str) -> str:
    """Return the damage of a corrupted envelope: an invalid one stores nothing, and its texts change nothing."""
    if are_equal(before, after):
        return ""
    if path in {("message",), ("request_id",)} or corruption == "extra":
        return "a text of the envelope changed rows"
    return "a partial response was stored" if after else ""


def find_row_damage(  # noqa: PLR0917 - the parameters of `find_damage`
    source: Source,
    place: Place,
    corruption: str,
    before: pl.DataFrame,
    after: pl.DataFrame | None,
    errors: list[TikTokError],
) -> str:
    """Return the damage of a corrupted row: it may change its cell, and with a key or spend its partition."""
    if isinstance(source, str):
        return "" if after is not None or place.path in {(), ("advertiser_id",)} else "an account was lost"
    columns = find_affected_columns(source, place.path)
    is_required = bool(columns & {*key_columns(source), "spend"}) or len(place.path) == 0
    if after is None:
        return "" if is_required and errors else f"its partition was lost: {errors}"
    breakdown = isinstance(source, Report) and source.breakdown
    if breakdown and columns & set(breakdown.dimensions):
        return find_change_beyond_segments(before, after)
    if is_required:
        return find_change_beyond_row(before, after)
    return find_change_beyond_cell(source, before, after, columns, corruption)


def is_account_source(source: Source) -> bool:
    """Return whether each row of a source is a partition here."""
    return isinstance(source, str) or source is ADVERTISERS


def exclude_partition(frames: Frames, own: Partition) -> Frames:
    """Return all partitions but one."""
    return {one: frame for one, frame in frames.items() if one != own}


def are_equal(before: Frames, after: Frames) -> bool:
    """Return whether all partitions have the same rows."""
    return before.keys() == after.keys() and all(
        drop_volatile(frame).equals(drop_volatile(after[one])) for one, frame in before.items()
    )


def drop_volatile(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop the columns that differ between reads."""
    return frame.drop(VOLATILE_COLUMNS, strict=False)


def find_change_beyond_row(before: pl.DataFrame, after: pl.DataFrame) -> str:
    """Return what changed besides the one row whose key or spend was corrupted."""
    removed = drop_volatile(before).join(
        drop_volatile(after), on=drop_volatile(before).columns, how="anti", nulls_equal=True
    )
    return "" if removed.height <= 1 and abs(after.height - before.height) <= 1 else "other rows changed"


def find_change_beyond_segments(before: pl.DataFrame, after: pl.DataFrame) -> str:
    """Return what changed besides a row whose segment became unknown; the segments must still add up."""
    sums = ("spend", "impressions", "clicks", "conversion")
    removed = drop_volatile(before).join(
        drop_volatile(after), on=drop_volatile(before).columns, how="anti", nulls_equal=True
    )
    if not before.select(sums).sum().equals(after.select(sums).sum()):
        return "the segments no longer add up"
    return "" if removed.height <= 2 and abs(after.height - before.height) <= 1 else "other rows changed"


def find_change_beyond_cell(
    source: Report | Entity, before: pl.DataFrame, after: pl.DataFrame, columns: set[str], corruption: str
) -> str:
    """Return what changed besides the cell; the original of a value that became null must be kept."""
    if before.height != after.height:
        return f"{before.height} rows became {after.height}"
    others = [name for name in before.columns if name not in columns and name not in VOLATILE_COLUMNS]
    if not before.select(others).equals(after.select(others)):
        return "other columns changed"
    names = {column.name: column.api_name for column in api_columns(source)}
    for name in columns:
        for old, new, extra in zip(before[name], after[name], after["extra"], strict=True):
            kept = json.loads(extra or "{}").get(MALFORMED, {})
            if old is not None and new is None and corruption not in NULL_CORRUPTIONS and names[name] not in kept:
                return f"{name} is null, and the original value was not kept"
    return ""


NULL_CORRUPTIONS = {"null", "dash", "empty text", MISSING, "twice, null"}
"""The corruptions that mean null: the API's texts for null, or a missing value."""


@pytest.mark.slow
def test_a_corrupted_place_costs_only_its_value(bench: CorruptionSetup) -> None:
    """Whatever one place of a response contains, the stored tables lack that value and nothing else."""
    stats = TrialStats()

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=EXAMPLES <= 1000,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(st.data())
    def check_one(data: st.DataObject) -> None:
        source, place, corruption = data.draw(draw_example(bench))
        try:
            damage = find_damage(bench, source, place, corruption)
        except Exception as error:  # noqa: BLE001 - any exception loses the whole response
            damage = f"crashed: {error!r}"
        stats.examples += 1
        if damage:
            stats.damages.append(
                f"{source_name(source)} {place.row} {'.'.join(map(str, place.path))} {corruption}: {damage}"
            )

    check_one()
    print(f"{stats.examples} corrupted responses tried, {len(stats.damages)} changed more than their value")  # noqa: T201
    assert not stats.damages, "\n".join(("", *stats.damages[:40]))
