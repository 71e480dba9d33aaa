"""Tests of building `warehouse.duckdb` again: the result always equals a file built from scratch."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.metric_selection import select_metrics
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.duckdb_loading import FILES_TABLE
from tiktok_assets.storage.duckdb_warehouse import BUILD_RECORD_FILE_NAME, WAREHOUSE_FILE_NAME, build_warehouse
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema, entity_columns

Tables = dict[str, Sequence[Column]]

DAYS = [date(2026, 3, 1) + timedelta(day) for day in range(3)]
OWNERS = ("7104142337395130369", "7104142337395130370")
REPORT, HIERARCHY, WHOLE = "ad_report_daily", "ads", "advertisers"
PLACES = st.one_of(
    st.tuples(st.just(REPORT), st.builds(Partition, st.sampled_from(OWNERS), st.sampled_from(DAYS))),
    st.tuples(st.just(HIERARCHY), st.builds(Partition, st.sampled_from(OWNERS))),
    st.tuples(st.just(WHOLE), st.just(Partition())),
)

BUILDER = """
import sys
from datetime import date
from itertools import count
from pathlib import Path
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.duckdb_warehouse import build_warehouse
from tiktok_assets_tests.storage.test_warehouse_rebuild import REPORT, tables, write

folder, owner, day = sys.argv[1:]
store = HiveStore(folder + "/data")
print("started", flush=True)
for number in count():
    write(store, REPORT, Partition(owner, date.fromisoformat(day)), [str(number)] * 5000)
    build_warehouse(store, Path(folder, "state"), tables())
"""


def tables(metrics: str = "") -> Tables:
    """Return the tables with the selected metrics."""
    chosen = select_metrics(metrics)
    return {
        **{entity.table: entity_columns(entity) for entity in ENTITIES},
        REPORT: report_columns(REPORTS_BY_TABLE[REPORT], chosen),
    }


def write(
    store: HiveStore, table: str, partition: Partition, names: Sequence[str], *, at: int | None = None
) -> None:
    """Replace a partition by rows with these names; `at` sets the file's modification time in seconds."""
    schema = build_schema(tables()[table])
    name = "name" if table == WHOLE else "ad_name"
    owner = {"advertiser_id": OWNERS[0]}
    frame = pl.DataFrame([{**owner, **partition.columns, name: one} for one in names], schema)
    written = store.write(table, partition, frame)
    if at is not None:
        os.utime(written.path, (at, at))


def read_warehouse(path: Path) -> dict[str, Any]:
    """Read everything in a warehouse: tables and views with columns and comments, and all rows as text."""
    with duckdb.connect(str(path), read_only=True) as connection:
        described = connection.execute(
            "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns()"
            " WHERE NOT internal"
        ).fetchall()
        views = connection.execute("SELECT sql, comment FROM duckdb_views() WHERE NOT internal").fetchall()
        named = connection.execute(
            "SELECT schema_name || '.' || table_name, comment FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
        rows = {
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall()))  # noqa: S608 - names of our catalogue
            for name, _ in named
        }
    return {"columns": sorted(map(repr, described)), "views": sorted(views), "tables": sorted(named), "rows": rows}


class WarehouseMachine(RuleBasedStateMachine):
    """Partitions are added, changed and removed, metrics selected, files lost or corrupted; then it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.store = HiveStore(str(self.folder / "data"))
        self.file, self.state = self.folder / "data" / WAREHOUSE_FILE_NAME, self.folder / "state"
        self.clock = count(1_700_000_000)
        self.tables = tables()

    @initialize()
    def begin(self) -> None:
        """Start with a built file."""
        self.written((REPORT, Partition(OWNERS[0], DAYS[0])), ["a"])
        self.build()

    @rule(place=PLACES, names=st.lists(st.sampled_from("abc"), max_size=3))
    def written(self, place: tuple[str, Partition], names: list[str]) -> None:
        """Write a partition, with or without rows."""
        write(self.store, *place, names, at=next(self.clock))

    @rule(place=PLACES, names=st.lists(st.sampled_from("abc"), min_size=1, max_size=1))
    def written_just_now(self, place: tuple[str, Partition], names: list[str]) -> None:
        """Write a partition at the current time, so that the next write may have the same time and size."""
        write(self.store, *place, names)

    @rule(place=PLACES)
    def removed(self, place: tuple[str, Partition]) -> None:
        """Delete a partition."""
        table, partition = place
        shutil.rmtree(self.folder / "data" / table / partition.folder, ignore_errors=True)

    @rule(metrics=st.sampled_from(["", "+result_rate", "spend,clicks"]))
    def chosen(self, metrics: str) -> None:
        """Select other metrics, which changes the columns."""
        self.tables = tables(metrics)

    @rule(which=st.sampled_from([WAREHOUSE_FILE_NAME, BUILD_RECORD_FILE_NAME]))
    def lost(self, which: str) -> None:
        """Delete the warehouse or its build record."""
        (self.file if which == WAREHOUSE_FILE_NAME else self.state / BUILD_RECORD_FILE_NAME).unlink(
            missing_ok=True
        )

    @rule(
        at=st.floats(0, 1, exclude_max=True), which=st.sampled_from([WAREHOUSE_FILE_NAME, BUILD_RECORD_FILE_NAME])
    )
    def corrupted(self, at: float, which: str) -> None:
        """Corrupt one byte of the warehouse or its build record."""
        file = self.file if which == WAREHOUSE_FILE_NAME else self.state / BUILD_RECORD_FILE_NAME
        if file.exists():
            content = bytearray(file.read_bytes())
            content[int(at * len(content))] ^= 255
            file.write_bytes(content)

    @rule()
    def modified_by_an_analyst(self) -> None:
        """Open the warehouse for writing and delete rows, as an analyst could."""
        try:
            with duckdb.connect(str(self.file)) as connection:
                connection.execute("DELETE FROM ad_report_daily")
        except duckdb.Error:
            return  # it was corrupted before

    @rule()
    def build(self) -> None:
        """Build it and compare it with a file built from scratch; building again changes nothing."""
        build_warehouse(self.store, self.state, self.tables)
        content = read_warehouse(self.file)
        build_warehouse(self.store, self.state, self.tables)
        assert without_file_versions(read_warehouse(self.file)) == without_file_versions(content)
        backup = self.file.rename(self.folder / "backup")
        build_warehouse(self.store, self.folder / "elsewhere", self.tables)
        assert without_file_versions(read_warehouse(self.file)) == without_file_versions(content)
        backup.replace(self.file)

    @invariant()
    def no_temporary_files(self) -> None:
        """A build leaves no temporary files."""
        assert (
            {path.name for path in self.state.iterdir()} <= {BUILD_RECORD_FILE_NAME}
            if self.state.exists()
            else True
        )

    def teardown(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)


def without_file_versions(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the versions of files, which depend on when a file was listed."""
    return {**content, "rows": {name: rows for name, rows in content["rows"].items() if name != FILES_TABLE}}


TestRebuilding = pytest.mark.slow(WarehouseMachine.TestCase)
TestRebuilding.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)


@pytest.fixture
def store(tmp_path: Path) -> HiveStore:
    """Two accounts with three days each, written long ago."""
    store = HiveStore(str(tmp_path / "data"))
    for number, owner in enumerate(OWNERS):
        for day in DAYS:
            write(store, REPORT, Partition(owner, day), ["a", "b"], at=1_700_000_000 + number)
        write(store, HIERARCHY, Partition(owner), ["a"], at=1_700_000_000)
    return store


def file_version(file: Path) -> tuple[int, int, int]:
    """Return what differs if a file was written or replaced; not when it was read last, which reading changes."""
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def test_only_changed_files_are_loaded(store: HiveStore, tmp_path: Path) -> None:
    """A changed day is one loaded file, a removed one is none, and without changes the file is not replaced."""
    built = [build_warehouse(store, tmp_path / "state", tables())]
    write(store, REPORT, Partition(OWNERS[0], DAYS[1]), ["c"], at=1_700_000_100)
    built.append(build_warehouse(store, tmp_path / "state", tables()))
    shutil.rmtree(tmp_path / "data" / REPORT / f"advertiser_id={OWNERS[1]}" / f"date={DAYS[2]}")
    built.append(build_warehouse(store, tmp_path / "state", tables()))
    version = file_version(tmp_path / "data" / WAREHOUSE_FILE_NAME)
    built.append(build_warehouse(store, tmp_path / "state", tables()))
    assert file_version(tmp_path / "data" / WAREHOUSE_FILE_NAME) == version
    assert [one.loaded for one in built] == [8, 1, 0, 0]
    assert [one.files for one in built] == [8, 8, 7, 7]
    assert [one.rows[REPORT] for one in built] == [12, 11, 9, 9]
    assert all(one.seconds > 0 for one in built)


def test_change_within_the_clock_resolution_is_loaded(store: HiveStore, tmp_path: Path) -> None:
    """A new file with the size and time of its predecessor, possibly even its inode, is loaded."""
    target = tmp_path / "data" / REPORT / Partition(OWNERS[0], DAYS[0]).folder / "part-0.parquet"
    for name in "abcdef":
        now = int(time.time())
        write(store, REPORT, Partition(OWNERS[0], DAYS[0]), [name], at=now)
        built = build_warehouse(store, tmp_path / "state", tables())
        with duckdb.connect(built.path, read_only=True) as connection:
            query = "SELECT ad_name FROM ad_report_daily WHERE advertiser_id = ? AND date = ?"
            assert connection.execute(query, [OWNERS[0], DAYS[0]]).fetchall() == [(name,)]
        assert target.stat().st_mtime == now


def test_changed_columns_rebuild_from_scratch(store: HiveStore, tmp_path: Path) -> None:
    """With an additional metric all files are loaded again, and the column exists."""
    build_warehouse(store, tmp_path / "state", tables())
    built = build_warehouse(store, tmp_path / "state", tables("+result_rate"))
    assert built.loaded == built.files
    with duckdb.connect(built.path, read_only=True) as connection:
        assert connection.execute("SELECT count(result_rate), count(*) FROM ad_report_daily").fetchone() == (
            0,
            12,
        )


@pytest.mark.slow
def test_killed_build_keeps_a_complete_file(store: HiveStore, tmp_path: Path) -> None:
    """Whenever a build is killed, the existing file is complete, and the next build equals one from scratch."""
    build_warehouse(store, tmp_path / "state", tables())
    file, places = tmp_path / "data" / WAREHOUSE_FILE_NAME, random.Random(1)  # noqa: S311 - only when to kill
    for _ in range(6):
        arguments = [sys.executable, "-c", BUILDER, str(tmp_path), OWNERS[0], str(DAYS[0])]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - fixed arguments
            assert process.stdout
            assert process.stdout.readline() == "started\n"
            time.sleep(places.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
        assert (
            len(read_warehouse(file)["rows"]) == len(tables()) + 2
        )  # the tables of file versions and landing pages
        build_warehouse(store, tmp_path / "state", tables())
        content = read_warehouse(file)
        build_warehouse(store, tmp_path / "elsewhere", tables())
        assert without_file_versions(content) == without_file_versions(read_warehouse(file))


def test_abandoned_build_folders_are_deleted_after_a_day(store: HiveStore, tmp_path: Path) -> None:
    """A later build deletes build folders older than a day, and keeps newer ones that may be in use."""
    old, young = tmp_path / "state/warehouse-old", tmp_path / "state/warehouse-young"
    for folder, age in ((old, 25 * 3600), (young, 3600)):
        folder.mkdir(parents=True)
        (folder / WAREHOUSE_FILE_NAME).write_bytes(b"half")
        os.utime(folder, (time.time() - age,) * 2)
    build_warehouse(store, tmp_path / "state", tables())
    assert {path.name for path in (tmp_path / "state").iterdir()} == {BUILD_RECORD_FILE_NAME, young.name}


@pytest.mark.slow
def test_file_size_is_bounded(tmp_path: Path) -> None:
    """However often days are replaced, the file stays below 1.5 times the size of one built from scratch."""
    store = HiveStore(str(tmp_path / "data"))
    rows, chosen = 20_000, random.Random(6)  # noqa: S311 - which day is replaced is no secret
    partitions = [Partition(owner, day) for owner in OWNERS for day in DAYS]
    schema = build_schema(tables()[REPORT])

    def replace(partition: Partition, at: int) -> None:
        names = [f"{chosen.random()}" for _ in range(rows)]
        frame = pl.DataFrame({"ad_name": names}).with_columns(
            pl.lit(partition.columns.get(name), kind).alias(name)
            for name, kind in schema.items()
            if name != "ad_name"
        )
        os.utime(store.write(REPORT, partition, frame.select(schema.names())).path, (at, at))

    for partition in partitions:
        replace(partition, 1_700_000_000)
    initial_bytes = build_warehouse(store, tmp_path / "state", tables()).bytes
    for turn in range(20):
        for partition in chosen.sample(partitions, 2):
            replace(partition, 1_700_000_001 + turn)
        built = build_warehouse(store, tmp_path / "state", tables())
        assert built.bytes <= 1.5 * initial_bytes + 16_000_000
        assert built.rows[REPORT] == rows * len(partitions)
