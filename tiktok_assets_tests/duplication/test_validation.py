"""Tests of validation: each check refuses its case with a reason, and passes otherwise."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.api.creatives import Identity, IdentityStatus, Post
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot
from tiktok_assets.duplication.snapshot_loading import load_snapshot
from tiktok_assets.duplication.validation import CHECKS, list_refusals, validate
from tiktok_assets.sandbox.writes.budgets import BUDGET_RATIOS, WHOLE_UNIT_CURRENCIES
from tiktok_assets.spec.currencies import (
    BUDGET_RULES,
    DAILY_BUDGET,
    DYNAMIC_DAILY_BUDGET,
    INFINITE_BUDGET,
    TOTAL_BUDGET,
)
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import PLAN, DuplicationHarness, open_harness


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """Open a harness on the scenario's world, which is only read."""
    with Host.run(PLAN) as host, open_harness(host, tmp_path_factory.mktemp("checks")) as one:
        yield one


@pytest.fixture(scope="module")
def copy_snapshot(harness: DuplicationHarness) -> Snapshot:
    """Load the snapshot of the winner with a copy of its ad group."""
    return load(harness, harness.request())


@pytest.fixture(scope="module")
def join_snapshot(harness: DuplicationHarness) -> Snapshot:
    """Load the snapshot of the winner with the scaling campaign's ad group."""
    return load(harness, harness.request(ad_group_id=harness.scaling_ad_group.id))


def load(harness: DuplicationHarness, request: DuplicationRequest) -> Snapshot:
    """Load a snapshot over HTTP."""
    with harness.config.open() as one:
        return load_snapshot(one.client, one.fetcher, one.ledger, request, AccountContext("USD", {}, None))


def change_snapshot(snapshot: Snapshot, **changes: Any) -> Snapshot:  # noqa: ANN401 - any field
    """Return a snapshot with changed fields; a mapping changes fields of an object."""
    merged: dict[str, Any] = {
        name: {**(getattr(snapshot, name) or {}), **value} if isinstance(value, Mapping) else value
        for name, value in changes.items()
    }
    return replace(snapshot, **merged)


def change_to_pushed_video(snapshot: Snapshot, **ad: Any) -> Snapshot:  # noqa: ANN401 - any field of an ad
    """Return the snapshot of an ad whose video is to be posted under an identity that may post."""
    video = {"identity_type": "TT_USER", "identity_id": "8", "tiktok_item_id": None, "video_id": "v1"}
    texts = {"ad_text": "Try it", "ad_format": "SINGLE_VIDEO"}
    return change_snapshot(
        snapshot, ad={**video, **texts, **ad}, identity_status=IdentityStatus("AVAILABLE"), images=("i1",)
    )


def change_to_custom_identity(snapshot: Snapshot, **ad: Any) -> Snapshot:  # noqa: ANN401 - any field of an ad
    """Return the snapshot of an ad with a custom identity in an ad group without TikTok."""
    group = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}
    return change_snapshot(change_to_pushed_video(snapshot, identity_type="CUSTOMIZED_USER", **ad), ad_group=group)


def change_to_smart_plus(snapshot: Snapshot, **changes: Any) -> Snapshot:  # noqa: ANN401 - any field
    """Return the snapshot of a duplication into an Upgraded Smart+ campaign without ad groups."""
    target = {
        "campaign_automation_type": "UPGRADED_SMART_PLUS",
        "budget_mode": INFINITE_BUDGET,
        "budget_optimize_on": False,
    }
    return change_snapshot(snapshot, **{"target_campaign": target, "first_ad_group": None, **changes})


def change_request(snapshot: Snapshot, **other: Any) -> Snapshot:  # noqa: ANN401 - any field of a request
    """Return a snapshot with a changed request."""
    return replace(snapshot, request=replace(snapshot.request, **other))


def change_budget_limit(snapshot: Snapshot, added: int, limit: int, currency: str = "USD") -> Snapshot:
    """Return the snapshot of an account with an added budget and its limit."""
    return replace(snapshot, account=AccountContext(currency, {currency: Decimal(added)}, Decimal(limit)))


def test_scenario_winner_passes_every_check(copy_snapshot: Snapshot, join_snapshot: Snapshot) -> None:
    """The scenario's winner can be duplicated both ways."""
    for snapshot in (copy_snapshot, join_snapshot):
        results = validate(snapshot)
        assert [one.check for one in results] == ["objects_exist", *CHECKS]
        assert list_refusals(results) == []


@pytest.mark.parametrize(
    ("currency", "budget", "reason"),
    [
        (
            "TWD",
            "10.50",
            "a budget in TWD has no digits after the point, unlike 10.50, and must be at least 200 TWD",
        ),
        ("TWD", "199", "it must be at least 200 TWD and below 100000000 TWD"),
        ("TWD", "200", ""),
        ("KRW", "20", "it must be at least 20000 KRW and below 10000000000 KRW, with no digits after the point"),
        ("KRW", "20000", ""),
        ("HUF", "20.5", "no digits"),
        ("IDR", "199999", "at least 200000 IDR"),
        ("PLN", "79.99", "at least 80 PLN"),
        ("PLN", "80.001", "at most 2 digits"),
        ("USD", "10000000", "below 10000000 USD"),
        ("BIF", "0.5", ""),  # not documented: left to TikTok's response
        ("BIF", "0", "not more than 0"),
    ],
)
def test_budget_limits_depend_on_the_currency(
    copy_snapshot: Snapshot, currency: str, budget: str, reason: str
) -> None:
    """Minimum, maximum and decimals follow each documented currency."""
    refusal = CHECKS["budget_fits"](
        change_snapshot(
            replace(copy_snapshot, request=replace(copy_snapshot.request, budget=Decimal(budget))),
            account=replace(copy_snapshot.account, currency=currency),
            ad_group={"conversion_bid_price": 0, "budget_mode": DAILY_BUDGET},
        )
    )
    assert (reason in refusal) if reason else refusal == ""


def test_every_documented_currency_has_its_rules() -> None:
    """All 56 documented currencies have a ratio and decimals; nine have no decimals, as documented."""
    assert len(BUDGET_RULES) == 56
    whole = {code for code, rules in BUDGET_RULES.items() if rules.decimals == 0}
    assert whole == {"JPY", "KRW", "HUF", "CLP", "ISK", "IDR", "TWD", "PYG", "VND"}
    assert {code: rules.ratio for code, rules in BUDGET_RULES.items() if code in BUDGET_RATIOS} == BUDGET_RATIOS
    assert whole & BUDGET_RATIOS.keys() == WHOLE_UNIT_CURRENCIES


Change = Callable[[Snapshot], Snapshot]

REFUSED_COPIES: dict[str, tuple[str, Change, str]] = {
    "emoji in a text": (
        "text_taken",
        lambda s: change_to_pushed_video(s, ad_text="Try ✅ it"),
        "no emoji in an ad's text",
    ),
    "emoji in one of several texts": (
        "text_taken",
        lambda s: change_to_custom_identity(s, ad_text="", ad_texts=["Try it", "❤️"]),
        "--without-emoji",
    ),
    "a deleted ad": (
        "source_not_deleted",
        lambda s: change_snapshot(s, ad={"secondary_status": "AD_STATUS_DELETE"}),
        "the ad is deleted",
    ),
    "an ad in a deleted ad group": (
        "source_not_deleted",
        lambda s: change_snapshot(s, ad={"secondary_status": "AD_STATUS_ADGROUP_DELETE"}),
        "the ad is deleted",
    ),
    "a deleted campaign": (
        "source_not_deleted",
        lambda s: change_snapshot(s, campaign={"secondary_status": "CAMPAIGN_STATUS_DELETE"}),
        "campaign is deleted",
    ),
    "a creative that its Smart+ ad no longer has": (
        "creative_listed",
        lambda s: change_snapshot(s, is_creative_listed=False),
        "no longer part of its Upgraded Smart+ ad",
    ),
    "a field of a catalogue": (
        "fields_fit",
        lambda s: change_snapshot(s, read_objects={**s.read_objects, "ad": {"product_set_id": "5"}}),
        "product_set_id cannot be copied: the ad is made from a catalogue or a shop; create the copy",
    ),
    "no set of calls to action": (
        "call_to_action_usable",
        change_to_smart_plus,
        "requires a set of call-to-action buttons",
    ),
    "older Smart+": (
        "source_copyable",
        lambda s: change_snapshot(s, campaign={"is_smart_performance_campaign": True}),
        "Smart+",
    ),
    "ACO": ("source_copyable", lambda s: change_snapshot(s, ad={"is_aco": True}), "automated creative"),
    "dynamic creative": (
        "source_copyable",
        lambda s: change_snapshot(s, ad_group={"creative_material_mode": "DYNAMIC"}),
        "automated creative",
    ),
    "reach and frequency": (
        "source_copyable",
        lambda s: change_snapshot(s, campaign={"objective_type": "RF_REACH"}),
        "reservation",
    ),
    "TopView": (
        "source_copyable",
        lambda s: change_snapshot(s, campaign={"objective_type": "TOPVIEW_REACH"}),
        "reservation",
    ),
    "guaranteed delivery": (
        "source_copyable",
        lambda s: change_snapshot(s, ad_group={"billing_event": "GD"}),
        "reservation",
    ),
    "a catalogue ad": (
        "source_copyable",
        lambda s: change_snapshot(s, ad={"ad_format": "CATALOG_CAROUSEL"}),
        "catalogue",
    ),
    "a shop": ("source_copyable", lambda s: change_snapshot(s, ad_group={"product_source": "STORE"}), "a shop"),
    "product sales": (
        "source_copyable",
        lambda s: change_snapshot(s, campaign={"objective_type": "PRODUCT_SALES"}),
        "catalogue",
    ),
    "live": ("source_copyable", lambda s: change_snapshot(s, ad={"ad_format": "LIVE_CONTENT"}), "live broadcast"),
    "a split test": (
        "source_copyable",
        lambda s: change_snapshot(s, ad_group={"split_test_group_id": "5"}),
        "split test",
    ),
    "Promote": (
        "source_copyable",
        lambda s: change_snapshot(s, campaign={"campaign_system_origin": "PROMOTE"}),
        "Promote",
    ),
    "a copy of ours": (
        "source_is_original",
        lambda s: change_snapshot(s, original_id="77"),
        "duplicate the original, 77",
    ),
    "a copy by its name": ("source_is_original", lambda s: change_snapshot(s, original_id=""), "itself a copy"),
    "no identity": ("identity_usable", lambda s: change_snapshot(s, ad={"identity_type": "UNSET"}), "no identity"),
    "a business centre's identity": (
        "identity_usable",
        lambda s: change_snapshot(s, ad={"identity_type": "BC_AUTH_TT"}),
        "business centre",
    ),
    "an identity that was removed": (
        "identity_usable",
        lambda s: change_snapshot(s, identity_status=None),
        "is not among those",
    ),
    "an identity that is not available": (
        "identity_usable",
        lambda s: change_snapshot(s, identity_status=IdentityStatus("SCOPE_UNAVAILABLE")),
        "cannot be used now: SCOPE_UNAVAILABLE",
    ),
    "posts that may not be shown": (
        "identity_usable",
        lambda s: change_snapshot(s, identity_status=IdentityStatus("AVAILABLE", can_push=False, can_pull=False)),
        "its account does not allow it",
    ),
    "a creator's post that is not there yet": (
        "identity_usable",
        lambda s: change_to_pushed_video(s, identity_type="AUTH_CODE"),
        "the ad has no post yet",
    ),
    "an identity of a party": (
        "identity_usable",
        lambda s: change_snapshot(s, identity_status=IdentityStatus("AVAILABLE", is_political=True)),
        "TikTok accepts no ads of their posts",
    ),
    "a post that was removed": (
        "identity_usable",
        lambda s: change_snapshot(s, post=None),
        "is not among the posts",
    ),
    "a post whose owner's permission ended": (
        "identity_usable",
        lambda s: change_snapshot(s, post=Post(s.now)),
        "ask for a new authorisation code",
    ),
    "a post whose owner's permission is none": (
        "identity_usable",
        lambda s: change_snapshot(s, post=Post(status="REVOKED")),
        "permission is REVOKED",
    ),
    "a permission that is missing": (
        "lookups_allowed",
        lambda s: replace(change_to_pushed_video(s), forbidden_endpoint="identity/get/"),
        "tick Creative Management",
    ),
    "no format": ("format_fits", lambda s: change_snapshot(s, ad={"ad_format": None}), "no format"),
    "an image on TikTok": (
        "format_fits",
        lambda s: change_to_pushed_video(s, ad_format="SINGLE_IMAGE"),
        "single images on Pangle",
    ),
    "an image as a post": (
        "format_fits",
        lambda s: change_snapshot(
            change_to_custom_identity(s, ad_format="SINGLE_IMAGE"), ad={"identity_type": "TT_USER"}
        ),
        "cannot be posted",
    ),
    "a carousel off TikTok": (
        "format_fits",
        lambda s: change_to_custom_identity(s, ad_format="CAROUSEL_ADS", music_id="7", video_id=None),
        "carousels on TikTok alone",
    ),
    "an AI label that a post would lose": (
        "ai_label_kept",
        lambda s: change_snapshot(
            change_to_pushed_video(s, identity_type="CUSTOMIZED_USER", aigc_disclosure_type="SELF_DISCLOSURE"),
            account=replace(s.account, identity=Identity("TT_USER", "8")),
        ),
        "labelled as made by AI",
    ),
    "a video that is not there": (
        "media_usable",
        lambda s: replace(change_to_pushed_video(s), is_video_available=False),
        "does not offer the ad's video",
    ),
    "too many pictures of a carousel": (
        "media_usable",
        lambda s: change_snapshot(
            change_to_pushed_video(s, ad_format="CAROUSEL_ADS", music_id="7"), images=tuple(map(str, range(36)))
        ),
        "the limit of a carousel is 35",
    ),
    "no landing page": (
        "media_usable",
        lambda s: change_to_pushed_video(s, landing_page_url=None),
        "no landing page",
    ),
    "several texts as a post": (
        "media_usable",
        lambda s: change_to_pushed_video(s, ad_text="", ad_texts=["Try it"]),
        "no text",
    ),
    "a text of emoji alone": (
        "media_usable",
        lambda s: change_request(change_to_pushed_video(s, ad_text="🔥"), without_emoji=True),
        "no text",
    ),
    "a custom identity on TikTok": (
        "identity_usable",
        lambda s: change_to_pushed_video(s, identity_type="CUSTOMIZED_USER"),
        "TIKTOK_SCALING_IDENTITY=",
    ),
    "no video": ("media_usable", lambda s: change_to_pushed_video(s, video_id=None), "no video"),
    "no image": (
        "media_usable",
        lambda s: change_snapshot(change_to_pushed_video(s), images=()),
        "suggests no cover",
    ),
    "no picture of a carousel": (
        "media_usable",
        lambda s: change_snapshot(change_to_pushed_video(s, ad_format="CAROUSEL_ADS", music_id="7"), images=()),
        "asset library; upload them",
    ),
    "no music": ("media_usable", lambda s: change_to_pushed_video(s, ad_format="CAROUSEL_ADS"), "no music"),
    "no text": ("media_usable", lambda s: change_to_pushed_video(s, ad_text=""), "no text"),
    "no button": ("media_usable", lambda s: change_snapshot(s, ad={"call_to_action": None}), "no call to action"),
    "a deleted target": (
        "target_usable",
        lambda s: change_snapshot(s, target_campaign={"secondary_status": "CAMPAIGN_STATUS_DELETE"}),
        "is deleted; name another with --to",
    ),
    "a Smart+ target": (
        "target_usable",
        lambda s: change_snapshot(s, target_campaign={"campaign_automation_type": "SMART_PLUS"}),
        "is an older Smart+ campaign",
    ),
    "another objective": (
        "objective_fits",
        lambda s: change_snapshot(s, target_campaign={"objective_type": "TRAFFIC"}),
        "choose a campaign of the same kind",
    ),
    "another app": ("objective_fits", lambda s: change_snapshot(s, target_campaign={"app_id": "9"}), "app_id"),
    "999 ad groups": ("room_for_ad_group", lambda s: change_snapshot(s, ad_group_count=999), "999 are the limit"),
    "no quota left": (
        "room_for_ad_group",
        lambda s: change_snapshot(s, ad_group_quota=(4980, 4980)),
        "quota of 4980",
    ),
    "another goal than the first ad group's": (
        "like_the_first",
        lambda s: change_snapshot(
            s,
            target_campaign={"budget_optimize_on": True},
            first_ad_group={**(s.ad_group or {}), "optimization_goal": "CLICK"},
        ),
        "need the optimization_goal of the first, CLICK",
    ),
    "a punished account": (
        "room_for_ad_group",
        lambda s: change_snapshot(s, ad_group_quota=(0, 0)),
        "it is punished",
    ),
    "an ended schedule": (
        "schedule_lasts",
        lambda s: change_snapshot(
            s, ad_group={"schedule_type": "SCHEDULE_START_END", "schedule_end_time": "2026-11-01 00:00:00"}
        ),
        "ended at 2026-11-01 00:00 UTC",
    ),
    "a total in a daily campaign": (
        "budget_fits",
        lambda s: change_snapshot(
            s,
            ad_group={
                "budget_mode": TOTAL_BUDGET,
                "schedule_type": "SCHEDULE_START_END",
                "schedule_end_time": "2026-12-01 00:00:00",
            },
            target_campaign={"budget_mode": DAILY_BUDGET},
        ),
        "is not possible in",
    ),
    "a total without an end": (
        "budget_fits",
        lambda s: change_snapshot(s, ad_group={"budget_mode": TOTAL_BUDGET}),
        "needs a schedule with an end",
    ),
    "a total too small for its days": (
        "budget_fits",
        lambda s: change_snapshot(
            s,
            ad_group={
                "budget_mode": TOTAL_BUDGET,
                "budget": 199,
                "schedule_type": "SCHEDULE_START_END",
                "schedule_end_time": "2026-11-19 18:00:00",
            },
        ),
        "at least 200 USD",
    ),
    "no budget of its own": (
        "budget_fits",
        lambda s: change_snapshot(s, ad_group={"budget_mode": DYNAMIC_DAILY_BUDGET, "budget": 0}),
        "give one with --budget",
    ),
    "below the minimum": (
        "budget_fits",
        lambda s: change_request(s, budget=Decimal("19.99")),
        "at least 20 USD",
    ),
    "below the minimum in yen": (
        "budget_fits",
        lambda s: change_request(change_budget_limit(s, 0, 10**9, "JPY"), budget=Decimal(1999)),
        "at least 2000 JPY",
    ),
    "decimals in yen": (
        "budget_fits",
        lambda s: change_request(change_budget_limit(s, 0, 10**9, "JPY"), budget=Decimal("2000.5")),
        "no digits after the point",
    ),
    "too precise": (
        "budget_fits",
        lambda s: change_request(s, budget=Decimal("20.001")),
        "2 digits after the point",
    ),
    "beyond the maximum": (
        "budget_fits",
        lambda s: change_request(s, budget=Decimal(10_000_000)),
        "outside TikTok's limits",
    ),
    "a bid above the budget": (
        "budget_fits",
        lambda s: change_request(change_snapshot(s, ad_group={"conversion_bid_price": 30}), budget=Decimal(25)),
        "does not exceed the bid of 30",
    ),
    "a budget the campaign ignores": (
        "budget_fits",
        lambda s: change_request(
            change_snapshot(s, target_campaign={"budget_mode": DYNAMIC_DAILY_BUDGET, "budget_optimize_on": True}),
            budget=Decimal(50),
        ),
        "campaign budget optimization",
    ),
    "too much a day": (
        "within_added_budget",
        lambda s: change_request(change_budget_limit(s, 60, 100), budget=Decimal("40.01")),
        "TIKTOK_MAX_ADDED_BUDGET=100",
    ),
    "added in the currency before": (
        "within_added_budget",
        lambda s: change_request(
            replace(s, account=AccountContext("USD", {"EUR": Decimal(1)}, Decimal(100))), budget=Decimal(20)
        ),
        "1 EUR of the last 24 hours cannot be added to USD",
    ),
}
REFUSED_AD_GROUPS: dict[str, tuple[str, Change, str]] = {
    "an ad group of another campaign": (
        "ad_group_usable",
        lambda s: change_snapshot(s, target_ad_group={"campaign_id": "5"}),
        "but in 5",
    ),
    "a deleted ad group": (
        "ad_group_usable",
        lambda s: change_snapshot(s, target_ad_group={"secondary_status": "ADGROUP_STATUS_CAMPAIGN_DELETE"}),
        "is deleted",
    ),
    "an ad group of automated creatives": (
        "ad_group_usable",
        lambda s: change_snapshot(s, target_ad_group={"creative_material_mode": "SMART_CREATIVE"}),
        "is automated creative",
    ),
    "another promotion": (
        "ad_group_usable",
        lambda s: change_snapshot(s, target_ad_group={"promotion_type": "APP_IOS"}),
        "promotes APP_IOS",
    ),
    "fifty ads": ("room_for_ad", lambda s: change_snapshot(s, ad_count=50), "50 are the limit"),
    "a budget for what has one": (
        "budget_fits",
        lambda s: change_request(s, budget=Decimal(50)),
        "keeps its budget",
    ),
}


def find_refusals(snapshot: Snapshot) -> dict[str, str]:
    """Return the reasons by the check that refuses."""
    return {one.check: one.reason for one in validate(snapshot) if one.reason}


@pytest.mark.parametrize(("check", "change", "reason"), REFUSED_COPIES.values(), ids=REFUSED_COPIES.keys())
def test_copy_is_refused(copy_snapshot: Snapshot, check: str, change: Change, reason: str) -> None:
    """What cannot be copied is refused by its check, with advice; another kind also has another objective."""
    found = find_refusals(change(copy_snapshot))
    assert found.keys() - {"objective_fits"} == {check} - {"objective_fits"}
    assert reason in found[check]
    assert ";" in found[check] or "at least" in found[check]  # advice, or the accepted budgets


@pytest.mark.parametrize(("check", "change", "reason"), REFUSED_AD_GROUPS.values(), ids=REFUSED_AD_GROUPS.keys())
def test_target_ad_group_is_refused(join_snapshot: Snapshot, check: str, change: Change, reason: str) -> None:
    """An ad group that cannot take the ad is refused by its check alone, with the option that fixes it."""
    found = find_refusals(change(join_snapshot))
    assert found.keys() == {check}
    assert reason in found[check]
    assert "--budget" in found[check] if check == "budget_fits" else "name another with --ad-group" in found[check]


def test_every_check_has_a_refused_case() -> None:
    """Every check has a case above that it refuses."""
    assert {check for check, *_ in (*REFUSED_COPIES.values(), *REFUSED_AD_GROUPS.values())} == set(CHECKS)


ALLOWED: dict[str, Change] = {
    "a copy that is intended": lambda s: change_request(change_snapshot(s, original_id="77"), again=1),
    "a budget within the limit": lambda s: change_request(change_budget_limit(s, 60, 100), budget=Decimal(40)),
    "the minimum itself": lambda s: change_request(s, budget=Decimal(20)),
    "a campaign with budget optimization": lambda s: change_snapshot(
        change_budget_limit(s, 100, 100),
        target_campaign={"budget_mode": DYNAMIC_DAILY_BUDGET, "budget_optimize_on": True, "budget": 500},
    ),
    "a total in a campaign without limit": lambda s: change_snapshot(
        s,
        ad_group={
            "budget_mode": TOTAL_BUDGET,
            "budget": 200,
            "schedule_type": "SCHEDULE_START_END",
            "schedule_end_time": "2026-11-19 18:00:00",
        },
        target_campaign={"budget_mode": INFINITE_BUDGET},
    ),
    "a currency without documented limits": lambda s: change_request(
        change_budget_limit(s, 0, 100, "BIF"), budget=Decimal("1.50")
    ),
    "a post without a text of the ad": lambda s: change_snapshot(s, ad={"video_id": None, "ad_text": None}),
    "emoji in a post, which keeps its text": lambda s: change_snapshot(s, ad={"ad_text": "🔥"}),
    "a video to post": change_to_pushed_video,
    "a carousel to post": lambda s: change_to_pushed_video(
        s, ad_format="CAROUSEL_ADS", music_id="7", video_id=None
    ),
    "a video whose post may not be shown again": lambda s: change_snapshot(
        change_to_pushed_video(s, tiktok_item_id="7"), identity_status=IdentityStatus("AVAILABLE", can_pull=False)
    ),
    "a custom identity without TikTok": change_to_custom_identity,
    "a custom identity with several texts": lambda s: change_to_custom_identity(
        s, ad_text=None, ad_texts=["Try it"]
    ),
    "a custom image without TikTok": lambda s: change_to_custom_identity(
        s, ad_format="SINGLE_IMAGE", video_id=None
    ),
    "an AI label that stays": lambda s: change_to_custom_identity(s, aigc_disclosure_type="SELF_DISCLOSURE"),
    "a video whose post was removed": lambda s: change_snapshot(
        change_to_pushed_video(s, tiktok_item_id="7"), post=None
    ),
    "a post whose owner's permission lasts": lambda s: change_snapshot(
        s, post=Post(s.now + timedelta(seconds=1), "AUTHORIZED")
    ),
    "a custom identity with one of the account to post as": lambda s: change_snapshot(
        change_to_pushed_video(s, identity_type="CUSTOMIZED_USER"),
        account=replace(s.account, identity=Identity("TT_USER", "8")),
    ),
    "the first ad group's goal": lambda s: change_snapshot(
        s, target_campaign={"budget_optimize_on": True}, first_ad_group={**(s.ad_group or {}), "bid_type": None}
    ),
    "one place left": lambda s: change_snapshot(s, ad_group_count=998, ad_group_quota=(4979, 4980)),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_allowed_cases_pass(copy_snapshot: Snapshot, change: Change) -> None:
    """At each limit itself, and where a rule does not apply, a copy passes."""
    assert list_refusals(validate(change(copy_snapshot))) == []


def test_missing_objects_are_named(harness: DuplicationHarness) -> None:
    """An ad, campaign or ad group that is not in the account is named, as is one of another account."""
    other = list(harness.host.sandbox.world.advertisers.values())[1]
    for request, missing in (
        (harness.request(ad_id="12345"), "ad 12345 is not in account"),
        (harness.request(ad_id=other.ads[0].id), "within its own account"),
        (harness.request(campaign_id=other.campaigns[0].id), f"campaign {other.campaigns[0].id} is not in"),
        (harness.request(ad_group_id="12345"), "ad group 12345 is not in account"),
    ):
        results = validate(load(harness, request))
        assert [one.check for one in results] == ["objects_exist"]
        assert missing in results[0].reason


def test_smart_plus_and_deleted_objects_are_detected(harness: DuplicationHarness) -> None:
    """The sandbox's own Smart+ creative is read with its ad, and its deleted campaign is refused as such."""
    smart = list(harness.host.sandbox.world.advertisers.values())[2]
    smart_plus_ad = next(ad for ad in smart.ads if ad.smart_plus_ad_id)
    snapshot = load(harness, DuplicationRequest(smart.id, smart_plus_ad.id, smart.campaigns[0].id))
    assert (snapshot.source_kind, snapshot.is_creative_listed) == ("smart_plus", True)
    assert str((snapshot.ad or {})["smart_plus_ad_id"]) == smart_plus_ad.smart_plus_ad_id
    deleted = next(one for one in harness.owner.campaigns if one.deleted)
    results = list_refusals(validate(load(harness, harness.request(campaign_id=deleted.id))))
    assert any(f"campaign {deleted.id} is deleted" in reason for reason in results)


def test_refusal_writes_nothing_and_is_recorded(harness: DuplicationHarness, tmp_path: Path) -> None:
    """A refused live run sends no write and records its reason; a fixed request then passes."""
    with open_harness(harness.host, tmp_path) as own, own.config.open() as duplicator:
        request = own.request(budget=Decimal(5))
        with pytest.raises(RefusedError, match="at least 20 USD"):
            duplicator.duplicate(request)
        entry = duplicator.ledger.find(request.key)
        assert entry
        assert (entry.status, entry.steps, entry.added_budget) == ("refused", (), None)
        assert "at least 20 USD" in str(entry.reason)
        assert own.write_requests == []
        assert duplicator.duplicate(own.request(budget=Decimal(20))).status == "done"
