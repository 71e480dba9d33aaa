"""Tests of guardrails: each passes a good ad, and holds a bad one back with the numbers in the reason."""

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

from tiktok_assets.duplication.ad_kinds import AD_KINDS
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.top_spenders.guardrails import GUARDRAILS, Candidate, Hold, evaluate_guardrails
from tiktok_assets_tests.top_spenders.ranked_account import (
    OWNER,
    START,
    build_ad_group_row,
    build_ad_row,
    build_campaign_row,
)

LIMITS = load_settings(data_dir="data", state_dir=Path("state"))
"""The default limits."""

LEADER = {
    "advertiser_id": OWNER,
    "campaign_id": build_campaign_row()["campaign_id"],
    "ad_id": "A",
    "currency": "EUR",
    "spend": Decimal("120.00"),
    "runner_up_spend": Decimal("100.00"),
}
GOOD_CANDIDATE = Candidate(
    ad_id="A", leader=LEADER, ad=build_ad_row("A"), ad_group=build_ad_group_row("A"), campaign=build_campaign_row()
)
NAMES = [guardrail.name for guardrail in GUARDRAILS]


def load_limits(**overrides: object) -> Settings:
    """Load the limits with some overridden."""
    return load_settings(data_dir="data", state_dir=Path("state"), **overrides)


def change_row(which: str, **changes: object) -> Candidate:
    """Change one row of the good candidate."""
    changed: dict[str, Any] = {which: {**getattr(GOOD_CANDIDATE, which), **changes}}
    return replace(GOOD_CANDIDATE, **changed)


def find_holds(candidate: Candidate, settings: Settings = LIMITS, now: datetime = START) -> dict[str, str]:
    """Return the reasons by guardrail."""
    return {hold.guardrail: hold.reason for hold in evaluate_guardrails(candidate, settings, now)}


def test_good_candidate_passes_every_guardrail() -> None:
    """An ad with spend and lead that delivers and can be copied is not held back."""
    assert find_holds(GOOD_CANDIDATE) == {}


AT = START - timedelta(hours=23)

HELD = [
    (replace(GOOD_CANDIDATE, baseline_at=AT), {}, "new", "first leader, in the report of 2026-10-06 13:30 UTC"),
    (replace(GOOD_CANDIDATE, flagged_at=AT), {}, "once", "flagged 2026-10-06 13:30 UTC"),
    (change_row("leader", ad_id="B"), {}, "leads", "it no longer leads: ad B does, with 120.00 EUR"),
    (replace(GOOD_CANDIDATE, leader=None), {}, "leads", "no ranking of its campaign is stored"),
    (
        GOOD_CANDIDATE,
        {"min_spend": "120.01"},
        "spend",
        "it has spent 120.00 EUR, less than TIKTOK_MIN_SPEND of 120.01 EUR",
    ),
    (
        GOOD_CANDIDATE,
        {"min_lead": "0.21"},
        "lead",
        "20.00 % ahead of the runner-up's 100.00, less than TIKTOK_MIN_LEAD of 21",
    ),
    (replace(GOOD_CANDIDATE, ad=None), {}, "delivering", "the ad is not in the table `ads` yet"),
    (replace(GOOD_CANDIDATE, ad_group=None), {}, "delivering", "its ad group is not in the table `ad_groups` yet"),
    (replace(GOOD_CANDIDATE, campaign=None), {}, "delivering", "its campaign is not in the table `campaigns` yet"),
    (
        change_row("ad", operation_status="DISABLE"),
        {},
        "delivering",
        "the ad does not deliver: it is switched to DISABLE",
    ),
    (change_row("ad", secondary_status="AD_STATUS_DELETE"), {}, "delivering", "its status is AD_STATUS_DELETE"),
    (change_row("ad", secondary_status="AD_STATUS_AUDIT_DENY"), {}, "delivering", "AD_STATUS_AUDIT_DENY"),
    (change_row("ad", secondary_status="AD_STATUS_DONE"), {}, "delivering", "AD_STATUS_DONE"),
    (change_row("ad_group", operation_status="FROZEN"), {}, "delivering", "its ad group does not deliver"),
    (change_row("ad_group", secondary_status="ADGROUP_STATUS_TIME_DONE"), {}, "delivering", "its ad group"),
    (change_row("campaign", operation_status="DISABLE"), {}, "delivering", "its campaign does not deliver"),
    (replace(GOOD_CANDIDATE, is_copy=True), {}, "original", "a copy created by this project, by its ledger"),
    (change_row("ad", ad_name="Hook [tta-0123456789ab]"), {}, "original", "[tta-0123456789ab]"),
    (
        GOOD_CANDIDATE,
        {"scaling_campaigns": {OWNER: LEADER["campaign_id"]}},
        "testing",
        f"campaign {LEADER['campaign_id']} is the one in TIKTOK_SCALING_CAMPAIGNS",
    ),
    (
        replace(GOOD_CANDIDATE, ad=None, unlisted=frozenset({"ad_group"})),
        {},
        "delivering",
        "the ad is not in the table `ads` yet",
    ),
    (GOOD_CANDIDATE, {"exclude_names": "(?i)^ad [A-C]"}, "name", "TIKTOK_EXCLUDE_NAMES finds 'Ad A' in its name"),
    (
        replace(GOOD_CANDIDATE, campaign_flagged_at=AT),
        {},
        "cool_down",
        "flagged 2026-10-06 13:30 UTC; TIKTOK_FLAG_COOLDOWN_DAYS of 3 end 2026-10-09 13:30 UTC",
    ),
    (
        replace(GOOD_CANDIDATE, recent_flags=[AT, START]),
        {"flags_per_day": 2},
        "daily_cap",
        "the account has 2 flags within 24 hours, and TIKTOK_FLAGS_PER_DAY is 2",
    ),
    (GOOD_CANDIDATE, {"flags_per_day": 0}, "daily_cap", "TIKTOK_FLAGS_PER_DAY is 0"),
]


@pytest.mark.parametrize(("candidate", "changed", "guardrail", "reason"), HELD, ids=[row[2] for row in HELD])
def test_each_guardrail_holds_back_its_case(
    candidate: Candidate, changed: dict[str, object], guardrail: str, reason: str
) -> None:
    """One fault is held back by its own guardrail alone, with a reason that has the numbers."""
    found = find_holds(candidate, load_limits(**changed))
    assert list(found) == [guardrail]
    assert reason in found[guardrail]
    assert "None" not in found[guardrail]


UNLISTED = replace(
    change_row("leader", ad_name="Hook"),
    ad=None,
    ad_group=None,
    campaign=None,
    unlisted=frozenset({"ad", "ad_group", "campaign"}),
)
"""An ad of which only the report knows."""

PASSES = [
    ("new", replace(GOOD_CANDIDATE, baseline_at=None), {}),
    ("once", replace(GOOD_CANDIDATE, flagged_at=None), {}),
    ("leads", change_row("leader", ad_id="A"), {}),
    ("spend", GOOD_CANDIDATE, {"min_spend": "120"}),
    ("lead", GOOD_CANDIDATE, {"min_lead": "0.20"}),
    ("lead", change_row("leader", runner_up_spend=None), {"min_lead": "1000"}),
    ("delivering", change_row("ad", secondary_status="AD_STATUS_BUDGET_EXCEED"), {}),
    ("delivering", change_row("ad", secondary_status="AD_STATUS_REAUDIT"), {}),
    ("delivering", change_row("ad", secondary_status=None), {}),  # TikTok's own sandbox omits it
    ("delivering", change_row("ad_group", secondary_status="ADGROUP_STATUS_NOT_START"), {}),
    ("original", change_row("ad", ad_name="Hook [tta]"), {}),
    ("original", change_row("ad", ad_name=None), {}),
    ("testing", GOOD_CANDIDATE, {"scaling_campaigns": {OWNER: "1"}}),
    ("testing", GOOD_CANDIDATE, {"scaling_campaigns": {"7002": LEADER["campaign_id"]}}),
    ("delivering", change_row("campaign", operation_status=""), {}),
    ("delivering", replace(GOOD_CANDIDATE, ad=None, unlisted=frozenset({"ad"})), {}),
    ("delivering", UNLISTED, {}),
    ("name", GOOD_CANDIDATE, {"exclude_names": "^test"}),
    ("name", change_row("ad", ad_name=None), {"exclude_names": "None"}),
    ("cool_down", replace(GOOD_CANDIDATE, campaign_flagged_at=START - timedelta(days=3)), {}),
    ("cool_down", replace(GOOD_CANDIDATE, campaign_flagged_at=START), {"flag_cooldown_days": 0}),
    ("daily_cap", replace(GOOD_CANDIDATE, recent_flags=[START - timedelta(hours=24)] * 9), {}),
    ("daily_cap", replace(GOOD_CANDIDATE, recent_flags=[AT] * 4), {}),
]


@pytest.mark.parametrize(("guardrail", "candidate", "changed"), PASSES, ids=[row[0] for row in PASSES])
def test_each_guardrail_lets_the_limit_pass(
    guardrail: str, candidate: Candidate, changed: dict[str, object]
) -> None:
    """At the limit, and where a value is unknown, an ad passes."""
    assert guardrail not in find_holds(candidate, load_limits(**changed))


def test_every_guardrail_has_both_cases() -> None:
    """Every guardrail has a case that passes, a case that is held back, and a description."""
    assert {row[2] for row in HELD} == {row[0] for row in PASSES} == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)
    assert all(guardrail.description for guardrail in GUARDRAILS)


def test_docs_list_every_guardrail() -> None:
    """The table in `docs/flags.md` is the table of guardrails, in order."""
    text = (Path(__file__).parents[2] / "docs/flags.md").read_text(encoding="utf-8")
    rows = "\n".join(f"| `{guardrail.name}` | {guardrail.description} |" for guardrail in GUARDRAILS)
    assert rows in text


def test_all_reasons_are_returned() -> None:
    """An ad with several faults gets all reasons, in order."""
    wrong = replace(change_row("ad", operation_status="DISABLE"), campaign_flagged_at=START)
    assert list(find_holds(wrong, load_limits(min_spend="500"))) == [
        "spend",
        "delivering",
        "cool_down",
    ]


def test_final_guardrail_stops_the_evaluation() -> None:
    """An ad held back by a final guardrail has that one reason, whatever else is wrong."""
    for change in ({"baseline_at": AT}, {"flagged_at": AT}, {"leader": None}):
        assert len(find_holds(replace(GOOD_CANDIDATE, ad=None, **change), load_limits(min_spend="500"))) == 1


cents = st.decimals("0.0001", "99999999999999.9999", places=4)


@hypothesis(max_examples=200)
@given(cents, cents, st.decimals("0", "3", places=4))
def test_lead_is_compared_exactly(spend: Decimal, second: Decimal, min_lead: Decimal) -> None:
    """For any amounts the lead guardrail compares exactly."""
    candidate = change_row("leader", spend=spend, runner_up_spend=second)
    settings = LIMITS.model_copy(update={"min_lead": min_lead, "min_spend": Decimal(0)})
    ten_thousandths = [int(amount * 10_000) for amount in (spend, second, 1 + min_lead)]
    assert ("lead" in find_holds(candidate, settings)) == (
        ten_thousandths[0] * 10_000 < ten_thousandths[1] * ten_thousandths[2]
    )


def test_hold_has_guardrail_and_reason() -> None:
    """A hold has the name of its guardrail and a reason."""
    (hold,) = evaluate_guardrails(replace(GOOD_CANDIDATE, leader=None), LIMITS, START)
    assert hold == Hold("leads", "no ranking of its campaign is stored")


ACTIVE = ["PARTIAL_AUDIT_DELIVERY_OK", "REVIEW_PARTIALLY_APPROVED", "DELIVERY_AND_REAUDIT", "PRIVACY_POLICY_AUDIT"]


@pytest.mark.parametrize("status", [*ACTIVE, "DELIVERY_OK", "LIVE_OFFLINE", "BALANCE_EXCEED"])
def test_no_status_of_a_kind_that_delivers_holds_it_back(status: str) -> None:
    """Statuses that only Smart+, live or reviewed ads have do not hold an ad back while it can deliver."""
    assert find_holds(change_row("ad", secondary_status=f"AD_STATUS_{status}")) == {}
    assert find_holds(change_row("ad_group", secondary_status=f"ADGROUP_STATUS_{status}")) == {}


KIND_FIELDS = sorted({name for kind in AD_KINDS for name in kind.fields})
KIND_VALUES = [
    "UPGRADED_SMART_PLUS",
    "SMART_PLUS",
    "PROMOTE",
    "RF_REACH",
    "LIVE",
    "STORE",
    "DYNAMIC",
    "7",
    True,
    None,
]


@hypothesis(max_examples=200)
@given(st.sampled_from(["ad", "ad_group", "campaign"]), st.sampled_from(KIND_FIELDS), st.sampled_from(KIND_VALUES))
def test_no_kind_is_held_back(which: str, name: str, value: object) -> None:
    """Of whatever kind an ad is, it is as much news as a manual one."""
    assert find_holds(change_row(which, **{name: value})) == {}
    assert find_holds(change_row(which, extra=json.dumps({name: value}))) == {}


def test_name_of_an_unlisted_ad_counts_too() -> None:
    """An ad without a row of its own is a copy, or excluded, by its name in the report."""
    copy = replace(UNLISTED, leader={**LEADER, "ad_name": "Hook [tta-0123456789ab]"})
    assert list(find_holds(copy, load_limits(exclude_names="Hook"))) == ["original", "name"]
