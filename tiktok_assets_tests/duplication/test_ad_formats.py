"""Laws of how copies are shown: each format ends in a copy or a sentence, and no post ever shows on a profile."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import business_api_client
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.creatives import Identity, IdentityStatus, Post
from tiktok_assets.duplication.ad_formats import CopyMethod, is_on_tiktok
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.models import AD_STEP, DONE, DuplicationRequest, PlannedStep, build_marker
from tiktok_assets.duplication.payloads import AdGroupPlacement, build_ad_group_payload, build_ad_payload
from tiktok_assets.duplication.snapshot import AccountContext, Snapshot
from tiktok_assets.duplication.validation import CHECKS
from tiktok_assets.sandbox.reads.media import covers_of, library_image, library_video
from tiktok_assets.sandbox.world.api_objects import CUSTOM_IDENTITY, ad_source, identities_of
from tiktok_assets.sandbox.world.model import Ad
from tiktok_assets.spec.money import DYNAMIC_DAILY_BUDGET
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.duplication.harness import APPROVED_ON_TERMINAL, DuplicationHarness

FORMATS = ("SINGLE_IMAGE", "SINGLE_VIDEO", "LIVE_CONTENT", "CAROUSEL_ADS", "CATALOG_CAROUSEL")
KINDS = ("CUSTOMIZED_USER", "AUTH_CODE", "TT_USER", "BC_AUTH_TT")
PANGLE = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}


def built(harness: DuplicationHarness, presence: str) -> Ad:
    """An ad that was built to be shown in one way."""
    return next(one for one in harness.owner.ads if ad_source(one) == presence and not one.deleted)


@contextmanager
def as_if(
    harness: DuplicationHarness,
    ad: Ad,
    *,
    reviewed: bool = True,
    group: dict[str, Any] | None = None,
    **fields: Any,  # noqa: ANN401 - any field
) -> Iterator[None]:
    """An ad with other fields for a while, in review or not, in an ad group with other fields."""
    kept, in_review, of_group = dict(ad.fields), ad.in_review, dict(ad.ad_group.fields)
    ad.fields.update(fields)
    ad.in_review = not reviewed
    ad.ad_group.fields.update(group or {})
    harness.host.sandbox.world.version += 1
    try:
        yield
    finally:
        ad.fields, ad.in_review, ad.ad_group.fields = kept, in_review, of_group
        harness.host.sandbox.world.version += 1


def own(harness: DuplicationHarness, kind: str) -> dict[str, Any]:
    """The fields of the account's identity of a kind."""
    one = next(one for one in identities_of(harness.owner) if one.identity_type == kind)
    return {
        "identity_type": kind,
        "identity_id": one.identity_id,
        "identity_authorized_bc_id": one.bc_id,
    }


def accepted_by_the_sdk(path: str, body: dict[str, Any]) -> None:
    """Build TikTok's own model of a body; it takes no key it does not know."""
    if path == "adgroup/create":
        business_api_client.AdgroupCreateBody(**body)
        return
    creatives = [business_api_client.AdcreateCreatives(**one) for one in body["creatives"]]
    business_api_client.AdCreateBody(**{**body, "creatives": creatives})


def assert_no_post_shows(creative: dict[str, Any]) -> None:
    """A new post is one no profile shows; an existing one is sent with nothing of its own."""
    assert creative.get("dark_post_status") in {None, "ON"}
    if creative.get("tiktok_item_id"):
        assert not {"video_id", "image_ids", "ad_text", "ad_texts", "dark_post_status"} & creative.keys()
    elif creative["identity_type"] != CUSTOM_IDENTITY:
        assert creative["dark_post_status"] == "ON"
        assert creative["image_ids"]


def kept_or_refused(harness: DuplicationHarness, wish: DuplicationRequest, **other: Any) -> str:  # noqa: ANN401 - of the connection
    """Try a dry run and a live run: the reason of both, or "" and one ad group and ad, as TikTok takes them."""
    with replace(harness.config, **other).open() as duplicator:
        reasons = duplicator.dry_run(wish).refusals
        assert harness.write_requests == []
        if reasons:
            with pytest.raises(RefusedError):
                duplicator.duplicate(wish)
            assert harness.write_requests == []
            assert len(reasons) == 1
            return reasons[0]
        assert duplicator.duplicate(wish).status == DONE
    for request in harness.write_requests:
        body = json.loads(json.dumps(request["body"], default=float))
        accepted_by_the_sdk(request["path"], body)
        headers = {"Access-Token": "x", "Content-Type": "application/json"}
        path = f"/open_api/v1.3/{request['path']}/"
        assert (
            find_request_violations(
                load_contract(request["path"]), "POST", path, query={}, body=body, headers=headers
            )
            == []
        )
        for creative in body.get("creatives", ()):
            assert_no_post_shows(creative)
    (group,), (ad,) = harness.made(wish)
    assert group["budget_mode"] == DYNAMIC_DAILY_BUDGET
    assert ad["dark_post_status"] == "ON"
    return ""


@pytest.mark.parametrize("reviewed", [True, False], ids=["reviewed", "in review"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ad_format", FORMATS)
def test_each_format_is_made_or_refused_in_a_sentence(
    harness: DuplicationHarness, ad_format: str, kind: str, *, reviewed: bool
) -> None:
    """Whatever an ad shows, the dry run says what the live run does, and no ad group is left without an ad."""
    ad = built(harness, "push")
    media: dict[str, Any] = {
        "video_id": library_video(harness.owner.id),
        "image_ids": ["thumbnail"],
        "music_id": None,
    }
    if ad_format != "SINGLE_VIDEO":
        media = {"video_id": None, "image_ids": [library_image(harness.owner.id)], "music_id": "700"}
    shows_post = kind == "AUTH_CODE" or (reviewed and kind != CUSTOM_IDENTITY)
    post = {"tiktok_item_id": "7000000000000000123" if shows_post else None}
    fields = {"ad_format": ad_format, **own(harness, kind), **media, **post, "ad_text": "Try it"}
    number = 1 + FORMATS.index(ad_format) * 10 + KINDS.index(kind) * 2 + reviewed
    with as_if(harness, ad, reviewed=reviewed, **fields):
        told = kept_or_refused(harness, harness.wish(ad_id=ad.id, again=number))
    if ad_format in {"LIVE_CONTENT", "CATALOG_CAROUSEL"}:
        assert "cannot be read and created again" in told
    elif ad_format == "SINGLE_IMAGE":
        assert "TikTok takes single images on Pangle and the Global App Bundle alone" in told
    elif kind == CUSTOM_IDENTITY:
        assert "TIKTOK_SCALING_IDENTITY=" in told
    else:
        assert told == ""


def test_a_post_that_is_there_is_shown_again(harness: DuplicationHarness) -> None:
    """The post of a pushed ad and of a creator is pulled, with the identity alone; likes stay with it."""
    for number, presence in enumerate(("pull", "push"), 101):
        ad = built(harness, presence)
        shown = next(
            one
            for one in harness.host.ground_truth("ads", advertiser_id=harness.owner.id)
            if one["ad_id"] == ad.id
        )
        wish = harness.wish(ad_id=ad.id, again=number)
        assert kept_or_refused(harness, wish) == ""
        _, (copy,) = harness.made(wish)
        for name in ("tiktok_item_id", "identity_type", "identity_id"):
            assert copy[name] == shown[name]
        assert (copy["video_id"], copy["image_ids"]) == (None, [])
        harness.host.reset()


def test_a_custom_identity_gives_way_to_one_of_the_account(harness: DuplicationHarness) -> None:
    """With the setting its video is posted as that identity, with a cover TikTok suggests; no profile shows it."""
    ad = built(harness, "custom")
    brand = own(harness, "TT_USER")
    wish = harness.wish(ad_id=ad.id, again=111)
    chosen = Identity("TT_USER", brand["identity_id"])
    assert kept_or_refused(harness, wish, identities={harness.owner.id: chosen}) == ""
    _, (copy,) = harness.made(wish)
    assert (copy["identity_type"], copy["identity_id"]) == ("TT_USER", brand["identity_id"])
    assert "/cover" in copy["image_ids"][0]
    gone = Identity("TT_USER", "12345")
    with harness.config.open() as duplicator:
        other = replace(duplicator, identities={harness.owner.id: gone})
        (told,) = other.dry_run(harness.wish(ad_id=ad.id, again=112)).refusals
    assert "identity 12345 (TT_USER) is not among those of account" in told


def test_a_custom_identity_stays_where_tiktok_is_left_out(harness: DuplicationHarness) -> None:
    """On Pangle alone a custom identity is still taken, with a cover of the library."""
    ad = built(harness, "custom")
    with as_if(harness, ad, group=PANGLE):
        assert kept_or_refused(harness, harness.wish(ad_id=ad.id, again=121)) == ""
    assert harness.write_requests[-1]["body"]["creatives"][0]["identity_type"] == CUSTOM_IDENTITY


def test_a_cover_of_the_library_is_kept(harness: DuplicationHarness) -> None:
    """Images that are in the asset library are used as they are; others give way to a suggested cover."""
    ad = built(harness, "push")
    image = library_image(harness.owner.id, 1)
    with as_if(harness, ad, reviewed=False, image_ids=[image]):
        assert kept_or_refused(harness, harness.wish(ad_id=ad.id, again=131)) == ""
    assert harness.write_requests[-1]["body"]["creatives"][0]["image_ids"] == [image]


def test_what_reads_show_and_creation_refuses_is_left_out(harness: DuplicationHarness) -> None:
    """CPMV, deprecated targeting and a saved audience beside its own parts are not sent; the parts are."""
    ad = built(harness, "pull")
    shown = {
        "saved_audience_id": "700",
        "gender": "GENDER_FEMALE",
        "bid_display_mode": "CPMV",
        "auto_targeting_enabled": False,
        "targeting_expansion": {"expansion_enabled": False},
        "skip_learning_phase": True,
    }
    with as_if(harness, ad, group=shown):
        assert kept_or_refused(harness, harness.wish(ad_id=ad.id, again=141)) == ""
    body = harness.write_requests[0]["body"]
    assert body["gender"] == "GENDER_FEMALE"
    assert body["skip_learning_phase"] is True
    assert not shown.keys() - {"gender", "skip_learning_phase"} & body.keys()


def test_what_an_earlier_version_planned_shows_nowhere_either(harness: DuplicationHarness) -> None:
    """A plan kept in the ledger from before posts were kept off profiles is sent with that said."""
    brand = {name: value for name, value in own(harness, "TT_USER").items() if value}
    video = library_video(harness.owner.id)
    media = {
        "ad_format": "SINGLE_VIDEO",
        "video_id": video,
        "image_ids": [covers_of(video)[0]],
        "ad_text": "Try it",
    }
    wish = harness.wish(again=151, ad_group_id=harness.scaling_ad_group.id)
    words = {
        "ad_name": f"Hook {build_marker(wish.key)}",
        "call_to_action": "LEARN_MORE",
        "operation_status": "DISABLE",
    }
    page = {"landing_page_url": "https://shop.example/", "dark_post_status": "OFF"}
    body = {
        "advertiser_id": harness.owner.id,
        "adgroup_id": None,
        "creatives": [{**brand, **media, **words, **page}],
    }
    with harness.config.open() as duplicator:
        ledger = duplicator.ledger
        with ledger.lease(harness.owner.id, seconds=30, wait_seconds=0) as lease:
            ledger.begin(lease, wish, APPROVED_ON_TERMINAL)
            step = PlannedStep(AD_STEP, harness.scaling_ad_group.id, json.dumps(body))
            ledger.plan(lease, wish.key, [step], currency="USD", added_budget=Decimal(0))
            ledger.sending(lease, wish.key, AD_STEP, target=harness.scaling_ad_group.id, request=step.request)
        assert duplicator.duplicate(wish).status == DONE
    (sent,) = harness.write_requests
    assert sent["body"]["creatives"][0]["dark_post_status"] == "ON"


MAYBE = st.none() | st.sampled_from(["", "UNSET", "700"])
ADS = st.fixed_dictionaries(
    {
        "advertiser_id": st.just("1"),
        "ad_name": st.text(max_size=20),
        "ad_format": st.sampled_from(FORMATS),
        "identity_type": st.sampled_from([*KINDS, "UNSET", None]),
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
ABLE = st.none() | st.builds(
    IdentityStatus,
    st.sampled_from(["", "AVAILABLE", "IS_PRIVATE_ACCOUNT"]),
    can_push=st.booleans(),
    can_pull=st.booleans(),
)


READ = st.fixed_dictionaries(
    {
        "abilities": ABLE,
        "post": st.none() | st.builds(Post, st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC))),
        "images": st.sampled_from([(), ("i",)]),
    }
)
CREATIVE_CHECKS = ("source_copyable", "format_fits", "identity_usable", "media_usable", "text_taken")


@given(ADS, GROUPS, READ, st.none() | st.just(Identity("TT_USER", "9")))
def test_nothing_that_is_sent_can_show_on_a_profile(
    ad: dict[str, Any],
    group: dict[str, Any],
    read: dict[str, Any],
    chosen: Identity | None,
) -> None:
    """For every ad, identity and placement: what passes is dark or pulled, and custom only off TikTok."""
    account = AccountContext("USD", {}, None, chosen)
    objects: dict[str, Any] = {"ad": ad, "ad_group": group, "campaign": {}, "target": {}, "target_ad_group": None}
    found = Snapshot(
        DuplicationRequest("1", "2", "3"), account, **objects, ad_groups=0, ads=0, quota=None, copy_of=None,
        now=datetime(2026, 11, 9, tzinfo=UTC), **read,
    )  # fmt: skip
    if any(CHECKS[name](found) for name in CREATIVE_CHECKS):
        return
    (creative,) = build_ad_payload(ad, "5", "[tta]", found.shown, enable=False)["creatives"]
    assert_no_post_shows(creative)
    assert found.shown.method in get_args(CopyMethod)
    assert creative["identity_type"] != CUSTOM_IDENTITY or not is_on_tiktok(group)
    accepted_by_the_sdk("ad/create", {"advertiser_id": "1", "adgroup_id": "5", "creatives": [creative]})


def test_every_field_an_ad_group_may_have_is_known_to_the_sdk() -> None:
    """All that `adgroup/get` documents and we send on is taken by TikTok's own model of the request."""
    rows = (
        path.removeprefix("data.list[].")
        for path in load_contract("adgroup/get").response
        if "data.list[]." in path
    )
    source = {name: [{"value": "1"}] for name in rows if "." not in name and "[" not in name}
    placed = AdGroupPlacement(
        "77",
        "key",
        "[tta]",
        DYNAMIC_DAILY_BUDGET,
        Decimal(50),
        enable=False,
        now=datetime(2026, 11, 9, tzinfo=UTC),
    )
    body = build_ad_group_payload({**source, "advertiser_id": "1"}, placed)
    known = set(business_api_client.AdgroupCreateBody.attribute_map.values())
    assert body.keys() - known == set()
