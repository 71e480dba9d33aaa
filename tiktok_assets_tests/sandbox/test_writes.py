"""Tests of the write endpoints: the state after a write, and which writes are refused."""

from typing import Any

import pytest

from tiktok_assets_tests.sandbox.factory import EntityFactory

DAY = 86_400


def test_created_entities_are_read(factory: EntityFactory) -> None:
    """Created entities are in lists and in the ground truth with their fields, and are enabled by default."""
    campaign = factory.campaign(campaign_name="Fresh", budget_mode="BUDGET_MODE_DAY", budget=80.5)
    group = factory.ad_group(campaign, age_groups=["AGE_25_34"], dayparting="1" * 336)
    ad = factory.ad(group, ad_name="Hook", ad_text="Look", operation_status="DISABLE")
    result = factory.read("campaign/get", campaign_ids=[campaign])
    assert (result["campaign_name"], result["budget"], result["operation_status"]) == ("Fresh", 80.5, "ENABLE")
    result = factory.read("adgroup/get", adgroup_ids=[group])
    assert (result["age_groups"], result["budget"], result["campaign_name"]) == (["AGE_25_34"], 50.0, "Fresh")
    assert result["schedule_end_time"] == "2036-11-06 18:00:00"  # ten years of 365 days
    result = factory.read("ad/get", ad_ids=[ad])
    assert (result["ad_name"], result["ad_text"], result["operation_status"]) == ("Hook", "Look", "DISABLE")
    assert result["secondary_status"] == "AD_STATUS_DISABLE"
    assert result["video_id"] == factory.media["video_id"]
    true = {item["ad_id"]: item for item in factory.api.control("GET", "truth/ads")}
    assert result == true[ad]


def test_empty_ad_name_becomes_the_id(factory: EntityFactory) -> None:
    """An empty `ad_name` is replaced by the ad's id (API notes 8.3)."""
    ad = factory.ad(factory.old_ad_group(), ad_name="", operation_status="DISABLE")
    assert ad == factory.read("ad/get", ad_ids=[ad])["ad_name"]


def test_read_objects_can_be_created_again(factory: EntityFactory) -> None:
    """Objects of reads, without fields that creates refuse (API notes 8.4), can be created again."""
    campaign = factory.scaling()
    group = factory.read("adgroup/get", adgroup_ids=[factory.old_ad_group()])
    again = {name: value for name, value in group.items() if value not in (None, [], 0, 0.0, "", "UNSET")}
    again |= {
        "campaign_id": campaign,
        "adgroup_name": factory.name(),
        "schedule_start_time": "2026-11-10 00:00:00",
    }
    again |= {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"}
    del again["bid_display_mode"]
    copied = factory.post("adgroup/create", **again)
    assert copied["pixel_id"] == group["pixel_id"]
    ads = factory.api.get("ad/get", advertiser_id=factory.account, page_size=1000)["data"]["list"]
    ad = next(one for one in ads if one["tiktok_item_id"] and not one["video_id"])
    stripped = {name: value for name, value in ad.items() if value not in (None, [], 0, "", "UNSET")}
    del stripped["ad_text"]  # the text is that of the post
    factory.post("ad/create", adgroup_id=copied["adgroup_id"], creatives=[stripped])


def test_ad_delivers_after_review_while_enabled(factory: EntityFactory) -> None:
    """An ad spends nothing in review or while disabled, ramps up slowly, and stops when it is disabled."""
    group = factory.ad_group()
    enabled = factory.ad(group)
    disabled = factory.ad(group, operation_status="DISABLE")
    row = factory.read("ad/get", ad_ids=[enabled])
    assert (row["secondary_status"], row["operation_status"]) == ("AD_STATUS_AUDIT", "ENABLE")
    spend = [_spend(factory, enabled)]
    for days in (1, 4):
        factory.api.control("POST", "clock", advance_seconds=days * DAY)
        spend.append(_spend(factory, enabled))
    assert factory.read("ad/get", ad_ids=[enabled])["secondary_status"] == "AD_STATUS_DELIVERY_OK"
    assert spend[0] == 0 < spend[1] < spend[2] < 60
    assert _spend(factory, disabled) == 0
    factory.post("ad/status/update", ad_ids=[enabled], operation_status="DISABLE")
    factory.post("ad/status/update", ad_ids=[disabled], operation_status="ENABLE")
    factory.api.control("POST", "clock", advance_seconds=2 * DAY)
    stopped = _spend(factory, enabled)
    factory.api.control("POST", "clock", advance_seconds=DAY)
    assert stopped == _spend(factory, enabled)
    assert _spend(factory, disabled) > 0
    true = factory.api.control("GET", f"truth/report?level=ad&advertiser_id={factory.account}&lifetime=true")
    assert stopped == next(float(row["metrics"]["spend"]) for row in true if row["id"] == enabled)


def _spend(factory: EntityFactory, ad: str) -> float:
    filtering = [{"field_name": "ad_ids", "filter_type": "IN", "filter_value": f'["{ad}"]'}]
    rows = factory.api.report(factory.account, query_lifetime=True, filtering=filtering)["data"]["list"]
    return float(rows[0]["metrics"]["spend"]) if rows else 0.0


def test_status_of_parents(factory: EntityFactory) -> None:
    """A disabled parent changes the secondary status of its children; a deleted parent refuses edits."""
    campaign = factory.campaign()
    group = factory.ad_group(campaign)
    ad = factory.ad(group)
    factory.post("campaign/status/update", campaign_ids=[campaign], operation_status="DISABLE")
    row = factory.read("ad/get", ad_ids=[ad])
    assert (row["secondary_status"], row["operation_status"]) == ("AD_STATUS_CAMPAIGN_DISABLE", "ENABLE")
    factory.post("campaign/status/update", campaign_ids=[campaign], operation_status="ENABLE")
    assert factory.read("ad/get", ad_ids=[ad])["secondary_status"] == "AD_STATUS_AUDIT"
    factory.post("campaign/status/update", campaign_ids=[campaign], operation_status="DELETE")
    message = "This campaign has been deleted."
    for path, body in (
        ("campaign/update", {"campaign_id": campaign, "campaign_name": "New"}),
        ("campaign/status/update", {"campaign_ids": [campaign], "operation_status": "ENABLE"}),
        ("adgroup/create", factory.ad_group_body(campaign)),
        ("adgroup/update", {"adgroup_id": group, "adgroup_name": "New"}),
        ("ad/create", {"adgroup_id": group, "creatives": [factory.creative()]}),
        ("ad/status/update", {"ad_ids": [ad], "operation_status": "DISABLE"}),
    ):
        assert factory.refused(path, **body) == (40002, message)


def test_updates_change_only_given_fields(factory: EntityFactory) -> None:
    """An update changes only its fields; one without fields fails with 40012."""
    campaign = factory.campaign(budget_mode="BUDGET_MODE_DAY", budget=100)
    group = factory.ad_group(campaign)
    ad = factory.ad(group)
    factory.post("campaign/update", campaign_id=campaign, budget=75)
    factory.post("adgroup/update", adgroup_id=group, gender="GENDER_FEMALE", budget=30)
    patch = [{"ad_id": ad, "ad_text": "Better"}]
    assert factory.post("ad/update", adgroup_id=group, patch_update=True, creatives=patch)["need_audit"] is True
    assert factory.read("campaign/get", campaign_ids=[campaign])["budget"] == 75.0
    row = factory.read("adgroup/get", adgroup_ids=[group])
    assert (row["gender"], row["budget"], row["billing_event"]) == ("GENDER_FEMALE", 30.0, "OCPM")
    row = factory.read("ad/get", ad_ids=[ad])
    assert (row["ad_text"], row["video_id"]) == ("Better", factory.media["video_id"])
    assert factory.refused("campaign/update", campaign_id=campaign)[0] == 40012
    assert factory.refused("adgroup/update", adgroup_id=group)[0] == 40012
    result = factory.refused("ad/update", adgroup_id=group, creatives=patch)
    assert "creatives.0.ad_name: Missing" in result[1]
    patch = [{"ad_id": ad, "landing_page_url": "https://x.example/"}]
    result = factory.refused("ad/update", adgroup_id=group, patch_update=True, creatives=patch)
    assert result[0] == 40012  # other fields of a patch are ignored
    factory.api.control("POST", "switches", patch_refuses_others=True)
    result = factory.refused("ad/update", adgroup_id=group, patch_update=True, creatives=patch)
    assert "creatives.0.landing_page_url" in result[1]


def test_budget_modes(factory: EntityFactory) -> None:
    """A campaign with a daily budget refuses total budgets of ad groups; with CBO an ad group's budget is 0.0."""
    total: dict[str, Any] = {
        "budget_mode": "BUDGET_MODE_TOTAL",
        "budget": 200,
        "schedule_type": "SCHEDULE_START_END",
        "schedule_end_time": "2026-11-19 18:00:00",
    }
    for mode, allowed in (
        ("BUDGET_MODE_INFINITE", True),
        ("BUDGET_MODE_TOTAL", True),
        ("BUDGET_MODE_DAY", False),
    ):
        campaign = factory.campaign(budget_mode=mode, budget=None if mode.endswith("INFINITE") else 500)
        response = factory.api.post(
            "adgroup/create", advertiser_id=factory.account, **factory.ad_group_body(campaign, **total)
        )
        assert allowed == (response["code"] == 0), response
    too_low = factory.ad_group_body(factory.campaign(), **total | {"budget": 199})
    assert "at least 200" in factory.refused("adgroup/create", **too_low)[1]  # ten days at 20
    cbo = factory.campaign(budget_mode="BUDGET_MODE_DYNAMIC_DAILY_BUDGET", budget=100)
    assert factory.read("campaign/get", campaign_ids=[cbo])["budget_optimize_on"] is True
    group = factory.ad_group(cbo, budget=None, budget_mode=None)
    assert factory.read("adgroup/get", adgroup_ids=[group])["budget"] == 0.0
    assert "bid_type: Missing" in factory.refused("adgroup/create", **factory.ad_group_body(cbo, bid_type=None))[1]


def test_minimum_budgets_by_currency(factory: EntityFactory, accounts: list[str]) -> None:
    """In yen the minimum budgets are 100 times those in dollars, without decimals."""
    for budget, expected in ((4999, "at least 5000 "), (5000.5, "0 decimals"), (5000, None)):
        body = factory.campaign_body(budget_mode="BUDGET_MODE_DAY", budget=budget)
        response = factory.api.post("campaign/create", advertiser_id=accounts[1], **body)
        assert (response["code"] == 0) is (expected is None)
        assert (expected or "OK") in response["message"]


@pytest.mark.parametrize(
    ("currency", "budget", "expected"),
    [
        ("TWD", 10.5, "at least 200 "),
        ("TWD", 200.5, "0 decimals"),
        ("TWD", 200, None),
        ("KRW", 20, "at least 20000 "),
        ("KRW", 20000, None),
        ("BRL", 20, None),
        ("INR", 1999, "at least 2000 "),
        ("EUR", 20.01, None),
    ],
)
def test_minimum_ad_group_budgets_by_ratio(
    factory: EntityFactory, currency: str, budget: float, expected: str | None
) -> None:
    """The minimum budget is 20 times the currency's ratio, and budgets in Taiwan dollars have no decimals."""
    factory.api.control("POST", "accounts", advertiser_id=factory.account, currency=currency)
    try:
        campaign = factory.campaign(budget_mode="BUDGET_MODE_INFINITE", budget=None)
        body = factory.ad_group_body(campaign, budget=budget)
        response = factory.api.post("adgroup/create", advertiser_id=factory.account, **body)
    finally:
        factory.api.control("POST", "accounts", advertiser_id=factory.account, currency="USD")
    assert (response["code"] == 0) is (expected is None), response
    assert (expected or "OK") in response["message"]


def test_punished_account_has_no_quota(factory: EntityFactory) -> None:
    """A punished account has a quota of 0 active ad groups."""
    factory.api.control("POST", "switches", punished=[factory.account])
    quota = factory.api.get("adgroup/quota", advertiser_id=factory.account)["data"]
    assert quota == {"total_adgroup_quota": 0, "used_adgroup_quota": 0}
    factory.api.control("POST", "switches", punished=[])
    assert factory.api.get("adgroup/quota", advertiser_id=factory.account)["data"]["total_adgroup_quota"] > 0


def test_daily_budgets_change_at_the_next_midnight(factory: EntityFactory) -> None:
    """A scheduled budget takes effect at the account's next midnight."""
    group = factory.ad_group()
    rows = [{"adgroup_id": group, "scheduled_budget": 60}]
    factory.post("adgroup/budget/update", scheduled_budget=rows)
    row = factory.read("adgroup/get", adgroup_ids=[group])
    assert (row["budget"], row["scheduled_budget"]) == (50.0, 60.0)
    factory.api.control("POST", "clock", now="2026-11-10T08:00:00Z")  # midnight in Los Angeles
    row = factory.read("adgroup/get", adgroup_ids=[group])
    assert (row["budget"], row["scheduled_budget"]) == (60.0, 0.0)
    wrong = [{"adgroup_id": group, "budget": 60}]
    assert factory.refused("adgroup/budget/update", budget=wrong)[0] == 40002


def test_budget_below_spend_is_refused(factory: EntityFactory) -> None:
    """A budget below 105 % of today's spend is refused."""
    group = factory.api.get("adgroup/get", advertiser_id=factory.account, filtering={"adgroup_name": "Lookalike"})
    spending_id = group["data"]["list"][-1]["adgroup_id"]
    code, message = factory.refused("adgroup/update", adgroup_id=spending_id, budget=20)
    assert (code, "105%" in message) == (40002, True)


def test_request_id_is_idempotent(factory: EntityFactory) -> None:
    """A repeated request_id fails with 40050 until it expires; another one may reuse the campaign name."""
    factory.api.control("POST", "switches", idempotency_seconds=0.3)
    body = factory.campaign_body(request_id="900001")
    first = factory.post("campaign/create", **body)
    assert factory.refused("campaign/create", **body)[0] == 40050
    assert factory.refused("campaign/create", **factory.campaign_body(campaign_name=body["campaign_name"]))[1] == (
        "campaign_name: Campaign name already exists."
    )
    factory.post("campaign/create", **body | {"request_id": "900002"})
    factory.api.control("POST", "switches", idempotency_seconds=0)
    factory.post("campaign/create", **body)
    factory.api.control("POST", "switches", unique_campaign_names=False)
    factory.campaign(campaign_name=body["campaign_name"])
    listed = factory.api.get(
        "campaign/get", advertiser_id=factory.account, filtering={"campaign_name": body["campaign_name"]}
    )
    ids = {one["campaign_id"] for one in listed["data"]["list"] if one["campaign_name"] == body["campaign_name"]}
    assert (len(ids), first["campaign_id"] in ids) == (4, True)


def test_switches_of_body_validation(factory: EntityFactory) -> None:
    """Unknown fields are ignored; switches refuse read-only fields and accept placeholders."""
    factory.campaign(nonsense=1, secondary_status="CAMPAIGN_STATUS_ENABLE")
    factory.api.control("POST", "switches", read_only_refused=True)
    result = factory.refused("campaign/create", **factory.campaign_body(create_time="2026-01-01 00:00:00"))
    assert result == (40002, "create_time: Unknown field.")
    creatives = [factory.creative(campaign_name="x")]
    result = factory.refused("ad/create", adgroup_id=factory.old_ad_group(), creatives=creatives)
    assert result == (40002, "creatives.0.campaign_name: Unknown field.")
    factory.api.control("POST", "switches", placeholders_allowed=True)
    factory.ad_group(roas_bid=0.0)


def test_status_updates(factory: EntityFactory) -> None:
    """Status updates change 1 to 20 ids or none; ad groups may succeed in part, and ids may be numbers."""
    first, second = factory.ad_group(), factory.ad_group()
    update: dict[str, Any] = {"operation_status": "DISABLE"}
    assert "adgroup_ids" in factory.refused("adgroup/status/update", adgroup_ids=["1"] * 21, **update)[1]
    assert "adgroup_ids" in factory.refused("adgroup/status/update", adgroup_ids=[], **update)[1]
    assert factory.refused("adgroup/status/update", adgroup_ids=[first, "1"], **update)[0] == 40002
    assert factory.read("adgroup/get", adgroup_ids=[first])["operation_status"] == "ENABLE"
    response = factory.api.post(
        "adgroup/status/update",
        advertiser_id=factory.account,
        adgroup_ids=[first, "1", second],
        allow_partial_success=True,
        **update,
    )
    assert (response["code"], response["data"]["adgroup_ids"]) == (20001, [first, second])
    assert [one["adgroup_id"] for one in response["data"]["error_list"]] == ["1"]
    factory.api.control("POST", "switches", status_ids_as_numbers=True)
    result = factory.post("adgroup/status/update", adgroup_ids=[first], operation_status="ENABLE")
    assert result["adgroup_ids"] == [int(first)]


def test_at_most_fifty_ads(factory: EntityFactory) -> None:
    """An ad group may have 50 ads, not counting deleted ones; the quota counts active ad groups."""
    before = factory.api.get("adgroup/quota", advertiser_id=factory.account)["data"]["used_adgroup_quota"]
    group = factory.ad_group()
    after = factory.api.get("adgroup/quota", advertiser_id=factory.account)["data"]["used_adgroup_quota"]
    assert before + 1 == after
    for size in (20, 20, 10):
        creatives = [factory.creative() for _ in range(size)]
        ids = factory.post("ad/create", adgroup_id=group, creatives=creatives)["ad_ids"]
    assert factory.refused("ad/create", adgroup_id=group, creatives=[factory.creative()])[0] == 40502
    assert factory.refused("ad/create", adgroup_id=group, creatives=[factory.creative()] * 21)[0] == 40002
    factory.post("ad/status/update", ad_ids=ids[:1], operation_status="DELETE")
    factory.ad(group)


def test_unauthorized_writes_are_refused(factory: EntityFactory, accounts: list[str]) -> None:
    """Writes without token, grant or scope are refused, and the message names the endpoint."""
    body = factory.campaign_body()
    assert factory.api.post("campaign/create", token="", **body)["code"] == 40104
    response = factory.api.post("campaign/create", advertiser_id=accounts[4], **body)
    assert (response["code"], "/campaign/create/:POST permission" in response["message"]) == (40001, True)
    factory.api.control("POST", "switches", no_scope_for=["writes"])
    code, message = factory.refused("campaign/create", **body)
    expected = "The access token lacks the required scope for endpoint /campaign/create/."
    assert (code, message) == (40001, expected)
    assert factory.api.get("campaign/get", advertiser_id=factory.account)["code"] == 0


def test_body_must_be_an_object(factory: EntityFactory) -> None:
    """A body that is not a JSON object and the wrong method are refused."""
    headers = {"Access-Token": factory.api.sandbox.token}
    url = "/open_api/v1.3/campaign/create/"
    for content in (b"", b"[]", b"{"):
        assert factory.api.http.post(url, content=content, headers=headers).json()["code"] == 40002
    assert factory.api.http.get(url, headers=headers).status_code == 404
