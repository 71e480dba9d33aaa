"""Draw a tile with a name, in place of the picture that a creative lacks."""

from hashlib import sha256

from PIL import Image, ImageDraw

from tiktok_assets.typography import BOLD, draw_text, wrap

_MARGIN, _TEXT_SIZE, _LINE_HEIGHT, _MAX_LINES = 0.07, 0.085, 0.115, 6
"""Fractions of the tile's width, and how many lines a name has at most: they fit a square."""


def draw_tile(name: str, key: str, size: tuple[int, int]) -> Image.Image:
    """Draw a name on a color that depends on the key.

    The name is in the middle, so that it stays when the tile is cropped to a square or to the shape of a card.

    Args:
        name: the text, such as the name of the video's file.
        key: the id of the creative; the same id has the same color everywhere.
        size: width and height in pixels.
    """
    hue = int.from_bytes(sha256(key.encode(errors="replace")).digest()[:2]) % 360
    tile = Image.new("RGB", size, f"hsl({hue}, 45%, 32%)")
    width, height = size
    pen, text_size, step = ImageDraw.Draw(tile), width * _TEXT_SIZE, width * _LINE_HEIGHT
    lines = wrap(name, text_size, width * (1 - 2 * _MARGIN), _MAX_LINES, BOLD)
    top = (height - step * len(lines)) / 2
    for number, line in enumerate(lines):
        draw_text(
            pen, (width * _MARGIN, top + number * step + text_size), line, text_size, fill="white", weight=BOLD
        )
    return tile
