"""Tests of the rules of the Upgraded Smart+ creations: errors name the rule, and nothing is created."""

from collections.abc import Callable
from typing import Any

import pytest

from tiktok_assets.sandbox.world.api_objects import OWNER_BC_ID
from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.smart_plus_factory import SmartPlusFactory

APP: dict[str, Any] = {"objective_type": "APP_PROMOTION", "sales_destination": None}
INSTALL = {**APP, "app_promotion_type": "APP_INSTALL"}
TO_APP = {"sales_destination": "APP", "catalog_enabled": True, "catalog_type": "ECOMMERCE"}
NO_CBO: dict[str, Any] = {"budget_optimize_on": False, "budget": None}
LIFETIME = {"budget_mode": "BUDGET_MODE_TOTAL", "budget": 900}
EMOJI, WIDE = "so good \U0001f600", "\u65e5"  # a Japanese character

CAMPAIGNS: list[tuple[dict[str, Any], str]] = [
    ({"request_id": None}, "request_id: Missing data for required field."),
    ({"request_id": "seven"}, "request_id: Not a valid int64 string."),
    ({"campaign_name": EMOJI}, "campaign_name: Must not contain emoji."),
    ({"campaign_name": ""}, "campaign_name: Missing"),
    ({"campaign_name": WIDE * 256 + "x"}, "campaign_name: Longer than maximum length 512."),
    ({"objective_type": "TRAFFIC"}, "objective_type: Must be one of"),
    ({"sales_destination": None}, "sales_destination: Missing"),
    (APP, "app_promotion_type: Missing"),
    ({**INSTALL, "campaign_type": "IOS14_CAMPAIGN"}, "app_id: Missing"),
    ({"catalog_enabled": True}, "catalog_type: Missing"),
    ({"sales_destination": "APP"}, "catalog_enabled: Must be true"),
    ({**TO_APP, "catalog_type": "MINI_SERIES"}, "catalog_type: MINI_SERIES does not fit"),
    ({"campaign_app_profile_page_state": "ON"}, "campaign_app_profile_page_state: Only"),
    ({"rta_id": "1", "rta_bid_enabled": True}, "rta_bid_enabled: Not supported"),
    ({**TO_APP, "rta_product_selection_enabled": True}, "rta_product_selection_enabled: Not supported"),
    ({"budget": None}, "budget: Missing"),
    ({"budget": 49.99}, "at least 50"),
    ({"budget_mode": "BUDGET_MODE_DAY"}, "budget_mode: Must be one of"),
    ({**NO_CBO, "budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"}, "budget_mode: Must be one of"),
    ({"operation_status": "DELETE"}, "operation_status"),
    ({"special_industries": ["FUN"]}, "special_industries.0"),
]
CUSTOM_BID = {"bid_type": "BID_TYPE_CUSTOM", "conversion_bid_price": 20}
VALUE = {"optimization_goal": "VALUE", "deep_bid_type": "VO_MIN_ROAS"}
UNITED_STATES = {"location_ids": ["6252001"]}
# (settings of the campaign, wrong settings of the ad group, text of the error)
AD_GROUPS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"request_id": None}, "request_id: Missing"),
    ({}, {"campaign_id": "12"}, "does not exist"),
    ({}, {"adgroup_name": EMOJI}, "adgroup_name: Must not contain emoji."),
    ({}, {"adgroup_name": "x" * 513}, "adgroup_name: Longer"),
    ({}, {"promotion_type": "APP_IOS"}, "promotion_type: APP_IOS does not fit the campaign."),
    (INSTALL, {}, "promotion_type: WEBSITE does not fit the campaign."),
    ({**APP, "app_promotion_type": "MINIS"}, {"promotion_type": "APP_IOS"}, "promotion_type: APP_IOS"),
    ({}, {"optimization_goal": "INSTALL"}, "optimization_goal: INSTALL does not fit"),
    ({}, {"optimization_goal": "CLICK"}, "billing_event: Must be CPC"),
    ({}, {"billing_event": "CPC"}, "billing_event: Must be OCPM"),
    ({}, {"pixel_id": None}, "pixel_id: Missing"),
    ({}, {"optimization_goal": "TRAFFIC_LANDING_PAGE_VIEW"}, "pixel_id: Not supported"),
    ({}, {"optimization_event": None}, "optimization_event: Missing"),
    ({}, {"bid_type": None}, "bid_type: Missing"),
    ({}, {"bid_type": "BID_TYPE_CUSTOM"}, "conversion_bid_price: Missing"),
    ({}, {**CUSTOM_BID, "conversion_bid_price": 300}, "conversion_bid_price: Must be lower than the budget."),
    (LIFETIME, CUSTOM_BID, "bid_type: BID_TYPE_CUSTOM needs the budget mode"),
    ({}, {"optimization_goal": "VALUE"}, "deep_bid_type: Missing"),
    ({}, VALUE, "roas_bid: Missing"),
    ({}, {**VALUE, "roas_bid": 1001}, "roas_bid: Must be between"),
    (LIFETIME, {**VALUE, "roas_bid": 2}, "deep_bid_type: VO_MIN_ROAS needs the budget mode"),
    ({}, {"click_attribution_window": "ONE_DAY"}, "view_attribution_window: Missing"),
    ({}, {"engaged_view_attribution_window": "ONE_DAY"}, "click_attribution_window: Missing"),
    ({}, {"targeting_spec": None}, "targeting_spec: Missing"),
    ({}, {"targeting_spec": {}}, "targeting_spec.location_ids: Missing"),
    ({}, {"targeting_spec": {"location_ids": [1]}}, "targeting_spec.location_ids.0: Not a valid int64"),
    ({}, {"targeting_spec": {**UNITED_STATES, "zipcode_ids": ["1"]}}, "targeting_spec.zipcode_ids: Not supported"),
    ({}, {"targeting_spec": {**UNITED_STATES, "spc_audience_age": "65+"}}, "targeting_spec.spc_audience_age"),
    ({}, {"targeting_spec": {**UNITED_STATES, "age_groups": ["AGE_13_17"]}}, "targeting_spec.age_groups"),
    ({}, {"targeting_spec": {**UNITED_STATES, "operating_systems": ["IOS", "ANDROID"]}}, "Longer than maximum"),
    (
        {},
        {"targeting_spec": {**UNITED_STATES, "device_model_ids": ["1"], "device_price_ranges": [0, 50]}},
        "targeting_spec.device_model_ids: Must not be set together",
    ),
    ({}, {"placement_type": "PLACEMENT_TYPE_NORMAL"}, "placements: Missing"),
    ({}, {"placements": ["PLACEMENT_TOUTIAO"]}, "placements.0: Must be one of"),
    (NO_CBO, {}, "budget_mode: Missing"),
    (NO_CBO, {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET", "budget": 19}, "at least 20"),
    (NO_CBO, LIFETIME, "schedule_type: SCHEDULE_FROM_NOW needs"),
    (
        {"budget_optimize_on": False, "budget_mode": "BUDGET_MODE_DAY"},
        {**LIFETIME, "schedule_type": "SCHEDULE_START_END", "schedule_end_time": "2026-11-20 00:00:00"},
        "budget_mode: Must be BUDGET_MODE_DYNAMIC_DAILY_BUDGET",
    ),
    (LIFETIME, {}, "schedule_type: SCHEDULE_FROM_NOW needs"),
    ({}, {"schedule_type": "SCHEDULE_START_END"}, "schedule_end_time: Missing"),
    ({}, {"schedule_start_time": "2026-11-09 05:59:59"}, "12 hours"),
    ({}, {"schedule_start_time": "2028-01-01 00:00:01"}, "2028"),
    (INSTALL, {"promotion_type": "APP_IOS", "optimization_goal": "INSTALL", "pixel_id": None}, "app_id: Missing"),
    ({"sales_destination": "WEB_AND_APP"}, {}, "app_config: Missing"),
    ({"catalog_enabled": True, "catalog_type": "ECOMMERCE"}, {}, "catalog_id: Missing"),
    (
        {"objective_type": "LEAD_GENERATION", "sales_destination": None},
        {"promotion_type": "LEAD_GENERATION"},
        "promotion_target_type: Missing",
    ),
]

LEADS = {"objective_type": "LEAD_GENERATION", "sales_destination": None}
LEAD_GROUP = {"promotion_type": "LEAD_GENERATION", "promotion_target_type": "EXTERNAL_WEBSITE"}
CALL_GROUP = {"promotion_type": "LEAD_GEN_CLICK_TO_CALL"}
MESSAGE_GROUP = {"promotion_type": "LEAD_GEN_CLICK_TO_TT_DIRECT_MESSAGE"}
CATALOG = {"catalog_enabled": True, "catalog_type": "ECOMMERCE"}
CATALOG_GROUP = {"catalog_id": "7000000000000000071", "catalog_authorized_bc_id": OWNER_BC_ID}
PANGLE: dict[str, Any] = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}
CALL = {"call_to_action_id": "7000000000000000031"}
ALL_PRODUCTS = {**CALL, "product_specific_type": "ALL"}
MUSIC = {"music_info": {"music_id": "7000000000000000021"}}
LINK = "landing_page_url_list"

Creatives = Callable[[SmartPlusFactory], list[dict[str, Any]]]


def one_video(**other: object) -> Creatives:
    """Return a function that returns the video of a factory, changed."""
    return lambda smart_plus: [smart_plus.video(**other)]


def one_carousel(**other: object) -> Creatives:
    """Return a function that returns the carousel of a factory, changed."""
    return lambda smart_plus: [smart_plus.carousel(**other)]


def one_post(**other: object) -> Creatives:
    """Return a function that returns the post of a factory, changed."""
    return lambda smart_plus: [smart_plus.post(**other)]


def catalog_carousel(**other: object) -> Creatives:
    """Return a function that returns a catalogue carousel, changed."""
    info = {"ad_format": "CATALOG_CAROUSEL", **MUSIC, **other}
    return lambda _: [{"creative_info": info}]


def custom(smart_plus: SmartPlusFactory, **other: object) -> dict[str, Any]:
    """Return the configuration of an ad with the account's custom identity."""
    identity_id = str(int(smart_plus.factory.account) + 4)
    return {"ad_configuration": {"identity_type": "CUSTOMIZED_USER", "identity_id": identity_id, **other}}


# (creatives, other fields of the ad, text of the error) of ads in a web campaign without catalogue
ADS: list[tuple[Creatives, dict[str, Any], str]] = [
    (one_video(), {"adgroup_id": "12"}, "does not exist"),
    (one_video(), {"ad_name": EMOJI}, "ad_name: Must not contain emoji."),
    (one_video(), {"ad_name": WIDE * 257}, "ad_name: Longer than maximum length 512."),
    (one_video(), {"operation_status": "PAUSE"}, "operation_status: Must be one of"),
    (one_video(), {"creative_list": None}, "creative_list: Missing"),
    (one_video(), {"creative_list": []}, "creative_list: Shorter than minimum length 1."),
    (lambda smart_plus: [smart_plus.video()] * 51, {}, "creative_list: Longer than maximum length 50."),
    (one_video(), {"creative_list": [{}]}, "creative_list.0.creative_info: Missing"),
    (one_video(ad_format=None), {}, "creative_info.ad_format: Missing"),
    (one_video(ad_format="SINGLE_IMAGE"), {}, "creative_info.ad_format: Must be one of"),
    (one_video(video_info=None), {}, "creative_info.video_info: Missing"),
    (one_video(video_info={}), {}, "creative_info.video_info.video_id: Missing"),
    (one_video(image_info=None), {}, "creative_info.image_info: Missing"),
    (one_video(image_info=[{"web_uri": "tos/none"}]), {}, "image_info.0: The image tos/none does not exist"),
    (one_video(image_info=[{"web_uri": "a"}, {"web_uri": "b"}]), {}, "image_info: Longer than maximum length 1."),
    (one_video(**MUSIC), {}, "music_info: Not supported in a video."),
    (one_video(identity_type=None), {}, "creative_info.identity_type: Missing"),
    (one_video(identity_id=None), {}, "creative_info.identity_id: Missing"),
    (one_video(identity_type="CUSTOMIZED_USER"), {}, "creative_info.identity_type: Must be one of"),
    (one_video(identity_id="12"), {}, "identity_id: The identity does not exist"),
    (one_video(identity_type="BC_AUTH_TT"), {}, "identity_authorized_bc_id: Missing"),
    (
        lambda smart_plus: [smart_plus.video(identity_type="AUTH_CODE", identity_id=smart_plus.creator_id)],
        {},
        "identity_id: This identity cannot push posts",
    ),
    (one_carousel(music_info=None), {}, "creative_info.music_info: Missing"),
    (one_carousel(image_info=[{"web_uri": "a"}] * 36), {}, "image_info: Longer than maximum length 35."),
    (one_post(tiktok_item_id="12"), {"ad_text_list": None}, "The post is not authorized for this identity."),
    (one_post(video_info={"video_id": "v"}), {}, "video_info: Not supported together with tiktok_item_id."),
    (one_post(), {}, "ad_text_list: Not supported when all creatives are TikTok posts."),
    (one_video(), {"ad_text_list": None}, "ad_text_list: Missing"),
    (one_video(), {"ad_text_list": [{"ad_text": "a"}] * 6}, "ad_text_list: Longer than maximum length 5."),
    (one_video(), {"ad_text_list": [{}]}, "ad_text_list.0.ad_text: Missing"),
    (one_video(), {LINK: None}, "landing_page_url_list: Missing"),
    (one_video(), {LINK: [{"landing_page_url": "a"}] * 2}, "landing_page_url_list: Longer than maximum length 1."),
    (one_video(), {"ad_configuration": None}, "ad_configuration.call_to_action_id: Missing"),
    (one_video(), {"call_to_action_list": [{"call_to_action": "SHOP_NOW"}]}, "call_to_action_list: Not supported"),
    (one_video(), {"interactive_add_on_list": [{"card_id": "1"}]}, "interactive_add_on_list: Not supported"),
    (one_video(), {"deeplink_list": [{"deeplink": "app://x"}]}, "deeplink_list.0.deeplink_type: Missing"),
    (one_video(), {"page_list": [{"page_id": "1"}] * 4}, "page_list: Longer than maximum length 3."),
    (
        one_video(),
        {"ad_configuration": {**CALL, "utm_params": [{"key": "k", "value": "v"}] * 15}},
        "ad_configuration.utm_params: Longer than maximum length 14.",
    ),
    (
        one_video(),
        {"ad_configuration": {**CALL, "catalog_creative_toggle": True}},
        "catalog_creative_toggle: The campaign does not use a catalog.",
    ),
    (catalog_carousel(), {}, "ad_format: CATALOG_CAROUSEL needs catalog_creative_toggle."),
]


@pytest.fixture
def smart_plus(factory: EntityFactory) -> SmartPlusFactory:
    """Return a factory of Upgraded Smart+ entities for the first account."""
    return SmartPlusFactory(factory)


def assert_refused(factory: EntityFactory, path: str, body: dict[str, Any], expected: str) -> None:
    """Assert that a creation fails with 40002 and a text, and that nothing is created."""
    before = [factory.api.control("GET", f"truth/{kind}?advertiser_id={factory.account}") for kind in KINDS]
    code, message = factory.refused(path, **body)
    assert code == 40002
    assert expected in message
    after = [factory.api.control("GET", f"truth/{kind}?advertiser_id={factory.account}") for kind in KINDS]
    assert before == after


KINDS = ("campaigns", "ad_groups", "ads")


@pytest.mark.parametrize(("wrong", "expected"), CAMPAIGNS, ids=str)
def test_invalid_campaigns_are_refused(
    factory: EntityFactory, smart_plus: SmartPlusFactory, wrong: dict[str, Any], expected: str
) -> None:
    """A campaign that breaks a rule fails with 40002 and names the rule, and nothing is created."""
    assert_refused(factory, "smart_plus/campaign/create", smart_plus.campaign_body(**wrong), expected)


@pytest.mark.parametrize(("campaign", "wrong", "expected"), AD_GROUPS, ids=str)
def test_invalid_ad_groups_are_refused(
    factory: EntityFactory,
    smart_plus: SmartPlusFactory,
    campaign: dict[str, Any],
    wrong: dict[str, Any],
    expected: str,
) -> None:
    """An ad group that breaks a rule fails with 40002 and names the rule, and nothing is created."""
    body = smart_plus.ad_group_body(smart_plus.campaign(**campaign), **wrong)
    assert_refused(factory, "smart_plus/adgroup/create", body, expected)


@pytest.mark.parametrize(
    ("creatives", "wrong", "expected"), ADS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_invalid_ads_are_refused(
    factory: EntityFactory,
    smart_plus: SmartPlusFactory,
    creatives: Creatives,
    wrong: dict[str, Any],
    expected: str,
) -> None:
    """An ad that breaks a rule fails with 40002 and names the rule, and nothing is created."""
    body = smart_plus.ad_body(smart_plus.ad_group(), *creatives(smart_plus), **wrong)
    assert_refused(factory, "smart_plus/ad/create", body, expected)


@pytest.mark.parametrize("name", [WIDE * 256, "x" * 512])
def test_the_longest_names(smart_plus: SmartPlusFactory, name: str) -> None:
    """A name of 512 characters is accepted, of which a Chinese or Japanese one counts two."""
    smart_plus.ad(smart_plus.ad_group(smart_plus.campaign(campaign_name=name)), ad_name=name)


def test_identities(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """Posts are shown by all three Spark identities; unusable, political and foreign ones are refused."""
    group, account = smart_plus.ad_group(), int(factory.account)
    for other in ({"tiktok_item_id": None}, {"identity_id": str(account + 1), "identity_type": "TT_USER"}):
        creative = smart_plus.post(**other)
        assert_refused(factory, "smart_plus/ad/create", smart_plus.ad_body(group, creative), "creative_list.0")
    business_center = {"identity_type": "BC_AUTH_TT", "identity_id": str(account + 3)}
    pushed = smart_plus.video(**business_center, identity_authorized_bc_id=OWNER_BC_ID)
    smart_plus.ad(group, pushed, smart_plus.post())
    smart_plus.ad(group, smart_plus.post(), ad_text_list=None)
    for number, expected in ((5, "not available"), (6, "cannot be used to create Spark Ads")):
        body = smart_plus.ad_body(group, smart_plus.video(identity_id=str(account + number)))
        assert_refused(factory, "smart_plus/ad/create", body, expected)
    post = smart_plus.creators_post()
    factory.api.sandbox.world.withdrawn_posts[post] = 0
    try:
        body = smart_plus.ad_body(group, smart_plus.post(tiktok_item_id=post), ad_text_list=None)
        assert_refused(factory, "smart_plus/ad/create", body, "The post is not authorized for this identity.")
    finally:
        del factory.api.sandbox.world.withdrawn_posts[post]


def test_custom_identities_only_off_tiktok(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """A custom identity makes ads on Pangle alone, with a standard call to action; on TikTok it is refused."""
    anonymous = smart_plus.video(identity_type=None, identity_id=None)
    body = smart_plus.ad_body(smart_plus.ad_group(), anonymous, **custom(smart_plus, **CALL))
    assert_refused(factory, "smart_plus/ad/create", body, "CUSTOMIZED_USER is no longer supported")
    group = smart_plus.ad_group(**PANGLE)
    spark = smart_plus.ad_body(group, smart_plus.video(), **custom(smart_plus))
    assert_refused(factory, "smart_plus/ad/create", spark, "identity_type: Not supported when the identity is")
    call = {"call_to_action_list": [{"call_to_action": "SHOP_NOW"}]}
    ad = smart_plus.ad(group, anonymous, **custom(smart_plus), **call)
    shown = factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad])
    assert shown["ad_configuration"]["identity_type"] == "CUSTOMIZED_USER"
    assert shown["call_to_action_list"] == call["call_to_action_list"]


def test_catalogue_carousels(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """A catalogue carousel needs a catalogue, its products and music; on the web it has no image."""
    group = smart_plus.ad_group(smart_plus.campaign(**CATALOG), **CATALOG_GROUP)
    toggle = {"ad_configuration": {**ALL_PRODUCTS, "catalog_creative_toggle": True}}
    for creatives, other, expected in (
        (catalog_carousel(music_info=None), toggle, "music_info: Missing"),
        (catalog_carousel(image_info=[{"web_uri": "a"}]), toggle, "image_info: Not supported"),
        (catalog_carousel(), {"ad_configuration": CALL}, "product_specific_type: Missing"),
        (
            catalog_carousel(),
            {"ad_configuration": {**CALL, "product_specific_type": "PRODUCT_SET"}},
            "product_set_id: Missing",
        ),
        (one_post(), toggle, "tiktok_item_id: Not supported when catalog_creative_toggle is true."),
        (one_video(identity_type=None), toggle, "ad_configuration.identity_type: Missing"),
    ):
        body = smart_plus.ad_body(group, *creatives(smart_plus), **other)
        assert_refused(factory, "smart_plus/ad/create", body, expected)
    ad = smart_plus.ad(group, *catalog_carousel()(smart_plus), **toggle, landing_page_url_list=None)
    (creative,) = factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad])["creative_list"]
    assert creative["creative_info"]["ad_format"] == "CATALOG_CAROUSEL"


def test_lead_ads(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """Ads for leads need a dynamic call to action, and a phone number or a message where their type has one."""
    campaign = smart_plus.campaign(**LEADS, budget_optimize_on=False, budget=None)
    budget = {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET", "budget": 50}
    for group, other, expected in (
        (LEAD_GROUP, {"ad_configuration": None}, "call_to_action_id: Missing"),
        (CALL_GROUP, {}, "phone_info: Missing"),
        (CALL_GROUP, {"ad_configuration": {**CALL, "phone_info": {}}}, "phone_info.phone_region_code: Missing"),
        (MESSAGE_GROUP, {}, "auto_message_list: Missing"),
    ):
        body = smart_plus.ad_body(smart_plus.ad_group(campaign, **group, **budget), **other)
        assert_refused(factory, "smart_plus/ad/create", body, expected)
    form = smart_plus.ad_group(campaign, **LEAD_GROUP, **budget)
    smart_plus.ad(form, landing_page_url_list=None, interactive_add_on_list=[{"card_id": "7"}])


def test_ad_groups_share_settings(factory: EntityFactory, smart_plus: SmartPlusFactory) -> None:
    """Ad groups of one campaign share the goal with a campaign budget, and the bid type with and without it."""
    campaign = smart_plus.campaign()
    smart_plus.ad_group(campaign)
    clicks = {"optimization_goal": "CLICK", "billing_event": "CPC", "pixel_id": None, "optimization_event": None}
    body = smart_plus.ad_group_body(campaign, **clicks)
    assert_refused(factory, "smart_plus/adgroup/create", body, "optimization_goal: Must be CONVERT")
    without = smart_plus.campaign(**NO_CBO)
    budget = {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET", "budget": 50}
    smart_plus.ad_group(without, **budget)
    smart_plus.ad_group(without, **budget, **clicks)
    body = smart_plus.ad_group_body(without, **budget, **CUSTOM_BID)
    assert_refused(factory, "smart_plus/adgroup/create", body, "bid_type: Must be BID_TYPE_NO_BID")
