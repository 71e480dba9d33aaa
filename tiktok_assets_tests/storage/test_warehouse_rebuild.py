"""Laws of building `warehouse.duckdb` again: whatever happened in between, it is the file built from nothing."""

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
from tiktok_assets.spec.metrics import select_metrics
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.storage.warehouse import BUILD_RECORD_FILE_NAME, WAREHOUSE_FILE_NAME, build_warehouse
from tiktok_assets.storage.warehouse_loading import FILES_TABLE
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
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.storage.warehouse import build_warehouse
from tiktok_assets_tests.storage.test_warehouse_rebuild import REPORT, tables, write

room, owner, day = sys.argv[1:]
store = HiveStore(room + "/data")
print("begun", flush=True)
for number in count():
    write(store, REPORT, Partition(owner, date.fromisoformat(day)), [str(number)] * 5000)
    build_warehouse(store, Path(room, "state"), tables())
"""


def tables(metrics: str = "") -> Tables:
    """The tables with these metrics chosen."""
    chosen = select_metrics(metrics)
    return {
        **{entity.table: entity_columns(entity) for entity in ENTITIES},
        REPORT: report_columns(REPORTS_BY_TABLE[REPORT], chosen),
    }


def write(
    store: HiveStore, table: str, partition: Partition, names: Sequence[str], *, at: int | None = None
) -> None:
    """Replace a partition by rows with these names; `at` is the file's time in seconds, where it matters."""
    schema = build_schema(tables()[table])
    name = "name" if table == WHOLE else "ad_name"
    owner = {"advertiser_id": OWNERS[0]}
    frame = pl.DataFrame([{**owner, **partition.columns, name: one} for one in names], schema)
    written = store.write(table, partition, frame)
    if at is not None:
        os.utime(written.path, (at, at))


def told(path: Path) -> dict[str, Any]:
    """Everything a warehouse says: tables and views with their columns and comments, and all rows as text."""
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
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall()))  # noqa: S608 - ours
            for name, _ in named
        }
    return {"columns": sorted(map(repr, described)), "views": sorted(views), "tables": sorted(named), "rows": rows}


class Rebuilding(RuleBasedStateMachine):
    """Partitions come, change and go, metrics are chosen otherwise, files are lost or spoilt; then it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Path(mkdtemp())
        self.store = HiveStore(str(self.room / "data"))
        self.file, self.state = self.room / "data" / WAREHOUSE_FILE_NAME, self.room / "state"
        self.clock = count(1_700_000_000)
        self.tables = tables()

    @initialize()
    def begin(self) -> None:
        """There is a file to begin with."""
        self.written((REPORT, Partition(OWNERS[0], DAYS[0])), ["a"])
        self.build()

    @rule(place=PLACES, names=st.lists(st.sampled_from("abc"), max_size=3))
    def written(self, place: tuple[str, Partition], names: list[str]) -> None:
        """A partition is read anew, with or without rows."""
        write(self.store, *place, names, at=next(self.clock))

    @rule(place=PLACES, names=st.lists(st.sampled_from("abc"), min_size=1, max_size=1))
    def written_just_now(self, place: tuple[str, Partition], names: list[str]) -> None:
        """The same so lately that the next writing may have the same time and size."""
        write(self.store, *place, names)

    @rule(place=PLACES)
    def removed(self, place: tuple[str, Partition]) -> None:
        """Somebody deletes a partition."""
        table, partition = place
        shutil.rmtree(self.room / "data" / table / partition.folder, ignore_errors=True)

    @rule(metrics=st.sampled_from(["", "+result_rate", "spend,clicks"]))
    def chosen(self, metrics: str) -> None:
        """Metrics are chosen, so columns come and go."""
        self.tables = tables(metrics)

    @rule(which=st.sampled_from([WAREHOUSE_FILE_NAME, BUILD_RECORD_FILE_NAME]))
    def lost(self, which: str) -> None:
        """The file or what is known of it is gone."""
        (self.file if which == WAREHOUSE_FILE_NAME else self.state / BUILD_RECORD_FILE_NAME).unlink(
            missing_ok=True
        )

    @rule(
        at=st.floats(0, 1, exclude_max=True), which=st.sampled_from([WAREHOUSE_FILE_NAME, BUILD_RECORD_FILE_NAME])
    )
    def spoilt(self, at: float, which: str) -> None:
        """A byte of it is another."""
        file = self.file if which == WAREHOUSE_FILE_NAME else self.state / BUILD_RECORD_FILE_NAME
        if file.exists():
            content = bytearray(file.read_bytes())
            content[int(at * len(content))] ^= 255
            file.write_bytes(content)

    @rule()
    def changed_by_a_stranger(self) -> None:
        """An analyst opens it for writing and deletes rows."""
        try:
            with duckdb.connect(str(self.file)) as connection:
                connection.execute("DELETE FROM ad_report_daily")
        except duckdb.Error:
            return  # it was spoilt before

    @rule()
    def build(self) -> None:
        """Built, it says what a file built from nothing says, and so does building it once more."""
        build_warehouse(self.store, self.state, self.tables)
        mine = told(self.file)
        build_warehouse(self.store, self.state, self.tables)
        assert said(told(self.file)) == said(mine)
        kept = self.file.rename(self.room / "kept")
        build_warehouse(self.store, self.room / "elsewhere", self.tables)
        assert said(told(self.file)) == said(mine)
        kept.replace(self.file)

    @invariant()
    def nothing_is_left_behind(self) -> None:
        """What a build needed on the way is gone."""
        assert (
            {path.name for path in self.state.iterdir()} <= {BUILD_RECORD_FILE_NAME}
            if self.state.exists()
            else True
        )

    def teardown(self) -> None:
        """Take the room away."""
        shutil.rmtree(self.room)


def said(everything: Mapping[str, Any]) -> Mapping[str, Any]:
    """All of it but the marks of the files: whether a file is young depends on when it was looked at."""
    return {**everything, "rows": {name: rows for name, rows in everything["rows"].items() if name != FILES_TABLE}}


TestRebuilding = Rebuilding.TestCase
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


def test_only_what_changed_is_read(store: HiveStore, tmp_path: Path) -> None:
    """A day written again is one file loaded; a day removed is none; nothing changed leaves the file untouched."""
    built = [build_warehouse(store, tmp_path / "state", tables())]
    write(store, REPORT, Partition(OWNERS[0], DAYS[1]), ["c"], at=1_700_000_100)
    built.append(build_warehouse(store, tmp_path / "state", tables()))
    shutil.rmtree(tmp_path / "data" / REPORT / f"advertiser_id={OWNERS[1]}" / f"date={DAYS[2]}")
    built.append(build_warehouse(store, tmp_path / "state", tables()))
    stood = (tmp_path / "data" / WAREHOUSE_FILE_NAME).stat()
    built.append(build_warehouse(store, tmp_path / "state", tables()))
    assert (tmp_path / "data" / WAREHOUSE_FILE_NAME).stat() == stood
    assert [one.loaded for one in built] == [8, 1, 0, 0]
    assert [one.files for one in built] == [8, 8, 7, 7]
    assert [one.rows[REPORT] for one in built] == [12, 11, 9, 9]
    assert all(one.seconds > 0 for one in built)


def test_a_change_within_one_tick_of_the_clock_is_seen(store: HiveStore, tmp_path: Path) -> None:
    """A file of the size and time of the one before it, perhaps even in its inode, is read all the same."""
    target = tmp_path / "data" / REPORT / Partition(OWNERS[0], DAYS[0]).folder / "part-0.parquet"
    for name in "abcdef":
        now = int(time.time())
        write(store, REPORT, Partition(OWNERS[0], DAYS[0]), [name], at=now)
        built = build_warehouse(store, tmp_path / "state", tables())
        with duckdb.connect(built.path, read_only=True) as connection:
            query = "SELECT ad_name FROM ad_report_daily WHERE advertiser_id = ? AND date = ?"
            assert connection.execute(query, [OWNERS[0], DAYS[0]]).fetchall() == [(name,)]
        assert target.stat().st_mtime == now


def test_other_columns_are_a_file_from_nothing(store: HiveStore, tmp_path: Path) -> None:
    """With a metric more every file is read again, and the column is there."""
    build_warehouse(store, tmp_path / "state", tables())
    built = build_warehouse(store, tmp_path / "state", tables("+result_rate"))
    assert built.loaded == built.files
    with duckdb.connect(built.path, read_only=True) as connection:
        assert connection.execute("SELECT count(result_rate), count(*) FROM ad_report_daily").fetchone() == (
            0,
            12,
        )


def test_a_build_killed_at_any_line_is_made_good(store: HiveStore, tmp_path: Path) -> None:
    """Whenever a builder dies, the file that stands is a whole one, and the next build is as from nothing."""
    build_warehouse(store, tmp_path / "state", tables())
    file, places = tmp_path / "data" / WAREHOUSE_FILE_NAME, random.Random(1)  # noqa: S311 - only when to kill
    for _ in range(6):
        arguments = [sys.executable, "-c", BUILDER, str(tmp_path), OWNERS[0], str(DAYS[0])]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            time.sleep(places.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
        assert len(told(file)["rows"]) == len(tables()) + 2  # the files read, and the landing pages
        build_warehouse(store, tmp_path / "state", tables())
        mine = told(file)
        build_warehouse(store, tmp_path / "elsewhere", tables())
        assert said(mine) == said(told(file))


def test_what_a_killed_build_left_is_removed_a_day_later(store: HiveStore, tmp_path: Path) -> None:
    """The folder of a build that never ended goes with a later build; one that may still be building stays."""
    old, young = tmp_path / "state/warehouse-old", tmp_path / "state/warehouse-young"
    for folder, age in ((old, 25 * 3600), (young, 3600)):
        folder.mkdir(parents=True)
        (folder / WAREHOUSE_FILE_NAME).write_bytes(b"half")
        os.utime(folder, (time.time() - age,) * 2)
    build_warehouse(store, tmp_path / "state", tables())
    assert {path.name for path in (tmp_path / "state").iterdir()} == {BUILD_RECORD_FILE_NAME, young.name}


def test_the_file_does_not_grow_without_bound(tmp_path: Path) -> None:
    """However often days are replaced, the file stays within half as much again of one built from nothing."""
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
    whole = build_warehouse(store, tmp_path / "state", tables()).bytes
    for turn in range(20):
        for partition in chosen.sample(partitions, 2):
            replace(partition, 1_700_000_001 + turn)
        built = build_warehouse(store, tmp_path / "state", tables())
        assert built.bytes <= 1.5 * whole + 16_000_000
        assert built.rows[REPORT] == rows * len(partitions)
