"""Tests of copied creatives: for any original, a copy is complete or is refused before anything is created.

Sources: see `shown_ads`.
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

from tiktok_assets.api.creatives import Identity
from tiktok_assets.duplication.duplicator import DryRun, Duplicator, RefusedError
from tiktok_assets.duplication.models import DONE, DuplicationRequest
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.duplication.harness import PLAN, DuplicationHarness, open_harness
from tiktok_assets_tests.duplication.shown_ads import (
    AUTOMATIC,
    BOTH,
    BUNDLE,
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

FORMATS = ("SINGLE_VIDEO", "SINGLE_IMAGE", "CAROUSEL_ADS", "LIVE_CONTENT", "CATALOG_CAROUSEL")
"""Every value of `ad_format` (`Create_ads`)."""

POST_FIELDS = {"video_id", "image_ids", "ad_text", "ad_texts", "music_id", "dark_post_status"}
"""Fields that a pulled post does not accept, because it has its own and is published."""

_again = count(1)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuplicationHarness]:
    """Open a harness on the scenario's world; each copy has a number of its own."""
    with Host.run(PLAN) as host, open_harness(host, tmp_path_factory.mktemp("formats")) as one:
        prepare_media(one)
        yield one


def configured_identity(harness: DuplicationHarness, name: str) -> Identity:
    """Return an identity as the setting TIKTOK_SCALING_IDENTITY gives it."""
    values = list_identities(harness)[name]
    return Identity(values["identity_type"], values["identity_id"], values["identity_authorized_bc_id"])


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


@pytest.mark.slow
@pytest.mark.parametrize("way", VALID_ADS)
def test_each_documented_way_to_show_an_ad_is_copied(harness: DuplicationHarness, way: str) -> None:
    """Each documented way to show an ad passes the dry run and is created."""
    dry_run, creative = duplicate_choice(harness, VALID_ADS[way])
    assert dry_run.refusals == []
    assert creative


@pytest.mark.slow
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
