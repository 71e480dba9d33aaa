"""What a copy of an ad needs beside the ad: its identity, and images that are in the asset library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_assets.api.client import Client, Parameter, Tally
from tiktok_assets.api.errors import AdvertiserError, ContractError, RequestError
from tiktok_assets.spec.endpoints import IDENTITIES, IMAGES, SUGGESTED_COVERS

_PAGE = 100
_MOST_PAGES = 100


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


@dataclass(frozen=True, slots=True)
class Abilities:
    """What TikTok says of an identity now; what it does not say counts as possible."""

    status: str = ""
    can_push: bool = True
    can_pull: bool = True

    @property
    def is_available(self) -> bool:
        """Whether ads may use it."""
        return self.status in {"", "AVAILABLE"}


def abilities_of(client: Client, advertiser_id: str, identity: Identity) -> Abilities | None:
    """Read what an identity of an account can do; None where the account has no such identity.

    Source: mengxingxinqing/tiktok_ads, get_the_identity_list.

    Raises:
        TikTokError: if the identities cannot be read.
    """
    parameters: dict[str, Parameter] = {
        "advertiser_id": advertiser_id,
        "identity_type": identity.identity_type,
        "page_size": str(_PAGE),
        **({"identity_authorized_bc_id": identity.bc_id} if identity.bc_id else {}),
    }
    for page in range(1, _MOST_PAGES + 1):
        answer = client.get(IDENTITIES, {**parameters, "page": str(page)}, Tally())
        rows, info = answer.data.get("identity_list"), answer.data.get("page_info")
        if not isinstance(rows, list):
            raise ContractError("identity_list is no list", endpoint=IDENTITIES.path, request_id=answer.request_id)
        for row in rows:
            if isinstance(row, dict) and str(row.get("identity_id")) == identity.identity_id:
                return _abilities(row)
        pages = info.get("total_page") if isinstance(info, dict) else None
        if not isinstance(pages, int) or page >= pages:
            break
    return None


def _abilities(row: Mapping[str, Any]) -> Abilities:
    return Abilities(
        str(row.get("available_status") or ""),
        can_push=row.get("can_push_video") is not False,
        can_pull=row.get("can_pull_video") is not False,
    )


def are_in_library(client: Client, advertiser_id: str, image_ids: Sequence[str]) -> bool:
    """Return whether all of some images are in the asset library, and so can be used by a new ad.

    Covers of ads made in Ads Manager, which `ad/get` shows, are not (mengxingxinqing/tiktok_ads,
    get_info_about_images): the request is refused, or leaves them out.

    Raises:
        TikTokError: if it cannot be asked now.
    """
    if not image_ids:
        return False
    try:
        answer = client.get(IMAGES, {"advertiser_id": advertiser_id, "image_ids": list(image_ids)}, Tally())
    except RequestError:
        return False
    rows = answer.data.get("list")
    known = {row.get("image_id") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    return set(image_ids) <= known


def suggested_cover(client: Client, advertiser_id: str, video_id: str) -> str | None:
    """Return an image that can be the cover of a video; None where TikTok has none, or not yet.

    Source: mengxingxinqing/tiktok_ads, get_suggested_thumbnails_for_a_video.

    Raises:
        TikTokError: if it cannot be asked now.
    """
    parameters: dict[str, Parameter] = {"advertiser_id": advertiser_id, "video_id": video_id, "poster_number": "1"}
    try:
        answer = client.get(SUGGESTED_COVERS, parameters, Tally())
    except (RequestError, AdvertiserError):  # 40001 too is said of a video that is still being processed
        return None
    rows = answer.data.get("list")
    first = rows[0] if isinstance(rows, list) and rows else None
    return str(first["id"]) if isinstance(first, dict) and first.get("id") else None
