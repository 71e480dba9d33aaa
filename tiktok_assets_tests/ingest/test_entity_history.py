"""Test histories: each version a refresh has seen is stored once, in order, and nothing else is."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiktok_assets.ingest.entity_history import history_columns, update_history
from tiktok_assets.ingest.partitions import HISTORY_KEY, FailedPartitions, WrittenPartition, fetched_at_metadata
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.spec.derived_tables import history_table_name
from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGN_ENTITIES, CAMPAIGNS, Entity
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.parquet_store import HiveStore, Partition, StoreError
from tiktok_assets.tables.frames import build_entity_frame
from tiktok_assets.tables.schema import build_schema, entity_columns
from tiktok_assets_tests.api.conftest import SMALL, Host
from tiktok_assets_tests.ingest.conftest import granted_accounts, open_reader, read_files

OWNER = "7001"
PARTITION = Partition(OWNER)
START = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NAMES, STATUSES = ("A", "B"), ("CAMPAIGN_STATUS_ENABLE", "CAMPAIGN_STATUS_DELETE")

CampaignList = dict[str, tuple[str, str]]
"""Name and status of each campaign in a list, by id."""

campaign_lists = st.dictionaries(
    st.sampled_from("123"), st.tuples(st.sampled_from(NAMES), st.sampled_from(STATUSES))
)


def build_snapshot(listed: CampaignList, read_at: datetime, entity: Entity = CAMPAIGNS) -> pl.DataFrame:
    """Build a complete snapshot; its `modify_time` depends on the read and creates no version."""
    rows = [
        {
            "advertiser_id": OWNER,
            "campaign_id": campaign_id,
            "campaign_name": name,
            "secondary_status": status,
            "modify_time": read_at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        for campaign_id, (name, status) in sorted(listed.items())
    ]
    return build_entity_frame(entity, rows, read_at, unknown_fields=set())


def refresh(store: HiveStore, listed: CampaignList, read_at: datetime) -> int:
    """Update the history, then replace the snapshot; return the number of new versions."""
    frame = build_snapshot(listed, read_at)
    update = update_history(store, CAMPAIGNS, PARTITION, frame, read_at)
    store.write(CAMPAIGNS.table, PARTITION, frame, metadata=fetched_at_metadata(read_at) | {HISTORY_KEY: "true"})
    return update.new_versions


def read_history(store: HiveStore, entity: Entity, owner: str = OWNER) -> pl.DataFrame:
    """Read the stored versions of an account."""
    schema = build_schema(history_columns(entity))
    return store.scan(history_table_name(entity.table), schema, advertiser_ids=[owner]).collect()


def read_campaign_versions(store: HiveStore) -> list[tuple[Any, ...]]:
    """Read the main columns of all campaign versions."""
    names = ["campaign_id", "campaign_name", "is_deleted", "valid_from", "valid_to", "is_current"]
    return read_history(store, CAMPAIGNS).select(names).rows()


def expected_versions(snapshots: Iterable[tuple[CampaignList, datetime]]) -> list[tuple[Any, ...]]:
    """Compute the expected versions, object by object."""
    by_id: dict[str, list[tuple[str, str, bool, datetime]]] = {}
    for listed, read_at in snapshots:
        for campaign_id in {*by_id, *listed}:
            versions = by_id.setdefault(campaign_id, [])
            if campaign_id in listed:
                name, status = listed[campaign_id]
                now = (name, status, status.endswith("_DELETE"))
            elif versions[-1][2]:
                continue
            else:
                now = (*versions[-1][:2], True)
            if not versions or versions[-1][:3] != now:
                versions.append((*now, read_at))
    rows = []
    for campaign_id, versions in sorted(by_id.items()):
        ends = [began for *_, began in versions[1:]] + [None]
        for (name, _, deleted, began), end in zip(versions, ends, strict=True):
            rows.append((campaign_id, name, deleted, began, end, end is None))
    return rows


@pytest.mark.slow
@given(lists=st.lists(st.tuples(campaign_lists, st.integers(0, 3)), max_size=6))
@settings(max_examples=40, deadline=None)
def test_each_version_is_stored_once_and_in_order(lists: list[tuple[CampaignList, int]]) -> None:
    """After any snapshots, repeated any number of times, the history contains each version once."""
    with tempfile.TemporaryDirectory() as folder:
        store = HiveStore(folder)
        snapshots = [(listed, START + timedelta(n)) for n, (listed, _) in enumerate(lists)]
        for number, (listed, repeats) in enumerate(lists):
            before = len(read_campaign_versions(store))
            new = refresh(store, listed, snapshots[number][1])
            assert len(read_campaign_versions(store)) == before + new
            for back in range(repeats):  # repeated and older snapshots change nothing
                older, read_at = snapshots[max(number - back, 0)]
                update_history(store, CAMPAIGNS, PARTITION, build_snapshot(older, read_at), read_at)
            assert read_campaign_versions(store) == expected_versions(snapshots[: number + 1])


def test_a_snapshot_older_than_the_stored_one_adds_no_version(store: HiveStore) -> None:
    """A snapshot that was read before the stored one adds no version."""
    enabled = {"1": ("A", STATUSES[0])}
    refresh(store, enabled, START)
    refresh(store, enabled, START + timedelta(2))
    read_between = START + timedelta(1)
    assert (
        update_history(
            store, CAMPAIGNS, PARTITION, build_snapshot({"1": ("B", STATUSES[0])}, read_between), read_between
        ).new_versions
        == 0
    )
    assert read_campaign_versions(store) == [("1", "A", False, START, None, True)]


def test_a_deleted_object_keeps_its_last_values(store: HiveStore) -> None:
    """A campaign missing from a complete list is deleted from then on, with its last name and status."""
    refresh(store, {"1": ("A", STATUSES[0]), "2": ("B", STATUSES[0])}, START)
    refresh(store, {"2": ("B", STATUSES[0])}, START + timedelta(1))
    deleted_row = read_history(store, CAMPAIGNS).filter(campaign_id="1", is_current=True).to_dicts()[0]
    assert (deleted_row["campaign_name"], deleted_row["secondary_status"], deleted_row["is_deleted"]) == (
        "A",
        STATUSES[0],
        True,
    )
    assert (deleted_row["valid_from"], deleted_row["fetched_at"]) == (START + timedelta(1), START)


def test_the_stored_snapshot_becomes_the_first_versions(store: HiveStore) -> None:
    """In a store without histories, the stored snapshot becomes the first versions, valid from its own read."""
    old = build_snapshot({"1": ("A", STATUSES[0])}, START)
    store.write(CAMPAIGNS.table, PARTITION, old, metadata=fetched_at_metadata(START))
    later = START + timedelta(1)
    refresh(store, {"1": ("B", STATUSES[0])}, later)
    assert read_campaign_versions(store) == [
        ("1", "A", False, START, later, False),
        ("1", "B", False, later, None, True),
    ]


def test_an_unreadable_snapshot_does_not_prevent_a_new_history(store: HiveStore) -> None:
    """If the snapshot of an older store cannot be read, the versions start with the next one."""
    written = store.write(CAMPAIGNS.table, PARTITION, build_snapshot({"1": ("A", STATUSES[0])}, START))
    Path(written.path).write_bytes(b"PAR1 but not really")
    assert refresh(store, {"1": ("B", STATUSES[0])}, START + timedelta(1)) == 1
    assert [row[1] for row in read_campaign_versions(store)] == ["B"]


def test_a_new_column_creates_no_version(store: HiveStore) -> None:
    """A file written before a column was added gets its values, and no new versions."""
    refresh(store, {"1": ("A", STATUSES[0])}, START)
    table, history = history_table_name(CAMPAIGNS.table), read_history(store, CAMPAIGNS)
    store.write(
        table, PARTITION, history.drop("secondary_status").with_columns(extra=pl.lit('{"secondary_status":"?"}'))
    )
    for day in (1, 2):
        assert refresh(store, {"1": ("A", STATUSES[0])}, START + timedelta(day)) == 0
    (row,) = read_history(store, CAMPAIGNS).to_dicts()
    assert (row["secondary_status"], row["extra"], row["valid_from"]) == (STATUSES[0], None, START)
    assert refresh(store, {"1": ("B", STATUSES[0])}, START + timedelta(3)) == 1


def read_snapshot(store: HiveStore, entity: Entity) -> pl.DataFrame:
    """Read the stored rows of an entity."""
    return store.scan(entity.table, build_schema(entity_columns(entity))).collect()


@pytest.mark.parametrize("entity", CAMPAIGN_ENTITIES, ids=lambda entity: entity.table)
def test_the_current_versions_equal_the_snapshot(agency: Host, store: HiveStore, entity: Entity) -> None:
    """After a refresh the current versions are the objects of the snapshot; a second refresh adds none."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]
    with open_reader(agency) as one:
        outcomes = [*refresh_entity(one.reader, store, entity, ids)]
        before = {name: content for name, content in read_files(store).items() if "history" in name}
        agency.advance(hours=1)
        repeats = [*refresh_entity(one.reader, store, entity, ids)]
    by_id = [(outcome.table, outcome.partition) for outcome in outcomes if isinstance(outcome, WrittenPartition)]
    assert by_id == [
        (table, Partition(owner)) for owner in ids for table in (entity.table, f"{entity.table}_history")
    ]
    current = store.scan(history_table_name(entity.table), build_schema(history_columns(entity))).collect()
    assert current.get_column("is_current").all()
    assert any(current.get_column("is_deleted"))
    own = [column.name for column in entity_columns(entity)]
    assert current.select(own).drop("fetched_at").equals(read_snapshot(store, entity).drop("fetched_at"))
    counts = [
        one.new_versions for one in repeats if isinstance(one, WrittenPartition) and one.table != entity.table
    ]
    assert counts == [0] * len(ids)
    assert before == {name: content for name, content in read_files(store).items() if "history" in name}


def test_an_incomplete_list_deletes_nothing(small: Host, store: HiveStore) -> None:
    """If a row is lost between pages, the account fails and no file changes."""
    owner = granted_accounts(small)[0].advertiser_id
    with open_reader(small) as one:
        list(refresh_entity(one.reader, store, ADS, [owner]))
        before = read_files(store)
        small.advance(days=1)
        small.inject_fault("lost_row", path="ad/get", times=None)
        (failures,) = refresh_entity(one.reader, store, ADS, [owner])
    assert isinstance(failures, FailedPartitions)
    assert read_files(store) == before


@pytest.mark.parametrize("damage", ["missing", "unreadable"])
def test_a_lost_history_is_an_error_that_names_the_fix(small: Host, store: HiveStore, damage: str) -> None:
    """An account with a missing or unreadable history fails and writes nothing; the others are written."""
    damaged, *others = [account.advertiser_id for account in granted_accounts(small)]
    with open_reader(small) as one:
        list(refresh_entity(one.reader, store, ADS, [damaged, *others]))
        file = Path(str(store.base), "ads_history", f"advertiser_id={damaged}", PARTITION_FILE_NAME)
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(b"PAR1 but not really PAR1")
        before = read_files(store)
        small.advance(days=1)
        outcomes = list(refresh_entity(one.reader, store, ADS, [damaged, *others]))
    failures = [outcome for outcome in outcomes if isinstance(outcome, FailedPartitions)]
    assert [outcome.partitions for outcome in failures] == [(Partition(damaged),)]
    message = str(failures[0])
    assert damaged in message
    assert "restore it from a backup" in message
    assert failures[0].fix == ""
    after = read_files(store)
    assert after.keys() == before.keys()
    assert [name for name in after if damaged in name and after[name] != before[name]] == []
    assert {
        outcome.partition.advertiser_id for outcome in outcomes if isinstance(outcome, WrittenPartition)
    } == set(others)


def test_a_history_whose_snapshot_was_not_written_is_continued(small: Host, store: HiveStore) -> None:
    """If the snapshot could not be written after its history, the next refresh writes it and adds no version."""
    owner = granted_accounts(small)[0].advertiser_id
    blocked = Path(str(store.base), "ads", f"advertiser_id={owner}")
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file instead of a folder", encoding="utf-8")
    with open_reader(small) as one:
        with pytest.raises(StoreError):
            list(refresh_entity(one.reader, store, ADS, [owner]))
        first_history = read_history(store, ADS, owner)
        blocked.unlink()
        small.advance(hours=1)
        list(refresh_entity(one.reader, store, ADS, [owner]))
    assert first_history.height == read_snapshot(store, ADS).height > 0
    assert read_history(store, ADS, owner).equals(first_history)


@pytest.fixture
def writable_host() -> Iterator[Host]:
    """Run a small world of its own, to be changed by the test."""
    with Host.run(SMALL) as host:
        yield host


REFRESH_SCRIPT = """
import sys
from tiktok_assets.api.client import Client
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.storage.parquet_store import HiveStore

url, token, folder, *owners = sys.argv[1:]
client = Client(url, token)
reader = Reader(Fetcher(client), client.now, STANDARD_METRICS)
for entity in CAMPAIGN_ENTITIES:
    for outcome in refresh_entity(reader, HiveStore(folder), entity, owners):
        print(outcome, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("files", [1, 3, 6])
def test_a_killed_refresh_is_completed_by_the_next_one(writable_host: Host, tmp_path: Path, files: int) -> None:
    """Killed at any moment and run again, a refresh leaves the same history as one that was not killed."""
    owners = [account.advertiser_id for account in granted_accounts(writable_host)]
    interrupted, uninterrupted = HiveStore(str(tmp_path / "killed")), HiveStore(str(tmp_path / "reference"))
    with open_reader(writable_host) as one:
        for store in (interrupted, uninterrupted):
            for entity in CAMPAIGN_ENTITIES:
                list(refresh_entity(one.reader, store, entity, owners))
        writable_host.advance(days=3)
        campaign = writable_host.ground_truth("campaigns", advertiser_id=owners[0])[0]["campaign_id"]
        send_write(
            writable_host, "campaign/status/update", owners[0], campaign_ids=[campaign], operation_status="DISABLE"
        )
        arguments = [
            writable_host.sandbox.base_url,
            writable_host.sandbox.token,
            str(tmp_path / "killed"),
            *owners,
        ]
        modified_times = {path: path.stat().st_mtime_ns for path in Path(arguments[2]).rglob("*.parquet")}
        command = [sys.executable, "-c", REFRESH_SCRIPT, *arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
            deadline = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < deadline:
                if sum(path.stat().st_mtime_ns != old_time for path, old_time in modified_times.items()) >= files:
                    break
            process.kill()
        for store in (interrupted, uninterrupted):
            for entity in CAMPAIGN_ENTITIES:
                list(refresh_entity(one.reader, store, entity, owners))
    for entity in CAMPAIGN_ENTITIES:
        time_columns = ["valid_from", "valid_to", "fetched_at"]
        schema = build_schema(history_columns(entity))
        repaired, reference = (
            store.scan(history_table_name(entity.table), schema).collect()
            for store in (interrupted, uninterrupted)
        )
        assert repaired.drop(time_columns).equals(reference.drop(time_columns))
        assert reference.get_column("is_current").not_().any()
        assert (
            read_snapshot(interrupted, entity)
            .drop("fetched_at")
            .equals(read_snapshot(uninterrupted, entity).drop("fetched_at"))
        )


def send_write(host: Host, path: str, owner: str, **body: object) -> None:
    """Send a write request to the account."""
    response = host.http.post(
        f"{host.sandbox.base_url}/open_api/v1.3/{path}/",
        json={"advertiser_id": owner, **body},
        headers={"Access-Token": host.sandbox.token},
    ).json()
    assert response["code"] == 0, response


def test_a_rename_and_a_deletion_create_versions(writable_host: Host, store: HiveStore) -> None:
    """A renamed ad group has a version per name; deleted, it and its ads end as deleted."""
    owner = granted_accounts(writable_host)[0].advertiser_id
    with open_reader(writable_host) as one:
        for step, body in enumerate([None, {"adgroup_name": "Renamed"}, {"operation_status": "DELETE"}]):
            group = max(
                item["adgroup_id"] for item in writable_host.ground_truth("ad_groups", advertiser_id=owner)
            )
            if body:
                is_status_update = "operation_status" in body
                target: dict[str, object] = {"adgroup_ids": [group]} if is_status_update else {"adgroup_id": group}
                send_write(
                    writable_host,
                    f"adgroup/{'status/' if is_status_update else ''}update",
                    owner,
                    **target,
                    **body,
                )
            for entity in (AD_GROUPS, ADS):
                list(refresh_entity(one.reader, store, entity, [owner]))
            writable_host.advance(days=1 + step)
    versions = read_history(store, AD_GROUPS, owner).filter(ad_group_id=group)
    assert versions.get_column("ad_group_name").to_list()[1:] == ["Renamed", "Renamed"]
    assert versions.get_column("is_deleted").to_list() == [False, False, True]
    assert versions.get_column("valid_to").to_list() == [*versions.get_column("valid_from")[1:], None]
    ads = read_history(store, ADS, owner).filter(ad_group_id=group, is_current=True)
    assert ads.height > 0
    assert ads.get_column("is_deleted").all()
