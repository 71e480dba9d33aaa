"""Draw the picture of an alert: a thumbnail with a name, figures and a small trend, as one PNG."""

import io
from collections.abc import Sequence
from itertools import groupby
from math import isfinite

from PIL import Image, ImageDraw, ImageOps

from tiktok_assets.alerts.picture import AlertPicture
from tiktok_assets.tiles import draw_tile
from tiktok_assets.typography import BOLD, clip, draw_text, measure, wrap

PICTURE_SIZE = (1200, 630)
"""The shape in which chats preview pictures without cropping."""

MAX_FIGURES = 6

MAX_THUMBNAIL_BYTES = 5 * 1024 * 1024
MAX_THUMBNAIL_PIXELS = 4_000_000

_INK, _SOFT, _RULE, _BACKGROUND = "#1c2330", "#5b6474", "#e3e7ee", "#ffffff"
_BLUE, _PALE = "#2f6fed", "#e4edfd"
_MARGIN, _GAP = 40, 44
_THUMBNAIL_BOX = (309, 550)
_CORNER = 18
_LEFT = _MARGIN + _THUMBNAIL_BOX[0] + _GAP
_RIGHT = PICTURE_SIZE[0] - _MARGIN
_LABEL_SIZE, _VALUE_SIZE = 23, 38
_FIGURES_TOP, _FIGURE_HEIGHT, _COLUMNS, _COLUMN_GAP, _MIN_COLUMN = 272, 84, 3, 36, 150
_TREND_TOP, _TREND_BOTTOM = 476, 590
_OVERSAMPLING = 3


def draw_picture(picture: AlertPicture) -> bytes:
    """Draw a picture as PNG; text that is drawn very small can differ by a pixel from one time to the next."""
    canvas = Image.new("RGB", PICTURE_SIZE, _BACKGROUND)
    _draw_thumbnail(canvas, picture)
    pen = ImageDraw.Draw(canvas)
    draw_text(pen, (_LEFT, 68), picture.heading, 28, fill=_BLUE, weight=BOLD)
    width = _RIGHT - _LEFT
    lines = wrap(picture.title, 44, width, 2, BOLD) or ["-"]
    for number, line in enumerate(lines):
        draw_text(pen, (_LEFT, 124 + 54 * number), line, 44, fill=_INK, weight=BOLD)
    draw_text(pen, (_LEFT, 112 + 54 * len(lines)), clip(picture.subtitle, 28, width), 28, fill=_SOFT)
    _draw_figures(pen, picture.figures[:MAX_FIGURES])
    _draw_trend(canvas, picture)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _draw_thumbnail(canvas: Image.Image, picture: AlertPicture) -> None:
    """Draw the thumbnail, or a tile; a portrait fills the box, a landscape is shown whole on grey."""
    thumbnail = _decode(picture.thumbnail) or draw_tile(picture.title, picture.key, _THUMBNAIL_BOX)
    if thumbnail.width <= thumbnail.height:
        shown = ImageOps.fit(thumbnail, _THUMBNAIL_BOX, Image.Resampling.LANCZOS)
    else:
        shown = ImageOps.pad(thumbnail, _THUMBNAIL_BOX, Image.Resampling.LANCZOS, color="#eef1f6")
    large = (_THUMBNAIL_BOX[0] * _OVERSAMPLING, _THUMBNAIL_BOX[1] * _OVERSAMPLING)
    mask = Image.new("L", large, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, large[0] - 1, large[1] - 1), _CORNER * _OVERSAMPLING, fill=255)
    canvas.paste(shown, (_MARGIN, _MARGIN), mask.resize(_THUMBNAIL_BOX, Image.Resampling.BOX))


def _decode(content: bytes | None) -> Image.Image | None:
    if not content or len(content) > MAX_THUMBNAIL_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("WEBP", "JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_THUMBNAIL_PIXELS:
                return None
            return picture.convert("RGB")
    except Exception:  # noqa: BLE001 - Pillow's decoders raise errors of many types for damaged files
        return None


def _draw_figures(pen: ImageDraw.ImageDraw, figures: Sequence[tuple[str, str]]) -> None:
    """Draw label and value of each figure, in rows of three; larger values are drawn smaller, and never cut."""
    columns = [figures[start::_COLUMNS] for start in range(min(len(figures), _COLUMNS))]
    gaps = _COLUMN_GAP * (len(columns) - 1)
    widths = [
        max(max(measure(label, _LABEL_SIZE), measure(value, _VALUE_SIZE, BOLD)) for label, value in column)
        for column in columns
    ]
    scale = min(1.0, (_RIGHT - _LEFT - gaps) / max(sum(widths), 1))
    x = float(_LEFT)
    for column, width in zip(columns, widths, strict=True):
        for row, (label, value) in enumerate(column):
            y = _FIGURES_TOP + row * _FIGURE_HEIGHT
            draw_text(pen, (x, y), label, int(_LABEL_SIZE * scale), fill=_SOFT)
            draw_text(pen, (x, y + 42), value, int(_VALUE_SIZE * scale), fill=_INK, weight=BOLD)
        x += max(width * scale, _MIN_COLUMN) + _COLUMN_GAP


def _draw_trend(canvas: Image.Image, picture: AlertPicture) -> None:
    """Draw the values as a line over a pale area from zero to the largest one; a gap is left open."""
    values = [value if value is None or isfinite(value) else None for value in picture.series]
    known = [value for value in values if value is not None]
    if not known:
        return
    pen = ImageDraw.Draw(canvas)
    room = _RIGHT - _LEFT - measure(picture.series_note, _LABEL_SIZE) - 24
    label = clip(picture.series_label, _LABEL_SIZE, room)
    draw_text(pen, (_LEFT, _TREND_TOP - 16), label, _LABEL_SIZE, fill=_SOFT)
    draw_text(pen, (_RIGHT, _TREND_TOP - 16), picture.series_note, _LABEL_SIZE, fill=_SOFT, align="right")
    scale = _OVERSAMPLING
    width, height = (_RIGHT - _LEFT) * scale, (_TREND_BOTTOM - _TREND_TOP) * scale
    plot = Image.new("RGB", (width, height), _BACKGROUND)
    line = ImageDraw.Draw(plot)
    radius, highest = 7 * scale, max(*known, 0) or 1
    step = (width - 2 * radius) / max(len(values) - 1, 1)
    usable = height - 2 * radius
    points = [
        None if value is None else (radius + step * place, radius + usable * (1 - max(value, 0) / highest))
        for place, value in enumerate(values)
    ]
    base = height - radius
    parts = [list(part) for is_known, part in groupby(points, key=bool) if is_known]
    for part in parts:
        drawn = [point for point in part if point]
        if len(drawn) > 1:
            line.polygon([(drawn[0][0], base), *drawn, (drawn[-1][0], base)], fill=_PALE)
    line.line([(0, base), (width, base)], fill=_RULE, width=scale)
    for part in parts:
        drawn = [point for point in part if point]
        line.line(drawn, fill=_BLUE, width=4 * scale, joint="curve")
        if len(drawn) == 1:
            line.circle(drawn[0], 3 * scale, fill=_BLUE)
    line.circle([point for part in parts for point in part if point][-1], radius, fill=_BLUE)
    shown = plot.resize((_RIGHT - _LEFT, _TREND_BOTTOM - _TREND_TOP), Image.Resampling.BOX)
    canvas.paste(shown, (_LEFT, _TREND_TOP))
