"""The laws of a destination, as functions that tests call with an engine."""

import itertools
import tempfile
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.publish.comparison import Difference, compare_tables
from tiktok_assets.publish.destination import DestinationError
from tiktok_assets.publish.publisher import PublishResult, publish_tables
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.publish.engines import TAMPERING, Engine, EngineFactory, SimulatedKill
from tiktok_assets_tests.publish.stored_rows import DAYS, OWNERS, PARTITIONS, TABLES, Store

SMALL = 4
"""Partitions in a transaction of the random sequences: so few that a table has several."""


def publish(
    store: Store, engine: Engine, dies_after: int | None = None, max_partitions: int = 100
) -> PublishResult | None:
    """Publish; None if the process died."""
    with closing(engine.open(dies_after)) as destination:
        try:
            result = publish_tables(store.tables, destination, max_partitions=max_partitions)
        except SimulatedKill:
            return None
    assert result.failures == []
    return result


def compare(store: Store, engine: Engine) -> list[Difference]:
    """Compare the store with the destination."""
    with closing(engine.open()) as destination:
        return list(compare_tables(store.tables, destination))


def assert_published(store: Store, engine: Engine) -> None:
    """Assert that each table there has the stored rows, exactly."""
    for table in TABLES:
        assert engine.read(table).equals(store.read(table)), table
    assert compare(store, engine) == []


WRITES = st.tuples(
    st.just("write"),
    st.sampled_from([(table, one) for table in TABLES for one in PARTITIONS[table]]),
    st.integers(0, 4),
    st.integers(0, 99),
    st.booleans(),
)
REMOVALS = st.tuples(st.just("remove"), st.sampled_from(TABLES[1:]), st.sampled_from(OWNERS))
DEATHS = st.tuples(st.just("die"), st.integers(0, 40))
STEPS = st.lists(
    st.one_of(WRITES, WRITES, REMOVALS, DEATHS, st.just(("publish",)), st.just(("declare",))), max_size=8
)


def check_random_sequences(build_engine: EngineFactory, examples: int) -> None:
    """After any sequence of writes, removals, deaths and publications, one publication makes both equal."""

    @settings(max_examples=examples, derandomize=True, database=None)
    @given(STEPS)
    def check(steps: list[tuple[object, ...]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            store, engine = Store(Path(folder) / "store"), build_engine(Path(folder))
            for step in steps:
                match step:
                    case ("write", (str(table), Partition() as partition), int(rows), int(seed), bool(has_added)):
                        store.write(table, partition, rows, seed, has_added=has_added)
                    case ("remove", str(table), str(owner)):
                        store.remove(table, owner)
                    case ("die", int(after)):
                        publish(store, engine, after, SMALL)
                    case ("declare",):
                        store.add_column()
                    case _:
                        publish(store, engine, None, SMALL)
            publish(store, engine, None, SMALL)
            assert_published(store, engine)
            again = publish(store, engine)
            assert again
            assert again.partitions == {}

    check()


def fill(store: Store, seed: int) -> None:
    """Write every partition, one of each table without rows after the first time."""
    for table, partitions in PARTITIONS.items():
        for number, partition in enumerate(partitions):
            store.write(table, partition, 0 if seed and number == 1 else 2, seed)


def check_every_death(build_engine: EngineFactory, tmp_path: Path) -> int:
    """Killed at any step, each partition there is the old or the new one; the next publication completes it.

    First of a first publication, which also creates schema, ledger and table, and then of a second one, with a
    partition that changes, one that becomes empty and one that is removed.

    Returns:
        The number of steps that were died at.
    """
    deaths = 0
    for is_second in (False, True):
        engine = build_engine(tmp_path / "second")
        store = Store(tmp_path / f"store_{is_second}", tables=("ads",))
        if is_second:
            fill(store, 0)
            publish(store, engine)
        for steps in itertools.count():
            if not is_second:
                engine = build_engine(tmp_path / f"first_{steps}")
            before = store.read("ads") if is_second else store.read("ads").clear()
            fill(store, steps + 1)
            if is_second:
                store.remove("ads", OWNERS[steps % 2 * 2])
            has_died = publish(store, engine, steps) is None
            there, after = engine.read("ads"), store.read("ads")
            for partition in PARTITIONS["ads"]:
                own = select(there, partition)
                assert own.equals(select(before, partition)) or own.equals(select(after, partition)), partition
            if not has_died:
                break
            deaths += 1
            assert publish(store, engine)
            assert engine.read("ads").equals(after)
        assert compare(store, engine) == []
    return deaths


def select(rows: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Return the rows of a partition."""
    for name, value in partition.columns.items():
        rows = rows.filter(pl.col(name) == value)
    return rows


def check_nothing_is_sent_twice(build_engine: EngineFactory, tmp_path: Path) -> None:
    """A second publication writes nothing, also from a copy of the store; from a lost store nothing is deleted."""
    store, engine = Store(tmp_path / "store"), build_engine(tmp_path)
    fill(store, 0)
    first = publish(store, engine)
    assert first
    assert sum(first.partitions.values()) == sum(map(len, PARTITIONS.values()))
    copy = Store(tmp_path / "copy")
    fill(copy, 0)
    copy.write("advertisers", Partition(), 2, 0)
    for one in (store, copy):
        again = publish(one, engine)
        assert again
        assert again.partitions == {}
        assert again.unchanged == sum(map(len, PARTITIONS.values()))
    rows = engine.read("ads")
    (tmp_path / "copy").rename(tmp_path / "elsewhere")
    with pytest.raises(DestinationError, match="has no tables, but 10 partitions were published"):
        publish(copy, engine)
    assert engine.read("ads").equals(rows)


def check_tampering_is_found(build_engine: EngineFactory, tmp_path: Path) -> None:
    """Each changed, renamed, missing, doubled or foreign row is found and named, and a repair undoes it."""
    store, engine = Store(tmp_path / "store"), build_engine(tmp_path)
    fill(store, 0)
    publish(store, engine)
    tampered = dict(zip(TAMPERING, PARTITIONS["ad_report_daily"], strict=False))
    for change, partition in tampered.items():
        engine.tamper(change, "ad_report_daily", partition)
    tampered["stranger"] = Partition("9999", DAYS[0])
    found = compare(store, engine)
    assert {one.partition for one in found} == set(tampered.values())
    assert not any(one.is_pending or one.table != "ad_report_daily" for one in found)
    assert publish(store, engine)
    assert compare(store, engine) == found  # the ledger does not know
    with closing(engine.open()) as destination:
        publish_tables(store.tables, destination, again={"ad_report_daily": set(tampered.values())})
    assert_published(store, engine)
