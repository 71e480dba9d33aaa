"""Tests of the Upgraded Smart+ writes: the state after a write, and who may write."""

from typing import Any

import pytest

from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.smart_plus_factory import SmartPlusFactory

DAY = 86_400
SENTENCE = "Upgraded Smart+ campaigns cannot be changed through this endpoint."


@pytest.fixture
def smart_plus(factory: EntityFactory) -> SmartPlusFactory:
    """Return a factory of Upgraded Smart+ entities for the first account."""
    return SmartPlusFactory(factory)


def creatives_of(factory: EntityFactory, smart_plus_ad_id: str) -> list[dict[str, Any]]:
    """Return the creatives of an ad as ad/get lists them."""
    rows = factory.api.get(
        "ad/get",
        advertiser_id=factory.account,
        page_size=1000,
        filtering={"primary_status": "STATUS_ALL", "campaign_automation_type": "UPGRADED_SMART_PLUS"},
    )["data"]["list"]
    return [row for row in rows if row["smart_plus_ad_id"] == smart_plus_ad_id]


def test_defaults_are_those_of_the_pages(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """What is created is enabled, with a daily campaign budget, on all placements, for everybody of 18 or more."""
    campaign = factory.post("smart_plus/campaign/create", **smart_plus.campaign_body())
    group = factory.post("smart_plus/adgroup/create", **smart_plus.ad_group_body(campaign["campaign_id"]))
    ad = factory.post("smart_plus/ad/create", **smart_plus.ad_body(group["adgroup_id"], ad_name=""))
    assert [one["operation_status"] for one in (campaign, group, ad)] == ["ENABLE"] * 3
    assert (campaign["budget_mode"], campaign["budget_optimize_on"], campaign["campaign_type"]) == (
        "BUDGET_MODE_DYNAMIC_DAILY_BUDGET",
        True,
        "REGULAR_CAMPAIGN",
    )
    assert (group["budget_mode"], group["budget"]) == ("BUDGET_MODE_INFINITE", 0)
    assert (group["placement_type"], len(group["placements"])) == ("PLACEMENT_TYPE_AUTOMATIC", 3)
    assert group["targeting_spec"]["spc_audience_age"] == "OVER_EIGHTEEN"
    assert ad["ad_name"] == ad["smart_plus_ad_id"]


def test_created_objects_are_seen_everywhere(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """Created objects are at once in both kinds of lists, and ad/get lists the creatives, not the ad."""
    group = smart_plus.ad_group(schedule_start_time="2026-11-10 07:30:00", operation_status="DISABLE")
    creatives = (smart_plus.video(), smart_plus.carousel(), smart_plus.post())
    body = smart_plus.ad_body(group, *creatives, operation_status="DISABLE")
    ad = factory.post("smart_plus/ad/create", **body)
    listed = factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad["smart_plus_ad_id"]])
    assert listed == ad
    shown = [one["creative_info"] for one in listed["creative_list"]]
    assert [one["ad_format"] for one in shown] == ["SINGLE_VIDEO", "CAROUSEL_ADS", "SINGLE_VIDEO"]
    assert shown[0]["video_info"]["video_id"] == factory.media["video_id"]
    assert ("video_info" in shown[2], shown[2]["identity_type"]) == (False, "AUTH_CODE")
    assert len({one["ad_material_id"] for one in listed["creative_list"]}) == 3
    manual_row = factory.read("adgroup/get", adgroup_ids=[group])
    own_row = factory.read("smart_plus/adgroup/get", adgroup_ids=[group])
    assert manual_row["schedule_start_time"] == own_row["schedule_start_time"] == "2026-11-10 07:30:00"  # UTC
    assert manual_row["campaign_automation_type"] == "UPGRADED_SMART_PLUS"
    assert manual_row["operation_status"] == own_row["operation_status"] == "DISABLE"
    campaign = factory.read("campaign/get", campaign_ids=[own_row["campaign_id"]])
    assert campaign["campaign_automation_type"] == "UPGRADED_SMART_PLUS"
    rows = creatives_of(factory, ad["smart_plus_ad_id"])
    assert {row["ad_format"] for row in rows} == {"SINGLE_VIDEO", "CAROUSEL_ADS"}
    assert {row["campaign_automation_type"] for row in rows} == {"UPGRADED_SMART_PLUS_CREATIVE"}
    assert {row["call_to_action_id"] for row in rows} == {"7000000000000000031"}


def test_an_ad_delivers_only_while_it_is_on(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """The creatives of an ad spend after review while the ad is enabled, and stop when it is switched off."""
    ad = smart_plus.ad(smart_plus.ad_group(), operation_status="DISABLE")
    (creative,) = creatives_of(factory, ad)
    assert creative["secondary_status"] == "AD_STATUS_DISABLE"

    def spend(days: int) -> float:
        factory.api.control("POST", "clock", advance_seconds=days * DAY)
        true = factory.api.control("GET", f"truth/report?level=ad&advertiser_id={factory.account}&lifetime=true")
        return sum(float(row["metrics"]["spend"]) for row in true if row["id"] == creative["ad_id"])

    assert spend(2) == 0
    status: dict[str, Any] = {"smart_plus_ad_ids": [ad]}
    changed = factory.post("smart_plus/ad/status/update", **status, operation_status="ENABLE")
    assert changed == {"smart_plus_ad_ids": [ad], "status": "ENABLE"}
    assert spend(2) > 0
    factory.post("smart_plus/ad/status/update", **status, operation_status="DISABLE")
    stopped = spend(1)
    assert spend(1) == stopped > 0
    factory.post("smart_plus/ad/status/update", **status, operation_status="DELETE")
    assert factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad])["secondary_status"] == "AD_STATUS_DELETE"
    assert {row["secondary_status"] for row in creatives_of(factory, ad)} == {"AD_STATUS_DELETE"}
    code, message = factory.refused("smart_plus/ad/status/update", **status, operation_status="ENABLE")
    assert (code, message) == (40002, "This ad has been deleted.")


def test_statuses_of_campaigns_and_ad_groups(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """Campaigns and ad groups are switched off and deleted one by one, and failures are listed with code 0."""
    campaign = smart_plus.campaign()
    group = smart_plus.ad_group(campaign)
    manual = factory.old_ad_group()
    path = "smart_plus/adgroup/status/update"
    data = factory.post(path, adgroup_ids=[group, "1", manual], operation_status="DISABLE")
    assert data["adgroup_list"] == [{"adgroup_id": group, "status": "DISABLE"}]
    assert data["error_list"] == [
        {"adgroup_id": "1", "error_message": "Adgroup does not exist. adgroup_id 1."},
        {"adgroup_id": manual, "error_message": "Manual campaigns cannot be changed through this endpoint."},
    ]
    assert factory.read("adgroup/get", adgroup_ids=[group])["operation_status"] == "DISABLE"
    path = "smart_plus/campaign/status/update"
    data = factory.post(path, campaign_ids=[campaign], operation_status="DELETE")
    assert data == {"campaign_list": [{"campaign_id": campaign, "status": "DELETE"}], "error_list": []}
    again = factory.post(path, campaign_ids=[campaign], operation_status="ENABLE")
    assert again["error_list"] == [{"campaign_id": campaign, "error_message": "This campaign has been deleted."}]
    assert factory.read("adgroup/get", adgroup_ids=[group])["secondary_status"] == "ADGROUP_STATUS_CAMPAIGN_DELETE"
    late: dict[str, Any] = {"campaign_ids": [campaign], "postback_window_mode": "POSTBACK_WINDOW_MODE1"}
    code, message = factory.refused(path, **late, operation_status="ENABLE")
    assert (code, message.partition(":")[0]) == (40002, "postback_window_mode")


def test_the_postback_window_is_set_once(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """A dedicated campaign gets its postback window when it is switched off first, and keeps it."""
    app = {"objective_type": "APP_PROMOTION", "sales_destination": None, "app_promotion_type": "APP_INSTALL"}
    dedicated = smart_plus.campaign(**app, campaign_type="IOS14_CAMPAIGN", app_id="7000000000000000061")
    regular = smart_plus.campaign()
    for mode in ("POSTBACK_WINDOW_MODE2", "POSTBACK_WINDOW_MODE3"):
        data = factory.post(
            "smart_plus/campaign/status/update",
            campaign_ids=[dedicated, regular],
            operation_status="DISABLE",
            postback_window_mode=mode,
        )
        modes = {row["campaign_id"]: row.get("postback_window_mode") for row in data["campaign_list"]}
        assert modes == {dedicated: "POSTBACK_WINDOW_MODE2", regular: None}


def test_manual_endpoints_refuse_smart_plus_and_the_reverse(
    factory: EntityFactory, smart_plus: SmartPlusFactory
) -> None:
    """Manual endpoints create and change nothing of Upgraded Smart+, and its endpoints nothing manual."""
    campaign = smart_plus.campaign()
    group = smart_plus.ad_group(campaign)
    ad = smart_plus.ad(group)
    creative = creatives_of(factory, ad)[0]["ad_id"]
    for path, body in {
        "adgroup/create": factory.ad_group_body(campaign),
        "ad/create": {"adgroup_id": group, "creatives": [factory.creative()]},
        "campaign/update": {"campaign_id": campaign, "budget": 400},
        "adgroup/status/update": {"adgroup_ids": [group], "operation_status": "DISABLE"},
        "ad/status/update": {"ad_ids": [creative], "operation_status": "DELETE"},
    }.items():
        assert factory.refused(path, **body) == (40002, SENTENCE), path
    for path, body in {
        "smart_plus/adgroup/create": smart_plus.ad_group_body(factory.scaling()),
        "smart_plus/ad/create": smart_plus.ad_body(factory.old_ad_group()),
    }.items():
        code, message = factory.refused(path, **body)
        assert (code, message) == (40002, "Manual campaigns cannot be changed through this endpoint."), path


def test_a_request_id_creates_once(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """A second campaign or ad group with a request_id of the last seconds is refused; ads have no request_id."""
    campaign_body = smart_plus.campaign_body()
    campaign = factory.post("smart_plus/campaign/create", **campaign_body)["campaign_id"]
    group_body = smart_plus.ad_group_body(campaign)
    group = factory.post("smart_plus/adgroup/create", **group_body)["adgroup_id"]
    for path, body in (
        ("smart_plus/campaign/create", campaign_body),
        ("smart_plus/adgroup/create", group_body),
    ):
        assert factory.refused(path, **body)[0] == 40050
    ad_body = smart_plus.ad_body(group)
    first, second = (factory.post("smart_plus/ad/create", **ad_body)["smart_plus_ad_id"] for _ in range(2))
    assert first != second


def test_only_allowed_accounts_write(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """An account that is not on the allow-list reads Upgraded Smart+, and every write of it fails with 40118."""
    campaign = smart_plus.campaign()
    group = smart_plus.ad_group(campaign)
    ad = smart_plus.ad(group)
    factory.api.control("POST", "switches", not_allowed_smart_plus=[factory.account])
    status = {"operation_status": "DISABLE"}
    for path, body in {
        "smart_plus/campaign/create": smart_plus.campaign_body(),
        "smart_plus/adgroup/create": smart_plus.ad_group_body(campaign),
        "smart_plus/ad/create": smart_plus.ad_body(group),
        "smart_plus/campaign/status/update": {"campaign_ids": [campaign], **status},
        "smart_plus/adgroup/status/update": {"adgroup_ids": [group], **status},
        "smart_plus/ad/status/update": {"smart_plus_ad_ids": [ad], **status},
    }.items():
        assert factory.refused(path, **body)[0] == 40118, path
    assert factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad])["operation_status"] == "ENABLE"


def test_manual_creation_may_end(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """From the day of the switch manual campaigns get no ad groups and ads any more; Upgraded Smart+ ones do."""
    group_body = factory.ad_group_body(factory.scaling())
    ad_body: dict[str, Any] = {"adgroup_id": factory.old_ad_group(), "creatives": [factory.creative()]}
    factory.api.control("POST", "switches", manual_ads_end="2026-11-10")
    factory.post("adgroup/create", **group_body)
    factory.post("ad/create", **ad_body)
    factory.api.control("POST", "clock", now="2026-11-10T00:00:00Z")
    for path, body in {"adgroup/create": group_body, "ad/create": ad_body}.items():
        code, message = factory.refused(path, **body)
        assert (code, "Manual Campaigns" in message) == (40002, True)
    smart_plus.ad()


@pytest.mark.parametrize(("state", "code"), [("transcoding", 40901), ("deleted", 40053)])
def test_unusable_videos(factory: EntityFactory, smart_plus: SmartPlusFactory, state: str, code: int) -> None:
    """A video that is transcoded or deleted makes no ad of either kind and has no covers, until it is ready."""
    video = {"video_id": factory.media["video_id"]}
    manual: dict[str, Any] = {"adgroup_id": factory.old_ad_group(), "creatives": [factory.creative()]}
    bodies = {"smart_plus/ad/create": smart_plus.ad_body(smart_plus.ad_group()), "ad/create": manual}
    factory.api.control("POST", "videos", **video, state=state)
    for path, body in bodies.items():
        assert factory.refused(path, **body)[0] == code, path
    covers = factory.api.get("file/video/suggestcover", advertiser_id=factory.account, **video)
    assert (covers["code"], covers["message"]) == (40001, "Insufficient permissions for some videos.")
    factory.api.control("POST", "videos", **video, state="ready")
    for path, body in bodies.items():
        factory.post(path, **body)


def test_at_most_thirty(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """A campaign holds at most 30 ad groups and an ad group at most 30 ads; deleted ones do not count."""
    campaign = smart_plus.campaign()
    groups = [smart_plus.ad_group(campaign) for _ in range(30)]
    code, message = factory.refused("smart_plus/adgroup/create", **smart_plus.ad_group_body(campaign))
    assert (code, "at most 30 ad groups" in message) == (40002, True)
    ads = [smart_plus.ad(groups[0]) for _ in range(30)]
    code, message = factory.refused("smart_plus/ad/create", **smart_plus.ad_body(groups[0]))
    assert (code, "at most 30 ads" in message) == (40502, True)
    factory.post("smart_plus/ad/status/update", smart_plus_ad_ids=ads[:1], operation_status="DELETE")
    smart_plus.ad(groups[0])


def test_targeting_of_another_mode_is_ignored(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """Of the targeting settings only those of the targeting mode are stored; others are ignored without error."""
    spec = {"location_ids": ["6252001"], "gender": "GENDER_FEMALE", "age_groups": ["AGE_25_34"]}
    expected = {"automatic": "GENDER_UNLIMITED", "suggestions": "GENDER_FEMALE", "manual": "GENDER_FEMALE"}
    modes: dict[str, dict[str, Any]] = {
        "automatic": {},
        "suggestions": {"suggestion_audience_enabled": True},
        "manual": {"targeting_optimization_mode": "MANUAL"},
    }
    for name, mode in modes.items():
        group = smart_plus.ad_group(targeting_spec=spec, **mode)
        assert factory.read("adgroup/get", adgroup_ids=[group])["gender"] == expected[name]
        own = factory.read("smart_plus/adgroup/get", adgroup_ids=[group])["targeting_spec"]
        assert (own["gender"], own.get("age_groups")) == (
            expected[name],
            None if name == "automatic" else ["AGE_25_34"],
        )


def test_a_campaign_budget_replaces_those_of_ad_groups(
    factory: EntityFactory, smart_plus: SmartPlusFactory
) -> None:
    """An ad group's budget is ignored if its campaign has one, and kept if not."""
    budget: dict[str, Any] = {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET", "budget": 70}
    for campaign, expected in (
        (smart_plus.campaign(), 0),
        (smart_plus.campaign(budget_optimize_on=False, budget=None), 70),
    ):
        group = smart_plus.ad_group(campaign, **budget)
        assert factory.read("smart_plus/adgroup/get", adgroup_ids=[group])["budget"] == expected
        assert factory.read("adgroup/get", adgroup_ids=[group])["budget"] == expected
