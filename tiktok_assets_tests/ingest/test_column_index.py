"""Test how many calls of an object store it takes to know the columns of each stored day."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tiktok_assets.ingest.column_index import load_readings
from tiktok_assets.ingest.partitions import columns_metadata
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets_tests.storage.object_store import ObjectStore

TABLE = "ad_report_daily"
DAYS = [date(2026, 1, 1) + timedelta(n) for n in range(100)]
COLUMNS = ("advertiser_id", "date", "spend")


@pytest.fixture
def endpoint() -> Iterator[ObjectStore]:
    """An object store that `s3://` uses."""
    with ObjectStore.serve_environment() as store:
        yield store


def write(store: HiveStore, day: date, *columns: str) -> None:
    """Write a day that was read with these columns."""
    frame = pl.DataFrame({"advertiser_id": ["7001"], "date": [day], **{name: ["1"] for name in columns}})
    store.write(TABLE, Partition("7001", day), frame, metadata=columns_metadata((*COLUMNS[:2], *columns)))


def load(endpoint: ObjectStore, cache: Path, max_files: int | None = None) -> tuple[dict[date, int], int]:
    """Return how many columns each day has as a new host sees it, and how many days are unknown."""
    endpoint.calls.clear()
    stored = load_readings(HiveStore("s3://bucket/tables", cache_folder=cache), TABLE, max_files=max_files)
    return {one.day: len(read.columns) for one, read in stored.readings.items() if one.day}, len(stored.unknown)


@pytest.mark.slow
def test_a_day_that_did_not_change_is_not_opened_twice(endpoint: ObjectStore, tmp_path: Path) -> None:
    """The first host opens each file once; any other opens only those that changed, and sees what they have."""
    store = HiveStore("s3://bucket/tables", cache_folder=tmp_path / "writer")
    for day in DAYS:
        write(store, day, "spend")
    assert load(endpoint, tmp_path / "a", max_files=30) == (dict.fromkeys(DAYS[:30], 3), 70)
    assert load(endpoint, tmp_path / "b") == (dict.fromkeys(DAYS, 3), 0)
    assert endpoint.calls["PUT"] == 1
    assert load(endpoint, tmp_path / "c") == (dict.fromkeys(DAYS, 3), 0)
    assert sum(endpoint.calls.values()) <= 4, endpoint.calls
    write(store, DAYS[7], "spend", "likes")
    found, _ = load(endpoint, tmp_path / "d")
    assert Counter(found.values()) == {3: 99, 4: 1}
    assert found[DAYS[7]] == 4
    assert sum(endpoint.calls.values()) <= 6, endpoint.calls
