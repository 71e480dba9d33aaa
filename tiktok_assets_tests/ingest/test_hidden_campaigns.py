"""Laws of what lists hide: TopView and Promote are read where an account has them, at two requests where not."""

import json
from collections.abc import Iterator

import pytest

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import read_entities
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.entities import ADS, CAMPAIGNS, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE, Entity
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import accounts_of, reading, shown, true_entity

named = pytest.mark.parametrize


@pytest.fixture
def hiding() -> Iterator[Host]:
    """An agency whose first account has a TopView and a Promote campaign."""
    with Host.run(WorldPlan(hidden_campaigns=True)) as host:
        yield host


def read(reader: Reader, entity: Entity, owners: list[str]) -> dict[str, list[dict[str, object]]]:
    """The rows of each account."""
    found = {}
    for owner, answer in read_entities(reader, entity, owners):
        assert not isinstance(answer, TikTokError), answer
        found[owner] = shown(answer[0], entity.columns)
    return found


def truth_of(host: Host, entity: Entity, owner: str) -> list[dict[str, object]]:
    """Everything the account has, in the order of its ids."""
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    rows = [true_entity(entity, item) for item in host.truth(entity.table, advertiser_id=owner)]
    return sorted(rows, key=lambda row: str(row[key]))


def asked_kinds(host: Host) -> list[str]:
    """For each request its path, and the kind it asked for; "" for what TikTok shows unasked."""
    asked = []
    for one in host.requests:
        filters = json.loads(one["query"].get("filtering", "{}"))
        kind = [kind.name for kind in TOPVIEW_AND_PROMOTE if kind.filter_name in filters]
        asked.append(f"{one['path'].split('/v1.3/')[-1].strip('/')} {''.join(kind)}".strip())
    return asked


def test_every_object_is_read_whatever_lists_hide(hiding: Host) -> None:
    """Each campaign, ad group and ad of each account, TopView and Promote included, arrives once."""
    owners = [account.advertiser_id for account in accounts_of(hiding)]
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        for entity in LISTED_ENTITIES:
            for owner, rows in read(one.reader, entity, owners).items():
                assert rows == truth_of(hiding, entity, owner)
    items = [str(item) for item in hiding.truth("campaigns", advertiser_id=owners[0])]
    assert sum("TOPVIEW_REACH" in one for one in items) == sum("'PROMOTE'" in one for one in items) == 1


def test_what_an_account_without_them_costs(hiding: Host) -> None:
    """Two requests an account tell that it has none; an account that has some pays one a list and kind."""
    owners = [account.advertiser_id for account in accounts_of(hiding)]
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        for entity in LISTED_ENTITIES:
            list(read_entities(one.reader, entity, owners))
    asked = asked_kinds(hiding)
    for kind in TOPVIEW_AND_PROMOTE:
        assert asked.count(f"campaign/get {kind.name}") == len(owners)
        assert asked.count(f"adgroup/get {kind.name}") == asked.count(f"ad/get {kind.name}") == 1
    assert len(asked) == 3 * len(owners) + 2 * len(owners) + 4


@named("first", LISTED_ENTITIES[1:], ids=lambda entity: entity.table)
def test_a_list_read_alone_looks_first(hiding: Host, first: Entity) -> None:
    """Ad groups and ads read without the campaigns look once which kinds there are, and are whole."""
    owners = [account.advertiser_id for account in accounts_of(hiding)]
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        rows = read(one.reader, first, owners)
        looked = len(hiding.requests)
        assert read(one.reader, first, owners) == rows
    assert {owner: truth_of(hiding, first, owner) for owner in owners} == rows
    assert looked == 3 * len(owners) + 2
    assert len(hiding.requests) == looked + len(owners) + 2


def test_the_order_of_the_lists_costs_nothing(hiding: Host) -> None:
    """Whichever list comes first, an account without hidden kinds is looked at once."""
    owners = [account.advertiser_id for account in accounts_of(hiding)][1:]
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        for entity in reversed(LISTED_ENTITIES):
            list(read_entities(one.reader, entity, owners))
    assert len(hiding.requests) == (3 + 2) * len(owners)


def test_topview_is_asked_for_a_hundred_at_a_time(hiding: Host) -> None:
    """A page of TopView holds a hundred rows at most, and goes with no other buying type."""
    owner = hiding.sandbox.world.story.advertiser_id if hiding.sandbox.world.story else ""
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        read(one.reader, CAMPAIGNS, [owner])
    sizes = {one["query"]["filtering"]: one["query"]["page_size"] for one in hiding.requests}
    assert {size for text, size in sizes.items() if "TOP_VIEW" in text} == {"100"}
    assert {size for text, size in sizes.items() if "TOP_VIEW" not in text} == {"1000"}
    assert all(json.loads(text)["primary_status"] == "STATUS_ALL" for text in sizes)


def test_what_is_hidden_is_found_by_its_id(hiding: Host) -> None:
    """A narrowed question that finds nothing asks for hidden kinds; one that finds something does not."""
    owner = next(iter(hiding.sandbox.world.advertisers))
    campaigns = hiding.truth("campaigns", advertiser_id=owner)
    (promoted,) = [one["campaign_id"] for one in campaigns if one.get("campaign_system_origin") == "PROMOTE"]
    ordinary = hiding.sandbox.world.story.campaign_id if hiding.sandbox.world.story else ""
    for campaign_id, requests in ((promoted, 3), (ordinary, 1)):
        with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
            before = len(hiding.requests)
            ((_, answer),) = read_entities(
                one.reader, LISTED_ENTITIES[1], [owner], filters={"campaign_ids": [campaign_id]}
            )
            assert not isinstance(answer, TikTokError)
            assert set(answer[0].get_column("campaign_id")) == {campaign_id}
            assert len(hiding.requests) - before == requests


def test_a_kind_that_is_refused_is_left_out_and_told(hiding: Host) -> None:
    """Where TikTok takes no such filter the rest is stored, and the reader says why the kinds are missing."""
    owner = next(iter(hiding.sandbox.world.advertisers))
    hiding.misbehave("code", path="campaign/get", code=40002, message="filtering: wrong", times=None)
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        rows = read(one.reader, ADS, [owner])[owner]
        assert {name: "filtering: wrong" in why for name, why in one.reader.refused_kinds.items()} == {
            "TopView": True,
            "Promote": True,
        }
    assert len(rows) == len(truth_of(hiding, ADS, owner)) - 3


def test_an_outage_while_looking_fails_the_account(hiding: Host) -> None:
    """An error that is no refusal leaves open what there is: nothing is stored of the account."""
    owner = next(iter(hiding.sandbox.world.advertisers))
    hiding.misbehave("code", path="campaign/get", code=40105, message="Access token is incorrect.", times=None)
    with reading(hiding, hidden_kinds=TOPVIEW_AND_PROMOTE) as one:
        ((_, answer),) = read_entities(one.reader, ADS, [owner])
    assert isinstance(answer, TikTokError)
