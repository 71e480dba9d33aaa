"""The tables of videos, images and posts, which are read by their ids and not as a list of pages.

Sources: mengxingxinqing/tiktok_ads, pages get_info_about_videos, get_info_about_images and
get_info_about_tiktok_posts.
"""

from dataclasses import dataclass

from tiktok_assets.spec.columns import Column, Kind
from tiktok_assets.spec.endpoints import IMAGES, POSTS, VIDEOS
from tiktok_assets.spec.entities import Entity

_THUMBNAIL = (
    Column("is_listed", "", "flag", "whether TikTok returned it when it was last requested"),
    Column("requested_at", "", "instant", "when it was last requested"),
    Column("thumbnail", "", "text", "SHA-256 hash and file name of its thumbnail; null if there is none"),
    Column("thumbnail_error", "", "text", "why there is no thumbnail; null if it was not tried yet"),
    Column("thumbnail_tried_at", "", "instant", "when its picture was last downloaded"),
    Column("thumbnail_retry_at", "", "instant", "when the download is tried again; null for never"),
)


def _columns(*rows: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return (*(Column(name, name, kind, meaning) for name, kind, meaning in rows), *_THUMBNAIL)


_OWNER: tuple[str, Kind, str] = ("advertiser_id", "id", "the ad account")
_FILE: tuple[tuple[str, Kind, str], ...] = (
    ("material_id", "id", "its id as a material, as in the reports of creatives"),
    ("file_name", "text", "its name in the library"),
    ("width", "count", "width in pixels"),
    ("height", "count", "height in pixels"),
    ("format", "text", "format of the file"),
    ("size", "count", "size of the file in bytes"),
    ("signature", "text", "MD5 hash of the file"),
    ("displayable", "flag", "whether it can be displayed"),
    ("create_time", "instant", "when it was uploaded"),
    ("modify_time", "instant", "when it was last changed"),
)


@dataclass(frozen=True, slots=True)
class MediaTable:
    """A table of files of the asset library or of posts, read by their ids.

    Attributes:
        entity: the table, with its columns and endpoint.
        ids_parameter: the parameter with the ids.
        max_ids: how many ids a request can have.
        url_column: the column with the URL of the picture.
    """

    entity: Entity
    ids_parameter: str
    max_ids: int
    url_column: str

    @property
    def table(self) -> str:
        """The name of the table."""
        return self.entity.table


VIDEO_FILES = MediaTable(
    Entity(
        table="videos",
        endpoint=VIDEOS,
        key="video_id",
        meaning="The videos that the ads of the account use, with the thumbnail of their covers.",
        columns=_columns(
            _OWNER,
            ("video_id", "id", "the video"),
            *_FILE,
            ("duration", "ratio", "length in seconds"),
            ("bit_rate", "count", "bits per second"),
            ("allowed_placements", "json", "the placements it may be shown in"),
            ("allow_download", "flag", "whether it may be downloaded; its music can forbid it"),
            ("video_cover_url", "text", "URL of its cover, good for six hours after the request"),
            ("preview_url", "text", "URL of the video, good for six hours after the request"),
            ("preview_url_expire_time", "instant", "when `preview_url` expires"),
        ),
    ),
    ids_parameter="video_ids",
    max_ids=60,
    url_column="video_cover_url",
)

# Covers of videos are not requested: those of ads that were made in Ads Manager are not in the library, and the
# page get_info_about_images says that their ids are not supported.
IMAGE_FILES = MediaTable(
    Entity(
        table="images",
        endpoint=IMAGES,
        key="image_id",
        meaning="The images of the ads of the account that have no video, such as carousels, with thumbnails.",
        columns=_columns(
            _OWNER,
            ("image_id", "id", "the image"),
            *_FILE,
            ("is_carousel_usable", "flag", "whether its source is valid for carousel ads"),
            ("image_url", "text", "URL of the image, good for an hour after the request"),
        ),
    ),
    ids_parameter="image_ids",
    max_ids=100,
    url_column="image_url",
)

POST_FILES = MediaTable(
    Entity(
        table="posts",
        endpoint=POSTS,
        key="tiktok_item_id",
        meaning="The TikTok posts that the Spark ads of the account show, with the thumbnail of their covers.",
        columns=_columns(
            _OWNER,
            ("tiktok_item_id", "id", "the post"),
            ("identity_type", "text", "type of the identity it was read with"),
            ("identity_id", "id", "the identity it was read with"),
            ("item_type", "text", "VIDEO or CAROUSEL"),
            ("status", "text", "who can see it on TikTok"),
            ("text", "text", "its caption"),
            ("ad_auth_status", "text", "whether its owner permits ads; null for a post of the account's own"),
            ("auth_start_time", "instant", "when that permission began"),
            ("auth_end_time", "instant", "when that permission ends"),
            ("duration", "ratio", "length of its video in seconds"),
            ("width", "count", "width of its video, or its first image, in pixels"),
            ("height", "count", "height of its video, or its first image, in pixels"),
            ("bit_rate", "count", "bits per second"),
            ("format", "text", "format of its video"),
            ("size", "count", "size of its video in bytes"),
            ("signature", "text", "MD5 hash of its video"),
            ("images", "json", "the ids of its images, if it is a carousel"),
            ("poster_url", "text", "URL of its cover, good for some hours after the request"),
        ),
    ),
    ids_parameter="item_ids",
    max_ids=20,
    url_column="poster_url",
)
"""Its columns are flattened from the objects of a response, see `ingest.posts`."""

MEDIA_TABLES = (VIDEO_FILES, IMAGE_FILES, POST_FILES)
