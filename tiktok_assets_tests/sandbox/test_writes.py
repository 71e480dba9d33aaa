"""Laws of the write endpoints: what is true after a write, and what an existing object refuses."""

from typing import Any

import pytest

from tiktok_assets_tests.sandbox.factory import EntityFactory

DAY = 86_400


def test_a_written_object_is_read_at_once(drafts: EntityFactory) -> None:
    """Campaign, ad group and ad are in the reads and in the truth, as asked for; the switch is on by default."""
    campaign = drafts.campaign(campaign_name="Fresh", budget_mode="BUDGET_MODE_DAY", budget=80.5)
    group = drafts.ad_group(campaign, age_groups=["AGE_25_34"], dayparting="1" * 336)
    ad = drafts.ad(group, ad_name="Hook", ad_text="Look", operation_status="DISABLE")
    told = drafts.read("campaign/get", campaign_ids=[campaign])
    assert (told["campaign_name"], told["budget"], told["operation_status"]) == ("Fresh", 80.5, "ENABLE")
    told = drafts.read("adgroup/get", adgroup_ids=[group])
    assert (told["age_groups"], told["budget"], told["campaign_name"]) == (["AGE_25_34"], 50.0, "Fresh")
    assert told["schedule_end_time"] == "2036-11-06 18:00:00"  # ten years of 365 days
    told = drafts.read("ad/get", ad_ids=[ad])
    assert (told["ad_name"], told["ad_text"], told["operation_status"]) == ("Hook", "Look", "DISABLE")
    assert told["secondary_status"] == "AD_STATUS_DISABLE"
    assert told["video_id"] == drafts.media["video_id"]
    true = {item["ad_id"]: item for item in drafts.api.control("GET", "truth/ads")}
    assert told == true[ad]


def test_an_empty_ad_name_becomes_the_ads_id(drafts: EntityFactory) -> None:
    """`ad_name` "" is replaced by the id (dossier 8.3)."""
    ad = drafts.ad(drafts.old_ad_group(), ad_name="", operation_status="DISABLE")
    assert ad == drafts.read("ad/get", ad_ids=[ad])["ad_name"]


def test_every_read_object_can_be_written_again(drafts: EntityFactory) -> None:
    """What the reads give, less what creation does not take (dossier 8.4), is accepted back."""
    campaign = drafts.scaling()
    group = drafts.read("adgroup/get", adgroup_ids=[drafts.old_ad_group()])
    again = {name: value for name, value in group.items() if value not in (None, [], 0, 0.0, "", "UNSET")}
    again |= {"campaign_id": campaign, "adgroup_name": drafts.name(), "schedule_start_time": "2026-11-10 00:00:00"}
    again |= {"budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"}
    del again["bid_display_mode"]
    copied = drafts.post("adgroup/create", **again)
    assert copied["pixel_id"] == group["pixel_id"]
    ads = drafts.api.get("ad/get", advertiser_id=drafts.account, page_size=1000)["data"]["list"]
    ad = next(one for one in ads if one["tiktok_item_id"] and not one["video_id"])
    stripped = {name: value for name, value in ad.items() if value not in (None, [], 0, "", "UNSET")}
    del stripped["ad_text"]  # the post has its own
    drafts.post("ad/create", adgroup_id=copied["adgroup_id"], creatives=[stripped])


def test_an_ad_delivers_after_its_review_and_only_while_on(drafts: EntityFactory) -> None:
    """In review and off an ad spends nothing; on the air it ramps up slowly; off again it stops."""
    group = drafts.ad_group()
    on = drafts.ad(group)
    off = drafts.ad(group, operation_status="DISABLE")
    shown = drafts.read("ad/get", ad_ids=[on])
    assert (shown["secondary_status"], shown["operation_status"]) == ("AD_STATUS_AUDIT", "ENABLE")
    spend = [_spend(drafts, on)]
    for days in (1, 4):
        drafts.api.control("POST", "clock", advance_seconds=days * DAY)
        spend.append(_spend(drafts, on))
    assert drafts.read("ad/get", ad_ids=[on])["secondary_status"] == "AD_STATUS_DELIVERY_OK"
    assert spend[0] == 0 < spend[1] < spend[2] < 60
    assert _spend(drafts, off) == 0
    drafts.post("ad/status/update", ad_ids=[on], operation_status="DISABLE")
    drafts.post("ad/status/update", ad_ids=[off], operation_status="ENABLE")
    drafts.api.control("POST", "clock", advance_seconds=2 * DAY)
    stopped = _spend(drafts, on)
    drafts.api.control("POST", "clock", advance_seconds=DAY)
    assert stopped == _spend(drafts, on)
    assert _spend(drafts, off) > 0
    true = drafts.api.control("GET", f"truth/report?level=ad&advertiser_id={drafts.account}&lifetime=true")
    assert stopped == next(float(row["metrics"]["spend"]) for row in true if row["id"] == on)


def _spend(drafts: EntityFactory, ad: str) -> float:
    chosen = [{"field_name": "ad_ids", "filter_type": "IN", "filter_value": f'["{ad}"]'}]
    rows = drafts.api.report(drafts.account, query_lifetime=True, filtering=chosen)["data"]["list"]
    return float(rows[0]["metrics"]["spend"]) if rows else 0.0


def test_parents_speak_for_their_children(drafts: EntityFactory) -> None:
    """A parent switched off shows in its children, which keep their own switch; deleted parents refuse edits."""
    campaign = drafts.campaign()
    group = drafts.ad_group(campaign)
    ad = drafts.ad(group)
    drafts.post("campaign/status/update", campaign_ids=[campaign], operation_status="DISABLE")
    shown = drafts.read("ad/get", ad_ids=[ad])
    assert (shown["secondary_status"], shown["operation_status"]) == ("AD_STATUS_CAMPAIGN_DISABLE", "ENABLE")
    drafts.post("campaign/status/update", campaign_ids=[campaign], operation_status="ENABLE")
    assert drafts.read("ad/get", ad_ids=[ad])["secondary_status"] == "AD_STATUS_AUDIT"
    drafts.post("campaign/status/update", campaign_ids=[campaign], operation_status="DELETE")
    gone = "This campaign has been deleted."
    for path, body in (
        ("campaign/update", {"campaign_id": campaign, "campaign_name": "New"}),
        ("campaign/status/update", {"campaign_ids": [campaign], "operation_status": "ENABLE"}),
        ("adgroup/create", drafts.ad_group_body(campaign)),
        ("adgroup/update", {"adgroup_id": group, "adgroup_name": "New"}),
        ("ad/create", {"adgroup_id": group, "creatives": [drafts.creative()]}),
        ("ad/status/update", {"ad_ids": [ad], "operation_status": "DISABLE"}),
    ):
        assert drafts.refused(path, **body) == (40002, gone)


def test_updates_change_what_they_name(drafts: EntityFactory) -> None:
    """An update changes only what it names; one that names nothing is 40012."""
    campaign = drafts.campaign(budget_mode="BUDGET_MODE_DAY", budget=100)
    group = drafts.ad_group(campaign)
    ad = drafts.ad(group)
    drafts.post("campaign/update", campaign_id=campaign, budget=75)
    drafts.post("adgroup/update", adgroup_id=group, gender="GENDER_FEMALE", budget=30)
    patch = [{"ad_id": ad, "ad_text": "Better"}]
    assert drafts.post("ad/update", adgroup_id=group, patch_update=True, creatives=patch)["need_audit"] is True
    assert drafts.read("campaign/get", campaign_ids=[campaign])["budget"] == 75.0
    shown = drafts.read("adgroup/get", adgroup_ids=[group])
    assert (shown["gender"], shown["budget"], shown["billing_event"]) == ("GENDER_FEMALE", 30.0, "OCPM")
    shown = drafts.read("ad/get", ad_ids=[ad])
    assert (shown["ad_text"], shown["video_id"]) == ("Better", drafts.media["video_id"])
    assert drafts.refused("campaign/update", campaign_id=campaign)[0] == 40012
    assert drafts.refused("adgroup/update", adgroup_id=group)[0] == 40012
    told = drafts.refused("ad/update", adgroup_id=group, creatives=patch)
    assert "creatives.0.ad_name: Missing" in told[1]
    patch = [{"ad_id": ad, "landing_page_url": "https://x.example/"}]
    told = drafts.refused("ad/update", adgroup_id=group, patch_update=True, creatives=patch)
    assert told[0] == 40012  # what a patch may not touch is ignored
    drafts.api.control("POST", "switches", patch_refuses_others=True)
    told = drafts.refused("ad/update", adgroup_id=group, patch_update=True, creatives=patch)
    assert "creatives.0.landing_page_url" in told[1]


def test_the_matrix_of_budget_modes(drafts: EntityFactory) -> None:
    """A daily campaign refuses total ad groups; under CBO an ad group's budget reads 0.0."""
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
        campaign = drafts.campaign(budget_mode=mode, budget=None if mode.endswith("INFINITE") else 500)
        answer = drafts.api.post(
            "adgroup/create", advertiser_id=drafts.account, **drafts.ad_group_body(campaign, **total)
        )
        assert allowed == (answer["code"] == 0), answer
    poor = drafts.ad_group_body(drafts.campaign(), **total | {"budget": 199})
    assert "at least 200" in drafts.refused("adgroup/create", **poor)[1]  # ten days of twenty
    cbo = drafts.campaign(budget_mode="BUDGET_MODE_DYNAMIC_DAILY_BUDGET", budget=100)
    assert drafts.read("campaign/get", campaign_ids=[cbo])["budget_optimize_on"] is True
    group = drafts.ad_group(cbo, budget=None, budget_mode=None)
    assert drafts.read("adgroup/get", adgroup_ids=[group])["budget"] == 0.0
    assert "bid_type: Missing" in drafts.refused("adgroup/create", **drafts.ad_group_body(cbo, bid_type=None))[1]


def test_minima_follow_the_currency(drafts: EntityFactory, accounts: list[str]) -> None:
    """In yen the minima are a hundred times those in dollars, and there are no decimals."""
    for budget, named in ((4999, "at least 5000 "), (5000.5, "0 decimals"), (5000, None)):
        body = drafts.campaign_body(budget_mode="BUDGET_MODE_DAY", budget=budget)
        answer = drafts.api.post("campaign/create", advertiser_id=accounts[1], **body)
        assert (answer["code"] == 0) is (named is None)
        assert (named or "OK") in answer["message"]


@pytest.mark.parametrize(
    ("currency", "budget", "named"),
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
def test_ad_group_budgets_are_by_the_official_ratios(
    drafts: EntityFactory, currency: str, budget: float, named: str | None
) -> None:
    """The minimum is twenty times the currency's ratio, and dollars of Taiwan take no decimals."""
    drafts.api.control("POST", "accounts", advertiser_id=drafts.account, currency=currency)
    try:
        campaign = drafts.campaign(budget_mode="BUDGET_MODE_INFINITE", budget=None)
        body = drafts.ad_group_body(campaign, budget=budget)
        answer = drafts.api.post("adgroup/create", advertiser_id=drafts.account, **body)
    finally:
        drafts.api.control("POST", "accounts", advertiser_id=drafts.account, currency="USD")
    assert (answer["code"] == 0) is (named is None), answer
    assert (named or "OK") in answer["message"]


def test_a_punished_account_has_no_quota(drafts: EntityFactory) -> None:
    """Neither a used nor a free active ad group: 0 of 0, which is how TikTok tells a punished account."""
    drafts.api.control("POST", "switches", punished=[drafts.account])
    quota = drafts.api.get("adgroup/quota", advertiser_id=drafts.account)["data"]
    assert quota == {"total_adgroup_quota": 0, "used_adgroup_quota": 0}
    drafts.api.control("POST", "switches", punished=[])
    assert drafts.api.get("adgroup/quota", advertiser_id=drafts.account)["data"]["total_adgroup_quota"] > 0


def test_daily_budgets_change_at_the_next_midnight(drafts: EntityFactory) -> None:
    """A scheduled budget takes effect at 00:00 of the account's next day."""
    group = drafts.ad_group()
    rows = [{"adgroup_id": group, "scheduled_budget": 60}]
    drafts.post("adgroup/budget/update", scheduled_budget=rows)
    shown = drafts.read("adgroup/get", adgroup_ids=[group])
    assert (shown["budget"], shown["scheduled_budget"]) == (50.0, 60.0)
    drafts.api.control("POST", "clock", now="2026-11-10T08:00:00Z")  # midnight in Los Angeles
    shown = drafts.read("adgroup/get", adgroup_ids=[group])
    assert (shown["budget"], shown["scheduled_budget"]) == (60.0, 0.0)
    wrong = [{"adgroup_id": group, "budget": 60}]
    assert drafts.refused("adgroup/budget/update", budget=wrong)[0] == 40002


def test_a_budget_stays_above_what_is_spent(drafts: EntityFactory) -> None:
    """A new budget below 105 % of today's spend is refused."""
    group = drafts.api.get("adgroup/get", advertiser_id=drafts.account, filtering={"adgroup_name": "Lookalike"})
    spending = group["data"]["list"][-1]["adgroup_id"]
    code, message = drafts.refused("adgroup/update", adgroup_id=spending, budget=20)
    assert (code, "105%" in message) == (40002, True)


def test_a_request_id_makes_one(drafts: EntityFactory) -> None:
    """The same request_id twice is 40050; after its time it is a new request; another one may share the name."""
    drafts.api.control("POST", "switches", idempotency_seconds=0.3)
    body = drafts.campaign_body(request_id="900001")
    first = drafts.post("campaign/create", **body)
    assert drafts.refused("campaign/create", **body)[0] == 40050
    assert drafts.refused("campaign/create", **drafts.campaign_body(campaign_name=body["campaign_name"]))[1] == (
        "campaign_name: Campaign name already exists."
    )
    drafts.post("campaign/create", **body | {"request_id": "900002"})
    drafts.api.control("POST", "switches", idempotency_seconds=0)
    drafts.post("campaign/create", **body)
    drafts.api.control("POST", "switches", unique_campaign_names=False)
    drafts.campaign(campaign_name=body["campaign_name"])
    found = drafts.api.get(
        "campaign/get", advertiser_id=drafts.account, filtering={"campaign_name": body["campaign_name"]}
    )
    ids = {one["campaign_id"] for one in found["data"]["list"] if one["campaign_name"] == body["campaign_name"]}
    assert (len(ids), first["campaign_id"] in ids) == (4, True)


def test_switches_of_the_body_rules(drafts: EntityFactory) -> None:
    """Unknown keys are ignored; read-only ones are refused, and placeholders taken, by switch."""
    drafts.campaign(nonsense=1, secondary_status="CAMPAIGN_STATUS_ENABLE")
    drafts.api.control("POST", "switches", read_only_refused=True)
    told = drafts.refused("campaign/create", **drafts.campaign_body(create_time="2026-01-01 00:00:00"))
    assert told == (40002, "create_time: Unknown field.")
    creatives = [drafts.creative(campaign_name="x")]
    told = drafts.refused("ad/create", adgroup_id=drafts.old_ad_group(), creatives=creatives)
    assert told == (40002, "creatives.0.campaign_name: Unknown field.")
    drafts.api.control("POST", "switches", placeholders_allowed=True)
    drafts.ad_group(roas_bid=0.0)


def test_status_updates(drafts: EntityFactory) -> None:
    """At most twenty ids, all or none; ad groups may succeed in part; ids are numbers by switch."""
    first, second = drafts.ad_group(), drafts.ad_group()
    update: dict[str, Any] = {"operation_status": "DISABLE"}
    assert "adgroup_ids" in drafts.refused("adgroup/status/update", adgroup_ids=["1"] * 21, **update)[1]
    assert "adgroup_ids" in drafts.refused("adgroup/status/update", adgroup_ids=[], **update)[1]
    assert drafts.refused("adgroup/status/update", adgroup_ids=[first, "1"], **update)[0] == 40002
    assert drafts.read("adgroup/get", adgroup_ids=[first])["operation_status"] == "ENABLE"
    answer = drafts.api.post(
        "adgroup/status/update",
        advertiser_id=drafts.account,
        adgroup_ids=[first, "1", second],
        allow_partial_success=True,
        **update,
    )
    assert (answer["code"], answer["data"]["adgroup_ids"]) == (20001, [first, second])
    assert [one["adgroup_id"] for one in answer["data"]["error_list"]] == ["1"]
    drafts.api.control("POST", "switches", status_ids_as_numbers=True)
    told = drafts.post("adgroup/status/update", adgroup_ids=[first], operation_status="ENABLE")
    assert told["adgroup_ids"] == [int(first)]


def test_limits_of_the_structure(drafts: EntityFactory) -> None:
    """An ad group holds fifty ads, deleted ones not counted; the quota counts active ad groups."""
    before = drafts.api.get("adgroup/quota", advertiser_id=drafts.account)["data"]["used_adgroup_quota"]
    group = drafts.ad_group()
    after = drafts.api.get("adgroup/quota", advertiser_id=drafts.account)["data"]["used_adgroup_quota"]
    assert before + 1 == after
    for size in (20, 20, 10):
        creatives = [drafts.creative() for _ in range(size)]
        ids = drafts.post("ad/create", adgroup_id=group, creatives=creatives)["ad_ids"]
    assert drafts.refused("ad/create", adgroup_id=group, creatives=[drafts.creative()])[0] == 40502
    assert drafts.refused("ad/create", adgroup_id=group, creatives=[drafts.creative()] * 21)[0] == 40002
    drafts.post("ad/status/update", ad_ids=ids[:1], operation_status="DELETE")
    drafts.ad(group)


def test_who_may_write(drafts: EntityFactory, accounts: list[str]) -> None:
    """Without token, grant or scope nothing is written, and the message names the endpoint."""
    body = drafts.campaign_body()
    assert drafts.api.post("campaign/create", token="", **body)["code"] == 40104
    answer = drafts.api.post("campaign/create", advertiser_id=accounts[4], **body)
    assert (answer["code"], "/campaign/create/:POST permission" in answer["message"]) == (40001, True)
    drafts.api.control("POST", "switches", no_scope_for=["writes"])
    code, message = drafts.refused("campaign/create", **body)
    lacking = "The access token lacks the required scope for endpoint /campaign/create/."
    assert (code, message) == (40001, lacking)
    assert drafts.api.get("campaign/get", advertiser_id=drafts.account)["code"] == 0


def test_shapes_of_the_whole_body(drafts: EntityFactory) -> None:
    """A body that is no JSON object is refused, as is the wrong verb."""
    headers = {"Access-Token": drafts.api.sandbox.token}
    url = "/open_api/v1.3/campaign/create/"
    for content in (b"", b"[]", b"{"):
        assert drafts.api.http.post(url, content=content, headers=headers).json()["code"] == 40002
    assert drafts.api.http.get(url, headers=headers).status_code == 404
