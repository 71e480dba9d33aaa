"""Laws of the guardrails: each lets a good ad pass, holds a bad one back, and says why with the numbers."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot
from tiktok_assets.duplication.validation import source_copyable
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGNS
from tiktok_assets.tables.frames import build_entity_frame
from tiktok_assets.top_spenders.guardrails import GUARDRAILS, Candidate, Hold, evaluate_guardrails
from tiktok_assets_tests.top_spenders.ranked_account import (
    MORNING,
    OWNER,
    build_ad_group_row,
    build_ad_row,
    build_campaign_row,
)

LIMITS = load_settings(data_dir="data", state_dir=Path("state"))
"""The limits nobody changed."""

LEADER = {
    "advertiser_id": OWNER,
    "campaign_id": build_campaign_row()["campaign_id"],
    "ad_id": "A",
    "currency": "EUR",
    "spend": Decimal("120.00"),
    "runner_up_spend": Decimal("100.00"),
}
GOOD = Candidate(
    ad_id="A", leader=LEADER, ad=build_ad_row("A"), ad_group=build_ad_group_row("A"), campaign=build_campaign_row()
)
NAMES = [guardrail.name for guardrail in GUARDRAILS]


def limits(**overrides: object) -> Settings:
    """The limits with some changed."""
    return load_settings(data_dir="data", state_dir=Path("state"), **overrides)


def with_row(which: str, **changes: object) -> Candidate:
    """The good candidate with one of its rows changed."""
    changed: dict[str, Any] = {which: {**getattr(GOOD, which), **changes}}
    return replace(GOOD, **changed)


def held(candidate: Candidate, settings: Settings = LIMITS, now: datetime = MORNING) -> dict[str, str]:
    """The reasons by guardrail."""
    return {hold.guardrail: hold.reason for hold in evaluate_guardrails(candidate, settings, now)}


def test_a_good_candidate_passes_every_guardrail() -> None:
    """An ad with spend and lead that delivers, of a kind that can be copied, is held back by nothing."""
    assert held(GOOD) == {}


AT = MORNING - timedelta(hours=23)

HELD = [
    (replace(GOOD, baseline_at=AT), {}, "new", "first looked at, 2026-10-06 13:30 UTC"),
    (replace(GOOD, flagged_at=AT), {}, "once", "flagged 2026-10-06 13:30 UTC"),
    (with_row("leader", ad_id="B"), {}, "leads", "it no longer leads: ad B does, with 120.00 EUR"),
    (replace(GOOD, leader=None), {}, "leads", "no ranking of its campaign is stored"),
    (GOOD, {"min_spend": "120.01"}, "spend", "it has spent 120.00 EUR, less than TIKTOK_MIN_SPEND of 120.01 EUR"),
    (
        GOOD,
        {"min_lead": "0.21"},
        "lead",
        "20.00 % ahead of the runner-up's 100.00, less than TIKTOK_MIN_LEAD of 21",
    ),
    (replace(GOOD, ad=None), {}, "delivering", "the ad is not in the table `ads` yet"),
    (replace(GOOD, ad_group=None), {}, "delivering", "its ad group is not in the table `ad_groups` yet"),
    (replace(GOOD, campaign=None), {}, "delivering", "its campaign is not in the table `campaigns` yet"),
    (
        with_row("ad", operation_status="DISABLE"),
        {},
        "delivering",
        "the ad does not deliver: it is switched to DISABLE",
    ),
    (with_row("ad", secondary_status="AD_STATUS_DELETE"), {}, "delivering", "its status is AD_STATUS_DELETE"),
    (with_row("ad", secondary_status="AD_STATUS_AUDIT_DENY"), {}, "delivering", "AD_STATUS_AUDIT_DENY"),
    (with_row("ad", secondary_status="AD_STATUS_DONE"), {}, "delivering", "AD_STATUS_DONE"),
    (with_row("ad_group", operation_status="FROZEN"), {}, "delivering", "its ad group does not deliver"),
    (with_row("ad_group", secondary_status="ADGROUP_STATUS_TIME_DONE"), {}, "delivering", "its ad group"),
    (with_row("campaign", operation_status="DISABLE"), {}, "delivering", "its campaign does not deliver"),
    (replace(GOOD, is_copy=True), {}, "original", "a copy this project made, by its ledger"),
    (with_row("ad", ad_name="Hook [tta-0123456789ab]"), {}, "original", "[tta-0123456789ab]"),
    (
        GOOD,
        {"scaling_campaigns": {OWNER: LEADER["campaign_id"]}},
        "testing",
        f"campaign {LEADER['campaign_id']} is the one in TIKTOK_SCALING_CAMPAIGNS",
    ),
    (with_row("ad", campaign_automation_type="UPGRADED_SMART_PLUS"), {}, "copyable", "the ad is Smart+"),
    (with_row("ad", smart_plus_ad_id="1"), {}, "copyable", "the ad is Smart+"),
    (with_row("ad", is_aco=True), {}, "copyable", "the ad is automated creative optimisation"),
    (with_row("ad_group", creative_material_mode="DYNAMIC"), {}, "copyable", "its ad group is automated creative"),
    (with_row("campaign", is_smart_performance_campaign=True), {}, "copyable", "its campaign is Smart+"),
    (with_row("ad", extra=json.dumps({"catalog_id": "7"})), {}, "copyable", "the ad is made from a catalogue"),
    (GOOD, {"exclude_names": "(?i)^ad [A-C]"}, "name", "TIKTOK_EXCLUDE_NAMES finds 'Ad A' in its name"),
    (
        replace(GOOD, campaign_flagged_at=AT),
        {},
        "cool_down",
        "flagged 2026-10-06 13:30 UTC; TIKTOK_FLAG_COOLDOWN_DAYS of 3 end 2026-10-09 13:30 UTC",
    ),
    (
        replace(GOOD, flagged_lately=[AT, MORNING]),
        {"flags_per_day": 2},
        "daily_cap",
        "the account has 2 flags within 24 hours, and TIKTOK_FLAGS_PER_DAY is 2",
    ),
    (GOOD, {"flags_per_day": 0}, "daily_cap", "TIKTOK_FLAGS_PER_DAY is 0"),
]


@pytest.mark.parametrize(("candidate", "changed", "guardrail", "reason"), HELD, ids=[row[2] for row in HELD])
def test_each_guardrail_holds_back_what_it_is_for(
    candidate: Candidate, changed: dict[str, object], guardrail: str, reason: str
) -> None:
    """One thing wrong is held back by its own guardrail alone, in a sentence with the numbers."""
    found = held(candidate, limits(**changed))
    assert list(found) == [guardrail]
    assert reason in found[guardrail]
    assert "None" not in found[guardrail]


PASSES = [
    ("new", replace(GOOD, baseline_at=None), {}),
    ("once", replace(GOOD, flagged_at=None), {}),
    ("leads", with_row("leader", ad_id="A"), {}),
    ("spend", GOOD, {"min_spend": "120"}),
    ("lead", GOOD, {"min_lead": "0.20"}),
    ("lead", with_row("leader", runner_up_spend=None), {"min_lead": "1000"}),
    ("delivering", with_row("ad", secondary_status="AD_STATUS_BUDGET_EXCEED"), {}),
    ("delivering", with_row("ad", secondary_status="AD_STATUS_REAUDIT"), {}),
    ("delivering", with_row("ad", secondary_status=None), {}),  # TikTok's own sandbox leaves it out
    ("delivering", with_row("ad_group", secondary_status="ADGROUP_STATUS_NOT_START"), {}),
    ("original", with_row("ad", ad_name="Hook [tta]"), {}),
    ("original", with_row("ad", ad_name=None), {}),
    ("testing", GOOD, {"scaling_campaigns": {OWNER: "1"}}),
    ("testing", GOOD, {"scaling_campaigns": {"7002": LEADER["campaign_id"]}}),
    ("copyable", with_row("ad", campaign_automation_type=None), {}),
    ("copyable", with_row("ad_group", creative_material_mode=None), {}),
    ("name", GOOD, {"exclude_names": "^test"}),
    ("name", with_row("ad", ad_name=None), {"exclude_names": "None"}),
    ("cool_down", replace(GOOD, campaign_flagged_at=MORNING - timedelta(days=3)), {}),
    ("cool_down", replace(GOOD, campaign_flagged_at=MORNING), {"flag_cooldown_days": 0}),
    ("daily_cap", replace(GOOD, flagged_lately=[MORNING - timedelta(hours=24)] * 9), {}),
    ("daily_cap", replace(GOOD, flagged_lately=[AT] * 4), {}),
]


@pytest.mark.parametrize(("guardrail", "candidate", "changed"), PASSES, ids=[row[0] for row in PASSES])
def test_each_guardrail_lets_pass_what_is_just_within(
    guardrail: str, candidate: Candidate, changed: dict[str, object]
) -> None:
    """At the limit, and where nothing is known against it, an ad passes."""
    assert guardrail not in held(candidate, limits(**changed))


def test_every_guardrail_is_tried_both_ways() -> None:
    """No guardrail is without a case that passes and one that is held back, and each says what it asks."""
    assert {row[2] for row in HELD} == {row[0] for row in PASSES} == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)
    assert all(guardrail.meaning for guardrail in GUARDRAILS)


def test_the_docs_name_every_guardrail_as_the_program_does() -> None:
    """The table of `docs/flags.md` is the table of guardrails, in its order."""
    text = (Path(__file__).parents[2] / "docs/flags.md").read_text(encoding="utf-8")
    rows = "\n".join(f"| `{guardrail.name}` | {guardrail.meaning} |" for guardrail in GUARDRAILS)
    assert rows in text


def test_every_reason_is_told_at_once() -> None:
    """An ad with several things wrong hears all of them, in the order of the table."""
    wrong = replace(with_row("ad", operation_status="DISABLE", is_aco=True), campaign_flagged_at=MORNING)
    assert list(held(wrong, limits(min_spend="500"))) == ["spend", "delivering", "copyable", "cool_down"]


def test_what_is_no_news_is_not_examined_further() -> None:
    """An ad that is known or no longer leads has that one reason, whatever else is wrong."""
    for change in ({"baseline_at": AT}, {"flagged_at": AT}, {"leader": None}):
        assert len(held(replace(GOOD, ad=None, **change), limits(min_spend="500"))) == 1


cents = st.decimals("0.0001", "99999999999999.9999", places=4)


@hypothesis(max_examples=200)
@given(cents, cents, st.decimals("0", "3", places=4))
def test_the_lead_is_compared_exactly(spend: Decimal, second: Decimal, least: Decimal) -> None:
    """For any amounts the lead is held back exactly when the leader has less than the runner-up and the share."""
    candidate = with_row("leader", spend=spend, runner_up_spend=second)
    settings = LIMITS.model_copy(update={"min_lead": least, "min_spend": Decimal(0)})
    ten_thousandths = [int(amount * 10_000) for amount in (spend, second, 1 + least)]
    assert ("lead" in held(candidate, settings)) == (
        ten_thousandths[0] * 10_000 < ten_thousandths[1] * ten_thousandths[2]
    )


def test_a_hold_is_a_name_and_a_sentence() -> None:
    """What comes back names its guardrail, so that it can be counted and looked up."""
    (hold,) = evaluate_guardrails(replace(GOOD, leader=None), LIMITS, MORNING)
    assert hold == Hold("leads", "no ranking of its campaign is stored")


KINDS = [
    ("campaign_automation_type", "UPGRADED_SMART_PLUS"),
    ("is_smart_performance_campaign", True),
    ("smart_plus_ad_id", "7"),
    ("is_aco", True),
    ("creative_material_mode", "SMART_CREATIVE"),
    ("objective_type", "RF_REACH"),
    ("billing_event", "GD"),
    ("buying_type", "RESERVATION_RF"),
    ("rf_purchased_type", "FIXED_BUDGET"),
    ("objective_type", "PRODUCT_SALES"),
    ("ad_format", "CATALOG_CAROUSEL"),
    ("product_source", "CATALOG"),
    ("shopping_ads_type", "VIDEO"),
    ("catalog_id", "7"),
    ("store_id", "7"),
    ("catalog_enabled", True),
    ("campaign_product_source", "STORE"),
    ("ad_format", "LIVE_CONTENT"),
    ("split_test_enabled", True),
    ("split_test_group_id", "7"),
    ("campaign_system_origin", "PROMOTE"),
    ("campaign_automation_type", "MANUAL"),
    ("creative_material_mode", "CUSTOM"),
    ("objective_type", "TRAFFIC"),
    ("billing_event", "CPC"),
    ("ad_format", "SINGLE_VIDEO"),
    ("is_aco", False),
    ("catalog_id", "0"),
    ("product_source", "UNSET"),
]
"""Fields of an answer that say what an object is: of every kind that cannot be copied, and of some that can."""

_TABLES = {"ad": ADS, "ad_group": AD_GROUPS, "campaign": CAMPAIGNS}


@pytest.mark.parametrize("which", list(_TABLES))
@pytest.mark.parametrize(("name", "value"), KINDS)
def test_who_is_flagged_as_copyable_is_not_refused_for_its_kind(which: str, name: str, value: object) -> None:
    """Stored by a refresh and read by the guardrail, or read by the duplication: the verdict is the same."""
    ids = {"advertiser_id": OWNER, "campaign_id": "1", "adgroup_id": "2", "ad_id": "3"}
    rows = {each: {**ids, **({name: value} if each == which else {})} for each in _TABLES}
    tables: dict[str, Any] = {
        each: build_entity_frame(entity, [rows[each]], MORNING, unknown_fields=set()).to_dicts()[0]
        for each, entity in _TABLES.items()
    }
    by_guardrail = "copyable" in held(replace(GOOD, **tables))
    wish = DuplicationRequest(OWNER, "3", "9")
    sources = Snapshot(
        wish=wish,
        account=AccountContext("EUR", {}, None),
        ad=rows["ad"],
        ad_group=rows["ad_group"],
        campaign=rows["campaign"],
        target=None,
        target_ad_group=None,
        ad_groups=0,
        ads=0,
        quota=None,
        copy_of=None,
        now=MORNING,
    )
    assert by_guardrail == bool(source_copyable(sources))
