"""Turn downloaded pictures, and the tile of a creative without one, into thumbnails."""

import io
import warnings

from PIL import Image, ImageOps

from tiktok_assets import tiles
from tiktok_assets.api import PictureError

THUMBNAIL_WIDTH = 320
MAX_THUMBNAIL_HEIGHT = 1280
"""Taller pictures are cropped at the bottom."""

MAX_PIXELS = 40_000_000
"""Pictures with more pixels are not decoded: a small file can decompress to gigabytes."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY, _SMALL_QUALITY = 72, 50
_EFFORT = 2
"""Of the encoder, from 0 to 6; more takes much longer for files that are little smaller."""
_TILE_SIZE = (THUMBNAIL_WIDTH, 568)


def make_thumbnail(content: bytes) -> bytes:
    """Return a picture as WebP, 320 pixels wide, without the metadata of its file.

    Of an animation the first frame is taken.

    Raises:
        PictureError: if it is no JPEG, PNG, WebP or GIF, has too many pixels, or cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warning about many pixels; ours is an error
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                _check_pixels(picture)
                picture.draft("RGB", (THUMBNAIL_WIDTH, MAX_THUMBNAIL_HEIGHT))
                flat = _flatten(ImageOps.exif_transpose(picture))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("more than 40 million pixels") from error
    except Exception as error:  # Pillow's decoders raise errors of many types for damaged files
        raise PictureError("not a JPEG, PNG, WebP or GIF that can be decoded") from error
    height = max(1, round(flat.height * THUMBNAIL_WIDTH / flat.width))
    visible = flat.height
    if height > MAX_THUMBNAIL_HEIGHT:
        visible = max(1, round(flat.width * MAX_THUMBNAIL_HEIGHT / THUMBNAIL_WIDTH))
        height = MAX_THUMBNAIL_HEIGHT
    resized = flat.resize((THUMBNAIL_WIDTH, height), Image.Resampling.LANCZOS, (0, 0, flat.width, visible), 3.0)
    return _encode(resized)


def _flatten(picture: Image.Image) -> Image.Image:
    """Return a picture in RGB, on white where it is transparent."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    flat = Image.new("RGB", layer.size, "white")
    flat.paste(layer, mask=layer.getchannel("A"))
    return flat


def _check_pixels(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise PictureError("more than 40 million pixels")


def shrink_thumbnail(content: bytes, pixels: int) -> bytes | None:
    """Return a stored thumbnail so small that it fits a square, as WebP; None if it cannot be decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=("WEBP",)) as picture:
            small = picture.convert("RGB")
    except (OSError, ValueError):
        return None
    small.thumbnail((pixels, pixels))
    return _encode(small, _SMALL_QUALITY)


def draw_tile(name: str, key: str) -> bytes:
    """Return a WebP with a name on a color that depends on the key, for a creative without a picture."""
    return _encode(tiles.draw_tile(name, key, _TILE_SIZE))


def _encode(picture: Image.Image, quality: int = _QUALITY) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=_EFFORT)
    return buffer.getvalue()
