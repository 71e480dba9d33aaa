"""Test that TopView and Promote objects are read where an account has them, and cost two requests otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.partitions import WrittenPartition
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.writer import refresh_entity
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.entities import ADS, CAMPAIGN_ENTITIES, CAMPAIGNS, TOPVIEW_AND_PROMOTE, Entity
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import build_schema, entity_columns
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import decode_rows, expected_entity, granted_accounts, open_reader


@pytest.fixture
def special_host() -> Iterator[Host]:
    """Run an agency whose first account has a TopView and a Promote campaign."""
    with Host.run(WorldPlan(hidden_campaigns=True)) as host:
        yield host


def read_rows(reader: Reader, entity: Entity, owners: list[str]) -> dict[str, list[dict[str, object]]]:
    """Read the rows of each account."""
    rows_by_account = {}
    for owner, result in read_entities(reader, entity, owners):
        assert not isinstance(result, TikTokError), result
        rows_by_account[owner] = decode_rows(result[0], entity.columns)
    return rows_by_account


def expected_rows(host: Host, entity: Entity, owner: str) -> list[dict[str, object]]:
    """Return the expected rows of an account, sorted by id."""
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    rows = [expected_entity(entity, item) for item in host.ground_truth(entity.table, advertiser_id=owner)]
    return sorted(rows, key=lambda row: str(row[key]))


def requested_types(host: Host) -> list[str]:
    """Return the path of each request with the special type it selects; without type for the default list."""
    requests = []
    for one in host.requests:
        filters = json.loads(one["query"].get("filtering", "{}"))
        special = [special.name for special in TOPVIEW_AND_PROMOTE if special.filter_name in filters]
        requests.append(f"{one['path'].split('/v1.3/')[-1].strip('/')} {''.join(special)}".strip())
    return requests


def test_objects_omitted_from_default_lists_are_read(special_host: Host) -> None:
    """Each campaign, ad group and ad of each account is read once, TopView and Promote included."""
    owners = [account.advertiser_id for account in granted_accounts(special_host)]
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        for entity in CAMPAIGN_ENTITIES:
            for owner, rows in read_rows(one.reader, entity, owners).items():
                assert rows == expected_rows(special_host, entity, owner)
    items = [str(item) for item in special_host.ground_truth("campaigns", advertiser_id=owners[0])]
    assert sum("TOPVIEW_REACH" in one for one in items) == sum("'PROMOTE'" in one for one in items) == 1


def test_an_account_without_special_types_costs_two_requests(special_host: Host) -> None:
    """An account without TopView and Promote costs two requests; others one per list and type."""
    owners = [account.advertiser_id for account in granted_accounts(special_host)]
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        for entity in CAMPAIGN_ENTITIES:
            list(read_entities(one.reader, entity, owners))
    requests = requested_types(special_host)
    for special in TOPVIEW_AND_PROMOTE:
        assert requests.count(f"campaign/get {special.name}") == len(owners)
        assert requests.count(f"adgroup/get {special.name}") == requests.count(f"ad/get {special.name}") == 1
    assert len(requests) == 3 * len(owners) + 2 * len(owners) + 4


@pytest.mark.parametrize("first", CAMPAIGN_ENTITIES[1:], ids=lambda entity: entity.table)
def test_ad_groups_and_ads_find_the_special_types_by_themselves(special_host: Host, first: Entity) -> None:
    """Ad groups and ads read without campaigns query the special types once, and are complete."""
    owners = [account.advertiser_id for account in granted_accounts(special_host)]
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        rows = read_rows(one.reader, first, owners)
        requests_before = len(special_host.requests)
        assert read_rows(one.reader, first, owners) == rows
    assert {owner: expected_rows(special_host, first, owner) for owner in owners} == rows
    assert requests_before == 3 * len(owners) + 2
    assert len(special_host.requests) == requests_before + len(owners) + 2


@pytest.mark.slow
def test_the_second_refresh_is_the_first_to_search(special_host: Host, tmp_path: Path) -> None:
    """The first refresh sends no request for special types; every later one reads and stores all their objects.

    Ad groups and ads refreshed later by another process take the types from the stored campaigns.
    """
    owners = [account.advertiser_id for account in granted_accounts(special_host)]
    store = HiveStore(str(tmp_path))

    def count_requests(*entities: Entity) -> int:
        before = len(special_host.requests)
        with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
            for entity in entities:
                for outcome in refresh_entity(one.reader, store, entity, owners):
                    assert isinstance(outcome, WrittenPartition), outcome
        return len(special_host.requests) - before

    assert count_requests(*CAMPAIGN_ENTITIES) == 3 * len(owners)
    for _ in range(2):
        assert count_requests(*CAMPAIGN_ENTITIES) == 3 * len(owners) + 2 * len(owners) + 4
        assert count_requests(*CAMPAIGN_ENTITIES[1:]) == 2 * len(owners) + 4
    for entity in CAMPAIGN_ENTITIES:
        for owner in owners:
            rows = store.read(entity.table, build_schema(entity_columns(entity)), [Partition(owner)]).collect()
            assert decode_rows(rows, entity.columns) == expected_rows(special_host, entity, owner)


@pytest.mark.parametrize("first", CAMPAIGN_ENTITIES[1:], ids=lambda entity: entity.table)
def test_a_table_refreshed_without_campaigns_searches_from_its_second_refresh_on(
    special_host: Host, tmp_path: Path, first: Entity
) -> None:
    """Ad groups and ads of which no campaigns were ever stored search for special types themselves."""
    owners = [account.advertiser_id for account in granted_accounts(special_host)]
    store = HiveStore(str(tmp_path))
    found = []
    for _ in range(2):
        with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
            outcomes = list(refresh_entity(one.reader, store, first, owners))
        written = [one for one in outcomes if isinstance(one, WrittenPartition) and one.table == first.table]
        found.append(sum(one.rows for one in written))
    expected = [len(expected_rows(special_host, first, owner)) for owner in owners]
    assert found[0] < found[1] == sum(expected)


def test_the_order_of_the_lists_does_not_change_the_requests(special_host: Host) -> None:
    """Whichever list is read first, an account without special types is queried for them once."""
    owners = [account.advertiser_id for account in granted_accounts(special_host)][1:]
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        for entity in reversed(CAMPAIGN_ENTITIES):
            list(read_entities(one.reader, entity, owners))
    assert len(special_host.requests) == (3 + 2) * len(owners)


def test_topview_is_requested_in_pages_of_a_hundred(special_host: Host) -> None:
    """A TopView page has a hundred rows at most, and its query selects no other buying type."""
    owner = special_host.sandbox.world.scenario.advertiser_id if special_host.sandbox.world.scenario else ""
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        read_rows(one.reader, CAMPAIGNS, [owner])
    sizes = {one["query"]["filtering"]: one["query"]["page_size"] for one in special_host.requests}
    assert {size for text, size in sizes.items() if "TOP_VIEW" in text} == {"100"}
    assert {size for text, size in sizes.items() if "TOP_VIEW" not in text} == {"1000"}
    assert all(json.loads(text)["primary_status"] == "STATUS_ALL" for text in sizes)


def test_a_query_by_id_finds_special_types(special_host: Host) -> None:
    """A query with filters lists special types only if it finds nothing else."""
    owner = next(iter(special_host.sandbox.world.advertisers))
    campaigns = special_host.ground_truth("campaigns", advertiser_id=owner)
    (promote_id,) = [one["campaign_id"] for one in campaigns if one.get("campaign_system_origin") == "PROMOTE"]
    ordinary_id = special_host.sandbox.world.scenario.campaign_id if special_host.sandbox.world.scenario else ""
    for campaign_id, requests in ((promote_id, 3), (ordinary_id, 1)):
        with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
            before = len(special_host.requests)
            ((_, result),) = read_entities(
                one.reader, CAMPAIGN_ENTITIES[1], [owner], filters={"campaign_ids": [campaign_id]}
            )
            assert not isinstance(result, TikTokError)
            assert set(result[0].get_column("campaign_id")) == {campaign_id}
            assert len(special_host.requests) - before == requests


def test_a_refused_special_type_is_skipped_and_recorded(special_host: Host) -> None:
    """If TikTok refuses the filter, all other objects are read, and the reader records the refusal."""
    owner = next(iter(special_host.sandbox.world.advertisers))
    special_host.inject_fault("code", path="campaign/get", code=40002, message="filtering: wrong", times=None)
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        rows = read_rows(one.reader, ADS, [owner])[owner]
        assert {name: "filtering: wrong" in why for name, why in one.reader.refused_types.items()} == {
            "TopView": True,
            "Promote": True,
        }
    assert len(rows) == len(expected_rows(special_host, ADS, owner)) - 3


def test_an_error_of_the_special_type_query_fails_the_account(special_host: Host) -> None:
    """Any other error leaves the special types unknown, so the account fails."""
    owner = next(iter(special_host.sandbox.world.advertisers))
    special_host.inject_fault(
        "code", path="campaign/get", code=40105, message="Access token is incorrect.", times=None
    )
    with open_reader(special_host, special_types=TOPVIEW_AND_PROMOTE) as one:
        ((_, result),) = read_entities(one.reader, ADS, [owner])
    assert isinstance(result, TikTokError)
