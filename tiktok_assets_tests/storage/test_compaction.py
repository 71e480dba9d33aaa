"""Tests of compaction: days are read, replaced and listed as before, wherever a process is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.exceptions import PolarsError

from tiktok_assets.storage.compaction import CompactedMonth, compact_months, find_months, restore_days
from tiktok_assets.storage.parquet_store import HiveStore, Partition, StoreError
from tiktok_assets_tests.storage.object_store import ObjectStore

OWNERS = ("7104142337395130369", "7104142337395130370")
SCHEMA = pl.Schema([("advertiser_id", pl.String()), ("date", pl.Date()), ("spend", pl.Decimal(18, 4))])
FIRST_DAY, BEFORE = date(2026, 1, 29), date(2026, 3, 1)
DAYS = [FIRST_DAY + timedelta(number) for number in range(6)]
PARTITIONS = [Partition(owner, day) for owner in OWNERS for day in DAYS]

Stored = Mapping[Partition, tuple[int, ...]]
"""The amounts of each stored day."""

KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from tiktok_assets.storage.compaction import compact_months, restore_days
from tiktok_assets.storage.parquet_store import HiveStore

base, last, function = sys.argv[1], int(sys.argv[2]), sys.argv[3]
store, calls = HiveStore(base), 0
CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.link", "os.mkdir"}

def count(event, arguments):
    global calls
    if event in CHANGES and arguments and str(arguments[0]).startswith(base):
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
months = compact_months(store, ["t"], date(2026, 3, 1)) if function == "compact" else restore_days(store, ["t"])
assert all(month.reason is None for month in months)
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ObjectStore]:
    """An object store that `s3://` uses."""
    with ObjectStore.serve_environment() as store:
        yield store


def build_rows(partition: Partition, amounts: tuple[int, ...]) -> pl.DataFrame:
    """Build the rows of a day."""
    rows = [(partition.advertiser_id, partition.day, Decimal(amount)) for amount in amounts]
    return pl.DataFrame(rows, SCHEMA, orient="row")


def write(store: HiveStore, partition: Partition, amounts: tuple[int, ...]) -> None:
    """Write a day with metadata of its own."""
    store.write("t", partition, build_rows(partition, amounts), metadata={"amounts": str(amounts)})


def age_files(store: HiveStore) -> None:
    """Set the times of all files on a disk back, as if they had been written an hour ago."""
    if store.files.is_local:
        for file in Path(str(store.base)).rglob("*.parquet"):
            at = file.stat().st_mtime_ns - 3_600_000_000_000
            os.utime(file, ns=(at, at))


def compact(store: HiveStore) -> list[CompactedMonth]:
    """Compact the past months of the table."""
    return list(compact_months(store, ["t"], BEFORE, listing_seconds=0))


def open_compacted(folder: Path, days: Sequence[date]) -> HiveStore:
    """Open a store with days of one account, an amount of 5 each, in the files of their months."""
    store = HiveStore(str(folder))
    for day in days:
        write(store, Partition(OWNERS[0], day), (5,))
    age_files(store)
    compact(store)
    return store


def check_store(store: HiveStore, expected: Stored) -> None:
    """Check that every way of reading returns what was stored."""
    stored = sorted(expected)
    assert list(store.partitions("t")) == stored
    everything = pl.concat([SCHEMA.to_frame(), *(build_rows(one, expected[one]) for one in stored)])
    assert store.scan("t", SCHEMA).collect().equals(everything)
    assert store.scan("t", pl.Schema({"spend": SCHEMA["spend"]})).collect().equals(everything.select("spend"))
    versions = store.file_versions("t")
    for partition in PARTITIONS:
        amounts = expected.get(partition)
        metadata, scanned = store.read_metadata("t", partition), store.scan_partition("t", partition)
        content = store.read_file("t", partition)
        if amounts is None:
            assert (metadata, scanned, content, partition in versions) == (None, None, None, False)
            continue
        rows = build_rows(partition, amounts)
        assert metadata is not None
        assert metadata["amounts"] == str(amounts)
        assert scanned is not None
        assert scanned.collect().equals(rows)
        assert content is not None
        assert pl.read_parquet(content).equals(rows)
        owner, day = str(partition.advertiser_id), partition.day
        assert day is not None
        assert store.scan("t", SCHEMA, advertiser_ids=[owner], days=[day]).collect().equals(rows)
    backwards = stored[::-1]
    assert (
        store.read("t", SCHEMA, backwards)
        .collect()
        .equals(pl.concat([SCHEMA.to_frame(), *(build_rows(one, expected[one]) for one in backwards)]))
    )
    for owner in OWNERS:
        days = [one.day for one in stored if one.advertiser_id == owner]
        recent = store.recent_days("t", [owner], 2).get(owner, [])
        assert recent == sorted({*days[:1], *days[-2:]}, key=str)


def sum_with_duckdb(folder: Path) -> Mapping[tuple[str, date], Decimal]:
    """Sum the amounts of each day with a query engine that reads the files itself, and takes ids for integers."""
    connection = duckdb.connect()
    files = f"{folder}/t/*/*/*.parquet"
    found = connection.execute(
        f"SELECT advertiser_id::VARCHAR, date, sum(spend) FROM '{files}' GROUP BY ALL"  # noqa: S608 - a folder of the test
    ).fetchall()
    return {(owner, day): amount for owner, day, amount in found}


Action = tuple[Partition, tuple[int, ...]] | str
"""To write a day, or the name of what else is done."""

ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(
        st.sampled_from(PARTITIONS),
        st.lists(st.integers(0, 9), max_size=2).map(tuple),
    ),
    st.sampled_from(["compact", "restore", "age"]),
)


@pytest.mark.slow
@given(actions=st.lists(ACTIONS, min_size=1, max_size=14))
@settings(max_examples=60)
def test_days_are_the_same_whatever_is_compacted(actions: list[Action]) -> None:
    """Whatever is written, compacted and restored in whatever order, each day has what was written last."""
    run_actions("", actions)


@pytest.mark.slow
@pytest.mark.usefixtures("endpoint")
@given(actions=st.lists(ACTIONS, min_size=4, max_size=10))
@settings(max_examples=5)
def test_days_of_an_object_store_are_the_same_whatever_is_compacted(actions: list[Action]) -> None:
    """The same in an object store, in fewer examples because each takes hundreds of requests."""
    run_actions("s3://bucket", actions)


def run_actions(bucket: str, actions: list[Action]) -> None:
    """Write, compact and restore in this order, and check what is read."""
    with tempfile.TemporaryDirectory() as folder:
        base = f"{bucket or folder}/{uuid4().hex}"
        store = HiveStore(base, cache_folder=Path(folder) / "cache")
        expected: dict[Partition, tuple[int, ...]] = {}
        for partition in PARTITIONS[:4]:
            write(store, partition, (1, 2))
            expected[partition] = (1, 2)
        for action in actions:
            match action:
                case "age":
                    age_files(store)
                case "compact":
                    compact(store)
                case "restore":
                    list(restore_days(store, ["t"]))
                case (partition, amounts):
                    write(store, partition, amounts)
                    expected[partition] = amounts
        check_store(store, expected)
        check_store(HiveStore(base, cache_folder=Path(folder) / "other"), expected)


def test_past_months_become_one_file_each(tmp_path: Path) -> None:
    """A past month is one file per account afterwards; later days keep theirs; and each day keeps its version."""
    store = HiveStore(str(tmp_path))
    expected = {Partition(OWNERS[0], FIRST_DAY + timedelta(number)): (number,) for number in range(40)}
    for partition, amounts in expected.items():
        write(store, partition, amounts)
    age_files(store)
    versions = store.file_versions("t")
    sums = sum_with_duckdb(tmp_path)
    assert [(month, len(files)) for _, _, month, files in find_months(store, ["t"], BEFORE)] == [
        ("2026-01", 3),
        ("2026-02", 28),
    ]
    assert [(one.month, one.days, one.reason) for one in compact(store)] == [
        ("2026-01", 3, None),
        ("2026-02", 28, None),
    ]
    folders = sorted(path.name for path in (tmp_path / "t" / f"advertiser_id={OWNERS[0]}").iterdir())
    assert folders == [*(f"date=2026-03-{day:02}" for day in range(1, 10)), "month=2026-01", "month=2026-02"]
    assert store.file_versions("t") == versions
    assert sum_with_duckdb(tmp_path) == sums
    assert store.scan("t", SCHEMA).collect().get_column("spend").to_list() == list(range(40))
    assert compact(store) == []


def test_a_day_is_replaced_in_the_file_of_its_month(tmp_path: Path) -> None:
    """An old day that is read again is in one place only, so that no query engine counts it twice."""
    store, partition = open_compacted(tmp_path, DAYS), Partition(OWNERS[0], DAYS[1])
    before = store.file_versions("t")
    write(store, partition, (7, 8))
    after = store.file_versions("t")
    assert [one for one in after if after[one] != before[one]] == [partition]
    assert sum_with_duckdb(tmp_path) == {(OWNERS[0], day): 15 if day == DAYS[1] else 5 for day in DAYS}
    assert (store.read_metadata("t", partition) or {})["amounts"] == "(7, 8)"


def test_a_day_with_other_columns_gets_a_file_of_its_own(tmp_path: Path) -> None:
    """A metric that was added later does not change the file of the month, whose other days lack it."""
    store, partition = open_compacted(tmp_path, DAYS), Partition(OWNERS[0], DAYS[1])
    store.write("t", partition, build_rows(partition, (9,)).with_columns(clicks=pl.lit(3, pl.Int64)))
    wider = pl.Schema({**SCHEMA, "clicks": pl.Int64()})
    found = store.scan("t", wider).collect()
    assert found.get_column("spend").to_list() == [5, 9, 5, 5, 5, 5]
    assert found.get_column("clicks").to_list() == [None, 3, None, None, None, None]
    age_files(store)
    [kept] = [one for one in compact(store) if one.reason]
    assert "columns; read them again with `tiktok-assets sync --from 2026-01-01 --to 2026-01-31`" in str(
        kept.reason
    )
    assert store.scan("t", wider).collect().equals(found)
    for day in DAYS[:3]:
        rows = build_rows(Partition(OWNERS[0], day), (9,)).with_columns(clicks=pl.lit(3, pl.Int64))
        store.write("t", Partition(OWNERS[0], day), rows)
    age_files(store)
    assert [(one.month, one.reason) for one in compact(store)] == [("2026-01", None)]
    assert store.scan("t", wider).collect().get_column("clicks").to_list() == [3, 3, 3, None, None, None]


def test_paths_of_a_part_of_a_month_are_refused(tmp_path: Path) -> None:
    """An engine that gets paths would read the other days of the month as well."""
    store = open_compacted(tmp_path, DAYS[:3])
    month = f"{tmp_path}/t/advertiser_id={OWNERS[0]}/month=2026-01/part-0.parquet"
    assert store.paths("t") == [month]
    with pytest.raises(StoreError, match=r"also has 2026-01-30, which is not selected .*LazyFrame"):
        store.paths("t", days=[DAYS[0]])


def test_a_damaged_file_of_a_month_is_named(tmp_path: Path) -> None:
    """A file of a month that cannot be read is named with what to do."""
    store = open_compacted(tmp_path, DAYS[:3])
    [month] = store.paths("t")
    Path(month).write_bytes(b"damaged")
    with pytest.raises(StoreError, match=rf"cannot read {month}: .*; restore it, or delete it and launch the job"):
        list(store.partitions("t"))


@pytest.mark.slow
@pytest.mark.parametrize("function", ["compact", "restore"])
def test_a_kill_before_any_file_operation_loses_nothing(tmp_path: Path, function: str) -> None:
    """Killed before each operation on a file in turn, every day is read once, and the next process finishes."""
    expected = {Partition(OWNERS[0], day): (number, 9) for number, day in enumerate(DAYS[:3])}
    kills = 0
    while True:
        store = HiveStore(str(tmp_path / str(kills)))
        for partition, amounts in expected.items():
            write(store, partition, amounts)
        age_files(store)
        if function == "restore":
            compact(store)
            age_files(store)
        command = [sys.executable, "-c", KILLED, str(store.base), str(kills + 1), function]
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - a command of the test
        assert code in {0, -signal.SIGKILL}
        check_store(store, expected)
        age_files(store)
        if function == "restore":
            list(restore_days(store, ["t"]))
        else:
            compact(store)
        check_store(store, expected)
        files = [path for path in Path(str(store.base)).rglob("part-0.parquet") if "month=" in str(path)]
        assert len(files) == (0 if function == "restore" else 1)
        assert sum_with_duckdb(Path(str(store.base))) == {
            (OWNERS[0], day): number + 9 for number, day in enumerate(DAYS[:3])
        }
        if code == 0:
            break
        kills += 1
    assert kills > len(expected)


@pytest.mark.slow
@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("kind", ["disk", "object store"])
def test_days_written_meanwhile_are_kept(tmp_path: Path, kind: str) -> None:
    """Days written while months are compacted keep what was written last, and are read once or not at all."""
    base = str(tmp_path / "data") if kind == "disk" else f"s3://bucket/{uuid4().hex}/tables"
    partitions, until = PARTITIONS[: len(DAYS)], time.monotonic() + 4
    store = HiveStore(base, cache_folder=tmp_path / "main")
    for partition in partitions:
        write(store, partition, (0,))
    age_files(store)

    def compact_again_and_again(number: int) -> int:
        own, compacted = HiveStore(base, cache_folder=tmp_path / f"compacting{number}"), 0
        while time.monotonic() < until:
            age_files_quietly(own)
            compacted += sum(one.reason is None for one in compact(own))
        return compacted

    def write_again_and_again(mine: list[Partition]) -> dict[Partition, int]:
        own, number = HiveStore(base, cache_folder=tmp_path / f"writing{mine[0].day}"), 0
        while time.monotonic() < until:
            number += 1
            for partition in mine:
                write(own, partition, (number,))
        return dict.fromkeys(mine, number)

    def read_again_and_again() -> int:
        own, readings = HiveStore(base, cache_folder=tmp_path / "reading at once"), 0
        while time.monotonic() < until:
            try:
                found = own.scan("t", SCHEMA).collect().get_column("date").to_list()
            except (StoreError, PolarsError, OSError):
                continue  # a file was deleted after it was listed
            assert found == DAYS
            readings += 1
        return readings

    with ThreadPoolExecutor(5) as threads:
        reading = threads.submit(read_again_and_again)
        compacting = [threads.submit(compact_again_and_again, number) for number in range(2)]
        writing = [threads.submit(write_again_and_again, partitions[number::2]) for number in range(2)]
        written = {partition: (number,) for one in writing for partition, number in one.result().items()}
    assert sum(one.result() for one in compacting) > 0
    assert reading.result() > 0
    check_store(HiveStore(base, cache_folder=tmp_path / "reading"), written)


def age_files_quietly(store: HiveStore) -> None:
    """Set the times of files back that are still there."""
    try:
        age_files(store)
    except FileNotFoundError:
        return
