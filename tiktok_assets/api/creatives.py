"""Read what a duplicated ad refers to: its identity, its TikTok post, library images and video covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiktok_assets.api.client import Client, Parameter, RequestStats
from tiktok_assets.api.errors import AdvertiserError, ContractError, RequestError
from tiktok_assets.spec import IDENTITIES, IMAGES, POSTS, SUGGESTED_COVERS, VIDEOS
from tiktok_assets.tables import parse_instant

AUTH_CODE_IDENTITY = "AUTH_CODE"
"""The type of an identity that was authorized by a creator's code."""

_VIDEO_PERMISSION_PHRASE = "permissions for some videos"
"""Part of the message of code 40001 if it is about a video, not about the endpoint.

Source: mengxingxinqing/tiktok_ads, get_suggested_thumbnails_for_a_video.
"""

_PAGE_SIZE = 100
_MAX_PAGES = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """The TikTok profile that an ad is shown under.

    Attributes:
        identity_type: CUSTOMIZED_USER, AUTH_CODE, TT_USER or BC_AUTH_TT.
        identity_id: its id.
        bc_id: the Business Center of a BC_AUTH_TT identity.
    """

    identity_type: str
    identity_id: str
    bc_id: str | None = None

    def to_parameters(self, advertiser_id: str) -> dict[str, Parameter]:
        """Return the request parameters for an account with this identity's type and Business Center."""
        return {
            "advertiser_id": advertiser_id,
            "identity_type": self.identity_type,
            **({"identity_authorized_bc_id": self.bc_id} if self.bc_id else {}),
        }


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    """What an identity can be used for now; a field that TikTok does not return counts as possible.

    Attributes:
        status: AVAILABLE, or why it is not; "" if TikTok returns none.
        can_push: whether posts can be made with it.
        can_pull: whether its posts can be shown as ads.
        is_political: whether it belongs to a government, a politician or a party; Spark Ads cannot use it.
    """

    status: str = ""
    can_push: bool = True
    can_pull: bool = True
    is_political: bool = False

    @property
    def is_available(self) -> bool:
        """Return whether ads may use it."""
        return self.status in {"", "AVAILABLE"}


def read_identity_status(client: Client, advertiser_id: str, identity: Identity) -> IdentityStatus | None:
    """Read what an identity of an account can be used for; None if the account does not have it.

    Source: mengxingxinqing/tiktok_ads, get_the_identity_list.

    Raises:
        TikTokError: if the identities cannot be read.
    """
    parameters = {**identity.to_parameters(advertiser_id), "page_size": str(_PAGE_SIZE)}
    for page in range(1, _MAX_PAGES + 1):
        response = client.get(IDENTITIES, {**parameters, "page": str(page)}, RequestStats())
        rows, info = response.data.get("identity_list"), response.data.get("page_info")
        if not isinstance(rows, list):
            raise ContractError(
                "identity_list is not a list", endpoint=IDENTITIES.path, request_id=response.request_id
            )
        for row in rows:
            if isinstance(row, dict) and str(row.get("identity_id")) == identity.identity_id:
                return _parse_identity_status(row)
        pages = info.get("total_page") if isinstance(info, dict) else None
        # TikTok returns a total_page of 0 even with full pages, so a full page is followed in any case.
        if len(rows) < _PAGE_SIZE and not (isinstance(pages, int) and page < pages):
            break
    return None


def _parse_identity_status(row: Mapping[str, Any]) -> IdentityStatus:
    is_political = row.get("is_gpppa") is True
    if row.get("identity_type") == AUTH_CODE_IDENTITY:  # the other fields are not defined for this type
        return IdentityStatus(is_political=is_political)
    return IdentityStatus(
        str(row.get("available_status") or ""),
        can_push=row.get("can_push_video") is not False,
        can_pull=row.get("can_pull_video") is not False,
        is_political=is_political,
    )


@dataclass(frozen=True, slots=True)
class Post:
    """A TikTok post of an identity.

    Attributes:
        permission_ends_at: when its owner's permission for ads ends; None if it does not, or is not returned.
        status: the status of that permission; "" if none is needed, as for an own post.
    """

    permission_ends_at: datetime | None = None
    status: str = ""

    def explain_unavailability(self, now: datetime) -> str:
        """Return why the post cannot be shown as an ad now; "" if it can."""
        if self.permission_ends_at and self.permission_ends_at <= now:
            return f"its owner's permission ended at {self.permission_ends_at:%Y-%m-%d %H:%M} UTC"
        return f"its owner's permission is {self.status}" if self.status not in {"", "AUTHORIZED"} else ""


def read_post(
    client: Client, advertiser_id: str, identity: Identity, post_id: str, *, carousel: bool
) -> Post | None:
    """Read the current state of an identity's post; None if TikTok shows the identity no such post.

    Source: mengxingxinqing/tiktok_ads, get_info_about_tiktok_posts.

    Raises:
        TikTokError: if the post cannot be read now.
    """
    parameters = {
        **identity.to_parameters(advertiser_id),
        "identity_id": identity.identity_id,
        "item_id": post_id,
        "item_type": "CAROUSEL" if carousel else "VIDEO",
    }
    try:
        response = client.get(POSTS, parameters, RequestStats())
    except RequestError:
        return None
    detail = response.data.get("video_detail")
    if not isinstance(detail, dict) or str(detail.get("item_id")) != post_id:
        return None
    permission = detail.get("auth_info")
    if not isinstance(permission, dict):
        return Post()
    return Post(parse_instant(permission.get("auth_end_time")), str(permission.get("ad_auth_status") or ""))


def are_images_in_library(client: Client, advertiser_id: str, image_ids: Sequence[str]) -> bool:
    """Return whether all images are in the asset library, so that a new ad can use them.

    Covers of ads that were created in Ads Manager, which `ad/get` returns, are not in the library. For them the
    request is rejected, or its response omits them.

    Source: mengxingxinqing/tiktok_ads, get_info_about_images.

    Raises:
        TikTokError: if the library cannot be read now.
    """
    if not image_ids:
        return False
    try:
        response = client.get(
            IMAGES, {"advertiser_id": advertiser_id, "image_ids": list(image_ids)}, RequestStats()
        )
    except RequestError:
        return False
    rows = response.data.get("list")
    found = {row.get("image_id") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    return set(image_ids) <= found


def read_suggested_covers(client: Client, advertiser_id: str, video_id: str) -> tuple[str, ...] | None:
    """Read the ids of images that can be the cover of a video; None if TikTok offers the account no such video.

    Source: mengxingxinqing/tiktok_ads, get_suggested_thumbnails_for_a_video.

    Raises:
        TikTokError: if the covers cannot be read now.
    """
    parameters: dict[str, Parameter] = {"advertiser_id": advertiser_id, "video_id": video_id, "poster_number": "1"}
    try:
        response = client.get(SUGGESTED_COVERS, parameters, RequestStats())
    except RequestError:
        return None
    except AdvertiserError as error:
        if _VIDEO_PERMISSION_PHRASE in str(error):  # the video belongs to another account or is still processed
            return None
        raise
    rows = response.data.get("list")
    listed = rows if isinstance(rows, list) else []
    return tuple(str(row["id"]) for row in listed if isinstance(row, dict) and row.get("id"))


def is_video_listed(client: Client, advertiser_id: str, video_id: str) -> bool:
    """Return whether an account has a video; one for which TikTok offers no covers yet is still processed.

    A video that was deleted, or that cannot be used in ads, is left out of the response.

    Source: mengxingxinqing/tiktok_ads, get_info_about_videos.

    Raises:
        TikTokError: if the videos cannot be read now.
    """
    try:
        response = client.get(VIDEOS, {"advertiser_id": advertiser_id, "video_ids": [video_id]}, RequestStats())
    except RequestError:
        return False
    rows = response.data.get("list")
    listed = rows if isinstance(rows, list) else []
    return any(isinstance(row, dict) and str(row.get("video_id")) == video_id for row in listed)
