"""Tests of copy rules: each format is copied or refused, no post shows on a profile, and all emoji are found."""

import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import business_api_client
import emoji
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.creatives import Identity, IdentityStatus, Post
from tiktok_assets.duplication.copy_rules import CopyMethod, find_emoji, is_on_tiktok, remove_emoji
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.models import AD_STEP, DONE, DuplicationRequest, PlannedStep, build_marker
from tiktok_assets.duplication.payloads import AdGroupPlacement, build_ad_group_payload, build_ad_payload
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot
from tiktok_assets.duplication.validation import CHECKS
from tiktok_assets.sandbox.reads.media import covers_of, library_image, library_video
from tiktok_assets.sandbox.world.api_objects import CUSTOM_IDENTITY, ad_source, identities_of
from tiktok_assets.sandbox.world.model import Ad
from tiktok_assets.sandbox.writes.creative_rules import EMOJI
from tiktok_assets.spec.currencies import DYNAMIC_DAILY_BUDGET
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.duplication.harness import APPROVED_ON_TERMINAL, DuplicationHarness

FORMATS = ("SINGLE_IMAGE", "SINGLE_VIDEO", "LIVE_CONTENT", "CAROUSEL_ADS", "CATALOG_CAROUSEL")
IDENTITY_TYPES = ("CUSTOMIZED_USER", "AUTH_CODE", "TT_USER", "BC_AUTH_TT")
PANGLE = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}


def find_ad(harness: DuplicationHarness, presence: str) -> Ad:
    """Find an ad that the sandbox shows in one way."""
    return next(one for one in harness.owner.ads if ad_source(one) == presence and not one.deleted)


@contextmanager
def change_ad(
    harness: DuplicationHarness,
    ad: Ad,
    *,
    reviewed: bool = True,
    group: dict[str, Any] | None = None,
    **fields: Any,  # noqa: ANN401 - any field
) -> Iterator[None]:
    """Change fields of an ad and its ad group, and whether it is reviewed, during a block."""
    fields_before, in_review, group_before = dict(ad.fields), ad.in_review, dict(ad.ad_group.fields)
    ad.fields.update(fields)
    ad.in_review = not reviewed
    ad.ad_group.fields.update(group or {})
    harness.host.sandbox.world.version += 1
    try:
        yield
    finally:
        ad.fields, ad.in_review, ad.ad_group.fields = fields_before, in_review, group_before
        harness.host.sandbox.world.version += 1


def get_identity_fields(harness: DuplicationHarness, identity_type: str) -> dict[str, Any]:
    """Return the fields of the account's identity of a type."""
    one = next(one for one in identities_of(harness.owner) if one.identity_type == identity_type)
    return {
        "identity_type": identity_type,
        "identity_id": one.identity_id,
        "identity_authorized_bc_id": one.bc_id,
    }


def assert_sdk_accepts(path: str, body: dict[str, Any]) -> None:
    """Build the SDK's model of a payload, which accepts no unknown field."""
    if path == "adgroup/create":
        business_api_client.AdgroupCreateBody(**body)
        return
    creatives = [business_api_client.AdcreateCreatives(**one) for one in body["creatives"]]
    business_api_client.AdCreateBody(**{**body, "creatives": creatives})


def assert_no_public_post(creative: dict[str, Any]) -> None:
    """Assert that a new post is hidden, and an existing one is sent without own media."""
    assert creative.get("dark_post_status") in {None, "ON"}
    if creative.get("tiktok_item_id"):
        assert not {"video_id", "image_ids", "ad_text", "ad_texts", "dark_post_status"} & creative.keys()
    elif creative["identity_type"] != CUSTOM_IDENTITY:
        assert creative["dark_post_status"] == "ON"
        assert creative["image_ids"]


def duplicate_or_refuse(harness: DuplicationHarness, request: DuplicationRequest, **other: Any) -> str:  # noqa: ANN401 - of the config
    """Do a dry run and a live run, and return the reason of both; "" if one copy was created."""
    with replace(harness.config, **other).open() as duplicator:
        reasons = duplicator.dry_run(request).refusals
        assert harness.write_requests == []
        if reasons:
            with pytest.raises(RefusedError):
                duplicator.duplicate(request)
            assert harness.write_requests == []
            assert len(reasons) == 1
            return reasons[0]
        assert duplicator.duplicate(request).status == DONE
    for sent in harness.write_requests:
        body = json.loads(json.dumps(sent["body"], default=float))
        assert_sdk_accepts(sent["path"], body)
        headers = {"Access-Token": "x", "Content-Type": "application/json"}
        path = f"/open_api/v1.3/{sent['path']}/"
        assert (
            find_request_violations(
                load_contract(sent["path"]), "POST", path, query={}, body=body, headers=headers
            )
            == []
        )
        for creative in body.get("creatives", ()):
            assert_no_public_post(creative)
    (group,), (ad,) = harness.created_objects(request)
    assert group["budget_mode"] == DYNAMIC_DAILY_BUDGET
    assert ad["dark_post_status"] == "ON"
    return ""


@pytest.mark.parametrize("reviewed", [True, False], ids=["reviewed", "in review"])
@pytest.mark.parametrize("identity_type", IDENTITY_TYPES)
@pytest.mark.parametrize("ad_format", FORMATS)
def test_each_format_is_copied_or_refused(
    harness: DuplicationHarness, ad_format: str, identity_type: str, *, reviewed: bool
) -> None:
    """For any ad the dry run predicts the live run, and no ad group is left without an ad."""
    ad = find_ad(harness, "push")
    media: dict[str, Any] = {
        "video_id": library_video(harness.owner.id),
        "image_ids": ["thumbnail"],
        "music_id": None,
    }
    if ad_format != "SINGLE_VIDEO":
        media = {"video_id": None, "image_ids": [library_image(harness.owner.id)], "music_id": "700"}
    has_post = identity_type == "AUTH_CODE" or (reviewed and identity_type != CUSTOM_IDENTITY)
    post = {"tiktok_item_id": "7000000000000000123" if has_post else None}
    fields = {
        "ad_format": ad_format,
        **get_identity_fields(harness, identity_type),
        **media,
        **post,
        "ad_text": "Try it",
    }
    number = 1 + FORMATS.index(ad_format) * 10 + IDENTITY_TYPES.index(identity_type) * 2 + reviewed
    with change_ad(harness, ad, reviewed=reviewed, **fields):
        reason = duplicate_or_refuse(harness, harness.request(ad_id=ad.id, again=number))
    if ad_format in {"LIVE_CONTENT", "CATALOG_CAROUSEL"}:
        assert "cannot be read and created again" in reason
    elif ad_format == "SINGLE_IMAGE":
        assert "TikTok accepts single images on Pangle and the Global App Bundle alone" in reason
    elif identity_type == CUSTOM_IDENTITY:
        assert "TIKTOK_SCALING_IDENTITY=" in reason
    else:
        assert reason == ""


def test_existing_post_is_pulled(harness: DuplicationHarness) -> None:
    """The post of a pushed ad and of a creator is pulled with its identity alone."""
    for number, presence in enumerate(("pull", "push"), 101):
        ad = find_ad(harness, presence)
        original = next(
            one
            for one in harness.host.ground_truth("ads", advertiser_id=harness.owner.id)
            if one["ad_id"] == ad.id
        )
        request = harness.request(ad_id=ad.id, again=number)
        assert duplicate_or_refuse(harness, request) == ""
        _, (copy,) = harness.created_objects(request)
        for name in ("tiktok_item_id", "identity_type", "identity_id"):
            assert copy[name] == original[name]
        assert (copy["video_id"], copy["image_ids"]) == (None, [])
        harness.host.reset()


def test_configured_identity_replaces_a_custom_one(harness: DuplicationHarness) -> None:
    """With the setting the video is posted under that identity, with a suggested cover."""
    ad = find_ad(harness, "custom")
    brand = get_identity_fields(harness, "TT_USER")
    request = harness.request(ad_id=ad.id, again=111)
    configured = Identity("TT_USER", brand["identity_id"])
    assert duplicate_or_refuse(harness, request, identities={harness.owner.id: configured}) == ""
    _, (copy,) = harness.created_objects(request)
    assert (copy["identity_type"], copy["identity_id"]) == ("TT_USER", brand["identity_id"])
    assert "/cover" in copy["image_ids"][0]
    unknown = Identity("TT_USER", "12345")
    with harness.config.open() as duplicator:
        other = replace(duplicator, identities={harness.owner.id: unknown})
        (reason,) = other.dry_run(harness.request(ad_id=ad.id, again=112)).refusals
    assert "identity 12345 (TT_USER) is not among those of account" in reason


def test_custom_identity_is_kept_without_tiktok(harness: DuplicationHarness) -> None:
    """On Pangle alone a custom identity is kept."""
    ad = find_ad(harness, "custom")
    with change_ad(harness, ad, group=PANGLE):
        assert duplicate_or_refuse(harness, harness.request(ad_id=ad.id, again=121)) == ""
    assert harness.write_requests[-1]["body"]["creatives"][0]["identity_type"] == CUSTOM_IDENTITY


def test_library_image_is_kept_as_cover(harness: DuplicationHarness) -> None:
    """Images of the asset library are kept; others are replaced by a suggested cover."""
    ad = find_ad(harness, "push")
    image = library_image(harness.owner.id, 1)
    with change_ad(harness, ad, reviewed=False, image_ids=[image]):
        assert duplicate_or_refuse(harness, harness.request(ad_id=ad.id, again=131)) == ""
    assert harness.write_requests[-1]["body"]["creatives"][0]["image_ids"] == [image]


def test_fields_refused_by_creation_are_removed(harness: DuplicationHarness) -> None:
    """CPMV, deprecated targeting and a saved audience are not sent; its targeting is."""
    ad = find_ad(harness, "pull")
    extra = {
        "saved_audience_id": "700",
        "gender": "GENDER_FEMALE",
        "bid_display_mode": "CPMV",
        "auto_targeting_enabled": False,
        "targeting_expansion": {"expansion_enabled": False},
        "skip_learning_phase": True,
    }
    with change_ad(harness, ad, group=extra):
        assert duplicate_or_refuse(harness, harness.request(ad_id=ad.id, again=141)) == ""
    body = harness.write_requests[0]["body"]
    assert body["gender"] == "GENDER_FEMALE"
    assert body["skip_learning_phase"] is True
    assert not extra.keys() - {"gender", "skip_learning_phase"} & body.keys()


def test_plan_of_an_earlier_version_is_hidden_too(harness: DuplicationHarness) -> None:
    """A plan stored before posts were hidden from profiles is sent with the hiding field."""
    brand = {name: value for name, value in get_identity_fields(harness, "TT_USER").items() if value}
    video = library_video(harness.owner.id)
    media = {
        "ad_format": "SINGLE_VIDEO",
        "video_id": video,
        "image_ids": [covers_of(video)[0]],
        "ad_text": "Try it",
    }
    request = harness.request(again=151, ad_group_id=harness.scaling_ad_group.id)
    texts = {
        "ad_name": f"Hook {build_marker(request.key)}",
        "call_to_action": "LEARN_MORE",
        "operation_status": "DISABLE",
    }
    page = {"landing_page_url": "https://shop.example/", "dark_post_status": "OFF"}
    body = {
        "advertiser_id": harness.owner.id,
        "adgroup_id": None,
        "creatives": [{**brand, **media, **texts, **page}],
    }
    with harness.config.open() as duplicator:
        ledger = duplicator.ledger
        with ledger.lease(harness.owner.id, seconds=30, wait_seconds=0) as lease:
            ledger.start(lease, request, APPROVED_ON_TERMINAL)
            step = PlannedStep(AD_STEP, harness.scaling_ad_group.id, json.dumps(body))
            ledger.plan(lease, request.key, [step], kind="manual", currency="USD", added_budget=Decimal(0))
            ledger.record_sending(
                lease, request.key, AD_STEP, target=harness.scaling_ad_group.id, request=step.request
            )
        assert duplicator.duplicate(request).status == DONE
    (sent,) = harness.write_requests
    assert sent["body"]["creatives"][0]["dark_post_status"] == "ON"


MAYBE = st.none() | st.sampled_from(["", "UNSET", "700"])
ADS = st.fixed_dictionaries(
    {
        "advertiser_id": st.just("1"),
        "ad_name": st.text(max_size=20),
        "ad_format": st.sampled_from(FORMATS),
        "identity_type": st.sampled_from([*IDENTITY_TYPES, "UNSET", None]),
        "identity_id": MAYBE,
        "identity_authorized_bc_id": MAYBE,
        "tiktok_item_id": MAYBE,
        "video_id": MAYBE,
        "music_id": MAYBE,
        "image_ids": st.sampled_from([None, [], ["a"]]),
        "ad_text": st.sampled_from([None, "", "Try it", "Try ✅"]),
        "dark_post_status": st.sampled_from([None, "ON", "OFF"]),
        "promotional_music_disabled": st.sampled_from([None, True, False]),
        "item_duet_status": st.sampled_from([None, "ENABLE"]),
        "display_name": MAYBE,
        "call_to_action": st.just("LEARN_MORE"),
    }
)
GROUPS = st.sampled_from(
    [
        PANGLE,
        {"placement_type": "PLACEMENT_TYPE_AUTOMATIC"},
        {"placements": ["PLACEMENT_TIKTOK"]},
        {"placements": None},
    ]
)
STATUSES = st.none() | st.builds(
    IdentityStatus,
    st.sampled_from(["", "AVAILABLE", "IS_PRIVATE_ACCOUNT"]),
    can_push=st.booleans(),
    can_pull=st.booleans(),
)


READ = st.fixed_dictionaries(
    {
        "identity_status": STATUSES,
        "post": st.none() | st.builds(Post, st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC))),
        "images": st.sampled_from([(), ("i",)]),
    }
)
CREATIVE_CHECKS = ("source_copyable", "format_fits", "identity_usable", "media_usable", "text_taken")


@given(ADS, GROUPS, READ, st.none() | st.just(Identity("TT_USER", "9")))
def test_valid_creatives_never_show_on_a_profile(
    ad: dict[str, Any],
    group: dict[str, Any],
    read: dict[str, Any],
    configured: Identity | None,
) -> None:
    """For any ad, identity and placement a valid creative is hidden or pulled, or custom without TikTok."""
    account = AccountContext("USD", {}, None, configured)
    objects: dict[str, Any] = {
        "ad": ad,
        "ad_group": group,
        "campaign": {},
        "target_campaign": {},
        "target_ad_group": None,
    }
    snapshot = Snapshot(
        DuplicationRequest("1", "2", "3"),
        account,
        **objects,
        ad_group_count=0,
        ad_count=0,
        ad_group_quota=None,
        original_id=None,
        now=datetime(2026, 11, 9, tzinfo=UTC),
        **read,
    )
    if any(CHECKS[name](snapshot) for name in CREATIVE_CHECKS):
        return
    (creative,) = build_ad_payload(ad, "5", "[tta]", snapshot.creative, enable=False)["creatives"]
    assert_no_public_post(creative)
    assert snapshot.creative.method in get_args(CopyMethod)
    assert creative["identity_type"] != CUSTOM_IDENTITY or not is_on_tiktok(group)
    assert_sdk_accepts("ad/create", {"advertiser_id": "1", "adgroup_id": "5", "creatives": [creative]})


def test_sdk_knows_every_field_that_is_sent() -> None:
    """Every documented field of `adgroup/get` that is sent is part of the SDK's model of the request."""
    rows = (
        path.removeprefix("data.list[].")
        for path in load_contract("adgroup/get").response
        if "data.list[]." in path
    )
    source = {name: [{"value": "1"}] for name in rows if "." not in name and "[" not in name}
    placement = AdGroupPlacement(
        "77",
        "key",
        "[tta]",
        DYNAMIC_DAILY_BUDGET,
        Decimal(50),
        enable=False,
        now=datetime(2026, 11, 9, tzinfo=UTC),
    )
    body = build_ad_group_payload({**source, "advertiser_id": "1"}, placement)
    known = set(business_api_client.AdgroupCreateBody.attribute_map.values())
    assert body.keys() - known == set()


LISTED = [text for text, facts in emoji.EMOJI_DATA.items() if facts["status"] == emoji.STATUS["fully_qualified"]]
ORDINARY = f"{string.ascii_letters}{string.digits}{string.punctuation} äß你好©®™€→★"
TEXTS = st.lists(st.sampled_from([*ORDINARY, *LISTED]) | st.characters(), max_size=20).map("".join)


def test_every_listed_emoji_is_found_and_removed() -> None:
    """The client removes each listed emoji as a whole, and the sandbox's own rule refuses each."""
    assert len(LISTED) > 3500
    assert [one for one in LISTED if find_emoji(one) != [one] or remove_emoji(f"a {one} b") != "a b"] == []
    assert [one for one in LISTED if not EMOJI.search(one)] == []


@given(TEXTS)
def test_text_without_emoji_is_accepted(text: str) -> None:
    """After removal neither rule finds an emoji, and removing again changes nothing."""
    plain = remove_emoji(text)
    assert find_emoji(plain) == []
    assert not EMOJI.search(plain)
    assert remove_emoji(plain) == plain


@given(
    st.text(
        st.sampled_from(f"{string.ascii_letters}{string.digits}{string.punctuation} äß你好©®™€→★"), max_size=60
    )
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    """Letters, digits, punctuation, © and other signs that are no emoji are unchanged."""
    assert remove_emoji(text) == text
    assert find_emoji(text) == []


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Sale ✅ today", "Sale today"),
        ("❤️ you", "you"),
        ("1️⃣ first, 2️⃣ second", "first, second"),
        ("Made in 🇩🇪", "Made in"),
        ("Family 👨‍👩‍👧 pack", "Family pack"),
        ("one 🔥\ntwo", "one\ntwo"),
        ("\U0001faef of a later Unicode", "of a later Unicode"),
        ("100 % © 2026", "100 % © 2026"),
    ],
)
def test_emoji_removal_examples(text: str, plain: str) -> None:
    """Sequences are removed as a whole, and lines stay lines."""
    assert remove_emoji(text) == plain
