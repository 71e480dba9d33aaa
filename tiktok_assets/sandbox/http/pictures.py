"""Draw the pictures of the sandbox: covers of videos and images, each name another."""

import io
from functools import lru_cache
from hashlib import sha256

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 360, 640
_SHAPES = 4


@lru_cache(maxsize=256)
def draw_picture(name: str) -> bytes:
    """Return a PNG for a name: a gradient of two colors with circles, all chosen by the name's hash."""
    seed = sha256(name.encode()).digest()
    hue = seed[0] * 360 // 256
    gradient = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    picture = Image.composite(_plain(hue, 55, 30), _plain(hue + 40 + seed[1] % 90, 70, 62), gradient)
    pen = ImageDraw.Draw(picture)
    for number in range(_SHAPES):
        x, y, size, tone = seed[4 * number + 2 : 4 * number + 6]
        center, radius = (x * WIDTH // 256, y * HEIGHT // 256), 20 + size // 3
        pen.circle(center, radius, fill=_color(hue + 180 + tone % 60, 75, 45 + tone % 35))
    pen.polygon([(150, 280), (150, 360), (220, 320)], fill="white")  # looks like a video that can be played
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _color(hue: int, saturation: int, lightness: int) -> str:
    return f"hsl({hue % 360}, {saturation}%, {lightness}%)"


def _plain(hue: int, saturation: int, lightness: int) -> Image.Image:
    return Image.new("RGB", (WIDTH, HEIGHT), _color(hue, saturation, lightness))
