"""Laws of the checks: each refuses what it is for, says why in words, and lets the rest pass."""

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
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot, load_snapshot
from tiktok_assets.duplication.validation import CHECKS, list_refusals, validate
from tiktok_assets.sandbox.writes.budgets import BUDGET_RATIOS, WHOLE_UNIT_CURRENCIES
from tiktok_assets.spec.money import (
    BUDGET_RULES,
    DAILY_BUDGET,
    DYNAMIC_DAILY_BUDGET,
    INFINITE_BUDGET,
    TOTAL_BUDGET,
)
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import PLAN, DuplicationHarness, open_harness


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """The story's world, only read."""
    with Host.run(PLAN) as host, open_harness(host, tmp_path_factory.mktemp("checks")) as one:
        yield one


@pytest.fixture(scope="module")
def copying(bench: DuplicationHarness) -> Snapshot:
    """What is read for the winner into a copy of its ad group."""
    return read(bench, bench.wish())


@pytest.fixture(scope="module")
def joining(bench: DuplicationHarness) -> Snapshot:
    """What is read for the winner into the ad group the scaling campaign has."""
    return read(bench, bench.wish(ad_group_id=bench.scaling_group.id))


def read(bench: DuplicationHarness, wish: DuplicationRequest) -> Snapshot:
    """Read over HTTP."""
    with bench.connection.open() as one:
        return load_snapshot(one.client, one.fetcher, one.ledger, wish, AccountContext("USD", {}, None))


def changed(sources: Snapshot, **changes: Any) -> Snapshot:  # noqa: ANN401 - any field
    """The sources with fields of theirs replaced, and with fields of their objects where a mapping is given."""
    merged: dict[str, Any] = {
        name: {**(getattr(sources, name) or {}), **change} if isinstance(change, Mapping) else change
        for name, change in changes.items()
    }
    return replace(sources, **merged)


def pushed(sources: Snapshot, **ad: Any) -> Snapshot:  # noqa: ANN401 - any field of an ad
    """The sources of an ad whose video is to be posted, by an identity that may."""
    video = {"identity_type": "TT_USER", "identity_id": "8", "tiktok_item_id": None, "video_id": "v1"}
    texts = {"ad_text": "Try it", "ad_format": "SINGLE_VIDEO"}
    return changed(sources, ad={**video, **texts, **ad}, abilities=IdentityStatus("AVAILABLE"), images=("i1",))


def off_tiktok(sources: Snapshot, **ad: Any) -> Snapshot:  # noqa: ANN401 - any field of an ad
    """The sources of an ad with a custom identity in an ad group without TikTok."""
    group = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}
    return changed(pushed(sources, identity_type="CUSTOMIZED_USER", **ad), ad_group=group)


def wishing(sources: Snapshot, **other: Any) -> Snapshot:  # noqa: ANN401 - any field of a wish
    """The sources of a wish that differs."""
    return replace(sources, wish=replace(sources.wish, **other))


def allowing(sources: Snapshot, added: int, most: int, currency: str = "USD") -> Snapshot:
    """The sources of an account where so much was added, and so much may be."""
    return replace(sources, account=AccountContext(currency, {currency: Decimal(added)}, Decimal(most)))


def test_the_storys_winner_passes_every_check(copying: Snapshot, joining: Snapshot) -> None:
    """The demo's ad may be duplicated both ways."""
    for sources in (copying, joining):
        told = validate(sources)
        assert [one.check for one in told] == ["objects_exist", *CHECKS]
        assert list_refusals(told) == []


@pytest.mark.parametrize(
    ("currency", "budget", "reason"),
    [
        ("TWD", "10.50", "a budget in TWD has no digits after the point, not as in 10.50, and begins at 200 TWD"),
        ("TWD", "199", "which begins at 200 TWD and ends below 100000000 TWD"),
        ("TWD", "200", ""),
        ("KRW", "20", "which begins at 20000 KRW and ends below 10000000000 KRW, with no digits after the point"),
        ("KRW", "20000", ""),
        ("HUF", "20.5", "no digits"),
        ("IDR", "199999", "begins at 200000 IDR"),
        ("PLN", "79.99", "begins at 80 PLN"),
        ("PLN", "80.001", "at most 2 digits"),
        ("USD", "10000000", "ends below 10000000 USD"),
        ("BIF", "0.5", ""),  # no document names it: TikTok's answer decides
        ("BIF", "0", "not more than 0"),
    ],
)
def test_a_budget_follows_its_currency(copying: Snapshot, currency: str, budget: str, reason: str) -> None:
    """The dry run knows minimum, maximum and decimals of each documented currency."""
    told = CHECKS["budget_fits"](
        changed(
            replace(copying, wish=replace(copying.wish, budget=Decimal(budget))),
            account=replace(copying.account, currency=currency),
            ad_group={"conversion_bid_price": 0, "budget_mode": DAILY_BUDGET},
        )
    )
    assert (reason in told) if reason else told == ""


def test_every_documented_currency_has_its_rules() -> None:
    """All 56 of the page, each with a ratio and its decimals; those without are the nine the page says."""
    assert len(BUDGET_RULES) == 56
    whole = {code for code, rules in BUDGET_RULES.items() if rules.decimals == 0}
    assert whole == {"JPY", "KRW", "HUF", "CLP", "ISK", "IDR", "TWD", "PYG", "VND"}
    assert {code: rules.ratio for code, rules in BUDGET_RULES.items() if code in BUDGET_RATIOS} == BUDGET_RATIOS
    assert whole & BUDGET_RATIOS.keys() == WHOLE_UNIT_CURRENCIES


Change = Callable[[Snapshot], Snapshot]

COPYING: dict[str, tuple[str, Change, str]] = {
    "emoji in a text": (
        "text_taken",
        lambda s: pushed(s, ad_text="Try ✅ it"),
        "no emoji in an ad's text",
    ),
    "emoji in one of several texts": (
        "text_taken",
        lambda s: off_tiktok(s, ad_text="", ad_texts=["Try it", "❤️"]),
        "--without-emoji",
    ),
    "a deleted ad": (
        "source_not_deleted",
        lambda s: changed(s, ad={"secondary_status": "AD_STATUS_DELETE"}),
        "the ad is deleted",
    ),
    "an ad in a deleted ad group": (
        "source_not_deleted",
        lambda s: changed(s, ad={"secondary_status": "AD_STATUS_ADGROUP_DELETE"}),
        "the ad is deleted",
    ),
    "a deleted campaign": (
        "source_not_deleted",
        lambda s: changed(s, campaign={"secondary_status": "CAMPAIGN_STATUS_DELETE"}),
        "campaign is deleted",
    ),
    "Smart+": (
        "source_copyable",
        lambda s: changed(s, ad={"campaign_automation_type": "UPGRADED_SMART_PLUS"}),
        "Smart+",
    ),
    "older Smart+": (
        "source_copyable",
        lambda s: changed(s, campaign={"is_smart_performance_campaign": True}),
        "Smart+",
    ),
    "ACO": ("source_copyable", lambda s: changed(s, ad={"is_aco": True}), "automated creative"),
    "dynamic creative": (
        "source_copyable",
        lambda s: changed(s, ad_group={"creative_material_mode": "DYNAMIC"}),
        "automated creative",
    ),
    "reach and frequency": (
        "source_copyable",
        lambda s: changed(s, campaign={"objective_type": "RF_REACH"}),
        "reservation",
    ),
    "TopView": (
        "source_copyable",
        lambda s: changed(s, campaign={"objective_type": "TOPVIEW_REACH"}),
        "reservation",
    ),
    "guaranteed delivery": (
        "source_copyable",
        lambda s: changed(s, ad_group={"billing_event": "GD"}),
        "reservation",
    ),
    "a catalogue ad": (
        "source_copyable",
        lambda s: changed(s, ad={"ad_format": "CATALOG_CAROUSEL"}),
        "catalogue",
    ),
    "a shop": ("source_copyable", lambda s: changed(s, ad_group={"product_source": "STORE"}), "catalogue"),
    "product sales": (
        "source_copyable",
        lambda s: changed(s, campaign={"objective_type": "PRODUCT_SALES"}),
        "catalogue",
    ),
    "live": ("source_copyable", lambda s: changed(s, ad={"ad_format": "LIVE_CONTENT"}), "live broadcast"),
    "a split test": (
        "source_copyable",
        lambda s: changed(s, ad_group={"split_test_group_id": "5"}),
        "split test",
    ),
    "Promote": (
        "source_copyable",
        lambda s: changed(s, campaign={"campaign_system_origin": "PROMOTE"}),
        "Promote",
    ),
    "a copy of ours": ("source_is_original", lambda s: changed(s, copy_of="77"), "duplicate the original, 77"),
    "a copy by its name": ("source_is_original", lambda s: changed(s, copy_of=""), "itself a copy"),
    "no identity": ("identity_usable", lambda s: changed(s, ad={"identity_type": "UNSET"}), "no identity"),
    "a lent identity": (
        "identity_usable",
        lambda s: changed(s, ad={"identity_type": "BC_AUTH_TT"}),
        "business centre",
    ),
    "an identity that is gone": ("identity_usable", lambda s: changed(s, abilities=None), "is not among those"),
    "an identity that is not available": (
        "identity_usable",
        lambda s: changed(s, abilities=IdentityStatus("SCOPE_UNAVAILABLE")),
        "cannot be used now: SCOPE_UNAVAILABLE",
    ),
    "posts that may not be shown": (
        "identity_usable",
        lambda s: changed(s, abilities=IdentityStatus("AVAILABLE", can_push=False, can_pull=False)),
        "its account does not allow it",
    ),
    "a creator's post that is not there yet": (
        "identity_usable",
        lambda s: pushed(s, identity_type="AUTH_CODE"),
        "the ad shows no post yet",
    ),
    "an identity of a party": (
        "identity_usable",
        lambda s: changed(s, abilities=IdentityStatus("AVAILABLE", is_political=True)),
        "TikTok takes no ads of their posts",
    ),
    "a post that is gone": ("identity_usable", lambda s: changed(s, post=None), "is not among the posts"),
    "a post whose owner's permission ended": (
        "identity_usable",
        lambda s: changed(s, post=Post(s.now)),
        "ask for a new authorisation code",
    ),
    "a post whose owner's permission is none": (
        "identity_usable",
        lambda s: changed(s, post=Post(status="REVOKED")),
        "permission is REVOKED",
    ),
    "a permission that is missing": (
        "lookups_allowed",
        lambda s: replace(pushed(s), forbidden="identity/get/"),
        "tick Creative Management",
    ),
    "no format": ("format_fits", lambda s: changed(s, ad={"ad_format": None}), "no format"),
    "an image on TikTok": (
        "format_fits",
        lambda s: pushed(s, ad_format="SINGLE_IMAGE"),
        "single images on Pangle",
    ),
    "an image as a post": (
        "format_fits",
        lambda s: changed(off_tiktok(s, ad_format="SINGLE_IMAGE"), ad={"identity_type": "TT_USER"}),
        "cannot be posted",
    ),
    "a carousel off TikTok": (
        "format_fits",
        lambda s: off_tiktok(s, ad_format="CAROUSEL_ADS", music_id="7", video_id=None),
        "carousels on TikTok alone",
    ),
    "a label of AI that a post would lose": (
        "ai_label_kept",
        lambda s: changed(
            pushed(s, identity_type="CUSTOMIZED_USER", aigc_disclosure_type="SELF_DISCLOSURE"),
            account=replace(s.account, identity=Identity("TT_USER", "8")),
        ),
        "labelled as made by AI",
    ),
    "a video that is not there": (
        "media_usable",
        lambda s: replace(pushed(s), video_there=False),
        "does not offer the ad's video",
    ),
    "too many pictures of a carousel": (
        "media_usable",
        lambda s: changed(pushed(s, ad_format="CAROUSEL_ADS", music_id="7"), images=tuple(map(str, range(36)))),
        "a carousel holds 35",
    ),
    "no landing page": ("media_usable", lambda s: pushed(s, landing_page_url=None), "no landing page"),
    "several texts as a post": ("media_usable", lambda s: pushed(s, ad_text="", ad_texts=["Try it"]), "no text"),
    "a text of emoji alone": (
        "media_usable",
        lambda s: wishing(pushed(s, ad_text="🔥"), without_emoji=True),
        "no text",
    ),
    "a custom identity on TikTok": (
        "identity_usable",
        lambda s: pushed(s, identity_type="CUSTOMIZED_USER"),
        "TIKTOK_SCALING_IDENTITY=",
    ),
    "no video": ("media_usable", lambda s: pushed(s, video_id=None), "no video"),
    "no image": ("media_usable", lambda s: changed(pushed(s), images=()), "suggests no cover"),
    "no picture of a carousel": (
        "media_usable",
        lambda s: changed(pushed(s, ad_format="CAROUSEL_ADS", music_id="7"), images=()),
        "asset library; upload them",
    ),
    "no music": ("media_usable", lambda s: pushed(s, ad_format="CAROUSEL_ADS"), "no music"),
    "no text": ("media_usable", lambda s: pushed(s, ad_text=""), "no text"),
    "no button": ("media_usable", lambda s: changed(s, ad={"call_to_action": None}), "no call to action"),
    "a deleted target": (
        "target_usable",
        lambda s: changed(s, target={"secondary_status": "CAMPAIGN_STATUS_DELETE"}),
        "is deleted; name another with --to",
    ),
    "a Smart+ target": (
        "target_usable",
        lambda s: changed(s, target={"campaign_automation_type": "SMART_PLUS"}),
        "is Smart+",
    ),
    "another objective": (
        "objective_fits",
        lambda s: changed(s, target={"objective_type": "TRAFFIC"}),
        "choose a campaign of the same kind",
    ),
    "another app": ("objective_fits", lambda s: changed(s, target={"app_id": "9"}), "app_id"),
    "999 ad groups": ("room_for_ad_group", lambda s: changed(s, ad_groups=999), "999 are the limit"),
    "no quota left": ("room_for_ad_group", lambda s: changed(s, quota=(4980, 4980)), "quota of 4980"),
    "another goal than the first ad group's": (
        "like_the_first",
        lambda s: changed(
            s,
            target={"budget_optimize_on": True},
            first_ad_group={**(s.ad_group or {}), "optimization_goal": "CLICK"},
        ),
        "need the optimization_goal of the first, CLICK",
    ),
    "a punished account": ("room_for_ad_group", lambda s: changed(s, quota=(0, 0)), "it is punished"),
    "an ended schedule": (
        "schedule_lasts",
        lambda s: changed(
            s, ad_group={"schedule_type": "SCHEDULE_START_END", "schedule_end_time": "2026-11-01 00:00:00"}
        ),
        "ended at 2026-11-01 00:00 UTC",
    ),
    "a total in a daily campaign": (
        "budget_fits",
        lambda s: changed(
            s,
            ad_group={
                "budget_mode": TOTAL_BUDGET,
                "schedule_type": "SCHEDULE_START_END",
                "schedule_end_time": "2026-12-01 00:00:00",
            },
            target={"budget_mode": DAILY_BUDGET},
        ),
        "does not go with",
    ),
    "a total without an end": (
        "budget_fits",
        lambda s: changed(s, ad_group={"budget_mode": TOTAL_BUDGET}),
        "needs a schedule with an end",
    ),
    "a total too small for its days": (
        "budget_fits",
        lambda s: changed(
            s,
            ad_group={
                "budget_mode": TOTAL_BUDGET,
                "budget": 199,
                "schedule_type": "SCHEDULE_START_END",
                "schedule_end_time": "2026-11-19 18:00:00",
            },
        ),
        "begins at 200 USD",
    ),
    "no budget of its own": (
        "budget_fits",
        lambda s: changed(s, ad_group={"budget_mode": DYNAMIC_DAILY_BUDGET, "budget": 0}),
        "give one with --budget",
    ),
    "below the minimum": (
        "budget_fits",
        lambda s: wishing(s, budget=Decimal("19.99")),
        "begins at 20 USD",
    ),
    "below the minimum in yen": (
        "budget_fits",
        lambda s: wishing(allowing(s, 0, 10**9, "JPY"), budget=Decimal(1999)),
        "begins at 2000 JPY",
    ),
    "decimals in yen": (
        "budget_fits",
        lambda s: wishing(allowing(s, 0, 10**9, "JPY"), budget=Decimal("2000.5")),
        "no digits after the point",
    ),
    "too precise": ("budget_fits", lambda s: wishing(s, budget=Decimal("20.001")), "2 digits after the point"),
    "beyond the maximum": (
        "budget_fits",
        lambda s: wishing(s, budget=Decimal(10_000_000)),
        "outside what TikTok allows",
    ),
    "a bid above the budget": (
        "budget_fits",
        lambda s: wishing(changed(s, ad_group={"conversion_bid_price": 30}), budget=Decimal(25)),
        "does not exceed the bid of 30",
    ),
    "a budget the campaign ignores": (
        "budget_fits",
        lambda s: wishing(
            changed(s, target={"budget_mode": DYNAMIC_DAILY_BUDGET, "budget_optimize_on": True}),
            budget=Decimal(50),
        ),
        "spreads its budget by itself",
    ),
    "too much a day": (
        "within_added_budget",
        lambda s: wishing(allowing(s, 60, 100), budget=Decimal("40.01")),
        "TIKTOK_MAX_ADDED_BUDGET=100",
    ),
    "added in the currency before": (
        "within_added_budget",
        lambda s: wishing(
            replace(s, account=AccountContext("USD", {"EUR": Decimal(1)}, Decimal(100))), budget=Decimal(20)
        ),
        "1 EUR of the last 24 hours cannot be added to USD",
    ),
}
JOINING: dict[str, tuple[str, Change, str]] = {
    "an ad group of another campaign": (
        "ad_group_usable",
        lambda s: changed(s, target_ad_group={"campaign_id": "5"}),
        "but of 5",
    ),
    "a deleted ad group": (
        "ad_group_usable",
        lambda s: changed(s, target_ad_group={"secondary_status": "ADGROUP_STATUS_CAMPAIGN_DELETE"}),
        "is deleted",
    ),
    "a Smart+ ad group": (
        "ad_group_usable",
        lambda s: changed(s, target_ad_group={"campaign_automation_type": "UPGRADED_SMART_PLUS"}),
        "is Smart+",
    ),
    "another promotion": (
        "ad_group_usable",
        lambda s: changed(s, target_ad_group={"promotion_type": "APP_IOS"}),
        "promotes APP_IOS",
    ),
    "fifty ads": ("room_for_ad", lambda s: changed(s, ads=50), "50 are the limit"),
    "a budget for what has one": (
        "budget_fits",
        lambda s: wishing(s, budget=Decimal(50)),
        "keeps its budget",
    ),
}


def refused(sources: Snapshot) -> dict[str, str]:
    """The checks that refuse, and why."""
    return {one.check: one.reason for one in validate(sources) if one.reason}


@pytest.mark.parametrize(("check", "change", "reason"), COPYING.values(), ids=COPYING.keys())
def test_a_copy_is_refused(copying: Snapshot, check: str, change: Change, reason: str) -> None:
    """What cannot be copied is refused by the check that is for it; another kind also has another objective."""
    found = refused(change(copying))
    assert found.keys() - {"objective_fits"} == {check} - {"objective_fits"}
    assert reason in found[check]
    assert ";" in found[check] or "begins at" in found[check]  # what to do next, or which budget is taken


@pytest.mark.parametrize(("check", "change", "reason"), JOINING.values(), ids=JOINING.keys())
def test_joining_an_ad_group_is_refused(joining: Snapshot, check: str, change: Change, reason: str) -> None:
    """An ad group the ad cannot be added to is refused by its check alone, with the option that mends it."""
    found = refused(change(joining))
    assert found.keys() == {check}
    assert reason in found[check]
    assert "--budget" in found[check] if check == "budget_fits" else "name another with --ad-group" in found[check]


def test_every_check_has_refused() -> None:
    """No check is without a case above that it refuses."""
    assert {check for check, *_ in (*COPYING.values(), *JOINING.values())} == set(CHECKS)


PASSING: dict[str, Change] = {
    "a copy that is meant": lambda s: wishing(changed(s, copy_of="77"), again=1),
    "a budget within the cap": lambda s: wishing(allowing(s, 60, 100), budget=Decimal(40)),
    "the minimum itself": lambda s: wishing(s, budget=Decimal(20)),
    "a campaign that spreads its budget": lambda s: changed(
        allowing(s, 100, 100),
        target={"budget_mode": DYNAMIC_DAILY_BUDGET, "budget_optimize_on": True, "budget": 500},
    ),
    "a total in a campaign without limit": lambda s: changed(
        s,
        ad_group={
            "budget_mode": TOTAL_BUDGET,
            "budget": 200,
            "schedule_type": "SCHEDULE_START_END",
            "schedule_end_time": "2026-11-19 18:00:00",
        },
        target={"budget_mode": INFINITE_BUDGET},
    ),
    "a currency nobody told us the limits of": lambda s: wishing(
        allowing(s, 0, 100, "BIF"), budget=Decimal("1.50")
    ),
    "a post without words of its own": lambda s: changed(s, ad={"video_id": None, "ad_text": None}),
    "emoji in a post, which keeps its words": lambda s: changed(s, ad={"ad_text": "🔥"}),
    "a video to post": pushed,
    "a carousel to post": lambda s: pushed(s, ad_format="CAROUSEL_ADS", music_id="7", video_id=None),
    "a video whose post may not be shown again": lambda s: changed(
        pushed(s, tiktok_item_id="7"), abilities=IdentityStatus("AVAILABLE", can_pull=False)
    ),
    "a custom identity where TikTok is left out": off_tiktok,
    "a custom identity with several texts": lambda s: off_tiktok(s, ad_text=None, ad_texts=["Try it"]),
    "a custom image where TikTok is left out": lambda s: off_tiktok(s, ad_format="SINGLE_IMAGE", video_id=None),
    "a label of AI that stays": lambda s: off_tiktok(s, aigc_disclosure_type="SELF_DISCLOSURE"),
    "a video whose post is gone": lambda s: changed(pushed(s, tiktok_item_id="7"), post=None),
    "a post whose owner's permission lasts": lambda s: changed(
        s, post=Post(s.now + timedelta(seconds=1), "AUTHORIZED")
    ),
    "a custom identity with one of the account to post as": lambda s: changed(
        pushed(s, identity_type="CUSTOMIZED_USER"), account=replace(s.account, identity=Identity("TT_USER", "8"))
    ),
    "the first ad group's goal": lambda s: changed(
        s, target={"budget_optimize_on": True}, first_ad_group={**(s.ad_group or {}), "bid_type": None}
    ),
    "one place left": lambda s: changed(s, ad_groups=998, quota=(4979, 4980)),
}


@pytest.mark.parametrize("change", PASSING.values(), ids=PASSING.keys())
def test_what_may_be_done_is_not_refused(copying: Snapshot, change: Change) -> None:
    """At each limit itself, and where a rule is not about it, a copy passes."""
    assert list_refusals(validate(change(copying))) == []


def test_what_the_account_does_not_have_is_named(bench: DuplicationHarness) -> None:
    """An ad, campaign or ad group that is not in the account is refused, as one of another account is."""
    other = list(bench.host.sandbox.world.advertisers.values())[1]
    for wish, missing in (
        (bench.wish(ad_id="12345"), "ad 12345 is not in account"),
        (bench.wish(ad_id=other.ads[0].id), "within its own account"),
        (bench.wish(campaign_id=other.campaigns[0].id), f"campaign {other.campaigns[0].id} is not in"),
        (bench.wish(ad_group_id="12345"), "ad group 12345 is not in account"),
    ):
        told = validate(read(bench, wish))
        assert [one.check for one in told] == ["objects_exist"]
        assert missing in told[0].reason


def test_smart_plus_and_deleted_objects_are_seen_for_what_they_are(bench: DuplicationHarness) -> None:
    """The sandbox's own Smart+ creative and deleted campaign are refused as such."""
    smart = list(bench.host.sandbox.world.advertisers.values())[2]
    creative = next(ad for ad in smart.ads if ad.asset_group)
    wish = DuplicationRequest(smart.id, creative.id, smart.campaigns[0].id)
    assert any("Smart+" in reason for reason in list_refusals(validate(read(bench, wish))))
    gone = next(one for one in bench.owner.campaigns if one.deleted)
    told = list_refusals(validate(read(bench, bench.wish(campaign_id=gone.id))))
    assert any(f"campaign {gone.id} is deleted" in reason for reason in told)


def test_a_refusal_writes_nothing_and_is_kept(bench: DuplicationHarness, tmp_path: Path) -> None:
    """A live run that is refused sends no write, and the ledger says why; mended, the same wish goes through."""
    with open_harness(bench.host, tmp_path) as own, own.connection.open() as duplicator:
        wish = own.wish(budget=Decimal(5))
        with pytest.raises(RefusedError, match="begins at 20 USD"):
            duplicator.carry_out(wish)
        entry = duplicator.ledger.find(wish.key)
        assert entry
        assert (entry.status, entry.steps, entry.added_budget) == ("refused", (), None)
        assert "begins at 20 USD" in str(entry.reason)
        assert own.writes == []
        assert duplicator.carry_out(own.wish(budget=Decimal(20))).status == "done"
