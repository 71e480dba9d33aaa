"""Tests of drawn text: any name of any script is drawn within its width."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tiktok_assets.tiles import draw_tile
from tiktok_assets.typography import BOLD, clip, draw_text, measure, wrap
from tiktok_assets_tests.hostile_names import HOSTILE_NAMES

SCRIPTS = (
    "Ünïcödé Привет Ελλάδα",
    "夏の動画「新商品」",
    "여름 세일",
    "عرض الصيف",
    "מבצע קיץ",
    "ลดราคาฤดูร้อน",
    "विज्ञापन",
    "বিজ্ঞাপন",
    "विज्ञापन தமிழ் తెలుగు",
    "🎬🔥❤️👨‍👩‍👧🇩🇪1️⃣✓★→",
)
NAMES = HOSTILE_NAMES | st.sampled_from(SCRIPTS) | st.lists(st.sampled_from(SCRIPTS)).map(" ".join)


def draw(text: str) -> bytes:
    """Return the pixels of a text."""
    picture = Image.new("L", (1600, 60), "white")
    draw_text(ImageDraw.Draw(picture), (5, 45), text, 32, fill="black")
    return picture.tobytes()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(NAMES, st.integers(60, 900), st.integers(1, 4))
def test_lines_fit_their_width(text: str, width: int, lines: int) -> None:
    """Any text is broken into at most so many lines, none wider than asked, and drawn the same each time."""
    wrapped = wrap(text, 30, width, lines, BOLD)
    assert len(wrapped) <= lines
    assert all(measure(line, 30, BOLD) <= width for line in wrapped)
    assert measure(clip(text, 30, width), 30) <= width
    assert draw(text) == draw(text)


def test_every_script_has_its_glyphs() -> None:
    """No two words of a script look the same, as they would with a font that lacks its letters."""
    for one, other in (
        ("夏の", "動画"),
        ("세일", "여름"),
        ("عرض", "صيف"),
        ("קיץ", "מבצ"),
        ("ลด", "รา"),
        ("वि", "ज्ञ"),
        ("🎬", "🔥"),
    ):
        assert draw(one) != draw(other)
        assert draw(one) != draw("")


def test_right_to_left_names_begin_at_the_right() -> None:
    """Latin after an Arabic name stands at its left, where a Latin name has its own beginning."""
    assert draw("عرض الصيف Sale") == draw("Sale عرض الصيف")
    assert draw("عرض 50%") != draw("50% عرض 7")


@settings(max_examples=40, deadline=None)
@given(NAMES, st.text(max_size=20))
def test_tiles_keep_their_name_when_cropped(name: str, key: str) -> None:
    """A tile of any name is the same each time, and a card of 4:5, or a square, shows all of its text."""
    width, height = 320, 568
    tile = draw_tile(name, key, (width, height))
    assert tile.tobytes() == draw_tile(name, key, (width, height)).tobytes()
    color = tile.getpixel((0, 0))
    for shown in (width * 5 // 4, width):
        edge = (height - shown) // 2
        for outside in (tile.crop((0, 0, width, edge)), tile.crop((0, height - edge, width, height))):
            assert outside.getcolors() == [(width * edge, color)]


def test_tiles_differ_by_key() -> None:
    """Tiles of two creatives have different colors."""
    assert draw_tile("spring", "v1", (32, 56)).tobytes() != draw_tile("spring", "v2", (32, 56)).tobytes()
