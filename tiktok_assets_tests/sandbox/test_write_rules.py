"""Tests of the rules of the create endpoints: errors name the rule, and nothing is created."""

from typing import Any

import pytest

from tiktok_assets_tests.sandbox.factory import EntityFactory

CAMPAIGNS: list[tuple[dict[str, Any], str]] = [
    ({"campaign_name": None}, "campaign_name: Missing data for required field."),
    ({"campaign_name": "x" * 513}, "campaign_name: Longer"),
    ({"objective_type": "FAME"}, "objective_type: Must be one of"),
    ({"budget_mode": None}, "budget_mode: Missing"),
    ({"budget_mode": "BUDGET_MODE_DAY"}, "budget: Missing"),
    ({"budget_mode": "BUDGET_MODE_DAY", "budget": 49.99}, "at least 50"),
    ({"budget_mode": "BUDGET_MODE_DAY", "budget": 10_000_000}, "less than 10000000"),
    ({"budget_mode": "BUDGET_MODE_DAY", "budget": 50.001}, "2 decimals"),
    ({"budget_mode": "BUDGET_MODE_DAY", "budget": "50"}, "budget: Not a valid number."),
    ({"budget_optimize_on": True}, "needs a budget"),
    ({"budget_optimize_on": 1}, "budget_optimize_on: Not a valid boolean."),
    ({"operation_status": "DELETE"}, "operation_status"),
    ({"request_id": 5}, "request_id: Not a valid int64 string."),
    ({"special_industries": ["FUN"]}, "special_industries.0"),
]


@pytest.mark.parametrize(("wrong", "expected"), CAMPAIGNS, ids=str)
def test_invalid_campaigns_are_refused(factory: EntityFactory, wrong: dict[str, Any], expected: str) -> None:
    """A campaign that breaks a rule fails with 40002 and names the rule, and nothing is created."""
    before = factory.api.control("GET", f"truth/campaigns?advertiser_id={factory.account}")
    code, message = factory.refused("campaign/create", **factory.campaign_body(**wrong))
    assert code == 40002
    assert expected in message
    assert before == factory.api.control("GET", f"truth/campaigns?advertiser_id={factory.account}")


AD_GROUPS: list[tuple[dict[str, Any], str]] = [
    ({"adgroup_name": None}, "adgroup_name: Missing"),
    ({"adgroup_name": "so good \U0001f600"}, "adgroup_name"),
    ({"campaign_id": "12"}, "does not exist"),
    ({"location_ids": None}, "location_ids: Missing"),
    ({"placements": None}, "placements: Missing"),
    ({"budget": None}, "budget: Missing"),
    ({"budget": 19}, "at least 20"),
    ({"budget_mode": "BUDGET_MODE_TOTAL", "budget": 500}, "schedule_end_time: Missing"),
    ({"schedule_type": "SCHEDULE_START_END"}, "schedule_end_time: Missing"),
    ({"schedule_start_time": "2026-11-09 05:59:59"}, "12 hours"),
    ({"schedule_start_time": "2028-01-01 00:00:01"}, "2028"),
    ({"schedule_type": "SCHEDULE_START_END", "schedule_end_time": "2026-11-09 17:00:00"}, "schedule_end_time"),
    ({"schedule_type": "SCHEDULE_START_END", "schedule_end_time": "2038-01-01 00:00:01"}, "schedule_end_time"),
    ({"schedule_start_time": "now"}, "schedule_start_time: Not a valid datetime"),
    ({"billing_event": "CPC"}, "billing_event: CPC does not fit CONVERT"),
    ({"optimization_goal": "REACH", "billing_event": "CPM"}, "does not fit the objective"),
    ({"optimization_goal": "CLICK", "billing_event": "CPC"}, "pixel_id: Not supported"),
    ({"pixel_id": None}, "pixel_id: Missing"),
    ({"optimization_event": None}, "optimization_event: Missing"),
    ({"bid_type": "BID_TYPE_CUSTOM"}, "conversion_bid_price: Missing"),
    ({"bid_type": "BID_TYPE_CUSTOM", "conversion_bid_price": 50}, "less than the budget"),
    ({"bid_price": 0}, "bid_price: Invalid value"),
    ({"roas_bid": 0.0}, "roas_bid: Invalid value"),
    ({"promotion_type": "UNSET"}, "promotion_type: Invalid value"),
    ({"gender": "GENDER_ANY"}, "gender"),
    ({"age_groups": [18]}, "age_groups.0"),
    ({"pacing": None}, "pacing: Missing"),
]


@pytest.mark.parametrize(("wrong", "expected"), AD_GROUPS, ids=str)
def test_invalid_ad_groups_are_refused(factory: EntityFactory, wrong: dict[str, Any], expected: str) -> None:
    """An ad group that breaks a rule fails with 40002 and names the rule."""
    body = factory.ad_group_body(factory.scaling(), **wrong)
    code, message = factory.refused("adgroup/create", **body)
    assert code == 40002
    assert expected in message


CREATIVES: list[tuple[dict[str, Any], int, str]] = [
    ({"ad_name": None}, 40002, "creatives.1.ad_name: Missing data for required field."),
    ({"identity_type": None}, 40002, "creatives.1.identity_type: Missing"),
    ({"identity_type": "UNSET"}, 40002, "creatives.1.identity_type"),
    ({"ad_format": None}, 40002, "creatives.1.ad_format: Missing"),
    ({"video_id": None}, 40002, "creatives.1.video_id: Missing"),
    ({"video_id": "v1"}, 40053, "creatives.1.video_id"),
    ({"image_ids": None}, 40002, "creatives.1.image_ids: Missing"),
    ({"image_ids": ["another account's"]}, 40002, "creatives.1.image_ids.0"),
    ({"ad_text": None}, 40002, "creatives.1.ad_text: Missing"),
    ({"call_to_action": None}, 40002, "creatives.1.call_to_action: Missing"),
    ({"landing_page_url": None}, 40002, "creatives.1.landing_page_url: Missing"),
    ({"identity_type": "BC_AUTH_TT"}, 40002, "creatives.1.identity_authorized_bc_id: Missing"),
    ({"tracking_pixel_id": 0}, 40002, "creatives.1.tracking_pixel_id: Invalid value"),
    ({"deeplink": ""}, 40002, "creatives.1.deeplink: Invalid value"),
    ({"viewability_postbid_partner": "UNSET"}, 40002, "creatives.1.viewability_postbid_partner"),
    ({"identity_id": "4711"}, 40002, "creatives.1.identity_id: The identity does not exist"),
    ({"image_ids": ["a", "b"]}, 40002, "creatives.1.image_ids: Longer than maximum length 1."),
    ({"ad_format": "CAROUSEL_ADS"}, 40002, "creatives.1.video_id: Not supported when ad_format is CAROUSEL_ADS."),
    ({"ad_format": "SINGLE_IMAGE", "video_id": None}, 40002, "creatives.1.ad_format: SINGLE_IMAGE is not"),
    ({"ad_text": None, "ad_texts": ["Try it"]}, 40002, "creatives.1.ad_text: Missing"),
    ({"identity_type": "CUSTOMIZED_USER"}, 40002, "creatives.1.identity_type: CUSTOMIZED_USER is no longer"),
    ({"identity_type": "CUSTOMIZED_USER", "tiktok_item_id": "7"}, 40002, "creatives.1.tiktok_item_id: Not"),
    ({"tiktok_item_id": "7"}, 40002, "creatives.1.video_id: Not supported together with tiktok_item_id."),
    (
        {"tiktok_item_id": "7", "video_id": None, "image_ids": None, "ad_text": None},
        40002,
        "creatives.1.tiktok_item_id: The post is not authorized",
    ),
]


@pytest.mark.parametrize(("wrong", "code", "expected"), CREATIVES, ids=str)
def test_invalid_creatives_are_refused(
    factory: EntityFactory, wrong: dict[str, Any], code: int, expected: str
) -> None:
    """One invalid creative fails the request with its dotted path, and no ad is created."""
    group = factory.old_ad_group()
    before = len(factory.api.control("GET", f"truth/ads?advertiser_id={factory.account}"))
    creatives = [factory.creative(), factory.creative(**wrong)]
    error_code, error_message = factory.refused("ad/create", adgroup_id=group, creatives=creatives)
    assert code == error_code
    assert expected in error_message
    assert before == len(factory.api.control("GET", f"truth/ads?advertiser_id={factory.account}"))
