"""Tests of duplications into and out of Upgraded Smart+ campaigns: what is sent, and what is refused.

Sources: mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad_group, create_an_upgraded_smart_ad and
create_a_regular_upgraded_smart_web_campaign.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from threading import Timer
from typing import Any

import pytest

from tiktok_assets.duplication.copy_rules import find_emoji
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.field_selection import UNKNOWN, FieldNote
from tiktok_assets.duplication.formatting import format_dry_run
from tiktok_assets.duplication.models import DONE, REFUSED, STARTED, DuplicationRequest, build_marker
from tiktok_assets.sandbox.world.api_objects import ad_source, video_of
from tiktok_assets.sandbox.world.model import DELETED, READY, TRANSCODING, Ad, SmartPlusAd
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import (
    POLICY,
    SMART_PLUS_PLAN,
    DuplicationHarness,
    DuplicatorConfig,
    open_harness,
)
from tiktok_assets_tests.duplication.shown_ads import TIKTOK, change_ad, find_pushed_ad, prepare_media

NOW = "2026-11-09 18:00:00"
LATER: Mapping[str, Any] = {
    "schedule_type": "SCHEDULE_START_END",
    "schedule_start_time": "2026-12-01 08:30:00",
    "schedule_end_time": "2026-12-20 08:30:00",
}
"""A schedule in UTC, in an account whose days are those of Los Angeles."""

_again = count(1)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """Open a harness on a world with Upgraded Smart+ campaigns, and give names emoji."""
    with Host.run(SMART_PLUS_PLAN) as host, open_harness(host, tmp_path_factory.mktemp("smart_plus")) as one:
        prepare_media(one)
        for named in (*one.owner.smart_plus_ads, *one.owner.ads, *one.owner.ad_groups):
            named.name += " 🔥"  # at the end: the sandbox tells by the start what an ad shows
        yield one


@pytest.fixture(autouse=True)
def fresh(harness: DuplicationHarness) -> None:
    """Reset the host, so that the log has the requests of one test."""
    harness.host.reset()


def find_smart_plus_ad(harness: DuplicationHarness, name: str) -> SmartPlusAd:
    """Find an Upgraded Smart+ ad by its name."""
    return next(one for one in harness.owner.smart_plus_ads if one.name.startswith(name))


def find_winner(harness: DuplicationHarness) -> Ad:
    """Find the creative that leads in the Upgraded Smart+ campaign."""
    scenario = harness.host.sandbox.world.smart_plus_scenario
    return next(ad for ad in harness.owner.ads if scenario and ad.id == scenario.new_leader_ad_id)


def request_into_smart_plus(harness: DuplicationHarness, ad: Ad, **changes: Any) -> DuplicationRequest:  # noqa: ANN401 - any field of a request
    """Build a request to duplicate an ad into the Upgraded Smart+ scaling campaign."""
    return harness.request(ad_id=ad.id, campaign_id=harness.smart_plus_campaign.id, again=next(_again), **changes)


@contextmanager
def in_review(ad: Ad) -> Iterator[None]:
    """Let an ad be in review during a block, so that its video is not a post yet."""
    ad.in_review = True
    try:
        yield
    finally:
        ad.in_review = False


def assert_switched_off_and_marked(harness: DuplicationHarness, request: DuplicationRequest) -> None:
    """Assert that each object was requested switched off, with the marker and without emoji in its name."""
    for sent in harness.write_requests:
        body = sent["body"]["creatives"][0] if "creatives" in sent["body"] else sent["body"]
        name = body.get("ad_name") or body["adgroup_name"]
        assert body["operation_status"] == "DISABLE"
        assert name.endswith(build_marker(request.key))
        assert find_emoji(name) == []
    groups, ads = harness.created_objects(request)
    assert [one["operation_status"] for one in (*groups, *ads)] == ["DISABLE"] * len(harness.write_requests)


def test_a_manual_winner_becomes_a_smart_plus_ad(harness: DuplicationHarness) -> None:
    """A manual ad's post, identity, landing page and targeting are taken over, with the campaign's buttons."""
    winner = harness.winner
    request = request_into_smart_plus(harness, winner)
    assert harness.duplicate(request).status == DONE
    assert_switched_off_and_marked(harness, request)
    group, ad = (one["body"] for one in harness.write_requests)
    assert (group["campaign_id"], group["schedule_start_time"]) == (request.campaign_id, NOW)
    assert group["budget_mode"] == "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
    assert group["targeting_optimization_mode"] == "MANUAL"
    assert group["targeting_spec"]["age_groups"] == winner.ad_group.age_groups
    assert group["request_id"].isdecimal()
    (creative,) = ad["creative_list"]
    assert creative["creative_info"]["identity_type"] == "AUTH_CODE"
    assert creative["creative_info"]["tiktok_item_id"]
    assert not creative["creative_info"].keys() & {"video_info", "image_info", "music_info"}
    assert "ad_text_list" not in ad
    evergreen = find_smart_plus_ad(harness, "Evergreen").smart_plus_fields["ad_configuration"]
    assert ad["ad_configuration"] == {**evergreen, "creative_auto_add_toggle": False}
    (page,) = ad["landing_page_url_list"]
    assert page["landing_page_url"].startswith(harness.owner.account.website)


def test_a_new_video_is_sent_with_its_texts(harness: DuplicationHarness) -> None:
    """A video without a post is sent with a cover, at most five texts, emoji included, and as a dark post."""
    ad = find_pushed_ad(harness)
    texts = [f"Text {number} 🔥" for number in range(7)]
    with in_review(ad), change_ad(harness, ad, {"ad_texts": texts}, {**TIKTOK, **LATER}):
        request = request_into_smart_plus(harness, ad)
        assert harness.duplicate(request).status == DONE
    assert_switched_off_and_marked(harness, request)
    group, sent = (one["body"] for one in harness.write_requests)
    assert {name: group[name] for name in LATER} == LATER
    assert sent["ad_text_list"] == [{"ad_text": text} for text in texts[:5]]
    assert sent["ad_configuration"]["dark_post_status"] == "ON"
    info = sent["creative_list"][0]["creative_info"]
    assert (info["identity_type"], bool(info["video_info"]["video_id"])) == ("TT_USER", True)
    assert len(info["image_info"]) == 1


def test_one_creative_of_a_smart_plus_ad_is_copied(harness: DuplicationHarness) -> None:
    """Of an ad with several creatives the winner alone is copied, with all texts and without the add-on."""
    winner = find_winner(harness)
    with in_review(winner):
        request = request_into_smart_plus(harness, winner)
        assert harness.duplicate(request).status == DONE
    assert_switched_off_and_marked(harness, request)
    sent = harness.write_requests[-1]["body"]
    source = find_smart_plus_ad(harness, "New hooks")
    assert len(source.creatives) > 1
    (creative,) = sent["creative_list"]
    assert creative["creative_info"]["video_info"]["video_id"] == winner.fields["video_id"]
    for name in ("ad_text_list", "landing_page_url_list"):
        assert sent[name] == source.smart_plus_fields[name]
    assert "interactive_add_on_list" not in sent  # not accepted in web campaigns


def test_an_existing_ad_group_may_be_named(harness: DuplicationHarness) -> None:
    """In an ad group that is named, the ad alone is created, whatever kind of campaign it comes from."""
    group = harness.smart_plus_campaign.ad_groups[0]
    for ad in (harness.winner, find_winner(harness)):
        harness.host.reset()
        request = request_into_smart_plus(harness, ad, ad_group_id=group.id)
        assert harness.duplicate(request).status == DONE
        assert_switched_off_and_marked(harness, request)
        (sent,) = harness.write_requests
        assert sent["body"]["adgroup_id"] == group.id


def test_a_smart_plus_creative_becomes_a_manual_ad(harness: DuplicationHarness) -> None:
    """A creative is copied into a manual campaign with its text, first button, page and the ages it reached."""
    winner = find_winner(harness)
    settings = winner.ad_group.smart_plus_fields
    settings["targeting_spec"] = {"gender": "GENDER_FEMALE", "interest_category_ids": ["15"]}
    settings["suggestion_audience_enabled"] = True
    with in_review(winner):
        request = harness.request(ad_id=winner.id)
        assert harness.duplicate(request).status == DONE
    settings.clear()
    assert_switched_off_and_marked(harness, request)
    group, ad = (one["body"] for one in harness.write_requests)
    assert not group.keys() & {"targeting_spec", "targeting_optimization_mode", "gender", "interest_category_ids"}
    assert group["age_groups"][0] == "AGE_18_24"
    (creative,) = ad["creatives"]
    assert creative["video_id"] == winner.fields["video_id"]
    assert (creative["ad_text"], creative["call_to_action"]) == ("Open it with us.", "SHOP_NOW")
    assert creative["landing_page_url"].endswith("?ref=smart-plus")
    assert (creative["identity_type"], creative["dark_post_status"]) == ("TT_USER", "ON")
    assert "ad_texts" not in creative


def test_what_was_read_and_made_is_kept(harness: DuplicationHarness) -> None:
    """The ledger keeps the source and the created objects as TikTok returned them."""
    winner = find_winner(harness)
    request = request_into_smart_plus(harness, winner)
    with harness.config.open() as duplicator:
        entry = duplicator.duplicate(request)
        kept = {one.role: one for one in duplicator.ledger.objects(request.key)}
    roles = ("ad", "smart_plus_ad", "ad_group", "campaign", "target_campaign")
    assert kept.keys() == {*(f"source {role}" for role in roles), "created ad_group", "created ad"}
    assert kept["source ad"].object_id == winner.id
    assert kept["created ad"].object_id == entry.created_id("ad")
    assert json.loads(kept["created ad"].content)["operation_status"] == "DISABLE"


Change = Callable[[DuplicationHarness], None]


def fill_ad_group(harness: DuplicationHarness) -> None:
    """Fill the ad group of the scaling campaign with ads."""
    group = harness.smart_plus_campaign.ad_groups[0]
    missing = 30 - len(group.smart_plus_ads)
    ids = harness.host.sandbox.world.ids
    group.smart_plus_ads += [
        SmartPlusAd(id=ids.entity(group.created), name="Full", created=group.created, ad_group=group)
        for _ in range(missing)
    ]


def change_target(**fields: object) -> Change:
    """Return a function that changes fields of the scaling campaign."""
    return lambda harness: harness.smart_plus_campaign.fields.update(fields)


def delete_video(harness: DuplicationHarness) -> None:
    """Delete the video of the pushed ad."""
    ad = find_pushed_ad(harness)
    ad.in_review = True
    harness.host.sandbox.world.video_states[video_of(ad)] = DELETED


def remove_landing_page(harness: DuplicationHarness) -> None:
    """Remove the landing page of the ad with posts."""
    find_smart_plus_ad(harness, "Posts").smart_plus_fields.pop("landing_page_url_list")


def remove_buttons(harness: DuplicationHarness) -> None:
    """Remove the calls to action of every ad of the scaling campaign."""
    for group in harness.smart_plus_campaign.ad_groups:
        for ad in group.smart_plus_ads:
            ad.smart_plus_fields.get("ad_configuration", {}).pop("call_to_action_id", None)


def find_post(number: int) -> Callable[[DuplicationHarness], Ad]:
    """Return a function that finds a creative of the ad with posts."""
    return lambda harness: find_smart_plus_ad(harness, "Posts").creatives[number]


def find_traffic_ad(harness: DuplicationHarness) -> Ad:
    """Find an ad of the campaign for traffic."""
    campaign = next(one for one in harness.owner.campaigns if one.objective_type == "TRAFFIC")
    ads = [ad for group in campaign.ad_groups if not group.deleted for ad in group.ads if not ad.deleted]
    return next(ad for ad in ads if ad_source(ad) == "push")


def do_nothing(_: DuplicationHarness) -> None:
    """Change nothing."""


REFUSED_INPUTS: Mapping[str, tuple[Callable[[DuplicationHarness], Ad], Change, bool, str]] = {
    "an older Smart+ campaign": (
        find_winner,
        change_target(campaign_automation_type="SMART_PLUS"),
        False,
        "is an older Smart+ campaign, in which nothing new can be created since 31 March 2026; name another",
    ),
    "a campaign with a catalogue": (
        find_winner,
        change_target(catalog_enabled=True),
        False,
        "is made from a catalogue, and accepts no ads here; name another",
    ),
    "another objective": (
        find_traffic_ad,
        do_nothing,
        False,
        "has objective_type WEB_CONVERSIONS, the ad's campaign TRAFFIC; choose a campaign of the same kind",
    ),
    "a full ad group": (find_winner, fill_ad_group, True, "has 30 ads, and 30 are the limit; name another"),
    "a post whose authorisation ended": (
        find_post(2),
        do_nothing,
        False,
        "permission ended at 2026-11-07 18:00 UTC; ask for a new authorisation code",
    ),
    "a deleted video": (find_pushed_ad, delete_video, False, "does not offer the ad's video to this account now"),
    "no landing page": (find_post(0), remove_landing_page, False, "no landing page that a copy could use"),
    "no calls to action": (
        lambda harness: harness.winner,
        remove_buttons,
        False,
        "requires a set of call-to-action buttons (call_to_action_id) for posts",
    ),
}
"""The ad, what is changed, whether the ad group is named, and the reason."""


@pytest.mark.parametrize(("find", "change", "is_named", "reason"), REFUSED_INPUTS.values(), ids=REFUSED_INPUTS)
def test_bad_input_is_refused_with_one_reason(
    find: Callable[[DuplicationHarness], Ad],
    change: Change,
    is_named: bool,
    reason: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What Upgraded Smart+ cannot take is refused with one reason, nothing is made, and the ledger says why."""
    with Host.run(SMART_PLUS_PLAN) as host, open_harness(host, tmp_path_factory.mktemp("refused")) as own:
        prepare_media(own)
        group = own.smart_plus_campaign.ad_groups[0]
        request = request_into_smart_plus(own, find(own), ad_group_id=group.id if is_named else None)
        change(own)
        with own.config.open() as duplicator:
            (refusal,) = duplicator.dry_run(request).refusals
            assert reason in refusal
            with pytest.raises(RefusedError, match=f"^{re.escape(refusal)}$"):
                duplicator.duplicate(request)
            entry = duplicator.ledger.find(request.key)
        assert entry
        assert (entry.status, entry.reason, entry.steps) == (REFUSED, refusal, ())
        assert own.write_requests == []


def test_an_account_outside_the_allow_list_is_told_so(harness: DuplicationHarness) -> None:
    """An account that may not write to Upgraded Smart+ gets nothing made, and the same request passes later."""
    owner = harness.owner.id
    request = request_into_smart_plus(harness, find_winner(harness))
    harness.host.control("POST", "switches", not_allowed_smart_plus=[owner])
    with harness.config.open() as duplicator:
        with pytest.raises(
            RefusedError, match=f"allow-list: ask your TikTok representative to add account {owner}"
        ):
            duplicator.duplicate(request)
        entry = duplicator.ledger.find(request.key)
        assert entry
        assert (entry.status, "allow-list" in str(entry.reason)) == (REFUSED, True)
        assert harness.created_objects(request) == ([], [])
        harness.host.control("POST", "switches", not_allowed_smart_plus=[])
        assert duplicator.duplicate(request).status == DONE
    assert [len(made) for made in harness.created_objects(request)] == [1, 1]


def test_a_video_that_is_transcoded_is_waited_for(harness: DuplicationHarness) -> None:
    """A duplication waits for a video within its policy, then says so, and is finished once it is there."""
    ad, states = find_pushed_ad(harness), harness.host.sandbox.world.video_states
    video = video_of(ad)
    request = request_into_smart_plus(harness, ad)
    states[video] = TRANSCODING
    with in_review(ad), harness.config.open() as duplicator:
        (refusal,) = duplicator.dry_run(request).refusals
        assert "TikTok still processes the ad's video" in refusal
        with pytest.raises(UnfinishedError, match=r"did not process the ad's video .* nothing was created"):
            duplicator.duplicate(request)
        entry = duplicator.ledger.find(request.key)
        assert entry
        assert (entry.status, "nothing was created" in str(entry.reason), entry.steps) == (STARTED, True, ())
        assert harness.write_requests == []
        Timer(0.2, states.update, [{video: READY}]).start()
        patient = replace(POLICY, processing_seconds=10.0, processing_poll_seconds=0.05)
        assert replace(duplicator, policy=patient).duplicate(request).status == DONE


def dry_run(config: DuplicatorConfig, request: DuplicationRequest) -> tuple[list[FieldNote], str, str]:
    """Return the unknown fields of a dry run, its requests, and its text."""
    with config.open() as duplicator:
        result = duplicator.dry_run(request)
    unknown = [note for note in result.field_notes if note.treatment == UNKNOWN]
    return unknown, " ".join(result.requests), format_dry_run(result)


def test_a_field_that_tiktok_adds_is_shown_and_not_sent(harness: DuplicationHarness) -> None:
    """A dry run shows a field without a classification as unknown, and sends it into no kind of campaign."""
    manual, creative = find_pushed_ad(harness), find_winner(harness)
    creative.smart_plus_fields["brand_new"] = "secret value"
    nested = "creative_list.creative_info.brand_new"
    with change_ad(harness, manual, {"brand_new": "secret value"}, {}):
        for ad, name in ((manual, "brand_new"), (creative, nested)):
            for request in (request_into_smart_plus(harness, ad), harness.request(ad_id=ad.id, again=99)):
                unknown, requests, text = dry_run(harness.config, request)
                assert [note.name for note in unknown] == [name]
                assert f"- {name}: unknown, not copied" in text
                assert requests
                assert "secret value" not in requests
    creative.smart_plus_fields.clear()
