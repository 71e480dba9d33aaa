"""Tests of copied creatives: for any original, a copy is complete or is refused before anything is created.

Sources: ckr2436/Tiktok-OPS `Create_ads` and `Get_ads`; mengxingxinqing/tiktok_ads create_spark_ads,
migrate_to_spark_ads, create_carousel_ads, create_single_image_ads, get_info_about_tiktok_posts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from tempfile import TemporaryDirectory
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

POST_FIELDS = {"video_id", "image_ids", "ad_text", "ad_texts", "music_id", "dark_post_status"}
"""Fields that a pulled post does not accept, because it has its own and is published."""

POSTS = {"own": "7000000000000000101", "withdrawn": "7000000000000000102"}
"""Posts of an ad: one that exists, and one that its owner withdrew."""

_again = count(1)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """Open a harness on the scenario's world; each copy has a number of its own."""
    with Host.run(PLAN) as host, open_harness(host, tmp_path_factory.mktemp("formats")) as one:
        video = library_video(one.owner.id)  # the first request builds the library
        assert read_suggested_covers(host.client(), one.owner.id, video)
        host.sandbox.world.withdrawn_posts[POSTS["withdrawn"]] = host.sandbox.state.now - 3600
        yield one


def find_pushed_ad(harness: DuplicationHarness) -> Ad:
    """Find an ad of the winner's campaign whose video is in the account's library."""
    ads = (ad for group in harness.winner.campaign.ad_groups if not group.deleted for ad in group.ads)
    return next(ad for ad in ads if ad_source(ad) == "push" and not ad.deleted)


def list_identities(harness: DuplicationHarness) -> dict[str, dict[str, Any]]:
    """List identities of the scenario's account by their purpose in the test, as `ad/get` returns them."""
    first = int(harness.owner.id)
    values = {
        "custom": ("CUSTOMIZED_USER", first + 4, None),
        "creator": ("AUTH_CODE", first + 2, None),
        "brand": ("TT_USER", first + 1, None),
        "business centre": ("BC_AUTH_TT", first + 3, OWNER_BC_ID),
        "removed": ("TT_USER", first + 5, None),
        "politician": ("TT_USER", first + 6, None),
        "unknown": ("TT_USER", 4711, None),
    }
    names = ("identity_type", "identity_id", "identity_authorized_bc_id")
    return {name: dict(zip(names, (kind, str(one), bc), strict=True)) for name, (kind, one, bc) in values.items()}


def configured_identity(harness: DuplicationHarness, name: str) -> Identity:
    """Return an identity as the setting TIKTOK_SCALING_IDENTITY gives it."""
    values = list_identities(harness)[name]
    return Identity(values["identity_type"], values["identity_id"], values["identity_authorized_bc_id"])


@contextmanager
def change_ad(
    harness: DuplicationHarness, ad: Ad, fields: Mapping[str, Any], placement: Mapping[str, Any]
) -> Iterator[None]:
    """Let the sandbox return an ad and its ad group with other fields during a block."""
    group: AdGroup = ad.ad_group
    world = harness.host.sandbox.world
    before, group_before = dict(ad.fields), dict(group.fields)
    ad.fields.update(fields)
    group.fields.update(placement)
    world.version += 1  # invalidates the sandbox's response cache
    try:
        yield
    finally:
        world.version += 1
        ad.fields.clear()
        ad.fields.update(before)
        group.fields.clear()
        group.fields.update(group_before)


def assert_sdk_accepts(creative: Mapping[str, Any]) -> None:
    """Assert that the SDK's model has every field of a creative."""
    values = sdk.AdcreateCreatives(**creative).to_dict()
    assert {name: values[name] for name in creative} == creative


def assert_not_public(creative: Mapping[str, Any]) -> None:
    """Assert that a creative that creates a post hides it from profiles."""
    creates_post = not creative.get("tiktok_item_id") and creative["identity_type"] != "CUSTOMIZED_USER"
    assert creative.get("dark_post_status") == ("ON" if creates_post else None), creative


def assert_fits_its_method(creative: Mapping[str, Any], group: Mapping[str, Any]) -> None:
    """Assert that a creative has just the fields that its method requires and accepts."""
    images = creative.get("image_ids", [])
    custom, pull = creative["identity_type"] == "CUSTOMIZED_USER", "tiktok_item_id" in creative
    assert ("identity_authorized_bc_id" in creative) == (creative["identity_type"] == "BC_AUTH_TT")
    if pull:
        assert not custom
        assert POST_FIELDS.isdisjoint(creative)
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
def open_duplicator(harness: DuplicationHarness, identity: Identity | None = None) -> Iterator[Duplicator]:
    """Open a duplicator with a configured identity."""
    with harness.config.open() as one:
        yield replace(one, identities={harness.owner.id: identity} if identity else {})


def dry_run_and_duplicate(
    duplicator: Duplicator, harness: DuplicationHarness, request: DuplicationRequest
) -> tuple[DryRun, dict[str, Any] | None]:
    """Do a dry run, then duplicate; return the dry run and the sent creative, None if it was refused."""
    sent_before = len(harness.write_requests)
    dry_run = duplicator.dry_run(request)
    if dry_run.refusals:
        assert all(reason and "\n" not in reason for reason in dry_run.refusals)
        with pytest.raises(RefusedError) as error:
            duplicator.duplicate(request)
        assert str(error.value) == "; ".join(dry_run.refusals)
        assert len(harness.write_requests) == sent_before, "nothing is created if the ad is refused"
        assert harness.created_objects(request) == ([], [])
        return dry_run, None
    assert duplicator.duplicate(request).status == DONE
    groups, ads = harness.created_objects(request)
    assert (len(groups), len(ads)) == (1, 1)
    body = harness.write_requests[-1]["body"]
    path = "/open_api/v1.3/ad/create/"
    headers = {"Access-Token": "t", "Content-Type": "application/json"}
    assert (
        find_request_violations(load_contract("ad/create"), "POST", path, query={}, body=body, headers=headers)
        == []
    )
    (creative,) = body["creatives"]
    return dry_run, creative


def build_fields(harness: DuplicationHarness, ad: Ad, **choice: Any) -> dict[str, Any]:  # noqa: ANN401 - one of each field's values
    """Build the fields that `ad/get` returns for a choice."""
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
        **list_identities(harness)[choice["identity"]],
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


VALID_VIDEO: dict[str, Any] = {
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
"""A video that the brand pushed to its own public profile."""

_POST = {"post": "own", "video": None, "images": "none"}
_CAROUSEL = {"ad_format": "CAROUSEL_ADS", "video": None, "images": "two", "music": "7000000000000000077"}
VALID_ADS: dict[str, dict[str, Any]] = {
    "a video pushed by the brand": {},
    "a video pushed by the business centre": {"identity": "business centre", "placement": AUTOMATIC},
    "a pushed video that passed its review": {"post": "own"},
    "a pushed video with a cover made in Ads Manager": {"images": "ads manager"},
    "a carousel pushed by the brand": _CAROUSEL,
    "a creator's post": {"identity": "creator", **_POST},
    "the brand's post": _POST,
    "a post of the business centre's account": {"identity": "business centre", **_POST},
    "the brand's photo post": {**_POST, "ad_format": "CAROUSEL_ADS"},
    "a custom video without TikTok": {"identity": "custom", "placement": PANGLE},
    "a custom video with several texts without TikTok": {
        "identity": "custom",
        "placement": PANGLE,
        "text": "",
        "texts": ["Try it"],
    },
    "a custom image without TikTok": {
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
"""Each documented way to show an ad, as changes to `VALID_VIDEO`."""

CHANGES: dict[str, list[Any]] = {
    "identity": ["custom", "creator", "brand", "business centre", "removed", "politician", "unknown"],
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
    "setting": [None, "brand", "business centre", "removed", "politician", "unknown"],
}


def duplicate_choice(
    harness: DuplicationHarness, choice: Mapping[str, Any]
) -> tuple[DryRun, dict[str, Any] | None]:
    """Change an ad as chosen, duplicate it, and check what was sent."""
    ad, shown = find_pushed_ad(harness), {**VALID_VIDEO, **choice}
    placement, setting = shown.pop("placement"), shown.pop("setting")
    identity = configured_identity(harness, setting) if setting else None
    with (
        change_ad(harness, ad, build_fields(harness, ad, **shown), placement),
        open_duplicator(harness, identity) as duplicator,
    ):
        dry_run, creative = dry_run_and_duplicate(
            duplicator, harness, harness.request(ad_id=ad.id, again=next(_again))
        )
    if creative:
        assert_not_public(creative)
        assert_fits_its_method(creative, placement)
        assert_sdk_accepts(creative)
    return dry_run, creative


@pytest.mark.parametrize("way", VALID_ADS)
def test_each_documented_way_to_show_an_ad_is_copied(harness: DuplicationHarness, way: str) -> None:
    """Each documented way to show an ad passes the dry run and is created."""
    dry_run, creative = duplicate_choice(harness, VALID_ADS[way])
    assert dry_run.refusals == []
    assert creative


@given(
    way=st.sampled_from(sorted(VALID_ADS)),
    changes=st.lists(
        st.sampled_from([(name, value) for name, values in CHANGES.items() for value in values]), max_size=3
    ),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_creative_is_copied_completely_or_refused(
    harness: DuplicationHarness, way: str, changes: list[tuple[str, Any]]
) -> None:
    """For any ad the dry run predicts the live run, and no created post shows on a profile."""
    harness.host.sandbox.state.requests.clear()  # with these and one ledger for all, each example would be slower
    with TemporaryDirectory() as folder:
        own = replace(harness, config=replace(harness.config, state_url=f"sqlite:///{folder}/state.sqlite"))
        _, creative = duplicate_choice(own, {**VALID_ADS[way], **dict(changes)})
    event("created" if creative else "refused")


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("identity/get", "a video pushed by the brand"),
        ("identity/video/info", "a creator's post"),
        ("file/image/ad/info", "a pushed video with a cover made in Ads Manager"),
        ("file/video/suggestcover", "a pushed video with a cover made in Ads Manager"),
    ],
)
def test_missing_permission_is_a_refusal(harness: DuplicationHarness, path: str, way: str) -> None:
    """What cannot be looked up is refused before anything is created, with advice."""
    harness.host.control("POST", "switches", no_scope_for=[path])
    try:
        dry_run, creative = duplicate_choice(harness, VALID_ADS[way])
    finally:
        harness.host.control("POST", "switches", no_scope_for=[])
    assert creative is None
    (reason,) = dry_run.refusals
    for part in (path, "Creative Management", "tiktok-assets auth"):
        assert part in reason
