"""Tests of the local copies of an object store: few calls, and what is read is what the object store has."""

import gzip
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from tiktok_assets.storage.metadata_index import INDEX_FILE_NAME, INDEXED_DAYS, decode_index
from tiktok_assets.storage.object_cache import get_object_cache
from tiktok_assets.storage.object_copies import prune_copies
from tiktok_assets.storage.parquet_store import HiveStore, Partition, StoreError
from tiktok_assets_tests.storage.object_store import MAX_KEYS, ObjectStore

OWNERS = ("7104142337395130369", "7104142337395130370")
DAY = date(2026, 3, 1)
SCHEMA = pl.Schema([("advertiser_id", pl.String()), ("date", pl.Date()), ("spend", pl.Decimal(18, 4))])


def rows(partition: Partition, spend: int) -> pl.DataFrame:
    """Build one row of a partition; none for an amount of zero."""
    row = (partition.advertiser_id, partition.day, Decimal(spend))
    return pl.DataFrame([row] if spend else [], SCHEMA, orient="row")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ObjectStore]:
    """An object store that `s3://` uses."""
    with ObjectStore.serve_environment() as store:
        yield store


@pytest.fixture
def bucket(endpoint: ObjectStore) -> Iterator[ObjectStore]:
    """The object store, as at first."""
    yield endpoint
    endpoint.has_opaque_etags, endpoint.refused = False, frozenset()


def new_url() -> str:
    """Return the URL of a folder that nothing was written into."""
    return f"s3://bucket/{uuid4().hex}/tables"


def count_calls(bucket: ObjectStore) -> Counter[str]:
    """Return the calls since the last time."""
    calls = Counter(bucket.calls)
    bucket.calls.clear()
    return calls


def test_a_partition_takes_two_calls_at_most(bucket: ObjectStore, tmp_path: Path) -> None:
    """A written partition is one call; reading it, its metadata and its size share one list per account."""
    store = HiveStore(new_url(), cache_folder=tmp_path, max_listing_age=60)
    partitions = [Partition(owner, DAY + timedelta(days)) for owner in OWNERS for days in range(20)]
    count_calls(bucket)
    for number, partition in enumerate(partitions):
        store.write("t", partition, rows(partition, number), metadata={"number": str(number)})
    # The days are old, so whether they are in the file of a month is looked up, in one list per account.
    assert count_calls(bucket) == {"PUT": len(partitions), "LIST": len(OWNERS)}
    store = HiveStore(store.base.as_posix(), cache_folder=tmp_path, max_listing_age=60)
    for number, partition in enumerate(partitions):
        assert (store.read_metadata("t", partition) or {})["number"] == str(number)
        assert store.partition_size("t", partition) > 0
        assert store.read("t", SCHEMA, [partition]).collect().equals(rows(partition, number))
    assert list(store.partitions("t", OWNERS)) == partitions
    assert count_calls(bucket) == {"LIST": len(OWNERS)}


def test_a_partition_that_stays_takes_no_call(bucket: ObjectStore, tmp_path: Path) -> None:
    """Another process on the same host reads unchanged files from the copies; another host downloads each once."""
    url, days = new_url(), [DAY + timedelta(number) for number in range(20)]
    partitions = [Partition(OWNERS[0], day) for day in days]
    for partition in partitions:
        HiveStore(url, cache_folder=tmp_path / "a").write("t", partition, rows(partition, 1))
    count_calls(bucket)
    for host, downloads in (("a", 0), ("b", len(days)), ("b", 0)):
        store = HiveStore(url, cache_folder=tmp_path / host, max_listing_age=60)
        assert store.scan("t", SCHEMA, advertiser_ids=OWNERS[:1]).collect().height == len(days)
        assert store.read("t", SCHEMA, partitions).collect().height == len(days)
        assert count_calls(bucket) == Counter({"LIST": 1, "GET": downloads})


def test_planning_takes_one_index_per_account(bucket: ObjectStore, tmp_path: Path) -> None:
    """A host without copies reads the metadata of all days of an account with a list and one object.

    A file that another host has written since, or that the index does not have yet, is opened.
    """
    url = new_url()
    days = [DAY + timedelta(number) for number in range(INDEXED_DAYS)]
    first = HiveStore(url, cache_folder=tmp_path / "a", max_listing_age=600)
    for owner in OWNERS:
        for day in days:
            first.write("t", Partition(owner, day), rows(Partition(owner, day), 1), metadata={"day": str(day)})
        first.close()
    for host, changed in (("b", []), ("c", days[3:5])):
        for day in changed:
            HiveStore(url, cache_folder=tmp_path / "d").write(
                "t", Partition(OWNERS[0], day), rows(Partition(OWNERS[0], day), 2), metadata={"day": "changed"}
            )
        store = HiveStore(url, cache_folder=tmp_path / host, max_listing_age=600)
        count_calls(bucket)
        store.prefetch([("t", owner) for owner in OWNERS])
        for owner in OWNERS:
            found = [(store.read_metadata("t", Partition(owner, day)) or {})["day"] for day in days]
            expected = ["changed" if owner == OWNERS[0] and day in changed else str(day) for day in days]
            assert found == expected
        calls = count_calls(bucket)
        assert calls["LIST"] == len(OWNERS)
        assert calls["GET"] <= len(OWNERS) + len(changed)
    assert list(store.partitions("t")) == [Partition(owner, day) for owner in OWNERS for day in days]


def test_a_damaged_index_changes_no_result(bucket: ObjectStore, tmp_path: Path) -> None:
    """Metadata is read from the files if the index is damaged, and the next write replaces it."""
    url = new_url()
    path = f"{url.removeprefix('s3://')}/t/advertiser_id={OWNERS[0]}/{INDEX_FILE_NAME}"
    partition = Partition(OWNERS[0], DAY)
    writer = HiveStore(url, cache_folder=tmp_path / "a")
    writer.write("t", partition, rows(partition, 1), metadata={"a": "b"})
    writer.close()
    for damaged in (b"", b"nothing", gzip.compress(b"[]"), gzip.compress(b'{"2026-03-01": 1}')):
        bucket.objects[path] = damaged
        store = HiveStore(url, cache_folder=tmp_path / uuid4().hex)
        assert (store.read_metadata("t", partition) or {})["a"] == "b"
    writer.write("t", partition, rows(partition, 1), metadata={"a": "c"})
    writer.close()
    assert {day: values for day, (_, values) in decode_index(bucket.objects[path]).items()} == {
        str(DAY): {"a": "c"}
    }


def test_accounts_of_a_table_share_a_list(bucket: ObjectStore, tmp_path: Path) -> None:
    """The files of a table without days are found with one list for a thousand accounts, and all are found."""
    url = new_url()
    owners = [str(7104142337395130369 + number) for number in range(MAX_KEYS + 5)]
    for owner in owners:
        bucket.objects[f"{url.removeprefix('s3://')}/t/advertiser_id={owner}/part-0.parquet"] = b"content"
    store = HiveStore(url, cache_folder=tmp_path, max_listing_age=600)
    count_calls(bucket)
    assert {store.partition_size("t", Partition(owner)) for owner in owners} == {7}
    assert list(store.partitions("t")) == [Partition(owner) for owner in owners]
    assert count_calls(bucket) == {"LIST": 2}


def test_planning_does_not_grow_with_the_stored_days(bucket: ObjectStore, tmp_path: Path) -> None:
    """The days since one are found with a list and an index for each account, whatever older days are stored."""
    url, last = new_url(), DAY + timedelta(MAX_KEYS)
    folder = f"{url.removeprefix('s3://')}/t"
    for back in range(MAX_KEYS + 100):
        bucket.objects[f"{folder}/{Partition(OWNERS[0], last - timedelta(back)).folder}/part-0.parquet"] = (
            b"content"
        )
    writer = HiveStore(url, cache_folder=tmp_path / "a", max_listing_age=600)
    writer.write("t", Partition(OWNERS[0], last), rows(Partition(OWNERS[0], last), 1), metadata={"a": "b"})
    writer.close()
    store = HiveStore(url, cache_folder=tmp_path / "b", max_listing_age=600)
    count_calls(bucket)
    for _ in range(2):
        store.prefetch([("t", owner) for owner in OWNERS], last - timedelta(30))
    assert (store.read_metadata("t", Partition(OWNERS[0], last)) or {})["a"] == "b"
    assert store.read_metadata("t", Partition(OWNERS[1], last)) is None
    assert store.partition_size("t", Partition(OWNERS[0], last - timedelta(30))) == len(b"content")
    # The file of the month is looked for in the same list.
    assert count_calls(bucket) == {"LIST": len(OWNERS), "GET": len(OWNERS)}
    assert len(list(store.partitions("t", OWNERS))) == MAX_KEYS + 100


def test_what_the_fast_reader_cannot_do_takes_the_other(bucket: ObjectStore, tmp_path: Path) -> None:
    """A request that is refused is made again by fsspec, and a store that responds again is read."""
    store = HiveStore(new_url(), cache_folder=tmp_path)
    store.write("t", Partition(OWNERS[0], DAY), rows(Partition(OWNERS[0], DAY), 1))
    bucket.refused = frozenset({"LIST"})
    with pytest.raises(StoreError, match=r"^cannot read"):
        list(store.partitions("t"))
    bucket.refused = frozenset()
    assert list(store.partitions("t")) == [Partition(OWNERS[0], DAY)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "delete", "read", "read"]),
        st.integers(0, 1),
        st.sampled_from([Partition(owner, day) for owner in OWNERS for day in (DAY, DAY + timedelta(1))]),
        st.integers(0, 2),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(steps=STEPS, has_opaque_etags=st.booleans())
def test_what_is_read_is_what_the_object_store_has(
    endpoint: ObjectStore, *, steps: list[tuple[str, int, Partition, int]], has_opaque_etags: bool
) -> None:
    """Whatever two hosts write and delete in turn, each reads the current rows, and a new session does too."""
    endpoint.has_opaque_etags = has_opaque_etags
    url, expected, spends = new_url(), dict[Partition, pl.DataFrame](), dict[Partition, str]()
    with tempfile.TemporaryDirectory() as folder:
        hosts = [HiveStore(url, cache_folder=Path(folder) / str(number)) for number in range(2)]
        for step, host, partition, spend in steps:
            if step == "write":
                expected[partition], spends[partition] = rows(partition, spend), str(spend)
                hosts[host].write("t", partition, expected[partition], metadata={"spend": str(spend)})
            elif step == "delete":
                path = f"{url.removeprefix('s3://')}/t/{partition.folder}/part-0.parquet"
                endpoint.objects.pop(path, None)
                expected.pop(partition, None)
            if step == "read":
                hosts[host].close()
            session = HiveStore(url, cache_folder=Path(folder) / str(host), max_listing_age=60)
            for store in (hosts[host], session):
                assert list(store.partitions("t")) == sorted(expected)
                found = store.scan_partition("t", partition)
                assert (found is not None) == (partition in expected)
                if found is not None:
                    assert found.collect().equals(expected[partition])
                metadata = store.read_metadata("t", partition)
                assert (metadata is not None) == (partition in expected)
                assert metadata is None or metadata["spend"] == spends[partition]
                assert store.scan("t", SCHEMA).collect().height == sum(one.height for one in expected.values())


@pytest.mark.usefixtures("bucket")
def test_copies_that_cannot_be_kept_hold_nothing_up(tmp_path: Path) -> None:
    """If the folder of the copies is unusable, rows are written and read all the same."""
    (tmp_path / "file").write_text("not a folder")
    store = HiveStore(new_url(), cache_folder=tmp_path / "file" / "cache", max_listing_age=60)
    partition = Partition(OWNERS[0], DAY)
    store.write("t", partition, rows(partition, 1), metadata={"a": "b"})
    assert store.scan("t", SCHEMA).collect().equals(rows(partition, 1))
    assert (store.read_metadata("t", partition) or {})["a"] == "b"


def test_a_refused_write_changes_nothing(bucket: ObjectStore, tmp_path: Path) -> None:
    """A store that refuses a write is named in one sentence, and what was stored before is read."""
    store = HiveStore(new_url(), cache_folder=tmp_path, max_listing_age=60)
    partition = Partition(OWNERS[0], DAY)
    store.write("t", partition, rows(partition, 1))
    bucket.refused = frozenset({"PUT"})
    with pytest.raises(StoreError, match="cannot write s3://"):
        store.write("t", partition, rows(partition, 2))
    assert store.scan("t", SCHEMA).collect().equals(rows(partition, 1))


def test_a_table_in_one_file_is_found_by_account(tmp_path: Path) -> None:
    """A table that is one file is read whatever accounts are asked for, in an object store as on a disk."""
    with ObjectStore.serve_environment():
        for base in (new_url(), str(tmp_path / "disk")):
            writer = HiveStore(base, cache_folder=tmp_path / "a")
            writer.write("t", Partition(), pl.DataFrame({"advertiser_id": OWNERS}))
            for _ in range(2):
                store = HiveStore(base, cache_folder=tmp_path / "b", max_listing_age=60)
                assert list(store.partitions("t", OWNERS[:1])) == [Partition()]
                assert list(store.partitions("other", OWNERS[:1])) == []


def test_a_store_that_refuses_is_no_empty_store(bucket: ObjectStore, tmp_path: Path) -> None:
    """Credentials that expire in mid run are said in one sentence; nothing is taken for never read or lost."""
    store, partition = HiveStore(new_url(), cache_folder=tmp_path), Partition(OWNERS[0], DAY)
    store.write("t", partition, rows(partition, 1), metadata={"a": "b"})
    attempts: tuple[Callable[[], object], ...] = (
        lambda: store.read_metadata("t", partition),
        lambda: list(store.partitions("t")),
        lambda: store.scan_partition("t", partition),
        lambda: store.prefetch([("t", owner) for owner in OWNERS]),
        lambda: store.read_file("t", partition),
        lambda: store.write("t", partition, rows(partition, 2)),
        store.check_writable,
    )
    bucket.refused = frozenset({"GET", "HEAD", "LIST", "PUT"})
    for attempt in attempts:
        with pytest.raises(StoreError, match=r"^cannot (read|write)[^;]*; *(check|make)"):
            attempt()
    store.close()  # the index is not written, and that stops nothing
    bucket.refused = frozenset()
    assert (store.read_metadata("t", partition) or {})["a"] == "b"


def test_a_store_that_cannot_be_reached_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of the client library for a host that is away end in one sentence, too."""
    with ObjectStore() as away:
        pass
    for name, value in {**away.environment, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    UPath("s3://bucket").fs.clear_instance_cache()  # otherwise s3fs uses the endpoint of an earlier test
    store, partition = HiveStore(new_url(), cache_folder=tmp_path), Partition(OWNERS[0], DAY)
    with pytest.raises(StoreError, match=r"^cannot read s3://.*Could not connect"):
        store.read_metadata("t", partition)
    with pytest.raises(StoreError, match=r"^cannot (read|write) s3://.*Could not connect"):
        store.write("t", partition, rows(partition, 1), metadata={"a": "b"})
    store.close()
    UPath("s3://bucket").fs.clear_instance_cache()


@pytest.mark.usefixtures("bucket")
def test_only_the_owner_can_read_the_copies(tmp_path: Path) -> None:
    """The copies are private, as the state beside them is."""
    partition = Partition(OWNERS[0], DAY)
    store = HiveStore(new_url(), cache_folder=tmp_path / "cache")
    store.write("t", partition, rows(partition, 1))
    assert [store.read_metadata("t", partition) is None for _ in range(2)] == [False, False]
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "cache").rglob("*")}
    assert modes == {0}


def test_unused_copies_are_deleted_above_a_size(tmp_path: Path) -> None:
    """The copies that were not used for the longest time go first, and those of the last hour stay."""
    folder = tmp_path / "ab"
    folder.mkdir()
    for name, hours in (("old", 3), ("older", 5), ("recent", 0)):
        (folder / name).write_bytes(b"x" * 100)
        used_at = (folder / name).stat().st_mtime - hours * 3600
        os.utime(folder / name, (used_at, used_at))
    prune_copies(tmp_path, 250)
    assert {path.name for path in folder.iterdir()} == {"old", "recent"}
    prune_copies(tmp_path, 0)
    assert {path.name for path in folder.iterdir()} == {"recent"}


@pytest.mark.usefixtures("bucket")
def test_stores_of_a_process_share_what_they_know(tmp_path: Path) -> None:
    """A store sees at once what another one of the same process and folder writes, whatever it listed before."""
    url = new_url()
    first, second = (HiveStore(url, cache_folder=tmp_path, max_listing_age=600) for _ in range(2))
    assert get_object_cache(first.base, tmp_path) is get_object_cache(second.base, tmp_path)
    partition = Partition(OWNERS[0], DAY)
    for spend in (1, 2, 0):
        assert list(second.partitions("t")) == ([partition] if spend != 1 else [])
        first.write("t", partition, rows(partition, spend))
        assert second.scan("t", SCHEMA).collect().equals(rows(partition, spend))
