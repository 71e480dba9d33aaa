"""Tests of the information about videos and images, and of the URLs in it."""

from typing import Any

import pytest

from tiktok_assets.sandbox.reads.media import library_image, library_video
from tiktok_assets_tests.sandbox.conftest import Api
from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.test_contracts import violations

VIDEO_INFO, IMAGE_INFO = "file/video/ad/info", "file/image/ad/info"
PNG = b"\x89PNG\r\n\x1a\n"


def videos(api: Api, account: str, *ids: str) -> list[dict[str, Any]]:
    """Return the listed videos; the answer must keep its contract."""
    response = api.get(VIDEO_INFO, advertiser_id=account, video_ids=list(ids))
    assert (response["code"], violations(VIDEO_INFO, response)) == (0, [])
    rows: list[dict[str, Any]] = response["data"]["list"]
    return rows


def test_unknown_videos_are_left_out(api: Api, accounts: list[str]) -> None:
    """Of several videos those that the account has are listed, at most sixty a request."""
    known = library_video(accounts[0])
    assert [one["video_id"] for one in videos(api, accounts[0], "v1", known, "v2")] == [known]
    assert videos(api, accounts[1], known) == []
    for path, limit in ((VIDEO_INFO, 60), (IMAGE_INFO, 100)):
        too_many = ["v1"] * (limit + 1)
        response = api.get(path, advertiser_id=accounts[0], video_ids=too_many, image_ids=too_many)
        assert (response["code"], str(limit) in response["message"]) == (40011, True)


@pytest.mark.parametrize("kind", ["cover", "image", "suggested"])
def test_urls_expire(api: Api, accounts: list[str], kind: str) -> None:
    """A URL serves a picture until it expires: the cover of a video after six hours, an image after one."""
    account, video = accounts[0], library_video(accounts[0])
    if kind == "cover":
        url, hours = videos(api, account, video)[0]["video_cover_url"], 6
        assert f"x-expires={api.sandbox.state.now + 6 * 3600}" in url
    elif kind == "image":
        image = library_image(account)
        url = api.get(IMAGE_INFO, advertiser_id=account, image_ids=[image])["data"]["list"][0]["image_url"]
        hours = 1
    else:
        covers = api.get("file/video/suggestcover", advertiser_id=account, video_id=video, poster_number=1)
        url, hours = covers["data"]["list"][0]["url"], 1
    api.control("POST", "clock", advance_seconds=hours * 3600 - 1)
    picture = api.http.get(url)
    assert (picture.status_code, picture.headers["content-type"], picture.content[:8]) == (200, "image/png", PNG)
    api.control("POST", "clock", advance_seconds=1)
    assert api.http.get(url).status_code == 403


def test_urls_are_signed(api: Api, accounts: list[str]) -> None:
    """A URL whose expiry was changed is refused, and the preview of a video is a video."""
    video = videos(api, accounts[0], library_video(accounts[0]))[0]
    later = video["video_cover_url"].replace("x-expires=1", "x-expires=2")
    assert api.http.get(later).status_code == 403
    assert api.http.get(video["preview_url"]).headers["content-type"] == "video/mp4"


def test_pages_of_other_programs_may_show_pictures(api: Api, accounts: list[str]) -> None:
    """A browser may load a picture from another page, but no answer of the API."""
    url = videos(api, accounts[0], library_video(accounts[0]))[0]["video_cover_url"]
    headers = {"Sec-Fetch-Site": "same-site"}
    assert api.http.get(url, headers=headers).status_code == 200
    assert api.http.get("/open_api/v1.3/advertiser/info/", headers=headers).status_code == 403


def test_videos_that_are_transcoded_or_deleted(factory: EntityFactory) -> None:
    """A deleted video is left out; one that is transcoded is not displayable, or with a switch left out."""
    api, video = factory.api, library_video(factory.account)
    api.control("POST", "videos", video_id=video, state="deleted")
    assert videos(api, factory.account, video) == []
    api.control("POST", "videos", video_id=video, state="transcoding")
    assert [one["displayable"] for one in videos(api, factory.account, video)] == [False]
    api.control("POST", "switches", transcoding_videos_listed=False)
    assert videos(api, factory.account, video) == []
    api.control("POST", "videos", video_id=video, state="ready")
    assert [one["displayable"] for one in videos(api, factory.account, video)] == [True]


def test_manual_campaigns_end(factory: EntityFactory) -> None:
    """From the day of the switch campaign/create makes no campaign; without a day it always does."""
    factory.api.control("POST", "switches", manual_campaigns_end="2026-11-09")
    code, message = factory.refused("campaign/create", **factory.campaign_body())
    assert (code, "Manual Campaigns" in message) == (40002, True)
    factory.api.control("POST", "switches", manual_campaigns_end="")
    factory.campaign()
