"""Tests of thumbnails: what is made of a picture, and what is refused."""

import io
import zlib
from struct import pack

import pytest
from PIL import Image

from tiktok_assets.api.pictures import PictureError
from tiktok_assets.ingest.pictures import MAX_THUMBNAIL_HEIGHT, draw_tile, make_thumbnail


def encode(kind: str, size: tuple[int, int] = (720, 1280), mode: str = "RGB") -> bytes:
    """Return a picture in one color."""
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


def read(content: bytes) -> tuple[str | None, tuple[int, int]]:
    """Return format and size of a picture."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        return picture.format, picture.size


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "L"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("GIF", "P")])
def test_thumbnails_are_small_webp(kind: str, mode: str) -> None:
    """A picture of each format becomes a WebP of 320 pixels width with its proportions."""
    assert read(make_thumbnail(encode(kind, mode=mode))) == ("WEBP", (320, 569))
    assert make_thumbnail(encode(kind, mode=mode)) == make_thumbnail(encode(kind, mode=mode))


def test_very_tall_and_wide_pictures_fit() -> None:
    """A very tall picture is cropped, and a very wide one keeps at least one row."""
    assert read(make_thumbnail(encode("PNG", (10, 3000)))) == ("WEBP", (320, MAX_THUMBNAIL_HEIGHT))
    assert read(make_thumbnail(encode("PNG", (5000, 2)))) == ("WEBP", (320, 1))


def bomb() -> bytes:
    """Return the start of a small PNG that claims 60,000 by 60,000 pixels."""
    parts = ((b"IHDR", pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 1000)))
    chunks = (pack(">I", len(d)) + k + d + pack(">I", zlib.crc32(k + d)) for k, d in (*parts, (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b"<html></html>",
        b"\x89PNG\r\n\x1a\n",
        encode("PNG")[:60],
        encode("BMP"),
        encode("TIFF"),
        encode("EPS"),
        bomb(),
    ],
)
def test_other_content_is_refused(content: bytes) -> None:
    """What is no JPEG, PNG, WebP or GIF, is damaged, or has too many pixels, is refused for good."""
    with pytest.raises(PictureError) as caught:
        make_thumbnail(content)
    assert not caught.value.is_temporary


def test_tiles_are_thumbnails() -> None:
    """The tile of a creative without a picture has the format and shape of a thumbnail."""
    assert read(draw_tile("Unboxing", "v1")) == ("WEBP", (320, 568))
