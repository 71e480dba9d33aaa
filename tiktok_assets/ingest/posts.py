"""Read the TikTok posts that Spark ads show, by the identity each belongs to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api import AdvertiserError, ContractError, RequestStats
from tiktok_assets.ingest.media_batches import read_in_batches
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec import ADS, POST_FILES
from tiktok_assets.storage import HiveStore
from tiktok_assets.tables import build_entity_frame

IDENTITY_TYPES = ("AUTH_CODE", "TT_USER", "BC_AUTH_TT")
"""The identities that have posts."""

_CAROUSEL = "CAROUSEL_ADS"
_IDENTITY = ("identity_type", "identity_id", "identity_authorized_bc_id")
_AD_SCHEMA = pl.Schema(dict.fromkeys(("tiktok_item_id", "ad_format", *_IDENTITY), pl.String()))

Group = tuple[str, str, str, str]
"""Type and id of an identity, the Business Center that authorized it or "", and the type of its posts."""


def read_posts(
    reader: Reader, store: HiveStore, advertiser_id: str, ids: Sequence[str]
) -> tuple[pl.DataFrame, ReadStats]:
    """Read posts of an account's ads by their ids; those that TikTok does not return or refuses are left out.

    Raises:
        TikTokError: if they cannot be read.
    """
    stats = RequestStats()
    rows: list[dict[str, Any]] = []
    for group, posts in _group_posts(store, advertiser_id, set(ids)).items():
        parameters = _to_parameters(advertiser_id, group)

        def _read(batch: list[str], parameters: Mapping[str, Any] = parameters) -> list[dict[str, Any]]:
            return _read_batch(reader, {**parameters, "item_ids": batch}, stats)

        ordered = [one for one in ids if one in posts]
        try:
            found = read_in_batches(ordered, POST_FILES.max_ids, _read)
        except AdvertiserError:
            # Of an identity that the token may not use. If it is the account, its other tables say so.
            continue
        rows += [_to_row(one, group, advertiser_id) for one in found if one.get("item_id") in posts]
    unique = list({row["tiktok_item_id"]: row for row in rows}.values())
    frame = build_entity_frame(POST_FILES.entity, unique, reader.now(), unknown_fields=stats.unknown_fields)
    return frame, ReadStats.from_request_stats(stats, 0.0)


def count_post_requests(store: HiveStore, advertiser_id: str, ids: Sequence[str]) -> int:
    """Count the requests that read these posts; nothing is requested for a post whose ads name no identity."""
    return sum(
        -(-len(posts) // POST_FILES.max_ids) for posts in _group_posts(store, advertiser_id, set(ids)).values()
    )


def _group_posts(store: HiveStore, advertiser_id: str, ids: set[str]) -> dict[Group, set[str]]:
    """Group posts by what a request can ask for; a post whose ads name no identity is in none."""
    groups: dict[Group, set[str]] = defaultdict(set)
    try:
        ads = store.scan(ADS.table, _AD_SCHEMA, advertiser_ids=[advertiser_id]).collect()
    except (OSError, PolarsError):
        return groups  # the refresh of that table replaces the file
    known: set[str] = set()
    for post, ad_format, kind, identity, center in ads.select(_AD_SCHEMA.names()).iter_rows():
        if post in ids and post not in known and kind in IDENTITY_TYPES and identity:
            known.add(post)
            groups[kind, identity, center or "", "CAROUSEL" if ad_format == _CAROUSEL else "VIDEO"].add(post)
    return groups


def _to_parameters(advertiser_id: str, group: Group) -> dict[str, str]:
    kind, identity, center, item_type = group
    # Only of a Business Center's identity the parameter is taken (get_info_about_tiktok_posts).
    center_parameter = {"identity_authorized_bc_id": center} if kind == "BC_AUTH_TT" and center else {}
    common = {"advertiser_id": advertiser_id, "identity_type": kind, "identity_id": identity}
    return {**common, **center_parameter, "item_type": item_type}


def _read_batch(reader: Reader, parameters: Mapping[str, Any], stats: RequestStats) -> list[dict[str, Any]]:
    endpoint = POST_FILES.entity.endpoint
    rows = reader.fetcher.get(endpoint, parameters, stats).data.get("video_details")
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContractError("video_details is not a list of objects", endpoint=endpoint.path)
    return rows


def _to_row(post: Mapping[str, Any], group: Group, advertiser_id: str) -> dict[str, Any]:
    """Return the columns of a post from its nested objects; a carousel is shown by its first image."""
    video, permission = _get_object(post, "video_info"), _get_object(post, "auth_info")
    images = list(_list_images(post))
    first = images[0] if images else {}
    return {
        **{name: post.get(name) for name in ("item_type", "status", "text")},
        **{name: video.get(name) for name in ("duration", "bit_rate", "format", "size", "signature")},
        **{name: permission.get(name) for name in ("ad_auth_status", "auth_start_time", "auth_end_time")},
        "advertiser_id": advertiser_id,
        "tiktok_item_id": post["item_id"],
        "identity_type": group[0],
        "identity_id": group[1],
        "width": video.get("width", first.get("image_width")),
        "height": video.get("height", first.get("image_height")),
        "images": [one["image_id"] for one in images if one.get("image_id")] or None,
        "poster_url": video.get("poster_url") or first.get("image_url"),
    }


def _get_object(post: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = post.get(name)
    return value if isinstance(value, dict) else {}


def _list_images(post: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    images = _get_object(post, "carousel_info").get("image_info")
    yield from (one for one in images if isinstance(one, dict)) if isinstance(images, list) else ()
