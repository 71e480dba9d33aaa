"""Tests of the lists and reports of Upgraded Smart+ campaigns, on a world with the story of two creatives."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import Scenario, WorldPlan
from tiktok_assets_tests.sandbox.conftest import Api, client, total
from tiktok_assets_tests.sandbox.test_contracts import violations

OVERVIEW, BREAKDOWN = "smart_plus/material_report/overview", "smart_plus/material_report/breakdown"
WEEK: dict[str, Any] = {"start_date": "2026-11-02", "end_date": "2026-11-08"}
LISTS = {
    "smart_plus/campaign/get": "campaign_id",
    "smart_plus/adgroup/get": "adgroup_id",
    "smart_plus/ad/get": "smart_plus_ad_id",
}


@dataclass
class Story:
    """A client of a world with the story, and its account."""

    api: Api
    scenario: Scenario

    def rows(self, path: str, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # any parameter
        """Return the only page of an answer that must succeed and keep its contract."""
        response = self.get(path, **params)
        assert (response["code"], violations(path, response)) == (0, [])
        assert response["data"]["page_info"]["total_page"] <= 1
        rows: list[dict[str, Any]] = response["data"]["list"]
        return rows

    def get(self, path: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401  # any parameter
        """Return the envelope of a GET for the account."""
        query = {"advertiser_id": self.scenario.advertiser_id, "page_size": 100, **params}
        return self.api.get(path, **query)

    def refused(self, path: str, **params: Any) -> str:  # noqa: ANN401  # any parameter
        """Return the message of a GET that must fail with 40002 or 40011."""
        response = self.get(path, **params)
        assert response["code"] in {40002, 40011}
        return str(response["message"])

    def ads(self, **filtering: object) -> list[dict[str, Any]]:
        """Return the Upgraded Smart+ ads, deleted ones included."""
        return self.rows("smart_plus/ad/get", filtering={"primary_status": "STATUS_ALL", **filtering})

    def spend(self, **params: Any) -> dict[str, Decimal]:  # noqa: ANN401  # any parameter
        """Return the lifetime spend of an account's objects by their id, from report/integrated/get."""
        (dimension,) = params["dimensions"]
        rows = self.api.rows(self.scenario.advertiser_id, query_lifetime=True, **params)
        return {row["dimensions"][dimension]: Decimal(row["metrics"]["spend"]) for row in rows}


@pytest.fixture(scope="module")
def story_sandbox() -> Iterator[RunningSandbox]:
    """Run one sandbox with the story for this module."""
    plan = WorldPlan(advertisers=1, campaigns=3, smart_plus_story=True)
    with RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def story(story_sandbox: RunningSandbox) -> Iterator[Story]:
    """Return a client of the story."""
    scenario = story_sandbox.world.smart_plus_scenario
    assert scenario
    for api in client(story_sandbox):
        yield Story(api, scenario)


def test_one_creative_overtakes_another(story: Story) -> None:
    """Between t1 and t2 one creative of the campaign overtakes another, and then leads by more than a fifth."""
    scenario, leaders = story.scenario, []
    ids = {one["ad_id"] for one in story.rows("ad/get", filtering={"campaign_ids": [scenario.campaign_id]})}
    for instant in (scenario.t1, scenario.t2):
        story.api.sandbox.clock.set(instant)
        spend = story.spend(dimensions=["ad_id"])
        leaders.append(sorted(((spend[ad], ad) for ad in ids), reverse=True)[:2])
    assert [first[1] for first, _ in leaders] == [scenario.old_leader_ad_id, scenario.new_leader_ad_id]
    assert leaders[1][0][0] > leaders[1][1][0] * Decimal("1.2")


def test_the_same_video_and_post_are_in_several_ads(story: Story) -> None:
    """In the campaign of the story a video is in three ads, and the leader's video and a post are in two."""
    rows = story.rows("ad/get", filtering={"campaign_ids": [story.scenario.campaign_id]})
    ads: dict[str, set[str]] = {}
    for row in rows:
        ads.setdefault(row["video_id"] or row["tiktok_item_id"], set()).add(row["smart_plus_ad_id"])
    assert sorted(map(len, ads.values())) == [1, 2, 2, 3]
    leader = next(row for row in rows if row["ad_id"] == story.scenario.new_leader_ad_id)
    assert len(ads[leader["video_id"]]) == 2


def test_lists_agree_with_those_of_all_campaigns(story: Story) -> None:
    """The lists have exactly the Upgraded Smart+ objects of campaign/get, adgroup/get and ad/get."""
    upgraded = {"campaign_automation_type": "UPGRADED_SMART_PLUS"}
    for path, key in LISTS.items():
        general = story.rows(path.removeprefix("smart_plus/"), filtering=upgraded)
        assert {one[key] for one in story.rows(path)} == {one[key] for one in general}
    creatives = [one for ad in story.ads() for one in ad["creative_list"]]
    assert len(creatives) == len({one["ad_material_id"] for one in creatives})
    assert len(creatives) == len(story.rows("ad/get", filtering=upgraded))


def test_creatives_of_every_format(story: Story) -> None:
    """A video has a cover, a post only its id and identity, a carousel images and music, a catalog neither."""
    infos = [one["creative_info"] for ad in story.ads() for one in ad["creative_list"]]
    kinds = {
        (info["ad_format"], info.get("identity_type", ""), "tiktok_item_id" in info, "video_info" in info)
        for info in infos
    }
    assert kinds == {
        ("SINGLE_VIDEO", "TT_USER", False, True),
        ("SINGLE_VIDEO", "CUSTOMIZED_USER", False, True),
        ("SINGLE_VIDEO", "TT_USER", True, False),
        ("SINGLE_VIDEO", "AUTH_CODE", True, False),
        ("SINGLE_VIDEO", "BC_AUTH_TT", True, False),
        ("CAROUSEL_ADS", "TT_USER", False, False),
        ("CATALOG_CAROUSEL", "", False, False),
    }
    assert all(len(info["image_info"]) == 1 for info in infos if "video_info" in info)
    assert all(info["music_info"]["music_id"] for info in infos if info["ad_format"] == "CAROUSEL_ADS")
    assert {bool(info.get("identity_authorized_bc_id", "0") != "0") for info in infos} == {False, True}


def test_one_creators_post_is_no_longer_authorized(story: Story) -> None:
    """Of the two posts of a creator one has an authorization that ended before the anchor."""
    identity = {"identity_type": "AUTH_CODE", "identity_id": str(int(story.scenario.advertiser_id) + 2)}
    infos = [one["creative_info"] for ad in story.ads() for one in ad["creative_list"]]
    posts = [one["tiktok_item_id"] for one in infos if one.get("identity_type") == "AUTH_CODE"]
    details = story.get("identity/video/info", item_ids=posts, **identity)["data"]["video_details"]
    ends = [one["auth_info"]["auth_end_time"] for one in details]
    assert [end < "2026-11-09 18:00:00" for end in ends] == [False, True]


def test_filters_and_pages_of_ads(story: Story) -> None:
    """Ads are filtered by ids, times, statuses and objective, at most a hundred on a page."""
    ads = story.ads()
    hooks = next(ad for ad in ads if ad["ad_name"] == "New hooks")
    created = hooks["create_time"]
    for filtering in (
        {"smart_plus_ad_ids": [hooks["smart_plus_ad_id"]]},
        {"creation_filter_start_time": created},
        {"modified_after": created},
        {"adgroup_ids": [hooks["adgroup_id"]], "creation_filter_start_time": created},
    ):
        assert [ad["ad_name"] for ad in story.ads(**filtering)] == ["New hooks"]
    assert len(story.ads(campaign_ids=[hooks["campaign_id"]])) == 3
    assert story.ads(creation_filter_end_time="2020-01-01 00:00:00") == []
    assert story.ads(secondary_status="AD_STATUS_PRIVACY_POLICY_AUDIT") == []
    assert len(story.ads(objective_type="WEB_CONVERSIONS", sales_destination="WEBSITE")) == len(ads)
    assert "filtering.smart_plus_ad_ids" in story.refused(
        "smart_plus/ad/get", filtering={"smart_plus_ad_ids": [str(one) for one in range(101)]}
    )
    assert "page_size" in story.refused("smart_plus/ad/get", page_size=101)
    assert "filtering.objective_type" in story.refused(
        "smart_plus/ad/get", filtering={"objective_type": "VIDEO_VIEWS"}
    )


def test_selected_fields_of_ads(story: Story) -> None:
    """`fields` may name fields of ad_configuration; the account's and the ad's id are returned always."""
    response = story.get("smart_plus/ad/get", fields=["ad_name", "call_to_action_id"])
    keys = {frozenset(row) for row in response["data"]["list"]}
    always = {"advertiser_id", "smart_plus_ad_id", "ad_name"}
    assert keys == {frozenset(always), frozenset(always | {"ad_configuration"})}
    assert "fields" in story.refused("smart_plus/ad/get", fields=["surprise"])


def test_ads_instead_of_creatives(story: Story) -> None:
    """With the filter `ad_ids_v2` ad/get returns an Upgraded Smart+ ad, without it its creatives."""
    ad = story.ads()[0]
    (row,) = story.get("ad/get", filtering={"ad_ids_v2": [ad["smart_plus_ad_id"]]})["data"]["list"]
    assert row["campaign_automation_type"] == "UPGRADED_SMART_PLUS"
    assert (row["ad_id_v2"], row["ad_name"]) == (ad["smart_plus_ad_id"], ad["ad_name"])
    assert "ad_id" not in row


def test_reports_by_ad_have_lists(story: Story) -> None:
    """A report by `ad_id_v2` has the texts of an Upgraded Smart+ ad as a list; a switch keeps the single one."""
    one_type = {
        "field_name": "campaign_automation_type",
        "filter_type": "IN",
        "filter_value": '["UPGRADED_SMART_PLUS"]',
    }
    query: dict[str, Any] = {
        "dimensions": ["ad_id_v2"],
        "metrics": ["ad_name", "ad_text"],
        "filtering": [one_type],
    }
    for beside in (False, True):
        story.api.control("POST", "switches", single_attributes_of_lists=beside)
        rows = story.api.rows(story.scenario.advertiser_id, query_lifetime=True, **query)
        texts = {row["metrics"]["ad_name"]: row["metrics"]["ad_text_list"] for row in rows}
        assert {"ad_text" in row["metrics"] for row in rows} == {beside}
        assert len(rows) == len(story.ads())
        assert texts["New hooks"] == ["Open it with us.", "First look."]


def test_materials_sum_to_ads_and_campaigns(story: Story) -> None:
    """The spend of main materials sums to that of their ad, and to that of their campaign, to the cent."""
    ads, campaigns = (
        story.spend(dimensions=["ad_id_v2"]),
        story.spend(dimensions=["campaign_id"], level="AUCTION_CAMPAIGN"),
    )
    for dimension, expected in (("smart_plus_ad_id", ads), ("campaign_id", campaigns)):
        rows = story.rows(OVERVIEW, dimensions=[dimension, "main_material_id"], query_lifetime=True)
        sums: dict[str, Decimal] = {}
        for row in rows:
            key = row["dimensions"][dimension]
            sums[key] = sums.get(key, Decimal()) + Decimal(row["metrics"]["spend"])
        assert sums == {key: expected[key] for key in sums}
    assert len(sums) == 4


def test_texts_and_buttons_sum_to_the_ad(story: Story) -> None:
    """Texts, buttons and add-ons of an ad that has them sum to the ad; a post has no text of its ad."""
    (hooks,) = [ad["smart_plus_ad_id"] for ad in story.ads() if ad["ad_name"] == "New hooks"]
    spend = story.spend(dimensions=["ad_id_v2"])
    for dimension, count in (
        ("ad_text_entity_id", 2),
        ("call_to_action_entity_id", 2),
        ("interactive_add_on_entity_id", 1),
    ):
        filtering = {"smart_plus_ad_ids": [hooks]}
        grouped = ["smart_plus_ad_id", dimension]
        rows = story.rows(OVERVIEW, dimensions=grouped, filtering=filtering, query_lifetime=True)
        assert (len(rows), total(rows, "spend")) == (count, spend[hooks])
    posts = story.rows(OVERVIEW, dimensions=["advertiser_id", "ad_text_entity_id"], query_lifetime=True)
    assert 0 < total(posts, "spend") < sum(spend[ad["smart_plus_ad_id"]] for ad in story.ads())


@pytest.mark.parametrize("time", ["stat_time_hour", "stat_time_day", "stat_time_week", "stat_time_month"])
def test_breakdowns_by_time_sum_to_the_overview(story: Story, time: str) -> None:
    """Hours, days, weeks and months of the materials of an ad sum to the overview of the same days."""
    (hooks,) = [ad["smart_plus_ad_id"] for ad in story.ads() if ad["ad_name"] == "New hooks"]
    days = WEEK if time != "stat_time_hour" else {"start_date": "2026-11-07", "end_date": "2026-11-08"}
    query: dict[str, Any] = {"filtering": {"smart_plus_ad_ids": [hooks]}, **days}
    rows = story.rows(BREAKDOWN, dimensions=["main_material_id", time], **query)
    whole = story.rows(OVERVIEW, dimensions=["smart_plus_ad_id", "main_material_id"], **query)
    assert total(rows, "spend") == total(whole, "spend") > 0
    assert all(row["dimensions"][time].endswith(":00:00") for row in rows)


def test_filters_by_elements(story: Story) -> None:
    """A filter by the id of a text keeps the part of each material that was shown with it."""
    dimensions = ["main_material_id", "ad_text_entity_id"]
    pairs = story.rows(BREAKDOWN, dimensions=dimensions, **WEEK)
    text = pairs[0]["dimensions"]["ad_text_entity_id"]
    wanted = [row for row in pairs if row["dimensions"]["ad_text_entity_id"] == text]
    for name in ("ad_text_entity_id", "ad_text_entity_ids"):
        rows = story.rows(BREAKDOWN, dimensions=["main_material_id"], filtering={name: [text]}, **WEEK)
        assert total(rows, "spend") == total(wanted, "spend") < total(pairs, "spend")
    types = {"main_material_types": ["CATALOG_CAROUSEL"]}
    (row,) = story.rows(BREAKDOWN, dimensions=["main_material_id"], filtering=types, **WEEK)
    assert row["dimensions"]["main_material_type"] == "CATALOG_CAROUSEL"


def test_attributes_of_materials(story: Story) -> None:
    """Ids and statuses of materials are known by ad, and empty by campaign, where the list is left out."""
    names = ["spend", "ad_material_id", "material_primary_status", "material_second_status_list"]
    by_ad = story.rows(OVERVIEW, dimensions=["smart_plus_ad_id", "main_material_id"], metrics=names, **WEEK)
    listed = {one["ad_material_id"] for ad in story.ads() for one in ad["creative_list"]}
    assert {one for row in by_ad for one in row["metrics"]["ad_material_id"]} == listed
    by_campaign = story.rows(OVERVIEW, dimensions=["campaign_id", "main_material_id"], metrics=names, **WEEK)
    assert {row["metrics"]["ad_material_id"] for row in by_campaign} == {""}
    assert not any("material_second_status_list" in row["metrics"] for row in by_campaign)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (OVERVIEW, {"dimensions": ["campaign_id"]}, "Conflict"),
    (OVERVIEW, {"dimensions": ["main_material_id", "ad_text_entity_id"]}, "Conflict"),
    (OVERVIEW, {"dimensions": ["main_material_id", "stat_time_day"]}, "dimensions.1"),
    (OVERVIEW, {"metrics": ["reach"]}, "reach"),
    (OVERVIEW, {"sort_field": "operation_status"}, "sort_field"),
    (OVERVIEW, {"page_size": 101}, "page_size"),
    (OVERVIEW, {"start_date": "2025-11-07"}, "end_date"),
    (OVERVIEW, {"filtering": {"campaign_ids": ["1"], "adgroup_ids": ["1"]}}, "filtering.adgroup_ids"),
    (OVERVIEW, {"filtering": {"smart_plus_ad_ids": ["1"]}}, "campaign_id"),
    (OVERVIEW, {"filtering": {"campaign_ids": [str(one) for one in range(201)]}}, "filtering.campaign_ids"),
    (OVERVIEW, {"filtering": {"main_material_ids": ["1"]}}, "main_material_types"),
    (OVERVIEW, {"filtering": {"ad_text_entity_ids": [str(one) for one in range(401)]}}, "400"),
    (BREAKDOWN, {"dimensions": ["campaign_id", "main_material_id"]}, "dimensions.0"),
    (BREAKDOWN, {"dimensions": ["stat_time_day"]}, "Conflict"),
    (BREAKDOWN, {"dimensions": ["main_material_id", "stat_time_day", "stat_time_week"]}, "Conflict"),
    (BREAKDOWN, {"dimensions": ["main_material_id", "stat_time_hour"], "start_date": "2026-10-31"}, "end_date"),
]


@pytest.mark.parametrize(("path", "params", "message"), REFUSED, ids=str)
def test_rules_of_material_reports(story: Story, path: str, params: dict[str, Any], message: str) -> None:
    """A request that breaks a rule of the pages fails, and the message names the parameter."""
    query = {"dimensions": ["campaign_id", "main_material_id"], **WEEK, **params}
    assert message in story.refused(path, **query)


def test_deleted_ads_in_material_reports(story: Story) -> None:
    """Material reports have the materials of deleted ads; a switch leaves them out."""
    world = story.api.sandbox.world
    owner = world.advertisers[story.scenario.advertiser_id].smart_plus_ads[0]
    owner.deleted = story.api.sandbox.state.now
    world.version += 1
    counts = []
    for included in (True, False):
        story.api.control("POST", "switches", materials_of_deleted_ads=included)
        grouped = ["smart_plus_ad_id", "main_material_id"]
        rows = story.rows(OVERVIEW, dimensions=grouped, query_lifetime=True)
        counts.append(sum(row["dimensions"]["smart_plus_ad_id"] == owner.id for row in rows))
    owner.deleted = None
    world.version += 1
    assert counts == [len(owner.creatives), 0]
