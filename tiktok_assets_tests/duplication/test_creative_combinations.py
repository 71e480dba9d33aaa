"""Laws of copied creatives: made whole or refused before anything is made, whatever the original shows.

Sources: ckr2436/Tiktok-OPS `Create_ads` and `Get_ads`; mengxingxinqing/tiktok_ads create_spark_ads,
migrate_to_spark_ads, create_carousel_ads, create_single_image_ads, get_info_about_tiktok_posts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import business_api_client as sdk
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tiktok_assets.api.creatives import Identity, read_suggested_covers
from tiktok_assets.duplication.duplicator import DryRun, Duplicator, RefusedError
from tiktok_assets.duplication.models import DONE, DuplicationRequest
from tiktok_assets.sandbox.reads.media import covers_of, library_image, library_video
from tiktok_assets.sandbox.world.api_objects import OWNER_BC_ID, ad_source
from tiktok_assets.sandbox.world.model import Ad, AdGroup
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.duplication.harness import PLAN, DuplicationHarness, open_harness

FORMATS = ("SINGLE_VIDEO", "SINGLE_IMAGE", "CAROUSEL_ADS", "LIVE_CONTENT", "CATALOG_CAROUSEL")
"""Every value of `ad_format` (`Create_ads`)."""

AUTOMATIC = {"placement_type": "PLACEMENT_TYPE_AUTOMATIC", "placements": ["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"]}
TIKTOK = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_TIKTOK"]}
BOTH = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"]}
PANGLE = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}
BUNDLE = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_GLOBAL_APP_BUNDLE"]}

OF_THE_POST = {"video_id", "image_ids", "ad_text", "ad_texts", "music_id", "dark_post_status"}
"""What a pulled post does not take: it has its own, and is published already."""

POSTS = {"own": "7000000000000000101", "withdrawn": "7000000000000000102"}
"""Posts an ad shows: one that is there, one whose owner took it back since."""

_again = count(1)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """The story's world; each copy has a number of its own."""
    with Host.run(PLAN) as host, open_harness(host, tmp_path_factory.mktemp("formats")) as one:
        video = library_video(one.owner.id)  # its library is built when it is first asked for, and then stays
        assert read_suggested_covers(host.client(), one.owner.id, video)
        host.sandbox.world.withdrawn_posts[POSTS["withdrawn"]] = host.sandbox.state.now - 3600
        yield one


def pushed(harness: DuplicationHarness) -> Ad:
    """An ad of the winner's campaign whose video is in the account's library."""
    ads = (ad for group in harness.winner.campaign.ad_groups if not group.deleted for ad in group.ads)
    return next(ad for ad in ads if ad_source(ad) == "push" and not ad.deleted)


def identities(harness: DuplicationHarness) -> dict[str, dict[str, Any]]:
    """Identities of the story's account by what they are for the test, as `ad/get` shows them."""
    first = int(harness.owner.id)
    told = {
        "custom": ("CUSTOMIZED_USER", first + 4, None),
        "creator": ("AUTH_CODE", first + 2, None),
        "brand": ("TT_USER", first + 1, None),
        "business centre": ("BC_AUTH_TT", first + 3, OWNER_BC_ID),
        "gone": ("TT_USER", first + 5, None),
        "politician": ("TT_USER", first + 6, None),
        "unknown": ("TT_USER", 4711, None),
    }
    names = ("identity_type", "identity_id", "identity_authorized_bc_id")
    return {name: dict(zip(names, (kind, str(one), bc), strict=True)) for name, (kind, one, bc) in told.items()}


def chosen(harness: DuplicationHarness, name: str) -> Identity:
    """An identity as the setting TIKTOK_SCALING_IDENTITY names it."""
    told = identities(harness)[name]
    return Identity(told["identity_type"], told["identity_id"], told["identity_authorized_bc_id"])


@contextmanager
def shown_as(
    harness: DuplicationHarness, ad: Ad, fields: Mapping[str, Any], placement: Mapping[str, Any]
) -> Iterator[None]:
    """Let the sandbox show an ad with other fields, and its ad group with other placements."""
    group: AdGroup = ad.ad_group
    world = harness.host.sandbox.world
    before, group_before = dict(ad.fields), dict(group.fields)
    ad.fields.update(fields)
    group.fields.update(placement)
    world.version += 1  # what the sandbox keeps of its answers is stale
    try:
        yield
    finally:
        world.version += 1
        ad.fields.clear()
        ad.fields.update(before)
        group.fields.clear()
        group.fields.update(group_before)


def assert_the_sdk_takes(creative: Mapping[str, Any]) -> None:
    """The official SDK's model has every field of a creative; it raises for one it does not know."""
    told = sdk.AdcreateCreatives(**creative).to_dict()
    assert {name: told[name] for name in creative} == creative


def assert_never_public(creative: Mapping[str, Any]) -> None:
    """A new post comes of whatever names neither a post that is there nor a custom identity: it must be dark."""
    makes_a_post = not creative.get("tiktok_item_id") and creative["identity_type"] != "CUSTOMIZED_USER"
    assert creative.get("dark_post_status") == ("ON" if makes_a_post else None), creative


def assert_fits_its_kind(creative: Mapping[str, Any], group: Mapping[str, Any]) -> None:
    """A creative has what its kind takes and demands, and no more."""
    images = creative.get("image_ids", [])
    custom, pull = creative["identity_type"] == "CUSTOMIZED_USER", "tiktok_item_id" in creative
    assert ("identity_authorized_bc_id" in creative) == (creative["identity_type"] == "BC_AUTH_TT")
    if pull:
        assert not custom
        assert OF_THE_POST.isdisjoint(creative)
    else:
        assert creative.get("ad_text") or (custom and creative.get("ad_texts"))
        assert 1 <= len(images) <= (35 if creative["ad_format"] == "CAROUSEL_ADS" else 1)
        assert ("video_id" in creative) == (creative["ad_format"] == "SINGLE_VIDEO")
        assert ("music_id" in creative) == (creative["ad_format"] == "CAROUSEL_ADS")
        assert custom or creative["identity_type"] in {"TT_USER", "BC_AUTH_TT"}
    on_tiktok = group["placement_type"] == "PLACEMENT_TYPE_AUTOMATIC" or "PLACEMENT_TIKTOK" in group["placements"]
    assert not (custom and on_tiktok)
    assert custom or "aigc_disclosure_type" not in creative


@contextmanager
def duplicating(harness: DuplicationHarness, identity: Identity | None = None) -> Iterator[Duplicator]:
    """A duplicator with an identity of the settings."""
    with harness.config.open() as one:
        yield replace(one, identities={harness.owner.id: identity} if identity else {})


def carried_out(
    duplicator: Duplicator, harness: DuplicationHarness, wish: DuplicationRequest
) -> tuple[DryRun, dict[str, Any] | None]:
    """Rehearse, then duplicate: what was rehearsed, and the creative that was sent; None where it was refused."""
    sent_before = len(harness.write_requests)
    rehearsal = duplicator.dry_run(wish)
    if rehearsal.refusals:
        assert all(reason and "\n" not in reason for reason in rehearsal.refusals)
        with pytest.raises(RefusedError) as told:
            duplicator.duplicate(wish)
        assert str(told.value) == "; ".join(rehearsal.refusals)
        assert len(harness.write_requests) == sent_before, "nothing is made for an ad that cannot follow"
        assert harness.made(wish) == ([], [])
        return rehearsal, None
    assert duplicator.duplicate(wish).status == DONE
    groups, ads = harness.made(wish)
    assert (len(groups), len(ads)) == (1, 1)
    body = harness.write_requests[-1]["body"]
    path = "/open_api/v1.3/ad/create/"
    headers = {"Access-Token": "t", "Content-Type": "application/json"}
    assert (
        find_request_violations(load_contract("ad/create"), "POST", path, query={}, body=body, headers=headers)
        == []
    )
    (creative,) = body["creatives"]
    return rehearsal, creative


def fields_of(harness: DuplicationHarness, ad: Ad, **choice: Any) -> dict[str, Any]:  # noqa: ANN401 - of each its own
    """What `ad/get` shows of an ad, as chosen."""
    owner = harness.owner.id
    video = {
        "own": f"v10044g50000c{int(ad.id):020d}",
        "library": library_video(owner),
        "foreign": "v9",
        None: None,
    }
    images = {
        "library": [library_image(owner)],
        "two": [library_image(owner, 0), library_image(owner, 1)],
        "cover": [covers_of(library_video(owner))[0]],
        "ads manager": ["tos-alisg-p-0051c001-sg/made-in-ads-manager"],
        "none": [],
    }
    return {
        **identities(harness)[choice["identity"]],
        "ad_format": choice["ad_format"],
        "video_id": video[choice["video"]],
        "image_ids": images[choice["images"]],
        "tiktok_item_id": choice["post"] and POSTS[choice["post"]],
        "ad_text": choice["text"],
        "ad_texts": choice["texts"],
        "music_id": choice["music"],
        "dark_post_status": choice["dark"],
        "call_to_action": choice["button"],
        "landing_page_url": choice["page"],
        "promotional_music_disabled": choice["music_disabled"],
        "aigc_disclosure_type": choice["aigc"],
    }


SOUND: dict[str, Any] = {
    "identity": "brand",
    "ad_format": "SINGLE_VIDEO",
    "video": "own",
    "images": "cover",
    "post": None,
    "text": "Try it",
    "texts": None,
    "music": None,
    "dark": "OFF",
    "button": "SHOP_NOW",
    "page": "https://shop.example/",
    "music_disabled": None,
    "aigc": None,
    "placement": TIKTOK,
    "setting": None,
}
"""A video that the brand pushed to its own profile, where everybody sees it."""

_POST = {"post": "own", "video": None, "images": "none"}
_CAROUSEL = {"ad_format": "CAROUSEL_ADS", "video": None, "images": "two", "music": "7000000000000000077"}
SOUND_ADS: dict[str, dict[str, Any]] = {
    "a video pushed by the brand": {},
    "a video pushed by the business centre": {"identity": "business centre", "placement": AUTOMATIC},
    "a pushed video that passed its review": {"post": "own"},
    "a pushed video with a cover made in Ads Manager": {"images": "ads manager"},
    "a carousel pushed by the brand": _CAROUSEL,
    "a creator's post": {"identity": "creator", **_POST},
    "the brand's post": _POST,
    "a post of the business centre's account": {"identity": "business centre", **_POST},
    "the brand's photo post": {**_POST, "ad_format": "CAROUSEL_ADS"},
    "a custom video off TikTok": {"identity": "custom", "placement": PANGLE},
    "a custom video with several texts off TikTok": {
        "identity": "custom",
        "placement": PANGLE,
        "text": "",
        "texts": ["Try it"],
    },
    "a custom image off TikTok": {
        "identity": "custom",
        "placement": BUNDLE,
        "ad_format": "SINGLE_IMAGE",
        "video": None,
        "images": "library",
    },
    "a custom video with an identity to post as": {"identity": "custom", "setting": "brand"},
    "a custom carousel with an identity to post as": {
        **_CAROUSEL,
        "identity": "custom",
        "setting": "business centre",
        "placement": AUTOMATIC,
    },
}
"""One of each documented way to show an ad, as a change to the above."""

CHANGES: dict[str, list[Any]] = {
    "identity": ["custom", "creator", "brand", "business centre", "gone", "politician", "unknown"],
    "ad_format": [*FORMATS],
    "video": ["own", "library", "foreign", None],
    "images": ["library", "two", "cover", "ads manager", "none"],
    "post": ["own", "withdrawn", None],
    "text": ["Try it", "", "Try 🔥 it"],
    "texts": [["Try it"], None],
    "music": ["7000000000000000077", None],
    "dark": ["OFF", "ON", None],
    "button": [None],
    "page": [None],
    "music_disabled": [True, False],
    "aigc": ["NOT_DECLARED", "SELF_DISCLOSURE"],
    "placement": [AUTOMATIC, TIKTOK, BOTH, PANGLE, BUNDLE],
    "setting": [None, "brand", "business centre", "gone", "politician", "unknown"],
}


def try_out(harness: DuplicationHarness, choice: Mapping[str, Any]) -> tuple[DryRun, dict[str, Any] | None]:
    """Let an ad be shown as chosen, duplicate it, and hold what was sent against the pages."""
    ad, shown = pushed(harness), {**SOUND, **choice}
    placement, setting = shown.pop("placement"), shown.pop("setting")
    identity = chosen(harness, setting) if setting else None
    with (
        shown_as(harness, ad, fields_of(harness, ad, **shown), placement),
        duplicating(harness, identity) as duplicator,
    ):
        rehearsal, creative = carried_out(duplicator, harness, harness.wish(ad_id=ad.id, again=next(_again)))
    if creative:
        assert_never_public(creative)
        assert_fits_its_kind(creative, placement)
        assert_the_sdk_takes(creative)
    return rehearsal, creative


@pytest.mark.parametrize("kind", SOUND_ADS)
def test_each_documented_way_to_show_an_ad_can_be_copied(harness: DuplicationHarness, kind: str) -> None:
    """Each ends in "will be made", and is."""
    rehearsal, creative = try_out(harness, SOUND_ADS[kind])
    assert rehearsal.refusals == []
    assert creative


@given(
    kind=st.sampled_from(sorted(SOUND_ADS)),
    changes=st.lists(
        st.sampled_from([(name, value) for name, values in CHANGES.items() for value in values]), max_size=3
    ),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_copy_is_made_whole_or_refused_before_anything_is_made_and_never_public(
    harness: DuplicationHarness, kind: str, changes: list[tuple[str, Any]]
) -> None:
    """Whatever an ad shows: the dry run says what a live run does, and no post it makes shows on a profile."""
    _, creative = try_out(harness, {**SOUND_ADS[kind], **dict(changes)})
    event("made" if creative else "refused")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("identity/get", "a video pushed by the brand"),
        ("identity/video/info", "a creator's post"),
        ("file/image/ad/info", "a pushed video with a cover made in Ads Manager"),
        ("file/video/suggestcover", "a pushed video with a cover made in Ads Manager"),
    ],
)
def test_a_permission_that_is_missing_is_a_refusal(harness: DuplicationHarness, path: str, kind: str) -> None:
    """What cannot be looked up stops the copy before anything is made, with what to do about it."""
    harness.host.control("POST", "switches", no_scope_for=[path])
    try:
        rehearsal, creative = try_out(harness, SOUND_ADS[kind])
    finally:
        harness.host.control("POST", "switches", no_scope_for=[])
    assert creative is None
    (told,) = rehearsal.refusals
    for part in (path, "Creative Management", "tiktok-assets auth"):
        assert part in told
