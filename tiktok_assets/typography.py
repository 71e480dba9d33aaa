"""Measure, wrap and draw text of any script with Pillow, with the Noto font of each script.

Pillow draws a text with one font, so a text is divided into pieces of one font each. Within a piece, Raqm shapes
Arabic and Indic letters and puts them in their order.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Literal

from PIL import ImageDraw, ImageFont

from tiktok_assets.escaping import escape_control_characters

REGULAR, BOLD = 400, 650
"""Weights of the fonts."""

MAX_CHARACTERS = 300
"""Longer text is cut before it is measured."""

_FONTS, _CJK_FONTS = "manimgx_fonts", "manimgx_fonts_cjk"
_LATIN, _CJK, _EMOJI, _SYMBOLS = "NotoSans", "NotoSansCJK", "NotoEmoji", "NotoSansSymbols"

_SCRIPTS = {
    **{
        name.upper(): f"NotoSans{name}"
        for name in (
            *("Arabic", "Armenian", "Bengali", "Devanagari", "Ethiopic", "Georgian", "Gujarati", "Gurmukhi"),
            *("Hebrew", "Kannada", "Khmer", "Lao", "Malayalam", "Myanmar", "Oriya", "Sinhala", "Tamil", "Telugu"),
            "Thai",
        )
    },
    **dict.fromkeys(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "HALFWIDTH"), _CJK),
    "REGIONAL": _EMOJI,  # the letters of which flags consist
}
"""The font of a script by the first word of its characters' Unicode names; any other is drawn with `NotoSans`."""

_JOINER = "\N{ZERO WIDTH JOINER}"
_EMOJI_SIGNS = frozenset({"\N{VARIATION SELECTOR-16}", "\N{COMBINING ENCLOSING KEYCAP}"})
"""After these, the character before them is an emoji."""
_ELLIPSIS = "…"
_TEST_SIZE, _UNASSIGNED = 16, "\U0003fffd"
_RIGHT_TO_LEFT = frozenset({"R", "AL"})
_STRONG = frozenset({"L", *_RIGHT_TO_LEFT})


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A character with the marks on it: it is never divided.

    Attributes:
        text: the characters.
        font: the name of its font.
        is_rtl: whether it is written from right to left.
    """

    text: str
    font: str
    is_rtl: bool


def measure(text: str, size: float, weight: int = REGULAR) -> float:
    """Return the width of a text on one line, in pixels."""
    return sum(_load(font, size, weight).getlength(piece) for piece, font in _list_pieces(_split(text)))


def wrap(text: str, size: float, width: float, lines: int, weight: int = REGULAR) -> list[str]:
    """Break a text into lines no wider than `width`, between words if possible.

    The last line ends with an ellipsis if the text needs more lines.
    """
    rest = _split(text)
    wrapped: list[str] = []
    while rest and len(wrapped) < lines - 1:
        line = _take_line(rest, size, width, weight)
        wrapped.append(_join(line).strip())
        rest = rest[len(line) :]
    if rest:
        wrapped.append(_clip(rest, size, width, weight))
    return [line for line in wrapped if line]


def clip(text: str, size: float, width: float, weight: int = REGULAR) -> str:
    """Return a text that is no wider than `width`, with an ellipsis in place of what was left out."""
    return _clip(_split(text), size, width, weight)


def draw_text(
    pen: ImageDraw.ImageDraw,
    position: tuple[float, float],
    text: str,
    size: float,
    *,
    fill: str,
    weight: int = REGULAR,
    align: Literal["left", "right"] = "left",
) -> None:
    """Draw a text on one line.

    Args:
        pen: of the image.
        position: the left end of the baseline, or its right end.
        text: line breaks and control characters are drawn as a space or as their escape sequences.
        size: the height of the font in pixels.
        fill: the color.
        weight: `REGULAR` or `BOLD`.
        align: which end of the text is at the position.
    """
    pieces = [(piece, _load(font, size, weight)) for piece, font in _list_pieces(_split(text))]
    x, y = position
    if align == "right":
        x -= sum(font.getlength(piece) for piece, font in pieces)
    for piece, font in pieces:
        pen.text((x, y), piece, fill=fill, font=font, anchor="ls")
        x += font.getlength(piece)


def _take_line(clusters: list[_Cluster], size: float, width: float, weight: int) -> list[_Cluster]:
    """Return the clusters at the beginning that fit a line: up to the last space, or at least one."""
    fitting = _count_fitting(clusters, size, width, weight)
    if fitting == len(clusters):
        return clusters
    spaces = [place for place in range(1, fitting + 1) if clusters[place].text.isspace()]
    # Chinese and Japanese are written without spaces; a word that is longer than the line is broken.
    is_worth_it = spaces and spaces[-1] >= fitting // 3
    return clusters[: spaces[-1] + 1] if is_worth_it else clusters[: max(fitting, 1)]


def _count_fitting(clusters: list[_Cluster], size: float, width: float, weight: int) -> int:
    """Return how many clusters from the beginning fit a width; the width grows with their number."""
    low, high = 0, len(clusters)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(_join(clusters[:middle]).rstrip(), size, weight) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _clip(clusters: list[_Cluster], size: float, width: float, weight: int) -> str:
    text = _join(clusters).strip()
    if measure(text, size, weight) <= width:
        return text
    room = width - measure(_ELLIPSIS, size, weight)
    return _join(clusters[: _count_fitting(clusters, size, room, weight)]).rstrip() + _ELLIPSIS


def _join(clusters: list[_Cluster]) -> str:
    return "".join(one.text for one in clusters)


def _split(text: str) -> list[_Cluster]:
    """Divide a text, on one line and without control characters, into clusters."""
    clusters: list[_Cluster] = []
    shown = " ".join(escape_control_characters(text[:MAX_CHARACTERS]).split())
    for character in shown:
        last = clusters[-1] if clusters else None
        if last and _continues(last.text, character):
            font = _EMOJI if character in _EMOJI_SIGNS else last.font
            clusters[-1] = _Cluster(last.text + character, font, last.is_rtl)
            continue
        direction = unicodedata.bidirectional(character)
        is_rtl = direction in _RIGHT_TO_LEFT if direction in _STRONG else bool(last and last.is_rtl)
        clusters.append(_Cluster(character, _choose_font(character), is_rtl))
    return clusters


def _continues(text: str, character: str) -> bool:
    is_mark = unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return is_mark or is_skin_tone or text.endswith(_JOINER)


@cache
def _choose_font(character: str) -> str:
    """Return the font of the character's script; for a symbol, the first font that has it."""
    if font := _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0]):
        return font
    is_wide = unicodedata.east_asian_width(character) in {"W", "F"}
    fonts = (_EMOJI, _CJK, _LATIN, _SYMBOLS) if is_wide else (_LATIN, _SYMBOLS, _CJK, _EMOJI)
    return next((font for font in fonts if _has_glyph(font, character)), _LATIN)


def _has_glyph(font: str, character: str) -> bool:
    """Return whether a font draws a character unlike one that it lacks; Pillow cannot tell it otherwise."""
    if character == " ":
        return font == _LATIN
    loaded = _load(font, _TEST_SIZE, REGULAR)
    drawn, missing = loaded.getmask(character), loaded.getmask(_UNASSIGNED)
    return (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


def _list_pieces(clusters: list[_Cluster]) -> Iterator[tuple[str, str]]:
    """Yield the pieces of one font, from left to right as they are shown, each with its font.

    Where the text begins with a right-to-left letter, its parts are in the order from right to left, as in the
    Unicode Bidirectional Algorithm, of which the nesting of directions is left out.
    """
    parts = [(is_rtl, list(part)) for is_rtl, part in groupby(clusters, key=lambda one: one.is_rtl)]
    if clusters and clusters[0].is_rtl:
        parts.reverse()
    for is_rtl, part in parts:
        pieces = [(_join(list(piece)), font) for font, piece in groupby(part, key=lambda one: one.font)]
        yield from reversed(pieces) if is_rtl else pieces


@cache
def _load(font: str, size: float, weight: int) -> ImageFont.FreeTypeFont:
    folder = files(_CJK_FONTS if font == _CJK else _FONTS)
    path = folder / ("NotoSansCJK-VF.otf.ttc" if font == _CJK else f"{font}[wght].ttf")
    loaded = ImageFont.truetype(str(path), size)
    loaded.set_variation_by_axes([weight])
    return loaded
