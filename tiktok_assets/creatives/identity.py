"""Decide which creative an ad shows: its video, else its post, else its images."""

import json
from hashlib import sha256

import polars as pl

VIDEO, POST, IMAGES, AD = "video", "post", "images", "ad"

_NO_IDS = ("", "0")
_IDENTIFIED = {"creative_id": pl.String(), "creative_kind": pl.String()}


def identify_creatives(ads: pl.DataFrame) -> pl.DataFrame:
    """Add `creative_id` and `creative_kind` to rows of `ads`.

    A pushed Spark ad has a video and a post: the video counts, and also for the ads that have only that post.

    Args:
        ads: with `advertiser_id`, `ad_id`, `video_id`, `tiktok_item_id` and `image_ids` (JSON).
    """
    cleaned = ads.with_columns(
        pl.when(~pl.col(name).is_in(_NO_IDS)).then(pl.col(name)).alias(name)
        for name in ("video_id", "tiktok_item_id")
    )
    videos_of_posts = (
        cleaned.drop_nulls(["video_id", "tiktok_item_id"])
        .sort("video_id")
        .unique(["advertiser_id", "tiktok_item_id"], keep="first", maintain_order=True)
        .select("advertiser_id", "tiktok_item_id", video_of_post="video_id")
    )
    images = pl.DataFrame(
        [
            {"image_ids": text, "images": describe_images(text)}
            for text in cleaned.get_column("image_ids").drop_nulls().unique()
        ],
        {"image_ids": pl.String(), "images": pl.String()},
    )
    keys = {
        VIDEO: pl.coalesce("video_id", "video_of_post"),
        POST: pl.col("tiktok_item_id"),
        IMAGES: pl.col("images"),
    }
    return (
        cleaned.join(videos_of_posts, on=["advertiser_id", "tiktok_item_id"], how="left", maintain_order="left")
        .join(images, on="image_ids", how="left", maintain_order="left")
        .with_columns(
            creative_id=pl.coalesce(*keys.values(), "ad_id"),
            creative_kind=pl.coalesce(
                *(pl.when(key.is_not_null()).then(pl.lit(kind)) for kind, key in keys.items()), pl.lit(AD)
            ),
        )
        .drop("video_of_post", "images")
    )


def parse_image_ids(text: str | None) -> list[str]:
    """Parse the JSON list of image ids of an ad; a value that is no list of ids has none."""
    try:
        ids = json.loads(text or "[]")
    except ValueError:
        return []
    return sorted({one for one in ids if isinstance(one, str) and one}) if isinstance(ids, list) else []


def describe_images(text: str) -> str | None:
    """Return the id of an ad's image, or a hash of the ids of several; None if there is none."""
    ids = parse_image_ids(text)
    if len(ids) < 2:  # noqa: PLR2004 - one image
        return ids[0] if ids else None
    return "images-" + sha256(" ".join(ids).encode()).hexdigest()[:16]
