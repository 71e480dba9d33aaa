"""Turn downloaded pictures into thumbnails, and draw a tile in place of a missing one."""

import io
import warnings
from hashlib import sha256

from PIL import Image, ImageDraw, ImageFont, ImageOps

from tiktok_assets.api import PictureError

THUMBNAIL_WIDTH = 320
MAX_THUMBNAIL_HEIGHT = 1280
"""Taller pictures are cropped at the bottom."""

MAX_PIXELS = 40_000_000
"""Pictures with more pixels are not decoded: a small file can decompress to gigabytes."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY = 72
_TILE_SIZE = (THUMBNAIL_WIDTH, 568)
_TILE_MARGIN, _TILE_LINES = 20, 7


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
                upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("more than 40 million pixels") from error
    except Exception as error:  # Pillow's decoders raise errors of many types for damaged files
        raise PictureError("not a JPEG, PNG, WebP or GIF that can be decoded") from error
    flat = Image.new("RGB", upright.size, "white")
    flat.paste(upright, mask=upright.getchannel("A"))
    height = max(1, round(flat.height * THUMBNAIL_WIDTH / flat.width))
    visible = flat.height
    if height > MAX_THUMBNAIL_HEIGHT:
        visible = max(1, round(flat.width * MAX_THUMBNAIL_HEIGHT / THUMBNAIL_WIDTH))
        height = MAX_THUMBNAIL_HEIGHT
    resized = flat.resize((THUMBNAIL_WIDTH, height), Image.Resampling.LANCZOS, (0, 0, flat.width, visible))
    return _encode(resized)


def _check_pixels(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise PictureError("more than 40 million pixels")


def draw_tile(name: str, key: str) -> bytes:
    """Return a WebP with a name on a color that depends on the key, for a creative without a picture.

    Args:
        name: the text, such as the name of the video's file.
        key: the id of the creative; the same id has the same color everywhere.
    """
    hue = int.from_bytes(sha256(key.encode()).digest()[:2]) % 360
    tile = Image.new("RGB", _TILE_SIZE, f"hsl({hue}, 45%, 32%)")
    font = ImageFont.load_default(26)
    pen = ImageDraw.Draw(tile)
    lines = _wrap(_printable(name), font, _TILE_SIZE[0] - 2 * _TILE_MARGIN)
    pen.multiline_text((_TILE_MARGIN, _TILE_MARGIN), "\n".join(lines), fill="white", font=font, spacing=8)
    return _encode(tile)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Return the lines of a text that fit a tile; what does not fit is left out."""
    lines = [""]
    for character in text[:300]:
        if font.getlength(lines[-1] + character) > width:
            lines.append("")
        lines[-1] += character
    return lines if len(lines) <= _TILE_LINES else [*lines[: _TILE_LINES - 1], "…"]


def _encode(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return buffer.getvalue()
