"""Answer file/video/ad/info, file/image/ad/info and file/video/suggestcover, from the library of an account.

Sources: mengxingxinqing/tiktok_ads, pages get_info_about_videos, get_info_about_images and
get_suggested_thumbnails_for_a_video.
"""

from dataclasses import dataclass

from tiktok_assets.sandbox.http.content import content_url
from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.api_objects import shown_video, stable_id
from tiktok_assets.sandbox.world.materials import file_name_of, material_of_video
from tiktok_assets.sandbox.world.model import DELETED, READY, TRANSCODING, Advertiser, format_utc

LIBRARY_IMAGES = 3  # images of an account that are no covers
COVERS = 5  # suggested covers of a video
MAX_VIDEO_IDS, MAX_IMAGE_IDS = 60, 100  # of one request
VIDEO_URL_SECONDS, IMAGE_URL_SECONDS = 6 * 3600, 3600  # how long URLs are good
CREATED = "2026-01-05T09:00:00Z"


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


def video_state(context: Context, advertiser: Advertiser, video: str) -> str:
    """Return the state of a video; DELETED for one that the account does not have."""
    is_known = video in library_of(context, advertiser).videos
    return context.world.video_states.get(video, READY) if is_known else DELETED


def library_video(advertiser_id: str) -> str:
    """Return the id of an uploaded video that no ad of the account uses."""
    return f"v10044g50000library{advertiser_id}"


def library_image(advertiser_id: str, number: int = 0) -> str:
    """Return the id of an uploaded image of an account."""
    return f"tos-alisg-p-0051c001-sg/library{advertiser_id}{number}"


def covers_of(video: str) -> list[str]:
    """Return the ids of the suggested covers of a video, which ads may use as images."""
    return [f"tos-alisg-p-0051c001-sg/cover{video}{number}" for number in range(COVERS)]


def _requested_ids(context: Context, name: str, limit: int) -> list[str]:
    ids = context.params.texts(name)
    if not ids:
        raise bad_parameter(name, MISSING)
    if len(ids) > limit:
        raise ApiError.from_code(40011, path=name, limit=limit)
    return ids


def _url(context: Context, name: str, seconds: int) -> str:
    return content_url(context.base_url, name, context.now + seconds, context.world.plan.seed)


def video_info(context: Context) -> ResponseData:
    """Answer file/video/ad/info; a video that cannot be used in ads is left out."""
    advertiser = context.advertiser(context.params.identifier("advertiser_id"))
    ids = dict.fromkeys(_requested_ids(context, "video_ids", MAX_VIDEO_IDS))
    states = {video: video_state(context, advertiser, video) for video in ids}
    listed = {READY, TRANSCODING} if context.switches.transcoding_videos_listed else {READY}
    return {"list": [_video_item(context, video, state) for video, state in states.items() if state in listed]}


def _video_item(context: Context, video: str, state: str) -> ResponseData:
    until = format_utc(context.now + VIDEO_URL_SECONDS)
    return {
        "video_id": video,
        "material_id": material_of_video(video),
        "file_name": file_name_of(video),
        "displayable": state == READY,
        "width": 720,
        "height": 1280,
        "duration": 9.8,
        "bit_rate": 1_223_985,
        "format": "mp4",
        "size": 1_499_381,
        "signature": "0" * 32,
        "video_cover_url": _url(context, f"{video}.image", VIDEO_URL_SECONDS),
        "preview_url": _url(context, file_name_of(video), VIDEO_URL_SECONDS),
        "preview_url_expire_time": until,
        "allowed_placements": ["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"],
        "allow_download": True,
        "create_time": CREATED,
        "modify_time": CREATED,
    }


def image_info(context: Context) -> ResponseData:
    """Answer file/image/ad/info; an id that is not in the library is refused (get_info_about_images)."""
    advertiser = context.advertiser(context.params.identifier("advertiser_id"))
    ids = _requested_ids(context, "image_ids", MAX_IMAGE_IDS)
    library = library_of(context, advertiser)
    for index, image in enumerate(ids):
        if image not in library.images:
            raise bad_parameter(f"image_ids.{index}", f"The image {image} is not in the Asset Library.")
    return {"list": [_image_item(context, image) for image in ids]}


def _image_item(context: Context, image: str) -> ResponseData:
    return {
        "image_id": image,
        "material_id": stable_id("material", image),
        "is_carousel_usable": True,
        "width": 720,
        "height": 1280,
        "format": "jpeg",
        "size": 39_779,
        "displayable": False,
        "file_name": "image.jpeg",
        "image_url": _url(context, image, IMAGE_URL_SECONDS),
        "signature": "0" * 32,
        "create_time": CREATED,
        "modify_time": CREATED,
    }


def suggested_covers(context: Context) -> ResponseData:
    """Answer file/video/suggestcover (get_suggested_thumbnails_for_a_video)."""
    params = context.params
    advertiser = context.advertiser(params.identifier("advertiser_id"))
    video = params.required("video_id")
    number = params.integer("poster_number", 10, 1, 10)
    if video_state(context, advertiser, video) != READY:  # also while it is transcoded, as the page says
        raise ApiError(40001, "Insufficient permissions for some videos.")
    rows = [
        {"id": cover, "url": _url(context, cover, IMAGE_URL_SECONDS), "width": 560, "height": 320}
        for cover in covers_of(video)[:number]
    ]
    return {"list": rows}
