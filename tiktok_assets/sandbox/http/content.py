"""Serve the pictures and videos that URLs of file endpoints point at, until they expire.

A URL has its expiry and a signature. Of TikTok's content servers only it is documented how long their URLs are
good.
"""

from hashlib import sha256
from urllib.parse import quote

from tiktok_assets.sandbox.http.pictures import draw_picture

CONTENT_PATH = "/content/"
EXPIRY = "x-expires"  # of the URL of a video's cover (mengxingxinqing/tiktok_ads, get_info_about_videos)
SIGNATURE = "x-signature"
# The first box of an MP4 file; no program can play it.
_VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def content_url(base_url: str, name: str, expires: int, seed: int) -> str:
    """Return a URL of the content route that is good until an instant, in epoch seconds."""
    signature = _signature(name, expires, seed)
    return f"{base_url}{CONTENT_PATH}{quote(name, safe='')}?{EXPIRY}={expires}&{SIGNATURE}={signature}"


def is_valid(name: str, expires: str, signature: str, *, seed: int, now: int) -> bool:
    """Return whether a URL was made by `content_url` and has not expired."""
    return expires.isdigit() and signature == _signature(name, int(expires), seed) and now < int(expires)


def _signature(name: str, expires: int, seed: int) -> str:
    return sha256(f"{seed}:{name}:{expires}".encode()).hexdigest()[:24]


def content_of(name: str) -> tuple[bytes, str]:
    """Return bytes and media type of a name: a picture of its own, or the start of a video."""
    if name.endswith(".mp4"):
        return _VIDEO, "video/mp4"
    return draw_picture(name), "image/png"
