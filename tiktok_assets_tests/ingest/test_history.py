"""Laws of the histories: each version a refresh sees is kept once, in order, and nothing else is."""

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

from tiktok_assets.ingest.history import history_columns, update_history
from tiktok_assets.ingest.partitions import HISTORY_KEY, FailedPartitions, WrittenPartition, fetched_at_metadata
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.spec.derived_tables import history_table_name
from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGNS, LISTED_ENTITIES, Entity
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.hive_store import HiveStore, Partition, StoreError
from tiktok_assets.tables.frames import build_entity_frame, build_schema, entity_columns
from tiktok_assets_tests.api.conftest import SMALL, Host
from tiktok_assets_tests.ingest.conftest import accounts_of, files_of, reading

OWNER = "7001"
HERE = Partition(OWNER)
BEGIN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NAMES, STATUSES = ("A", "B"), ("CAMPAIGN_STATUS_ENABLE", "CAMPAIGN_STATUS_DELETE")

Listed = dict[str, tuple[str, str]]
"""Name and status of each campaign of a listing, by id."""

listings = st.dictionaries(st.sampled_from("123"), st.tuples(st.sampled_from(NAMES), st.sampled_from(STATUSES)))


def frame_of(listed: Listed, read_at: datetime, entity: Entity = CAMPAIGNS) -> pl.DataFrame:
    """A complete listing; each reading has a `modify_time` of its own, which is no change."""
    rows = [
        {
            "advertiser_id": OWNER,
            "campaign_id": own_id,
            "campaign_name": name,
            "secondary_status": status,
            "modify_time": read_at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        for own_id, (name, status) in sorted(listed.items())
    ]
    return build_entity_frame(entity, rows, read_at, unknown_fields=set())


def refresh(store: HiveStore, listed: Listed, read_at: datetime) -> int:
    """Keep the versions, then replace the snapshot; how many versions came to it."""
    frame = frame_of(listed, read_at)
    kept = update_history(store, CAMPAIGNS, HERE, frame, read_at)
    store.write(CAMPAIGNS.table, HERE, frame, notes=fetched_at_metadata(read_at) | {HISTORY_KEY: "true"})
    return kept.new_versions


def history_of(store: HiveStore, entity: Entity, owner: str = OWNER) -> pl.DataFrame:
    """The stored versions of an account."""
    schema = build_schema(history_columns(entity))
    return store.scan(history_table_name(entity.table), schema, advertiser_ids=[owner]).collect()


def versions_of(store: HiveStore) -> list[tuple[Any, ...]]:
    """The versions of the campaigns, without what else they hold."""
    names = ["campaign_id", "campaign_name", "is_deleted", "valid_from", "valid_to", "is_current"]
    return history_of(store, CAMPAIGNS).select(names).rows()


def expected(snapshots: Iterable[tuple[Listed, datetime]]) -> list[tuple[Any, ...]]:
    """What the histories of these snapshots are, told object by object."""
    told: dict[str, list[tuple[str, str, bool, datetime]]] = {}
    for listed, read_at in snapshots:
        for own_id in {*told, *listed}:
            versions = told.setdefault(own_id, [])
            if own_id in listed:
                name, status = listed[own_id]
                now = (name, status, status.endswith("_DELETE"))
            elif versions[-1][2]:
                continue
            else:
                now = (*versions[-1][:2], True)
            if not versions or versions[-1][:3] != now:
                versions.append((*now, read_at))
    rows = []
    for own_id, versions in sorted(told.items()):
        ends = [began for *_, began in versions[1:]] + [None]
        for (name, _, deleted, began), end in zip(versions, ends, strict=True):
            rows.append((own_id, name, deleted, began, end, end is None))
    return rows


@given(seen=st.lists(st.tuples(listings, st.integers(0, 3)), max_size=6))
@settings(max_examples=40, deadline=None)
def test_each_version_is_kept_once_and_in_order(seen: list[tuple[Listed, int]]) -> None:
    """After any listings, each replayed any number of times, the history is every version seen, and no other."""
    with tempfile.TemporaryDirectory() as folder:
        store = HiveStore(folder)
        snapshots = [(listed, BEGIN + timedelta(n)) for n, (listed, _) in enumerate(seen)]
        for number, (listed, again) in enumerate(seen):
            before = len(versions_of(store))
            new = refresh(store, listed, snapshots[number][1])
            assert len(versions_of(store)) == before + new
            for back in range(again):  # a replay, then older ones: they change nothing
                older, read_at = snapshots[max(number - back, 0)]
                update_history(store, CAMPAIGNS, HERE, frame_of(older, read_at), read_at)
            assert versions_of(store) == expected(snapshots[: number + 1])


def test_a_snapshot_between_two_others_comes_too_late(store: HiveStore) -> None:
    """What was read before the snapshot that stands, and arrives after it, is in no version."""
    enabled = {"1": ("A", STATUSES[0])}
    refresh(store, enabled, BEGIN)
    refresh(store, enabled, BEGIN + timedelta(2))
    late = BEGIN + timedelta(1)
    assert (
        update_history(store, CAMPAIGNS, HERE, frame_of({"1": ("B", STATUSES[0])}, late), late).new_versions == 0
    )
    assert versions_of(store) == [("1", "A", False, BEGIN, None, True)]


def test_what_is_gone_keeps_its_last_columns(store: HiveStore) -> None:
    """A campaign missing from a complete listing is deleted from then on, under the name and status it had."""
    refresh(store, {"1": ("A", STATUSES[0]), "2": ("B", STATUSES[0])}, BEGIN)
    refresh(store, {"2": ("B", STATUSES[0])}, BEGIN + timedelta(1))
    gone = history_of(store, CAMPAIGNS).filter(campaign_id="1", is_current=True).to_dicts()[0]
    assert (gone["campaign_name"], gone["secondary_status"], gone["is_deleted"]) == ("A", STATUSES[0], True)
    assert (gone["valid_from"], gone["fetched_at"]) == (BEGIN + timedelta(1), BEGIN)


def test_a_store_from_before_the_histories_loses_nothing(store: HiveStore) -> None:
    """The snapshot that stands when the first history is begun gives the first versions, from its own instant."""
    old = frame_of({"1": ("A", STATUSES[0])}, BEGIN)
    store.write(CAMPAIGNS.table, HERE, old, notes=fetched_at_metadata(BEGIN))
    later = BEGIN + timedelta(1)
    refresh(store, {"1": ("B", STATUSES[0])}, later)
    assert versions_of(store) == [("1", "A", False, BEGIN, later, False), ("1", "B", False, later, None, True)]


def test_a_spoiled_snapshot_does_not_keep_a_history_from_beginning(store: HiveStore) -> None:
    """Where the snapshot of an older store cannot be read, the versions begin with the next one."""
    written = store.write(CAMPAIGNS.table, HERE, frame_of({"1": ("A", STATUSES[0])}, BEGIN))
    Path(written.path).write_bytes(b"PAR1 but not really")
    assert refresh(store, {"1": ("B", STATUSES[0])}, BEGIN + timedelta(1)) == 1
    assert [row[1] for row in versions_of(store)] == ["B"]


def test_a_new_column_makes_no_version(store: HiveStore) -> None:
    """A file written before a column was declared gets it filled, and its objects have not changed."""
    refresh(store, {"1": ("A", STATUSES[0])}, BEGIN)
    table, whole = history_table_name(CAMPAIGNS.table), history_of(store, CAMPAIGNS)
    store.write(table, HERE, whole.drop("secondary_status").with_columns(extra=pl.lit('{"secondary_status":"?"}')))
    for day in (1, 2):
        assert refresh(store, {"1": ("A", STATUSES[0])}, BEGIN + timedelta(day)) == 0
    (row,) = history_of(store, CAMPAIGNS).to_dicts()
    assert (row["secondary_status"], row["extra"], row["valid_from"]) == (STATUSES[0], None, BEGIN)
    assert refresh(store, {"1": ("B", STATUSES[0])}, BEGIN + timedelta(3)) == 1


def snapshot_of(store: HiveStore, entity: Entity) -> pl.DataFrame:
    """The rows of an entity as they stand."""
    return store.scan(entity.table, build_schema(entity_columns(entity))).collect()


@pytest.mark.parametrize("entity", LISTED_ENTITIES, ids=lambda entity: entity.table)
def test_the_current_versions_are_the_snapshot(agency: Host, store: HiveStore, entity: Entity) -> None:
    """After a refresh the current versions are the objects of the snapshot; a second one adds nothing."""
    ids = [account.advertiser_id for account in accounts_of(agency)]
    with reading(agency) as one:
        made = [*refresh_entity(one.reader, store, entity, ids)]
        before = {name: content for name, content in files_of(store).items() if "history" in name}
        agency.advance(hours=1)
        again = [*refresh_entity(one.reader, store, entity, ids)]
    told = [(outcome.table, outcome.partition) for outcome in made if isinstance(outcome, WrittenPartition)]
    assert told == [
        (table, Partition(owner)) for owner in ids for table in (entity.table, f"{entity.table}_history")
    ]
    current = store.scan(history_table_name(entity.table), build_schema(history_columns(entity))).collect()
    assert current.get_column("is_current").all()
    assert any(current.get_column("is_deleted"))
    own = [column.name for column in entity_columns(entity)]
    assert current.select(own).drop("fetched_at").equals(snapshot_of(store, entity).drop("fetched_at"))
    counts = [one.new_versions for one in again if isinstance(one, WrittenPartition) and one.table != entity.table]
    assert counts == [0] * len(ids)
    assert before == {name: content for name, content in files_of(store).items() if "history" in name}


def test_an_incomplete_listing_deletes_nothing(small: Host, store: HiveStore) -> None:
    """Where a row is lost between pages the account fails, and its history is what it was, byte for byte."""
    owner = accounts_of(small)[0].advertiser_id
    with reading(small) as one:
        list(refresh_entity(one.reader, store, ADS, [owner]))
        before = files_of(store)
        small.advance(days=1)
        small.misbehave("lost_row", path="ad/get", times=None)
        (failed,) = refresh_entity(one.reader, store, ADS, [owner])
    assert isinstance(failed, FailedPartitions)
    assert files_of(store) == before


@pytest.mark.parametrize("damage", ["lost", "broken"])
def test_a_lost_history_is_an_error_with_its_mend(small: Host, store: HiveStore, damage: str) -> None:
    """An account whose history is gone or unreadable fails by name and nothing is written; the others land."""
    victim, *others = [account.advertiser_id for account in accounts_of(small)]
    with reading(small) as one:
        list(refresh_entity(one.reader, store, ADS, [victim, *others]))
        file = Path(str(store.base), "ads_history", f"advertiser_id={victim}", PARTITION_FILE_NAME)
        if damage == "lost":
            file.unlink()
        else:
            file.write_bytes(b"PAR1 and nothing of it PAR1")
        before = files_of(store)
        small.advance(days=1)
        made = list(refresh_entity(one.reader, store, ADS, [victim, *others]))
    failed = [outcome for outcome in made if isinstance(outcome, FailedPartitions)]
    assert [outcome.partitions for outcome in failed] == [(Partition(victim),)]
    said = str(failed[0])
    assert victim in said
    assert "restore it from a backup" in said
    assert failed[0].mend == ""
    after = files_of(store)
    assert after.keys() == before.keys()
    assert [name for name in after if victim in name and after[name] != before[name]] == []
    assert {outcome.partition.advertiser_id for outcome in made if isinstance(outcome, WrittenPartition)} == set(
        others
    )


def test_a_history_without_its_snapshot_goes_on(small: Host, store: HiveStore) -> None:
    """Where the snapshot could not follow its history, the next refresh adds nothing and writes it."""
    owner = accounts_of(small)[0].advertiser_id
    blocked = Path(str(store.base), "ads", f"advertiser_id={owner}")
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way", encoding="utf-8")
    with reading(small) as one:
        with pytest.raises(StoreError):
            list(refresh_entity(one.reader, store, ADS, [owner]))
        begun = history_of(store, ADS, owner)
        blocked.unlink()
        small.advance(hours=1)
        list(refresh_entity(one.reader, store, ADS, [owner]))
    assert begun.height == snapshot_of(store, ADS).height > 0
    assert history_of(store, ADS, owner).equals(begun)


@pytest.fixture
def worked_in() -> Iterator[Host]:
    """A small world of its own, to be written to."""
    with Host.run(SMALL) as host:
        yield host


KILLED = """
import sys
from tiktok_assets.api.client import Client
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.ingest.report_reader import Reader
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.storage.hive_store import HiveStore

url, token, folder, *owners = sys.argv[1:]
client = Client(url, token)
reader = Reader(Fetcher(client), client.now, STANDARD_METRICS)
for entity in LISTED_ENTITIES:
    for outcome in refresh_entity(reader, HiveStore(folder), entity, owners):
        print(outcome, flush=True)
"""


@pytest.mark.parametrize("files", [1, 3, 6])
def test_killed_and_run_again_the_history_is_the_same(worked_in: Host, tmp_path: Path, files: int) -> None:
    """Killed at any moment and run again, a refresh leaves the history of one that was never killed."""
    owners = [account.advertiser_id for account in accounts_of(worked_in)]
    killed, whole = HiveStore(str(tmp_path / "killed")), HiveStore(str(tmp_path / "whole"))
    with reading(worked_in) as one:
        for store in (killed, whole):
            for entity in LISTED_ENTITIES:
                list(refresh_entity(one.reader, store, entity, owners))
        worked_in.advance(days=3)
        campaign = worked_in.truth("campaigns", advertiser_id=owners[0])[0]["campaign_id"]
        change(worked_in, "campaign/status/update", owners[0], campaign_ids=[campaign], operation_status="DISABLE")
        asked = [worked_in.sandbox.base_url, worked_in.sandbox.token, str(tmp_path / "killed"), *owners]
        stood = {path: path.stat().st_mtime_ns for path in Path(asked[2]).rglob("*.parquet")}
        with subprocess.Popen([sys.executable, "-c", KILLED, *asked], stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
            patience = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < patience:
                if sum(path.stat().st_mtime_ns != was for path, was in stood.items()) >= files:
                    break
            process.kill()
        for store in (killed, whole):
            for entity in LISTED_ENTITIES:
                list(refresh_entity(one.reader, store, entity, owners))
    for entity in LISTED_ENTITIES:
        timeless = ["valid_from", "valid_to", "fetched_at"]
        schema = build_schema(history_columns(entity))
        mended, sound = (
            store.scan(history_table_name(entity.table), schema).collect() for store in (killed, whole)
        )
        assert mended.drop(timeless).equals(sound.drop(timeless))
        assert sound.get_column("is_current").not_().any()
        assert snapshot_of(killed, entity).drop("fetched_at").equals(snapshot_of(whole, entity).drop("fetched_at"))


def change(host: Host, path: str, owner: str, **body: object) -> None:
    """Write to the account as somebody who works in it."""
    answer = host.http.post(
        f"{host.sandbox.base_url}/open_api/v1.3/{path}/",
        json={"advertiser_id": owner, **body},
        headers={"Access-Token": host.sandbox.token},
    ).json()
    assert answer["code"] == 0, answer


def test_a_rename_and_a_deletion_are_versions(worked_in: Host, store: HiveStore) -> None:
    """A renamed ad group has both names, each with its time; deleted, it and its ads end as deleted."""
    owner = accounts_of(worked_in)[0].advertiser_id
    with reading(worked_in) as one:
        for step, body in enumerate([None, {"adgroup_name": "Renamed"}, {"operation_status": "DELETE"}]):
            group = max(item["adgroup_id"] for item in worked_in.truth("ad_groups", advertiser_id=owner))
            if body:
                many = "operation_status" in body
                target: dict[str, object] = {"adgroup_ids": [group]} if many else {"adgroup_id": group}
                change(worked_in, f"adgroup/{'status/' if many else ''}update", owner, **target, **body)
            for entity in (AD_GROUPS, ADS):
                list(refresh_entity(one.reader, store, entity, [owner]))
            worked_in.advance(days=1 + step)
    versions = history_of(store, AD_GROUPS, owner).filter(ad_group_id=group)
    assert versions.get_column("ad_group_name").to_list()[1:] == ["Renamed", "Renamed"]
    assert versions.get_column("is_deleted").to_list() == [False, False, True]
    assert versions.get_column("valid_to").to_list() == [*versions.get_column("valid_from")[1:], None]
    ads = history_of(store, ADS, owner).filter(ad_group_id=group, is_current=True)
    assert ads.height > 0
    assert ads.get_column("is_deleted").all()
