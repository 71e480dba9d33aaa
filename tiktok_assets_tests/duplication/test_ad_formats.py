"""Duplicate each documented ad format into both kinds of campaign, and compare with the table in the docs.

Sources: mengxingxinqing/tiktok_ads, create_an_ad, create_an_upgraded_smart_ad and
upgraded_smart_ad_creative_combinations_by_identity_and_ad_t.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.models import DONE
from tiktok_assets.sandbox.reads.media import covers_of, library_image, library_video
from tiktok_assets.sandbox.world.model import Ad
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import SMART_PLUS_PLAN, DuplicationHarness, open_harness
from tiktok_assets_tests.duplication.shown_ads import (
    PANGLE,
    TIKTOK,
    VALID_ADS,
    VALID_VIDEO,
    build_fields,
    change_ad,
    find_pushed_ad,
    list_identities,
    prepare_media,
)

PAGE = Path(__file__).parents[2] / "docs/duplicating.md"
TARGETS = ("manual", "smart_plus")
CATALOGUE: Mapping[str, Any] = {"product_source": "CATALOG", "catalog_id": "7000000000000000041"}
SHOP: Mapping[str, Any] = {"product_source": "STORE", "store_id": "7000000000000000042"}


@dataclass(frozen=True)
class Shown:
    """An ad of the sandbox, and what it is shown with.

    Attributes:
        find: finds the ad.
        fields: builds the fields that `ad/get` returns for it; None for its own.
        ad_group: fields of its ad group.
    """

    find: Callable[[DuplicationHarness], Ad]
    fields: Callable[[DuplicationHarness, Ad], Mapping[str, Any]] = lambda _, __: {}
    ad_group: Mapping[str, Any] = field(default_factory=lambda: TIKTOK)


def show_manual(way: str, **ad_group: Any) -> Shown:  # noqa: ANN401 - any field of an ad group
    """Return a manual ad that is shown in one of `VALID_ADS`."""
    choice = {**VALID_VIDEO, **VALID_ADS[way]}
    placement = choice.pop("placement")
    choice.pop("setting")
    return Shown(
        find_pushed_ad, lambda harness, ad: build_fields(harness, ad, **choice), {**placement, **ad_group}
    )


def change_manual(way: str, changes: Mapping[str, Any], **ad_group: Any) -> Shown:  # noqa: ANN401 - any field of an ad group
    """Return a manual ad that is shown in one of `VALID_ADS` with changed fields."""
    shown = show_manual(way, **ad_group)
    return Shown(shown.find, lambda harness, ad: {**shown.fields(harness, ad), **changes}, shown.ad_group)


def find_creative(name: str, kind: str) -> Callable[[DuplicationHarness], Ad]:
    """Return a function that finds the first creative of a Smart+ ad with an identity of a kind."""

    def find(harness: DuplicationHarness) -> Ad:
        creatives = (one for ad in harness.owner.smart_plus_ads if ad.name == name for one in ad.creatives)
        return next(one for one in creatives if one.fields["identity_type"] == kind)

    return find


def show_carousel(harness: DuplicationHarness, _: Ad) -> Mapping[str, Any]:
    """Return the fields of a carousel, whose images are in the account's library."""
    images = [library_image(harness.owner.id, number) for number in range(2)]
    return {"ad_format": "CAROUSEL_ADS", "video_id": None, "image_ids": images, "music_id": "7000000000000000077"}


def show_video_of_business_centre(harness: DuplicationHarness, _: Ad) -> Mapping[str, Any]:
    """Return the fields of a video that is posted by an account in a business centre."""
    video = library_video(harness.owner.id)
    shown = {"video_id": video, "image_ids": covers_of(video)[:1]}
    return {**shown, **list_identities(harness)["business centre"]}


POSTS = ("Posts", "TT_USER"), ("Posts", "AUTH_CODE"), ("Posts", "BC_AUTH_TT")
CUSTOM = find_creative("Before the migration", "CUSTOMIZED_USER")
FORMATS: Mapping[str, Shown] = {
    "manual: video of your own account": show_manual("a video pushed by the brand"),
    "manual: video of an account in your business centre": show_manual("a video pushed by the business centre"),
    "manual: carousel of your own account": show_manual("a carousel pushed by the brand"),
    "manual: post of your own account": show_manual("the brand's post"),
    "manual: post of a creator": show_manual("a creator's post"),
    "manual: post of an account in your business centre": show_manual("a post of the business centre's account"),
    "manual: photo post": show_manual("the brand's photo post"),
    "manual: video with a custom name, not on TikTok": show_manual("a custom video without TikTok"),
    "manual: video with a custom name, on TikTok": show_manual("a custom video without TikTok", **TIKTOK),
    "manual: carousel with a custom name": change_manual(
        "a carousel pushed by the brand", {"identity_type": "CUSTOMIZED_USER"}, **PANGLE
    ),
    "manual: single image": show_manual("a custom image without TikTok"),
    "manual: playable ad": change_manual(
        "a custom video without TikTok", {"playable_url": "https://playable.example/"}
    ),
    "manual: live broadcast": change_manual("the brand's post", {"ad_format": "LIVE_CONTENT"}),
    "manual: carousel of a catalogue": change_manual("the brand's post", {"ad_format": "CATALOG_CAROUSEL"}),
    "manual: video for a catalogue": show_manual("a video pushed by the brand", **CATALOGUE),
    "manual: video for a TikTok Shop": show_manual("a video pushed by the brand", **SHOP),
    "manual: Smart Creative": change_manual("a video pushed by the brand", {"is_aco": True}),
    "Smart+: video of your own account": Shown(find_creative("New hooks", "TT_USER")),
    "Smart+: video of an account in your business centre": Shown(
        find_creative("New hooks", "TT_USER"), show_video_of_business_centre
    ),
    "Smart+: carousel of your own account": Shown(find_creative("Carousel", "TT_USER"), show_carousel),
    "Smart+: post of your own account": Shown(find_creative(*POSTS[0])),
    "Smart+: post of a creator": Shown(find_creative(*POSTS[1])),
    "Smart+: post of an account in your business centre": Shown(find_creative(*POSTS[2])),
    "Smart+: photo post": Shown(find_creative(*POSTS[0]), lambda _, __: {"ad_format": "CAROUSEL_ADS"}),
    "Smart+: video with a custom name, not on TikTok": Shown(CUSTOM, ad_group=PANGLE),
    "Smart+: video with a custom name, on TikTok": Shown(CUSTOM),
    "Smart+: carousel with a custom name": Shown(CUSTOM, show_carousel, PANGLE),
    "Smart+: carousel of a catalogue": Shown(find_creative("Every product", "TT_USER")),
    "Smart+: video for a catalogue": Shown(
        find_creative("Every product", "TT_USER"),
        lambda harness, _: {**show_video_of_business_centre(harness, _), "ad_format": "SINGLE_VIDEO"},
    ),
}
"""Each documented format, by its name in the table of the docs."""


def read_table() -> dict[str, tuple[str, ...]]:
    """Read the table of formats: what becomes of each in a manual and in an Upgraded Smart+ campaign."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Ad formats\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:manual|Smart\+): [^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return {name: tuple(cells) for name, *cells in rows}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """Open a harness on a world with every format."""
    with Host.run(SMART_PLUS_PLAN) as host, open_harness(host, tmp_path_factory.mktemp("formats")) as one:
        prepare_media(one)
        yield one


def test_the_docs_have_each_format() -> None:
    """The table in the docs has a row for each documented format, and no other."""
    assert list(read_table()) == list(FORMATS)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_made_or_refused_as_documented(harness: DuplicationHarness, name: str, target: str) -> None:
    """A duplication of each documented format ends as the table says: made, or refused with this reason."""
    documented, shown = read_table()[name][TARGETS.index(target)], FORMATS[name]
    ad = shown.find(harness)
    campaign = harness.scaling_campaign if target == "manual" else harness.smart_plus_campaign
    request = harness.request(ad_id=ad.id, campaign_id=campaign.id, again=1 + list(FORMATS).index(name))
    harness.host.sandbox.state.requests.clear()
    with (
        change_ad(harness, ad, shown.fields(harness, ad), shown.ad_group),
        harness.config.open() as duplicator,
    ):
        dry_run = duplicator.dry_run(request)
        if documented == "made":
            assert dry_run.refusals == []
            assert duplicator.duplicate(request).status == DONE
            groups, ads = harness.created_objects(request)
            assert [one["operation_status"] for one in (*groups, *ads)] == ["DISABLE"] * 2
            return
        (reason,) = dry_run.refusals
        with pytest.raises(RefusedError, match=re.escape(reason)):
            duplicator.duplicate(request)
        entry = duplicator.ledger.find(request.key)
    assert documented == f"refused: {documented.removeprefix('refused: ')}"
    assert documented.removeprefix("refused: ") in reason
    assert entry
    assert (entry.status, entry.reason) == ("refused", reason)
    assert harness.write_requests == []
    assert harness.created_objects(request) == ([], [])
