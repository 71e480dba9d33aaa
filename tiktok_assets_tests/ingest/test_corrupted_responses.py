"""The law of malformed values: one spoiled place of any answer costs that value, and no row, account or day."""

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
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME
from tiktok_assets.spec.reports import REPORTS, Report, report_columns
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.cells import MALFORMED
from tiktok_assets_tests.api.conftest import FAST, Host
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back
from tiktok_assets_tests.ingest.response_corruption import (
    MISSING,
    TWICE,
    VALUES,
    Place,
    Spoiler,
    places,
    query_of,
    spoiler,
)

EXAMPLES = int(os.environ.get("SPOILED_ANSWERS", "300"))
WORLD = WorldPlan(dense=True, advertisers=3, days=6, campaigns=1, ad_groups=1, ads=2)
NAMES = ("spend", "impressions", "clicks", "ctr", "cpc", "cpm", "reach", "frequency", "conversion", "result")
METRICS = tuple(METRICS_BY_API_NAME[name] for name in NAMES)
DAYS = days_back(3, 2)
BESIDE = ("fetched_at", "extra", "currency")

HOWS = [*VALUES, MISSING, TWICE, "extra", "twice, null", "twice, a word", "twice, a list", "twice, negative"]

Frames = dict[Partition, pl.DataFrame]
Subject = Report | Entity | str
SUBJECTS: list[Subject] = ["accounts listed", ADVERTISERS, *LISTED_ENTITIES, *REPORTS]


@dataclass
class Tally:
    """What was tried.

    Attributes:
        costly: the examples that cost more than their value, with what they cost.
    """

    tried: int = 0
    costly: list[str] = field(default_factory=list)


@dataclass
class Bench:
    """What examples are tried on: a spoiler, an open reader, and what each table is where nothing is spoiled."""

    spoiler: Spoiler
    reader: Reader
    folder: Path
    whole: dict[str, dict[Partition, pl.DataFrame]] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


def name_of(subject: Subject) -> str:
    """What a subject is called."""
    return subject if isinstance(subject, str) else subject.table


def path_of(subject: Subject) -> str:
    """Where it is read."""
    if isinstance(subject, Report):
        return REPORT.path
    endpoint = ADVERTISER_LIST if isinstance(subject, str) else subject.endpoint
    return endpoint.path


def stored(bench: Bench, subject: Subject) -> tuple[dict[Partition, pl.DataFrame], list[TikTokError]]:
    """The tables of a subject as a refresh leaves them in an empty store, and the errors of what failed."""
    shutil.rmtree(bench.folder, ignore_errors=True)
    store, account = HiveStore(str(bench.folder)), accounts_of(bench.spoiler.host)[0]
    if isinstance(subject, str):
        sandbox = bench.spoiler.host.sandbox
        try:
            ids = list_advertiser_ids(bench.reader, sandbox.app_id, sandbox.secret)
        except TikTokError as error:
            return {}, [error]
        return {Partition(one): pl.DataFrame({"advertiser_id": [one]}) for one in ids}, []
    if subject is ADVERTISERS:
        ids = [one.advertiser_id for one in accounts_of(bench.spoiler.host)]
        try:
            _, read = refresh_advertisers(bench.reader, store, ids)
        except TikTokError as error:
            return {}, [error]
        rows = store.scan("advertisers", read.frame.schema).collect()
        return {Partition(row): rows.filter(advertiser_id=row) for row in rows.get_column("advertiser_id")}, [
            *read.refused.values()
        ]
    if isinstance(subject, Entity):
        outcomes = list(refresh_entity(bench.reader, store, subject, [account.advertiser_id]))
    else:
        days = DAYS if subject.cadence == "daily" else []
        outcomes = list(refresh_report(bench.reader, store, subject, {account: days}))
    errors = [one.error for one in outcomes if isinstance(one, FailedPartitions)]
    assert all(isinstance(error, TikTokError) for error in errors)
    frames = {
        one.partition: opened.collect()
        for one in outcomes
        if isinstance(one, WrittenPartition) and one.table == subject.table
        if (opened := store.open(one.table, one.partition)) is not None
    }
    return frames, [error for error in errors if isinstance(error, TikTokError)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A host before a small world, and what every table is where nothing is spoiled."""
    with (
        Host.run(WORLD) as host,
        spoiler(host) as before,
        Client(before.url, host.sandbox.token, policy=FAST) as client,
    ):
        fetcher = Fetcher(client)
        one = Bench(before, Reader(fetcher, client.now, METRICS), tmp_path_factory.mktemp("spoiled") / "data")
        for subject in SUBJECTS:
            known = set(before.asked)
            one.whole[name_of(subject)], errors = stored(one, subject)
            assert not errors, (name_of(subject), errors)
            asked = min(set(before.asked) - known, key=lambda one: query_of(one).get("start_date", ""))
            one.rows[name_of(subject)] = before.asked[asked]["data"]["list"]
        yield one
        fetcher.close()


ENVELOPE = [("code",), ("message",), ("request_id",), ("data",), ("data", "list"), ("data", "page_info")]


@st.composite
def examples(draw: st.DrawFn, bench: Bench) -> tuple[Subject, Place, str]:
    """A subject, one place of its answer, and how it is spoiled."""
    subject = draw(st.sampled_from(SUBJECTS))
    rows = bench.rows[name_of(subject)]
    how = draw(st.sampled_from(HOWS))
    if not rows or draw(st.integers(0, 19)) == 0:
        pages = not isinstance(subject, str) and subject is not ADVERTISERS
        path = draw(st.sampled_from(ENVELOPE if pages else ENVELOPE[:-1]))
        return subject, Place(None, path), MISSING if how == TWICE else how
    index = draw(st.integers(0, len(rows) - 1))
    paths = [(), *places(rows[index])]
    path = draw(st.sampled_from(paths))
    if how.startswith("twice, ") and (not path or not isinstance(path[-1], str)):
        how = "null"
    if how == "extra" and (not path or not isinstance(path[-1], str)):
        how = TWICE
    if path == () and how == MISSING:
        how = "null"
    return subject, Place(index, path), how


def columns_of(subject: Report | Entity) -> tuple[Column, ...]:
    """The columns the API tells."""
    columns = report_columns(subject, METRICS) if isinstance(subject, Report) else subject.columns
    return tuple(column for column in columns if column.api_name)


def touched(subject: Report | Entity, path: tuple[str | int, ...]) -> set[str]:
    """The columns that may be of a spoiled place: all, where it is what holds them."""
    inside = path[1:] if isinstance(subject, Report) and path[:1] in {("dimensions",), ("metrics",)} else path
    if not inside:
        return {column.name for column in columns_of(subject)}
    return {column.name for column in columns_of(subject) if column.api_name == inside[0]}


def key_of(subject: Report | Entity) -> tuple[str, ...]:
    """The columns that name a row."""
    if isinstance(subject, Report):
        return subject.key
    return ("advertiser_id", *(column.name for column in subject.columns if column.api_name == subject.key))


def partition_of(subject: Subject, bench: Bench, index: int) -> Partition:
    """The partition a row belongs to."""
    row, account = bench.rows[name_of(subject)][index], accounts_of(bench.spoiler.host)[0].advertiser_id
    if isinstance(subject, str) or subject is ADVERTISERS:
        return Partition(row["advertiser_id"])
    if isinstance(subject, Entity) or subject.cadence == "lifetime":
        return Partition(account)
    text = row["dimensions"].get(subject.time_dimension, "") if subject.time_dimension else ""
    return Partition(account, date.fromisoformat(text[:10]) if text else DAYS[0])


def cost_of(bench: Bench, subject: Subject, place: Place, how: str) -> str:
    """What an example cost beyond its value; "" if nothing."""
    before = bench.whole[name_of(subject)]
    row = None if place.row is None else bench.rows[name_of(subject)][place.row]
    bench.spoiler.spoil(f"/open_api/v1.3/{path_of(subject)}", place, row, how)
    try:
        after, errors = stored(bench, subject)
    finally:
        bench.spoiler.behave()
    if place.row is None:
        return cost_of_envelope(before, after, place.path, how)
    if in_vain := [error for error in errors if isinstance(error, RetryLaterError)]:
        return f"asked again in vain: {in_vain}"
    own = partition_of(subject, bench, place.row)
    if is_account(subject) and place.path == ("advertiser_id",):
        after = {one: frame for one, frame in after.items() if one in before}  # an id that is another account's
    if not same(without(before, own), without(after, own)):
        return f"other partitions changed: {errors}"
    if how in {TWICE, "extra"}:
        return "" if same(before, after) else f"rows changed: {errors}"
    return cost_of_row(subject, place, how, before[own], after.get(own), errors)


def cost_of_envelope(before: Frames, after: Frames, path: tuple[str | int, ...], how: str) -> str:
    """An envelope that is none keeps nothing, and one whose words alone are spoiled costs nothing."""
    if same(before, after):
        return ""
    if path in {("message",), ("request_id",)} or how == "extra":
        return "an envelope's words cost rows"
    return "half an answer was kept" if after else ""


def cost_of_row(  # noqa: PLR0917 - as `cost_of` has them
    subject: Subject,
    place: Place,
    how: str,
    before: pl.DataFrame,
    after: pl.DataFrame | None,
    errors: list[TikTokError],
) -> str:
    """A value costs its cell; a key or a spend may cost its partition, if it says so."""
    if isinstance(subject, str):
        return "" if after is not None or place.path in {(), ("advertiser_id",)} else "an account was lost"
    columns = touched(subject, place.path)
    is_vital = bool(columns & {*key_of(subject), "spend"}) or len(place.path) == 0
    if after is None:
        return "" if is_vital and errors else f"its partition was lost: {errors}"
    split = isinstance(subject, Report) and subject.breakdown
    if split and columns & set(split.dimensions):
        return changed_beyond_parts(before, after)
    if is_vital:
        return changed_beyond_row(before, after)
    return changed_beyond(subject, before, after, columns, how)


def is_account(subject: Subject) -> bool:
    """Whether a row of it is a partition here."""
    return isinstance(subject, str) or subject is ADVERTISERS


def without(frames: Frames, own: Partition) -> Frames:
    """All partitions but one."""
    return {one: frame for one, frame in frames.items() if one != own}


def same(before: Frames, after: Frames) -> bool:
    """Whether all these partitions hold the same."""
    return before.keys() == after.keys() and all(
        told(frame).equals(told(after[one])) for one, frame in before.items()
    )


def told(frame: pl.DataFrame) -> pl.DataFrame:
    """A table without what every reading changes."""
    return frame.drop(BESIDE, strict=False)


def changed_beyond_row(before: pl.DataFrame, after: pl.DataFrame) -> str:
    """What changed beside the one row whose key or spend was spoiled."""
    gone = told(before).join(told(after), on=told(before).columns, how="anti", nulls_equal=True)
    return "" if gone.height <= 1 and abs(after.height - before.height) <= 1 else "other rows changed"


def changed_beyond_parts(before: pl.DataFrame, after: pl.DataFrame) -> str:
    """What changed beside a row whose part became unknown, and one that was: the parts still add up."""
    sums = ("spend", "impressions", "clicks", "conversion")
    gone = told(before).join(told(after), on=told(before).columns, how="anti", nulls_equal=True)
    if not before.select(sums).sum().equals(after.select(sums).sum()):
        return "the parts no longer add up"
    return "" if gone.height <= 2 and abs(after.height - before.height) <= 1 else "other rows changed"


def changed_beyond(
    subject: Report | Entity, before: pl.DataFrame, after: pl.DataFrame, columns: set[str], how: str
) -> str:
    """What changed beside the cell; a cell that changed to null has what came kept beside it."""
    if before.height != after.height:
        return f"{before.height} rows became {after.height}"
    others = [name for name in before.columns if name not in columns and name not in BESIDE]
    if not before.select(others).equals(after.select(others)):
        return "other columns changed"
    names = {column.name: column.api_name for column in columns_of(subject)}
    for name in columns:
        for was, now, extra in zip(before[name], after[name], after["extra"], strict=True):
            kept = json.loads(extra or "{}").get(MALFORMED, {})
            if was is not None and now is None and how not in MEAN_NOTHING and names[name] not in kept:
                return f"{name} is null, and what came was not kept"
    return ""


MEAN_NOTHING = {"null", "dash", "empty text", MISSING, "twice, null"}
"""What the API writes for nothing, and nothing at all."""


def test_a_spoiled_place_costs_its_value_only(bench: Bench) -> None:
    """Whatever one place of any answer we read says, the stored tables lack that value and nothing else."""
    tally = Tally()

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=EXAMPLES <= 1000,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        subject, place, how = data.draw(examples(bench))
        try:
            cost = cost_of(bench, subject, place, how)
        except Exception as error:  # noqa: BLE001 - whatever it is, it cost the whole answer
            cost = f"crashed: {error!r}"
        tally.tried += 1
        if cost:
            tally.costly.append(f"{name_of(subject)} {place.row} {'.'.join(map(str, place.path))} {how}: {cost}")

    try_one()
    print(f"{tally.tried} spoiled answers tried, {len(tally.costly)} cost more than their value")  # noqa: T201
    assert not tally.costly, "\n".join(("", *tally.costly[:40]))
