"""Answer file/image/ad/info and file/video/suggestcover, from the media library of an account."""

from dataclasses import dataclass

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.api_objects import shown_video
from tiktok_assets.sandbox.world.model import Advertiser

LIBRARY_IMAGES = 3  # images of an account that are no covers
COVERS = 5  # suggested covers of a video


@dataclass(frozen=True)
class MediaLibrary:
    """The ids of the videos of an account, and of the images that its ads may use."""

    videos: frozenset[str]
    images: frozenset[str]


def library_of(context: Context, advertiser: Advertiser) -> MediaLibrary:
    """Return the media library of an account: the videos of its generated ads, their covers and some images.

    The covers that ad/get returns for those ads are not in it, because they were created in Ads Manager
    (mengxingxinqing/tiktok_ads, get_info_about_images).
    """
    libraries = context.world.media_libraries
    if advertiser.id not in libraries:
        videos_of_ads = (video for ad in advertiser.ads if (video := shown_video(ad)))
        videos = frozenset({library_video(advertiser.id), *videos_of_ads})
        covers = {cover for video in videos for cover in covers_of(video)}
        images = {library_image(advertiser.id, number) for number in range(LIBRARY_IMAGES)}
        libraries[advertiser.id] = MediaLibrary(videos, frozenset(covers | images))
    return libraries[advertiser.id]  # type: ignore[no-any-return]


def library_video(advertiser_id: str) -> str:
    """Return the id of an uploaded video that no ad of the account uses."""
    return f"v10044g50000library{advertiser_id}"


def library_image(advertiser_id: str, number: int = 0) -> str:
    """Return the id of an uploaded image of an account."""
    return f"tos-alisg-p-0051c001-sg/library{advertiser_id}{number}"


def covers_of(video: str) -> list[str]:
    """Return the ids of the suggested covers of a video, which ads may use as images."""
    return [f"tos-alisg-p-0051c001-sg/cover{video}{number}" for number in range(COVERS)]


def image_info(context: Context) -> ResponseData:
    """Answer file/image/ad/info; an id that is not in the library is refused (get_info_about_images)."""
    advertiser = context.advertiser(context.params.identifier("advertiser_id"))
    ids = context.params.texts("image_ids")
    if not ids:
        raise bad_parameter("image_ids", MISSING)
    library = library_of(context, advertiser)
    for index, image in enumerate(ids):
        if image not in library.images:
            raise bad_parameter(f"image_ids.{index}", f"The image {image} is not in the Asset Library.")
    return {"list": [_image_item(image) for image in ids]}


def _image_item(image: str) -> ResponseData:
    return {
        "image_id": image,
        "material_id": "7000000000000000011",
        "is_carousel_usable": True,
        "width": 720,
        "height": 1280,
        "format": "jpeg",
        "size": 39_779,
        "displayable": False,
        "file_name": "image.jpeg",
        "image_url": f"https://images.example/{image.rpartition('/')[2]}",
        "signature": "0" * 32,
        "create_time": "2026-01-05T09:00:00Z",
        "modify_time": "2026-01-05T09:00:00Z",
    }


def suggested_covers(context: Context) -> ResponseData:
    """Answer file/video/suggestcover (get_suggested_thumbnails_for_a_video)."""
    params = context.params
    advertiser = context.advertiser(params.identifier("advertiser_id"))
    video = params.required("video_id")
    number = params.integer("poster_number", 10, 1, 10)
    if video not in library_of(context, advertiser).videos:
        raise ApiError(40001, "Insufficient permissions for some videos.")
    rows = [
        {"id": cover, "url": f"https://images.example/{number}", "width": 560, "height": 320}
        for cover in covers_of(video)[:number]
    ]
    return {"list": rows}
