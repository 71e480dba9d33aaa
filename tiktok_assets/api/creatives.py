"""Read what a duplicated ad refers to: its identity, its TikTok post, library images and video covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tiktok_assets.api.client import Client, Parameter, RequestStats
from tiktok_assets.api.errors import AdvertiserError, ContractError, RequestError
from tiktok_assets.spec.endpoints import IDENTITIES, IMAGES, POSTS, SUGGESTED_COVERS
from tiktok_assets.tables.cells import parse_instant

AUTH_CODE_IDENTITY = "AUTH_CODE"
"""The kind of identity that a creator's authorisation code makes."""

_VIDEO_PERMISSION_PHRASE = "permissions for some videos"
"""Part of what 40001 says where it is about a video, and not about the endpoint (the same page)."""

_PAGE_SIZE = 100
_MAX_PAGES = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an ad speaks as.

    Attributes:
        identity_type: CUSTOMIZED_USER, AUTH_CODE, TT_USER or BC_AUTH_TT.
        identity_id: its id.
        bc_id: the business centre of a BC_AUTH_TT identity.
    """

    identity_type: str
    identity_id: str
    bc_id: str | None = None

    def of(self, advertiser_id: str) -> dict[str, Parameter]:
        """Return the parameters that name its kind and business centre in a request about an account."""
        return {
            "advertiser_id": advertiser_id,
            "identity_type": self.identity_type,
            **({"identity_authorized_bc_id": self.bc_id} if self.bc_id else {}),
        }


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    """What TikTok says of an identity now; what it does not say counts as possible.

    Attributes:
        status: AVAILABLE, or why it is not; "" where TikTok says nothing.
        can_push: whether posts can be made with it.
        can_pull: whether its posts can be shown as ads.
        is_political: whether it is of a government, a politician or a party: no Spark Ad can be made with it.
    """

    status: str = ""
    can_push: bool = True
    can_pull: bool = True
    is_political: bool = False

    @property
    def is_available(self) -> bool:
        """Whether ads may use it."""
        return self.status in {"", "AVAILABLE"}


def read_identity_status(client: Client, advertiser_id: str, identity: Identity) -> IdentityStatus | None:
    """Read what an identity of an account can do; None where the account has no such identity.

    Source: mengxingxinqing/tiktok_ads, get_the_identity_list.

    Raises:
        TikTokError: if the identities cannot be read.
    """
    parameters = {**identity.of(advertiser_id), "page_size": str(_PAGE_SIZE)}
    for page in range(1, _MAX_PAGES + 1):
        answer = client.get(IDENTITIES, {**parameters, "page": str(page)}, RequestStats())
        rows, info = answer.data.get("identity_list"), answer.data.get("page_info")
        if not isinstance(rows, list):
            raise ContractError("identity_list is no list", endpoint=IDENTITIES.path, request_id=answer.request_id)
        for row in rows:
            if isinstance(row, dict) and str(row.get("identity_id")) == identity.identity_id:
                return _parse_identity_status(row)
        pages = info.get("total_page") if isinstance(info, dict) else None
        if len(rows) < _PAGE_SIZE and not (
            isinstance(pages, int) and page < pages
        ):  # it is 0 beside some whole pages
            break
    return None


def _parse_identity_status(row: Mapping[str, Any]) -> IdentityStatus:
    political = row.get("is_gpppa") is True
    if row.get("identity_type") == AUTH_CODE_IDENTITY:  # nothing else is defined for these
        return IdentityStatus(is_political=political)
    return IdentityStatus(
        str(row.get("available_status") or ""),
        can_push=row.get("can_push_video") is not False,
        can_pull=row.get("can_pull_video") is not False,
        is_political=political,
    )


@dataclass(frozen=True, slots=True)
class Post:
    """A TikTok post that an identity has.

    Attributes:
        ends: when its owner's permission ends; None where it does not, or TikTok does not say.
        status: of that permission; "" where there is none to be had, as for an own post.
    """

    ends: datetime | None = None
    status: str = ""

    def refusal(self, now: datetime) -> str:
        """Return why it cannot be shown as an ad now; "" where it can."""
        if self.ends and self.ends <= now:
            return f"its owner's permission ended at {self.ends:%Y-%m-%d %H:%M} UTC"
        return f"its owner's permission is {self.status}" if self.status not in {"", "AUTHORIZED"} else ""


def read_post(
    client: Client, advertiser_id: str, identity: Identity, post_id: str, *, carousel: bool
) -> Post | None:
    """Read what an identity's post is like now; None where TikTok shows the identity no such post.

    Source: mengxingxinqing/tiktok_ads, get_info_about_tiktok_posts.

    Raises:
        TikTokError: if it cannot be asked now.
    """
    parameters = {
        **identity.of(advertiser_id),
        "identity_id": identity.identity_id,
        "item_id": post_id,
        "item_type": "CAROUSEL" if carousel else "VIDEO",
    }
    try:
        answer = client.get(POSTS, parameters, RequestStats())
    except RequestError:
        return None
    told = answer.data.get("video_detail")
    if not isinstance(told, dict) or str(told.get("item_id")) != post_id:
        return None
    permission = told.get("auth_info")
    if not isinstance(permission, dict):
        return Post()
    return Post(parse_instant(permission.get("auth_end_time")), str(permission.get("ad_auth_status") or ""))


def are_images_in_library(client: Client, advertiser_id: str, image_ids: Sequence[str]) -> bool:
    """Return whether all of some images are in the asset library, and so can be used by a new ad.

    Covers of ads made in Ads Manager, which `ad/get` shows, are not (mengxingxinqing/tiktok_ads,
    get_info_about_images): the request is refused, or leaves them out.

    Raises:
        TikTokError: if it cannot be asked now.
    """
    if not image_ids:
        return False
    try:
        answer = client.get(IMAGES, {"advertiser_id": advertiser_id, "image_ids": list(image_ids)}, RequestStats())
    except RequestError:
        return False
    rows = answer.data.get("list")
    known = {row.get("image_id") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    return set(image_ids) <= known


def read_suggested_covers(client: Client, advertiser_id: str, video_id: str) -> tuple[str, ...] | None:
    """Return images that can be the cover of a video; None where TikTok offers the account no such video now.

    Source: mengxingxinqing/tiktok_ads, get_suggested_thumbnails_for_a_video.

    Raises:
        TikTokError: if it cannot be asked now.
    """
    parameters: dict[str, Parameter] = {"advertiser_id": advertiser_id, "video_id": video_id, "poster_number": "1"}
    try:
        answer = client.get(SUGGESTED_COVERS, parameters, RequestStats())
    except RequestError:
        return None
    except AdvertiserError as error:
        if _VIDEO_PERMISSION_PHRASE in str(
            error
        ):  # said of a video that is another's, or is still being processed
            return None
        raise
    rows = answer.data.get("list")
    listed = rows if isinstance(rows, list) else []
    return tuple(str(row["id"]) for row in listed if isinstance(row, dict) and row.get("id"))
