"""Let ads of the sandbox be shown in each documented way, for tests of their copies.

Sources: ckr2436/Tiktok-OPS `Create_ads` and `Get_ads`; mengxingxinqing/tiktok_ads create_spark_ads,
migrate_to_spark_ads, create_carousel_ads, create_single_image_ads, get_info_about_tiktok_posts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tiktok_assets.api.creatives import read_suggested_covers
from tiktok_assets.sandbox.reads.media import covers_of, library_image, library_video
from tiktok_assets.sandbox.world.api_objects import OWNER_BC_ID, ad_source
from tiktok_assets.sandbox.world.model import Ad, AdGroup
from tiktok_assets_tests.duplication.harness import DuplicationHarness

AUTOMATIC = {"placement_type": "PLACEMENT_TYPE_AUTOMATIC", "placements": ["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"]}
TIKTOK = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_TIKTOK"]}
BOTH = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"]}
PANGLE = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_PANGLE"]}
BUNDLE = {"placement_type": "PLACEMENT_TYPE_NORMAL", "placements": ["PLACEMENT_GLOBAL_APP_BUNDLE"]}

POSTS = {"own": "7000000000000000101", "withdrawn": "7000000000000000102"}
"""Posts of an ad: one that exists, and one that its owner withdrew."""


def prepare_media(harness: DuplicationHarness) -> None:
    """Let the sandbox build the account's library, which its first use does, and withdraw a post."""
    owner, world = harness.owner.id, harness.host.sandbox.world
    assert read_suggested_covers(harness.host.client(), owner, library_video(owner))
    world.withdrawn_posts[POSTS["withdrawn"]] = harness.host.sandbox.state.now - 3600


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
